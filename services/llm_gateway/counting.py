"""How many tokens a prompt has, without any tokenizer: an estimate, corrected by what each model's provider reports.

Control tokens in the text are text like any other, and no vocabulary is downloaded.
"""

from collections import OrderedDict

_WEIGHT = 0.2  # of the newest report
_LEAST, _MOST = 0.5, 4.0  # what a report may claim: beyond that, the server counts something else
_CAPACITY = 1024


class Ratios:
    """Reported tokens divided by estimated ones, for each model; 1 until a provider has reported."""

    def __init__(self) -> None:
        self._ratios: OrderedDict[str, float] = OrderedDict()

    def tokens(self, model: str, guess: int) -> int:
        """Answer about how many tokens the model makes of a text that is estimated at `guess`."""
        return max(int(guess * self._ratios.get(model, 1.0)), 1)

    def learn(self, model: str, guess: int, reported: int) -> None:
        """Note what the provider counted of a text that was estimated at `guess`."""
        if guess < 50 or reported <= 0:
            return  # the fixed part of a request would be most of it
        ratio = min(max(reported / guess, _LEAST), _MOST)
        known = self._ratios.get(model)
        self._ratios[model] = ratio if known is None else known + _WEIGHT * (ratio - known)
        self._ratios.move_to_end(model)
        while len(self._ratios) > _CAPACITY:
            self._ratios.popitem(last=False)
