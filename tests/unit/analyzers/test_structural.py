from pathlib import Path

import pytest

from services.review.analyzers.structural import LANGUAGES, Example, Rule, Structural, load, match, rules
from services.review.analyzers.target import Deadline, Target
from services.review.domain import Fate
from tests.unit.analyzers.support import target

RULES = {rule.id: rule for rule in rules()}
EXAMPLES = [(rule, example) for rule in rules() for example in rule.bad]


@pytest.mark.parametrize(("rule", "example"), EXAMPLES, ids=lambda value: getattr(value, "id", None))
def test_bad_examples_are_found(rule: Rule, example: Example) -> None:
    assert match(rule.config, example.language, example.code)


@pytest.mark.parametrize("rule", rules(), ids=lambda rule: rule.id)
def test_good_examples_are_left_alone(rule: Rule) -> None:
    assert rule.good
    for example in rule.good:
        assert match(rule.config, example.language, example.code) == []


@pytest.mark.parametrize("rule", rules(), ids=lambda rule: rule.id)
def test_without_its_pattern_a_rule_fails_its_examples(rule: Rule) -> None:
    def found(config: dict[str, object]) -> bool:
        return all(match(config, example.language, example.code) for example in rule.bad)

    assert rule.bad
    assert not found({"rule": {"kind": "ERROR"}})
    # Nor is any one alternative enough: each is there for an example, unless it only says the same in another form.
    alternatives = rule.config["rule"]["any"]
    rest = {key: value for key, value in rule.config.items() if key not in ("rule", "constraints")}
    needed = [
        alternative
        for alternative in alternatives
        if not found({**rest, "rule": {"any": [other for other in alternatives if other is not alternative]}})
    ]
    assert needed


@pytest.mark.parametrize("rule", rules(), ids=lambda rule: rule.id)
def test_texts_are_for_a_person(rule: Rule) -> None:
    assert len(rule.message) <= 80
    assert rule.why.endswith(".")
    assert rule.instead.endswith(".")
    assert {example.language for example in rule.bad} <= set(rule.languages)


def test_only_languages_the_library_knows_are_ever_named_to_it() -> None:
    for language in LANGUAGES:
        match({"rule": {"kind": "ERROR"}}, language, "x")
    with pytest.raises(ValueError, match="unknown language"):
        match({"rule": {"pattern": "x"}}, "klingon", "x")


def test_findings_are_on_changed_lines_only() -> None:
    source = "a = 1\nconst x = eval(input);\nconst y = eval(other);\n"
    whole = target("web/a.js", source)
    part = Target(whole.path, whole.extension, whole.added[2:3], whole.head)
    outcome = Structural().run([part], Path(), Deadline(10))
    assert [(claim.near_line, claim.quote) for claim in outcome.claims] == [(3, "const y = eval(other);")]


def test_a_file_without_content_is_said() -> None:
    part = Target("a.go", "go", (), None)
    outcome = Structural().run([part], Path(), Deadline(10))
    assert (outcome.fate, outcome.reason) == (Fate.PARTIAL, "1 files had no whole content to read")


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (("languages = [", 'languages = ["klingon", '), "unknown languages klingon"),
        (('severity = "high"', 'severity = "huge"'), "huge"),
        (('why = "', 'wy = "'), "wy"),
        (('id = "js-eval"', 'id = "other"'), "the id is not the name of the file"),
        (("[[bad]]", "[[bad]"), "rule js-eval.toml"),
    ],
)
def test_a_faulty_rule_file_is_named_with_its_fault(tmp_path: Path, change: tuple[str, str], complaint: str) -> None:
    import services.review.analyzers.structural as module

    text = (Path(module.__file__).parent / "rules" / "js-eval.toml").read_text()
    (tmp_path / "js-eval.toml").write_text(text.replace(*change))
    with pytest.raises(ValueError, match=complaint):
        load(tmp_path / "js-eval.toml")
