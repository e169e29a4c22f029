"""What lies between that breaks: connections freeze or are cut, and the code host fails before or after the effect."""

import time

from tests.chaos.breakage import Acts, Breakage, true
from tests.chaos.proxy import Proxy
from tests.chaos.world import LEASE_SECONDS

_HOST_OPERATIONS = (
    "pulls/get",
    "pulls/list-files",
    "pulls/list-reviews",
    "pulls/create-review",
    "pulls/submit-review",
    "pulls/update-review",
)
_HOST_FAILURES = ("500", "502", "429", "close", "stall")


class Links:
    """Breaks connections, and the code host."""

    def __init__(self, shared: Breakage) -> None:
        self._shared = shared
        self._world = shared.world

    def acts(self) -> Acts:
        """Answer what can be done to them."""
        return {"freeze connections": self._freeze, "cut connections": self._cut, "fail host": self._fail_host}

    def _links(self) -> dict[str, Proxy]:
        links = {n: p for n, p in self._world.proxies.items() if n not in self._shared.down and p.backends}
        more = {"broker": self._world.broker_proxy, "documents": self._world.documents_proxy}
        return links | {n: p for n, p in more.items() if p is not None and n not in self._shared.down}

    async def _is_anything_on(self) -> bool:
        return await self._shared.is_anything_on_its_way() or await self._shared.is_an_upload_on()

    async def _freeze(self) -> None:
        name = self._shared.chance.choice(sorted(self._links()))
        proxy = self._links()[name]
        hit = (
            await self._shared.wait(lambda: true(proxy.busy))
            if proxy.backends
            else await self._shared.wait(self._is_anything_on)
        )
        begun = time.time()
        self._shared.down.add(name)
        self._shared.tally.note("freeze connections", hit)
        proxy.freeze()

        async def thaw() -> None:
            self._shared.hurts(begun)
            if self._shared.chance.random() < 0.5:
                proxy.cut()  # half-open for a while, then gone
            proxy.thaw()
            self._shared.down.discard(name)

        self._shared.later(thaw(), 1, LEASE_SECONDS + 2)

    async def _cut(self) -> None:
        links = self._links()
        hit = await self._shared.wait(lambda: true(any(link.busy for link in links.values())))
        busy = [name for name, link in links.items() if link.busy]
        name = self._shared.chance.choice(sorted(busy or links))
        self._shared.hurts(time.time())
        self._shared.tally.note("cut connections", links[name].cut() > 0 and hit)

    async def _fail_host(self) -> None:
        operation, how = self._shared.chance.choice(_HOST_OPERATIONS), self._shared.chance.choice(_HOST_FAILURES)
        when = self._shared.chance.choice(("before", "after"))
        await self._world.github("fail", operation, when, how, self._shared.chance.randint(1, 3))
        self._shared.tally.note("fail host", True)
        if how == "stall":

            async def heal() -> None:
                await self._world.github("heal")

            self._shared.later(heal(), 1, 4)
