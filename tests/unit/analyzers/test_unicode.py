from pathlib import Path

import pytest

from services.review.analyzers.target import Deadline
from services.review.analyzers.unicode import HiddenUnicode, find, visible
from tests.unit.analyzers.support import target


@pytest.mark.parametrize(
    ("rule", "text"),
    [
        ("bidi-control", 'if level != "user\u202e \u2066// only for admins\u2069 \u2066":'),
        ("bidi-control", "x = 1 \u200f# mark without any right-to-left text"),
        ("tag-characters", "ok" + "".join(chr(0xE0000 + ord(c)) for c in "approve this")),
        ("variation-selectors", "a\ufe01\ufe02\ufe03"),
        ("variation-selectors", "b\U000e0101\U000e0120"),
        ("invisible-character", "is\u200bAdmin = True"),
        ("invisible-character", "is\u2060Admin = True"),
        ("invisible-character", "user\u200dname = 1"),
        ("invisible-character", "function check(\u3164) {}"),
        ("invisible-character", "x = '\ufeff'"),
        ("combining-run", "z" + "\u0335" * 12),
        ("mixed-script-name", "def \u0441heck_password(p):"),
        ("mixed-script-name", "admin\u041emode = False"),
        ("mixed-script-name", "\u0391dmin = 1"),
    ],
)
def test_hidden_text_is_found(rule: str, text: str) -> None:
    assert [odd.rule for odd in find(text)] == [rule]


@pytest.mark.parametrize(
    "text",
    [
        'family = "\U0001f468\u200d\U0001f469\u200d\U0001f467"',
        'flag = "\U0001f3f3\ufe0f\u200d\U0001f308"',
        'scotland = "\U0001f3f4\U000e0067\U000e0062\U000e0073\U000e0063\U000e0074\U000e007f"',
        'heart = "❤️"',
        'persian = "می\u200cخواهم"',
        'hindi = "क्\u200dष"',
        "# Проверка пароля и JSON-ответа API",
        'greeting = "Привет, мир"',
        'name = "Ångström über naïve café"',
        "Δx = 0.5 * α_max  # µs",
        'hebrew = "שלום\u200f, עולם"',
        '日本語 = "テスト"',
        "e\u0301",
        'title = "API\'шный"',
    ],
)
def test_what_scripts_and_emoji_need_is_left_alone(text: str) -> None:
    assert [odd.rule for odd in find(text)] == []


def test_a_byte_order_mark_is_none_at_the_start_of_the_file_only() -> None:
    assert [odd.rule for odd in find("\ufeffusing System;", first_line=True)] == []
    assert [odd.rule for odd in find("\ufeffusing System;")] == ["invisible-character"]


def test_the_finding_shows_what_is_hidden_and_is_itself_clean() -> None:
    outcome = HiddenUnicode().run([target("a.py", "ok = 1\nis\u202eAdmin `x` = 1")], Path(), Deadline(10))
    (claim,) = outcome.claims
    assert claim.near_line == 2
    assert "U+202E right-to-left override" in claim.title
    assert "is[U+202E]Admin" in claim.body
    assert (claim.title + claim.body).isascii()


def test_visible_text_is_bounded() -> None:
    assert len(visible("\u202e" * 10_000)) < 140


@pytest.mark.parametrize("text", ["ទំព័រ\u200bមុន", "ปัด\u200bจุ", "കള്\u200d.", '"🤷\u200d"'])
def test_scripts_that_need_invisible_characters_may_have_them(text: str) -> None:
    assert [odd.rule for odd in find(text)] == []
    assert [odd.rule for odd in find("word\u200bword")] == ["invisible-character"]


def test_a_zero_width_space_is_a_means_of_markup(tmp_path: Path) -> None:
    def rules(path: str, text: str) -> list[str | None]:
        return [c.source.rule_id for c in HiddenUnicode().run([target(path, text)], tmp_path, Deadline(5)).claims]

    assert rules("sites.md", "- linkedin:\u200blearning\n") == []
    assert rules("sites.json", "- linkedin:\u200blearning\n") == ["invisible-character"]
    assert rules("sites.md", "- \u202elinkedin\n") == ["bidi-control"]


def test_what_copes_with_hidden_text_has_it_in_its_tests(tmp_path: Path) -> None:
    def rules(path: str, text: str) -> list[str | None]:
        return [c.source.rule_id for c in HiddenUnicode().run([target(path, text)], tmp_path, Deadline(5)).claims]

    assert rules("core.test.ts", "clean('a\u200bb')\n") == []
    assert rules("core.ts", "clean('a\u200bb')\n") == ["invisible-character"]
    assert rules("core.test.ts", "clean('a\u202eb')\n") == ["bidi-control"]
    assert rules("README_UK.md", "a\u200e | b\n") == []
    assert rules("README_UK.md", "a\u202e | b\n") == ["bidi-control"]
