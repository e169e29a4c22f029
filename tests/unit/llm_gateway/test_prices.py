"""Prices: the operator's own, else the snapshot's; unknown is None and counts as the ceiling, never as nothing."""

from decimal import Decimal
from pathlib import Path

import pytest

from services.llm_gateway.books import Prompt
from services.llm_gateway.counting import Ratios
from services.llm_gateway.prices import Listing, Price, Prices, context_window, parse_ceiling, parse_overrides
from services.llm_gateway.providers.usage import Usage

CEILING = parse_ceiling("15/75")
GPT_4O = Listing("openai", "openai", "gpt-4o")
UNKNOWN = Listing("openai_compatible", "http://box:11434/v1", "llama3:8b")


def prices(text: str = "") -> Prices:
    return Prices(parse_overrides(text), CEILING)


def test_the_snapshot_knows_current_models_and_what_is_cached() -> None:
    # openai.com/api/pricing, gpt-4o: 2.50 in, 1.25 cached, 10.00 out.
    assert prices().micros(GPT_4O, Usage(input=1000, cached=400, output=100)) == 600 * 2.5 + 400 * 1.25 + 100 * 10
    found = prices().find(GPT_4O)
    assert found is not None
    assert (found.input, found.cached, found.output) == (Decimal("2.5"), Decimal("1.25"), Decimal(10))


def test_a_long_prompt_may_cost_more() -> None:
    listing = Listing("google_gemini", "google", "gemini-2.5-pro")
    short, long = (prices().micros(listing, Usage(input=n)) for n in (100_000, 400_000))
    assert short is not None and long is not None and long > 4 * short


def test_an_unknown_price_is_none_and_counts_as_the_ceiling() -> None:
    usage = Usage(input=1000, output=100)
    assert prices().find(UNKNOWN) is None
    assert prices().micros(UNKNOWN, usage) is None
    assert prices().charge(UNKNOWN, usage) == 1000 * 15 + 100 * 75
    # The name alone proves nothing: somebody's own server may call its model as it likes.
    assert prices().find(Listing("openai_compatible", "http://box/v1", "gpt-4o")) is None


@pytest.mark.parametrize("key", ["llama3:8b", "openai_compatible/llama3:8b", "openai_compatible/*"])
def test_the_operator_s_word_wins(key: str) -> None:
    mine = prices(f'{{"{key}": {{"input": 0.5, "output": 2, "cached": 0}}, "gpt-4o": {{"input": 1, "output": 1}}}}')
    assert mine.micros(UNKNOWN, Usage(input=1000, cached=500, output=100)) == 500 * 0.5 + 200
    assert mine.micros(GPT_4O, Usage(input=10, output=10)) == 20


def test_a_part_of_a_millionth_is_rounded_up() -> None:
    assert Price(Decimal("0.1"), Decimal(0), Decimal(0), Decimal(0)).micros(Usage(input=1)) == 1


def test_the_table_may_stand_in_a_file(tmp_path: Path) -> None:
    path = tmp_path / "prices.json"
    path.write_text('{"m": {"input": 1, "output": 2}}')
    assert parse_overrides(str(path))["m"].output == 2


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "[1]",
        "/no/such/file",
        '{"m": {"input": 1}}',
        '{"m": {"input": -1, "output": 1}}',
        '{"m": {"input": true, "output": 1}}',
        '{"m": {"input": 1, "output": 1, "perCall": 3}}',
        '{"m": 3}',
    ],
)
def test_a_table_that_cannot_be_read_says_why(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse_overrides(text)


@pytest.mark.parametrize("text", ["", "15", "15/x", "-1/2", "NaN/1", "1/2/3"])
def test_a_ceiling_is_two_numbers(text: str) -> None:
    with pytest.raises(ValueError, match=r"must be"):
        parse_ceiling(text)


def test_context_windows_are_known() -> None:
    assert context_window("openai", "gpt-4o") == 128_000
    assert context_window("openai", "nobody-knows") is None


def test_tokens_are_learned_from_what_is_reported() -> None:
    ratios = Ratios()
    for _ in range(30):
        ratios.learn("m", 1000, 2000)
    assert ratios.tokens("m", 500) == pytest.approx(1000, rel=0.05)
    assert ratios.tokens("other", 500) == 500
    ratios.learn("m", 1000, 10**9)  # a server that counts something else does not make every call unaffordable
    assert ratios.tokens("m", 500) < 2000


def test_control_tokens_are_text_like_any_other() -> None:
    prompt = Prompt("x", "<|endoftext|>" * 100, "", 10)
    assert Ratios().tokens("m", prompt.guess) > 100
