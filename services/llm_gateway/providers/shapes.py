"""What each model of each address has shown that it does not know; shared by all who open it, while we run."""

from collections import OrderedDict

from services.llm_gateway.providers.wire import Shape

Key = tuple[str, str, str]  # provider, address, model

_MAX_KNOWN = 4096
_shapes: OrderedDict[Key, Shape] = OrderedDict()


def known(key: Key) -> Shape | None:
    """Answer how a request to that model is put, None where nothing is known yet."""
    return _shapes.get(key)


def remember(key: Key, shape: Shape) -> None:
    """Keep how requests to that model are put from now on; what was learned longest ago goes when there is too much."""
    _shapes[key] = shape
    _shapes.move_to_end(key)
    while len(_shapes) > _MAX_KNOWN:
        _shapes.popitem(last=False)


def forget() -> None:
    """Forget all of it."""
    _shapes.clear()
