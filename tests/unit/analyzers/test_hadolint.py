from pathlib import Path

import pytest

from services.review.analyzers.hadolint import RULES, Hadolint, is_dockerfile
from services.review.analyzers.target import MAX_TITLE, Deadline, Outcome
from services.review.domain import Fate
from tests.unit.analyzers.support import target


def check(folder: Path, source: str, path: str = "Dockerfile") -> Outcome:
    (folder / "f00000").write_text(source)
    return Hadolint().run([target(path, source, copy="f00000")], folder, Deadline(30))


def found(outcome: Outcome) -> list[tuple[int | None, str | None]]:
    return [(claim.near_line, claim.source.rule_id) for claim in outcome.claims]


@pytest.mark.parametrize(
    ("rule", "line", "source"),
    [
        ("DL3011", 2, "FROM a:1\nEXPOSE 80000\n"),
        ("DL3012", 3, "FROM a:1\nHEALTHCHECK CMD a\nHEALTHCHECK CMD b\n"),
        ("DL3014", 2, "FROM a:1\nRUN apt-get install curl\n"),
        ("DL3021", 2, "FROM a:1\nCOPY a b c\n"),
        ("DL3023", 2, "FROM a:1 AS x\nCOPY --from=x /a /b\n"),
        ("DL3024", 2, "FROM a:1 AS x\nFROM b:1 AS x\n"),
        ("DL3030", 2, "FROM a:1\nRUN yum install curl\n"),
        ("DL3034", 2, "FROM a:1\nRUN zypper install curl\n"),
        ("DL3038", 2, "FROM a:1\nRUN dnf install curl\n"),
        ("DL3043", 2, "FROM a:1\nONBUILD FROM b\n"),
        ("DL3044", 2, "FROM a:1\nENV A=1 B=$A\n"),
        ("DL3061", 1, "RUN x\nFROM a:1\n"),
        ("DL4003", 3, "FROM a:1\nCMD a\nCMD b\n"),
        ("DL4004", 3, 'FROM a:1\nENTRYPOINT ["a"]\nENTRYPOINT ["b"]\n'),
        ("SC2115", 2, 'FROM a:1\nRUN x="$1"; rm -rf "$x/"*\n'),
    ],
)
def test_a_fault_is_found_at_its_line(rule: str, line: int, source: str, tmp_path: Path) -> None:
    outcome = check(tmp_path, source)
    assert outcome.fate is Fate.RAN
    assert (line, rule) in found(outcome)


def test_taste_is_left_alone(tmp_path: Path) -> None:
    source = "FROM debian:latest\nMAINTAINER x\nRUN apt-get update && apt-get install -y curl\nADD a /a\nCMD run\n"
    assert check(tmp_path, source).claims == ()


def test_nothing_in_the_change_silences_it(tmp_path: Path) -> None:
    (tmp_path / ".hadolint.yaml").write_text("ignored: [DL4003]\n")
    source = "FROM a:1\n# hadolint global ignore=DL4003\nCMD a\n# hadolint ignore=DL4003\nCMD b\n"
    assert found(check(tmp_path, source)) == [(5, "DL4003")]


def test_the_shell_is_the_one_that_shell_names(tmp_path: Path) -> None:
    source = "ARG BASE\nFROM ${BASE}\n%sRUN if [[ $A = b ]]; then echo x; fi\n"
    assert found(check(tmp_path, source % 'SHELL ["/bin/sh", "-e", "-c"]\n')) == [(4, "SC3010")]
    assert found(check(tmp_path, source % 'SHELL ["/bin/bash", "-o", "pipefail", "-c"]\n')) == []


def test_what_hadolint_cannot_parse_is_not_told(tmp_path: Path) -> None:
    assert found(check(tmp_path, "FROM a:1\nEXPOSE ${PORT:-7860}\nCMD a\n")) == []


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("Dockerfile", True),
        ("deploy/Dockerfile.dev", True),
        ("web.Dockerfile", True),
        ("dockerfile-alpine", True),
        ("Containerfile", True),
        ("Dockerfile.j2", False),
        ("Dockerfile.template", False),
        ("dockerfile.py", False),
        ("simple-dockerfile.blade.php", False),
        ("dockerfiles.md", False),
        ("docker-compose.yml", False),
    ],
)
def test_a_dockerfile_is_known_by_its_name(path: str, expected: bool) -> None:
    assert is_dockerfile(path) is expected


def test_texts_are_for_a_person() -> None:
    for advice in RULES.values():
        assert len(advice.title) <= MAX_TITLE
        assert advice.body.endswith(".")


def test_a_missing_tool_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.executable", str(tmp_path / "python"))
    outcome = check(tmp_path, "FROM a:1\n")
    assert (outcome.fate, outcome.reason) == (Fate.SKIPPED, "hadolint is not installed")
