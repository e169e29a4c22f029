"""docs/api.md names everything that answers without a credential."""

import re
from pathlib import Path

from gateway.openapi.document import build_document
from gateway.public import PUBLIC_SERVICES
from gateway.transcode.rules import read_rules

PAGE = (Path(__file__).parents[3] / "docs" / "api.md").read_text()


def test_the_page_lists_what_a_stranger_reaches() -> None:
    table = re.search(r"<!-- open: .*? -->\n(.*?)<!-- /open -->", PAGE, re.S)
    assert table is not None
    listed = re.findall(r"^\| `([A-Z]+ \S+)` \|", table[1], re.M)
    paths = build_document(read_rules(PUBLIC_SERVICES))["paths"]
    is_open = {f"{v.upper()} {p}" for p, verbs in paths.items() for v, o in verbs.items() if o.get("security") == [{}]}
    assert sorted(listed) == sorted(is_open)
