"""Every rule against its own examples."""

from collections.abc import Mapping
from typing import Any, cast

import pytest
from ast_grep_py import Config

from services.review.analyzers.rule_files import FAMILIES, Rule, all_rules, rules_of
from services.review.analyzers.structural import match, parse

RULES = all_rules()
NEVER = {"kind": "ERROR"}  # the examples parse, so no node of them is one

every_rule = pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.id)


def found(rule: Rule, language: str, example: str, config: Mapping[str, Any] | None = None) -> list[tuple[int, int]]:
    return match(rule.config if config is None else config, parse(language, example))


@every_rule
def test_bad_examples_are_found(rule: Rule) -> None:
    missed = [(language, example) for language in rule.languages for example in rule.bad
              if not found(rule, language, example)]  # fmt: skip
    assert missed == []


@every_rule
def test_good_examples_are_left_alone(rule: Rule) -> None:
    hit = [(language, example) for language in rule.languages for example in rule.good
           if found(rule, language, example)]  # fmt: skip
    assert hit == []


@every_rule
def test_examples_are_code_of_their_language(rule: Rule) -> None:
    for language in rule.languages:
        for example in (*rule.bad, *rule.good):
            assert found(rule, language, example, {"rule": NEVER}) == [], example


@every_rule
def test_without_its_pattern_a_rule_fails_its_examples(rule: Rule) -> None:
    empty = {"rule": NEVER, "utils": rule.config.get("utils", {})}  # constraints would name what is not there
    assert [example for example in rule.bad if found(rule, rule.languages[0], example, empty)] == []


@every_rule
def test_each_alternative_is_there_for_an_example(rule: Rule) -> None:
    """Rules with more alternatives than examples have some that only say the same in another form."""
    alternatives = rule.config["rule"].get("any", [])
    for left_out in alternatives if len(alternatives) <= len(rule.bad) else []:
        rest = [other for other in alternatives if other is not left_out]
        config = {**rule.config, "rule": {**rule.config["rule"], "any": rest or [NEVER]}}
        assert not all(found(rule, rule.languages[0], example, config) for example in rule.bad), left_out


@every_rule
def test_a_match_holds_one_of_the_keywords(rule: Rule) -> None:
    for language in rule.languages:
        for example in rule.bad:
            for node in parse(language, example).find_all(cast("Config", dict(rule.config))):
                assert any(keyword in node.text() for keyword in rule.keywords), node.text()


@every_rule
def test_texts_are_for_a_person(rule: Rule) -> None:
    assert rule.why.endswith(".")
    assert rule.instead.endswith(".")
    assert not rule.message.endswith(".")


def test_ids_are_unique_and_begin_with_their_family() -> None:
    ids = [rule.id for rule in RULES]
    assert len(ids) == len(set(ids))
    prefixes = {"javascript": "js", "csharp": "cs"}
    for family in FAMILIES:
        assert all(rule.id.startswith(f"{prefixes.get(family, family)}-") for rule in rules_of(family))


def test_there_are_enough_rules_for_every_family() -> None:
    assert len(RULES) >= 60
    assert all(len(rules_of(family)) >= 5 for family in FAMILIES)
