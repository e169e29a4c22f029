from pathlib import Path

import pytest

from services.review.analyzers.rule_files import FAMILY_OF
from services.review.analyzers.structural import LANGUAGES, Structural, match, parse
from services.review.analyzers.target import Deadline, Target
from services.review.domain import Fate
from tests.unit.analyzers.support import target


def test_only_languages_the_library_knows_are_ever_named_to_it() -> None:
    assert LANGUAGES.keys() == FAMILY_OF.keys()
    for language in LANGUAGES:
        match({"rule": {"kind": "ERROR"}}, parse(language, "x"))
    with pytest.raises(ValueError, match="unknown language"):
        parse("klingon", "x")


def test_findings_are_on_changed_lines_only() -> None:
    source = "a = 1\nconst x = eval(input);\nconst y = eval(other);\n"
    whole = target("web/a.js", source)
    part = Target(whole.path, whole.extension, whole.added[2:3], whole.head)
    outcome = Structural().run([part], Path(), Deadline(10))
    assert [(claim.near_line, claim.quote) for claim in outcome.claims] == [(3, "const y = eval(other);")]


def test_a_match_is_found_whose_keyword_is_not_on_the_changed_line() -> None:
    source = "\n" * 100 + "db.query(\n  'SELECT * FROM users WHERE id = ' +\n    req.params.id,\n);\n" + "\n" * 100
    whole = target("web/a.js", source)
    part = Target(whole.path, whole.extension, whole.added[102:103], whole.head)
    outcome = Structural().run([part], Path(), Deadline(10))
    assert [(claim.source.rule_id, claim.near_line) for claim in outcome.claims] == [("js-sql-template", 103)]


@pytest.mark.parametrize(
    ("path", "rules"),
    [
        ("src/Client.java", ["java-thread-run", "java-xxe"]),
        ("src/ClientTest.java", ["java-thread-run"]),
        ("src/test/java/Client.java", ["java-thread-run"]),
        ("A.Client.Tests/Client.java", ["java-thread-run"]),
        ("benchmarks/Client.java", ["java-thread-run"]),
    ],
)
def test_rules_for_production_leave_tests_alone(path: str, rules: list[str]) -> None:
    source = """class A { Document f(InputStream in) {
        new Thread(task).run();
        return DocumentBuilderFactory.newInstance().newDocumentBuilder().parse(in);
    } }"""
    outcome = Structural().run([target(path, source)], Path(), Deadline(10))
    assert sorted(str(claim.source.rule_id) for claim in outcome.claims) == rules


def test_a_file_without_content_is_said() -> None:
    part = Target("a.go", "go", (), None)
    outcome = Structural().run([part], Path(), Deadline(10))
    assert (outcome.fate, outcome.reason) == (Fate.PARTIAL, "1 files had no whole content to read")


def test_a_file_too_large_for_rules_is_said() -> None:
    large = target("a.py", "x = 1\n" * 200_000)
    outcome = Structural().run([large, target("b.js", "eval(x)\n")], Path(), Deadline(10))
    assert (outcome.fate, outcome.reason) == (Fate.PARTIAL, "1 files are larger than 1024 KiB")
    assert [claim.path for claim in outcome.claims] == ["b.js"]


@pytest.mark.parametrize("extension", [extension for extensions in LANGUAGES.values() for extension in extensions])
def test_garbage_of_every_language_is_read_to_the_end(extension: str) -> None:
    source = "\x00}{)(\ufffd execute( eval( chmod Exception Math.random .lock() InsecureSkipVerify $_GET[ <?php\n" * 50
    outcome = Structural().run([target(f"a.{extension}", source)], Path(), Deadline(10))
    assert outcome.fate is Fate.RAN
