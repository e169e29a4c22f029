"""The page about code hosts says what the table of abilities says."""

from pathlib import Path

from services.webhooks.hosts import ADAPTERS
from services.webhooks.hosts.abilities import table


def test_the_page_has_the_table() -> None:
    page = (Path(__file__).parents[2] / "docs" / "hosts.md").read_text()
    assert table({name: adapter.title for name, adapter in ADAPTERS.items()}) in page
