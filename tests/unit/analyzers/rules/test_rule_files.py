"""The loader refuses what is incomplete, and the page of rules is in step."""

from pathlib import Path

import pytest

from services.review.analyzers.rule_files import FOLDER, all_rules, load, number_of_rules
from services.review.analyzers.rule_page import page

WHOLE = (FOLDER / "javascript" / "js-eval.toml").read_text("utf-8")


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (("languages = [", 'languages = ["klingon", '), "unknown languages klingon in javascript/"),
        (("languages = [", 'languages = ["php", '), "unknown languages php in javascript/"),
        (('severity = "high"', 'severity = "huge"'), "huge"),
        (('category = "security"', 'category = "taste"'), "unknown category taste"),
        (('why = "', 'wy = "'), "unknown keys wy"),
        (("why = ", "# why = "), "why is not a text"),
        (("instead = ", "# instead = "), "instead is not a text"),
        (('message = "', f'message = "{"x" * 80}'), "the message is longer than 80 characters"),
        (("keywords = [", "keywords = [] # ["), "keywords is not a list of texts"),
        (("keywords = [", "keywords = [1, "), "keywords is not a list of texts"),
        (("[rule]", "[constraints.OTHER]"), "rule is not a table"),
        (('id = "js-eval"', 'id = "other"'), "the id is not the name of the file"),
        (("bad = [", "bad = ['eval(x)']\nold = ["), "unknown keys old"),
        (("production_only = true", "production_only = 1"), "production_only is neither true nor false"),
        (("[rule]", "[rule"), "rule js-eval.toml"),
    ],
)
def test_a_faulty_rule_file_is_named_with_its_fault(tmp_path: Path, change: tuple[str, str], complaint: str) -> None:
    faulty = tmp_path / "javascript" / "js-eval.toml"
    faulty.parent.mkdir()
    assert change[0] in WHOLE
    faulty.write_text(WHOLE.replace(*change, 1), "utf-8")
    with pytest.raises(ValueError, match=r"^rule js-eval\.toml: ") as error:
        load(faulty)
    assert complaint in str(error.value)


@pytest.mark.parametrize("kind", ["bad", "good"])
def test_one_example_is_too_few(tmp_path: Path, kind: str) -> None:
    faulty = tmp_path / "javascript" / "js-eval.toml"
    faulty.parent.mkdir()
    lines = WHOLE.splitlines()
    first = lines.index(f"{kind} = [")
    last = lines.index("]", first)
    faulty.write_text("\n".join([*lines[:first], f"{kind} = ['x']", *lines[last + 1 :]]), "utf-8")
    with pytest.raises(ValueError, match=f"fewer than 2 {kind} examples"):
        load(faulty)


def test_rules_are_counted_without_being_read() -> None:
    assert number_of_rules() == len(all_rules())


def test_the_page_of_rules_is_in_step() -> None:
    committed = Path(__file__).parents[4] / "docs" / "rules.md"
    assert committed.read_text("utf-8") == page(), "run python -m services.review.analyzers.rule_page > docs/rules.md"
