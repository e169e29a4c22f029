"""What tokens cost: the operator's own table, else the snapshot of genai-prices; never a network call.

An unknown price is None, never zero. Money is in whole millionths of a dollar.
"""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import ROUND_CEILING, Decimal
from functools import lru_cache
from pathlib import Path
from typing import Any

from services.llm_gateway.providers.usage import Usage

MICROS = 1_000_000
_MILLION = Decimal(1_000_000)
_FIELDS = ("input", "cached", "cacheWrite", "output")


@dataclass(frozen=True, slots=True)
class Price:
    """Dollars for a million tokens."""

    input: Decimal
    output: Decimal
    cached: Decimal
    cache_write: Decimal

    def micros(self, usage: Usage) -> int:
        """Answer what the tokens cost, rounded up."""
        plain = max(usage.input - usage.cached - usage.cache_written, 0)
        total = plain * self.input + usage.cached * self.cached + usage.cache_written * self.cache_write
        return int((total + usage.output * self.output).to_integral_value(ROUND_CEILING))


@dataclass(frozen=True, slots=True)
class Listing:
    """A model as the tables of prices know it; `listed` is a provider's id there, or the address of a server."""

    kind: str  # as in byokConfig.provider
    listed: str
    model: str


class Prices:
    """The price of each model. `overrides` go by `kind/model`, by model, or by `kind/*`."""

    def __init__(self, overrides: Mapping[str, Price], ceiling: Price) -> None:
        self._overrides = overrides
        self.ceiling = ceiling  # what a model of unknown price counts as in a budget

    def find(self, listing: Listing) -> Price | None:
        """Answer the list price for short prompts, None where it is not known."""
        return self._overridden(listing) or _listed(listing.listed, listing.model)

    def micros(self, listing: Listing, usage: Usage) -> int | None:
        """Answer what a call cost, steps for long prompts included; None where the price is not known."""
        override = self._overridden(listing)
        return override.micros(usage) if override else _calculated(listing.listed, listing.model, usage)

    def charge(self, listing: Listing, usage: Usage) -> int:
        """Answer what a call takes of a budget: its cost, or by the ceiling where its price is not known."""
        cost = self.micros(listing, usage)
        return self.ceiling.micros(usage) if cost is None else cost

    def estimate(self, listing: Listing, usage: Usage) -> int:
        """Answer what a call would take of a budget at list price, without a look at steps."""
        return (self.find(listing) or self.ceiling).micros(usage)

    def _overridden(self, listing: Listing) -> Price | None:
        for key in (f"{listing.kind}/{listing.model}", listing.model, f"{listing.kind}/*"):
            if key in self._overrides:
                return self._overrides[key]
        return None


def parse_overrides(text: str) -> dict[str, Price]:
    """Read the operator's table: JSON, or the path of a file with it. Raises ValueError that says what is wrong.

    `{"my-model": {"input": 0.5, "output": 2, "cached": 0.1}, "openai_compatible/*": {"input": 0, "output": 0}}`
    """
    if not text.strip():
        return {}
    if not text.lstrip().startswith("{"):
        try:
            text = Path(text.strip()).read_text()
        except (OSError, UnicodeDecodeError) as error:
            raise ValueError(f"names a file that cannot be read ({type(error).__name__})") from None
    try:
        table = json.loads(text)
    except ValueError as error:
        raise ValueError(f"is not valid JSON: {error}") from None
    if not isinstance(table, dict):
        raise ValueError("must be a JSON object with a model in each field")
    return {name: _price(name, value) for name, value in table.items()}


def parse_ceiling(text: str) -> Price:
    """Read `input/output` in dollars for a million tokens. Raises ValueError."""
    try:
        sent, received = (Decimal(part.strip()) for part in text.split("/"))
    except (ValueError, ArithmeticError):
        raise ValueError("must be INPUT/OUTPUT in dollars for a million tokens, such as 15/75") from None
    if not all(value.is_finite() and value >= 0 for value in (sent, received)):
        raise ValueError("must be two numbers of zero or more")
    return Price(sent, received, sent, sent)


def _price(name: str, value: Any) -> Price:
    found = value if isinstance(value, dict) else {}
    for field in found:
        if field not in _FIELDS:
            raise ValueError(f"{name}: {field} is no price; known are {', '.join(_FIELDS)}")
    numbers = {f: found.get(f) for f in _FIELDS}
    for field, number in numbers.items():
        if number is None and field in ("cached", "cacheWrite"):
            continue
        fine = isinstance(number, int | float) and not isinstance(number, bool) and math.isfinite(number)
        if not fine or number is None or number < 0:
            raise ValueError(f"{name}: needs {field} as dollars for a million tokens")
    sent = Decimal(str(numbers["input"]))
    cached, write = (sent if numbers[f] is None else Decimal(str(numbers[f])) for f in ("cached", "cacheWrite"))
    return Price(sent, Decimal(str(numbers["output"])), cached, write)


@lru_cache(maxsize=1024)
def _listed(listed: str, model: str) -> Price | None:
    sent = _calculated(listed, model, Usage(input=1000))
    if sent is None:
        return None
    cached = _calculated(listed, model, Usage(input=1000, cached=1000))
    written = _calculated(listed, model, Usage(input=1000, cache_written=1000))
    received = _calculated(listed, model, Usage(output=1000))
    values = (Decimal(sent if each is None else each) / 1000 for each in (sent, received, cached, written))
    return Price(*values)


def _calculated(listed: str, model: str, usage: Usage) -> int | None:
    from genai_prices import Usage as Tokens  # noqa: PLC0415 - 3 MB of prices, read when a model is first used
    from genai_prices import calc_price  # noqa: PLC0415

    if not listed:
        return None
    tokens: dict[str, Any] = {"input_tokens": usage.input, "output_tokens": usage.output}
    if usage.cached:
        tokens["cache_read_tokens"] = usage.cached
    if usage.cache_written:
        tokens["cache_write_tokens"] = usage.cache_written
    try:
        if "://" in listed:
            found = calc_price(Tokens(**tokens), model, provider_api_url=listed)
        else:
            found = calc_price(Tokens(**tokens), model, provider_id=listed)
    except (LookupError, ValueError):
        return None
    return int((found.total_price * _MILLION).to_integral_value(ROUND_CEILING))


@lru_cache(maxsize=1024)
def context_window(listed: str, model: str) -> int | None:
    """Answer how many tokens a model takes in and out together, None where that is not known."""
    from genai_prices.data_snapshot import get_snapshot  # noqa: PLC0415 - see above

    where = (None, listed) if "://" in listed else (listed, None)
    try:
        _, found = get_snapshot().find_provider_model(model, None, *where)
    except LookupError:
        return None
    return found.context_window
