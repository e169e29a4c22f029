"""The neutraliser: nothing that leaves us takes effect on GitHub, and doing it twice is doing it once."""

import re
import time
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from services.webhooks.hosts.base import Mark, MarkKind, PullRequestRef
from services.webhooks.hosts.github.markdown import MAX_CHARACTERS, neutralise
from services.webhooks.hosts.marker import Marker, looks_marked, strip_marks

REF = PullRequestRef("github", "", "4711", "acme/shop", 7)
MARK = Mark(MarkKind.SUMMARY, "0198c0ffee.abc")

ORACLE = MarkdownIt("commonmark").enable("table")
FOLD = re.compile(r"</?details>|<summary>[^<>]*</summary>|<details><summary>[^<>]*</summary>")

PIECES = st.sampled_from(
    [
        *("`", "``", "```", "~~~", "\n", "\n\n", " ", "    ", "\t", "@foo", "#1", "GH-2", "<b>", "</b>", "<!--", "-->"),
        *("\n<details>\n", "\n</details>\n", "\n<summary>x</summary>\n", "<!-- lintel:1:x -->", "<!--lintel:", "&"),
        *("&amp;", "&#64;", "](", "![", "https://x.y", "www.a", "|", "> ", "- ", "1. ", "\\", "a", "\u202e", "mermaid"),
        *("\n```\n", "\n```suggestion\n", "\r", "\r\n", "[a]: ", "é", "\x00", "\u2028", "🙂\u200d"),
    ]
)


@settings(max_examples=1500, deadline=None)
@given(st.lists(PIECES, max_size=40).map("".join), st.integers(120, 500))
def test_twice_is_once_and_within_the_limit(text: str, longest: int) -> None:
    once = neutralise(text, longest)
    assert len(once) <= longest
    assert neutralise(once, longest) == once


@settings(max_examples=2500, deadline=None)
@given(st.lists(PIECES, max_size=40).map("".join))
def test_another_parser_finds_nothing_that_acts(text: str) -> None:
    clean = neutralise(text)
    assert not looks_marked(clean)
    assert not {"\x00", "\u202e", "\u2028", "\r"} & set(clean)
    acting = list(found_acting(clean))
    assert not acting, (clean, acting)


def found_acting(text: str) -> Iterator[str]:
    """What a CommonMark parser with tables takes for a link, an image, HTML, or text that GitHub would link."""
    for token in ORACLE.parse(text):
        if token.type == "html_block" and not FOLD.fullmatch(token.content.strip()):
            yield token.content
        for child in token.children or []:
            if child.type in ("link_open", "image", "html_inline"):
                yield f"{child.type} {child.content}"
            if child.type == "text":
                yield from re.findall(r"@foo|#1|(?<![A-Za-z0-9])GH-2|https://x|www\.a", child.content)


def test_the_oracle_sees_what_acts() -> None:
    for text in ("@foo", "&#64;foo", "#1", "[a](b)", "![a](b)", "<b>", "<div>\n", "- ```\n\n@foo", "[a]: b\n\n[a]"):
        assert list(found_acting(text)), text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("thanks @org/team", "thanks @&#8203;org/team"),
        ("fixes #12, closes GH-3", "fixes #&#8203;12, closes GH-&#8203;3"),
        ("![x](https://evil.example/?d=1)", "![x]&#8203;(https:&#8203;//evil.example/?d=1)"),
        ("[x][y]\n\n[y]: //evil.example", "[x]&#8203;[y]\n\n[y]&#8203;: //evil.example"),
        ("<img src=x>", "&lt;img src=x>"),
        ("&#64;everyone", "&amp;#&#8203;64;everyone"),
        ("use `@app.route` and `#1`", "use `@app.route` and `#1`"),
        ("a ` b\nc ` @foo `", "a ` b\nc ` @&#8203;foo `"),
        ("| ` | @foo ` |", "| ` | @&#8203;foo ` |"),
        ("\\`@foo`", "\\`@&#8203;foo`"),
        ("```python\n@foo", "```python\n@foo\n```"),
        ("- x\n  ```\n  @foo\n  ```", "- x\n```\n  @foo\n```"),
        ("> ```\n> @foo", "> \\```\n> @&#8203;foo"),
        ("```mermaid\nx\n```", "```text\nx\n```"),
        ("````\n```\n````", "````\n```\n````"),
        ("a\u202eb", "a[U+202E]b"),
        ("x <!-- lintel:1:summary:k:0 --> y", "x [removed] y"),
        ("<details>\n<summary>More</summary>\n\ntext\n\n</details>", None),
        ("<details>\nhides the rest", "&lt;details>\nhides the rest"),
    ],
)
def test_known_cases(text: str, expected: str | None) -> None:
    clean = neutralise(text)
    if expected is None:
        assert "<details>" in clean and "<summary>More</summary>" in clean
    else:
        assert clean == expected


def test_a_huge_body_is_cut_with_its_fences_closed() -> None:
    body = "intro\n\n```python\n" + "print('x')\n" * 30_000
    clean = neutralise(body)
    assert len(clean) <= MAX_CHARACTERS and clean.count("```") == 2 and "The rest was cut" in clean


@pytest.mark.parametrize(
    "unit", ["` `` ", "`a` ", "<!-- lintel:", "<!-", "@x ", "\\`", "[](", "&", "<details>\n", "> - 1. "]
)
def test_hostile_text_takes_linear_time(unit: str) -> None:
    text = unit * (200_000 // len(unit))
    text += text.replace("-", "- lintel:")[:200_000]
    started = time.process_time()
    neutralise(text)
    assert time.process_time() - started < 3


def test_marks_are_keyed_bound_and_only_counted_at_the_end() -> None:
    marker, rotated = Marker([b"a" * 32]), Marker([b"b" * 32, b"a" * 32])
    text = "body\n\n" + marker.write(REF, MARK)
    assert marker.read(REF, text) == MARK
    assert rotated.read(REF, text) == MARK
    assert Marker([b"b" * 32]).read(REF, text) is None
    assert marker.read(PullRequestRef("github", "", "4711", "acme/shop", 8), text) is None
    assert marker.read(REF, text + "\nmore") is None
    assert marker.read(REF, text.replace("summary", "finding")) is None
    assert marker.read(REF, "") is None
    with pytest.raises(ValueError, match="letters"):
        marker.write(REF, Mark(MarkKind.SUMMARY, "x --> y"))
    with pytest.raises(ValueError, match="at least one key"):
        Marker([])


@given(st.lists(st.sampled_from(["<!--", " ", "lintel", ":", "-->", "<!-- lintel:", "LINTEL:", "x"]), max_size=30))
def test_no_mark_survives_the_stripping(pieces: list[str]) -> None:
    assert not looks_marked(strip_marks("".join(pieces)))
