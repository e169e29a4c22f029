import json
import subprocess
from pathlib import Path

import pytest

from services.review.analyzers.shellcheck import Shellcheck, dialect
from services.review.analyzers.shellcheck_rules import RULES
from services.review.analyzers.target import MAX_TITLE, Deadline, Outcome, Target
from services.review.analyzers.tools import installed
from services.review.domain import Fate, Severity
from tests.unit.analyzers.support import target


def check(folder: Path, script: str, path: str = "bin/run.sh") -> Outcome:
    return Shellcheck().run([target(path, script, copy="f00000.sh")], folder, Deadline(30))


def found(outcome: Outcome) -> list[tuple[int | None, str | None]]:
    return [(claim.near_line, claim.source.rule_id) for claim in outcome.claims]


@pytest.mark.parametrize(
    ("rule", "script"),
    [
        ("SC1020", "if [ -n x]; then :; fi"),
        ("SC1035", "if [[ -n x ]]; then :; fi; [[-n x ]]"),
        ("SC2281", "$name=1"),
        ("SC2283", "name = 1"),
        ("SC1072", "if true; then"),
        ("SC1087", 'echo "$list[1]"'),
        ("SC2050", "[ name = other ]"),
        ("SC2055", '[ "$a" != 1 -o "$a" != 2 ]'),
        ("SC2061", "find . -name *.py"),
        ("SC2064", 'trap "rm $file" EXIT'),
        ("SC2066", 'for x in "$list"; do echo "$x"; done'),
        ("SC2068", "cp $@ there"),
        ("SC2069", "run 2>&1 >/dev/null"),
        ("SC2070", "[ -n $x ]"),
        ("SC2071", '[[ "$a" > 10 ]]'),
        ("SC2088", 'cd "~/src" || exit'),
        ("SC2091", "if $(run); then :; fi"),
        ("SC2095", 'while read -r h; do ssh "$h" uptime; done < hosts'),
        ("SC2104", "f() { break; }"),
        ("SC2114", "rm -rf /usr"),
        ("SC2115", 'rm -rf "$x/"*'),
        ("SC2144", "[ -e *.py ]"),
        ("SC2157", '[ -n "a" ]'),
        ("SC2164", "cd build\nrm -rf out"),
        ("SC2168", "local x=1"),
        ("SC2183", "printf '%s %s' \"$a\""),
        ("SC2215", "gcc file.c\n  -o out"),
        ("SC2216", "ls | rm"),
        ("SC2221", 'case "$1" in a*) f ;; ab) g ;; esac'),
        ("SC2252", '[ "$a" != 1 ] || [ "$a" != 2 ]'),
        ("SC2264", 'cd() { cd "$1"; }'),
        ("SC3010", "#!/bin/sh\n[[ $a = b ]]"),
        ("SC3030", "#!/bin/sh\na=(1 2)"),
    ],
)
def test_a_fault_is_found(rule: str, script: str, tmp_path: Path) -> None:
    outcome = check(tmp_path, script + "\n")
    assert (outcome.fate, outcome.reason) == (Fate.RAN, None)
    assert rule in [rule for _, rule in found(outcome)]


@pytest.mark.parametrize(
    "script",
    [
        "echo $x\n",
        "local_var=1\nunused=2\n",
        "f() { local x=$(date); echo $x; }\n",
        ". ./lib.sh\n",
        "set -e\ncd build\n",
        '[[ $a == b ]] && echo "$@"\n',
        'rm -rf "${x:?}/"*\n',
    ],
)
def test_taste_is_left_alone(script: str, tmp_path: Path) -> None:
    assert check(tmp_path, script).claims == ()


@pytest.mark.parametrize(
    "directive",
    [
        "# shellcheck disable=all",
        "# shellcheck disable=SC2115",
        "#shellcheck\tdisable=SC2115",
        "#\tshellcheck shell=dash",
    ],
)
def test_nothing_in_the_change_silences_or_steers_it(directive: str, tmp_path: Path) -> None:
    (tmp_path / ".shellcheckrc").write_text("disable=all\n")
    assert found(check(tmp_path, f'{directive}\nrm -rf "$x/"*\n[[ a ]]\n'))[0] == (2, "SC2115")


def test_what_a_script_sources_is_not_read(tmp_path: Path) -> None:
    (tmp_path / "other.sh").write_text('rm -rf "$x/"*\n')
    assert check(tmp_path, "# shellcheck source=other.sh external-sources=true\n. ./other.sh\n").claims == ()


@pytest.mark.parametrize(
    ("path", "first", "expected"),
    [
        ("a.sh", "", "bash"),
        ("a", "#!/bin/sh", "sh"),
        ("a", "#! /usr/bin/env -S bash -e", "bash"),
        ("a.sh", "#!/bin/dash", "dash"),
        ("a.sh", "#!/usr/bin/env zsh", None),
        ("a.sh", "#!/usr/bin/python3", None),
        ("a.py", "", None),
        ("setup.sh.j2", "#!/bin/bash", None),
        ("shell.txt", "# a script", None),
    ],
)
def test_a_script_is_known_by_its_first_line_or_its_name(path: str, first: str, expected: str | None) -> None:
    assert dialect(target(path, f"{first}\n")) == expected


def test_only_added_lines_are_spoken_of_and_one_syntax_error(tmp_path: Path) -> None:
    script = 'rm -rf "$x/"*\nrm -rf "$y/"*\n'
    whole = target("a.sh", script, copy="f")
    part = Target("a.sh", "sh", whole.added[1:2], whole.head, "f")
    outcome = Shellcheck().run([part], tmp_path, Deadline(30))
    assert [claim.near_line for claim in outcome.claims] == [2]
    broken = check(tmp_path, "if true; then\nif true; then\ncase\n")
    assert len([rule for _, rule in found(broken) if rule == "SC1072"]) == 1


def test_in_tests_nothing_is_graver_than_medium(tmp_path: Path) -> None:
    assert [c.severity for c in check(tmp_path, "[ -n $x ]\n").claims] == [Severity.HIGH]
    assert [c.severity for c in check(tmp_path, "[ -n $x ]\n", "tests/run.sh").claims] == [Severity.MEDIUM]


def test_what_is_usual_in_tests_is_told_elsewhere_only(tmp_path: Path) -> None:
    assert found(check(tmp_path, "cd build\nrm -rf out\n")) == [(1, "SC2164")]
    assert found(check(tmp_path, "cd build\nrm -rf out\n", "tests/run.sh")) == []


def test_a_wrong_folder_matters_where_something_is_destroyed(tmp_path: Path) -> None:
    assert found(check(tmp_path, "cd build\nmake\n# rm -rf out\n")) == []
    assert found(check(tmp_path, "cd build\nmake\ngit clean -fdx\n")) == [(1, "SC2164")]


def test_what_stands_around_decides(tmp_path: Path) -> None:
    lost = 'cd "$1"\nrm -rf build\n'
    assert found(check(tmp_path, f"#!/bin/bash\n{lost}")) == [(2, "SC2164")]
    assert found(check(tmp_path, f"#!/bin/bash\nsource ./lib.sh\n{lost}")) == []
    assert found(check(tmp_path, "#!/bin/bash\nfor i in ${!list[@]}; do echo $i; done\n")) == []
    assert found(check(tmp_path, "#!/bin/bash\nfor i in ${list[@]}; do echo $i; done\n")) == [(2, "SC2068")]
    assert found(check(tmp_path, '#!/bin/bash\nwhile [ -n "Y" ]; do break; done\n')) == []
    assert found(check(tmp_path, '#!/bin/bash\nif [ -n "Y" ]; then echo x; fi\n')) == [(2, "SC2157")]
    one = "#!/bin/bash\ncase $1 in\n  -?|-h) echo x;;\nesac\n"
    assert found(check(tmp_path, one)) == []
    assert (3, "SC2221") in found(check(tmp_path, one.replace("|-h) echo x;;", ") echo x;;\n  -h) echo y;;")))


def test_a_missing_tool_and_one_that_fails_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.executable", str(tmp_path / "python"))
    outcome = check(tmp_path, "cd x\n")
    assert (outcome.fate, outcome.reason) == (Fate.SKIPPED, "shellcheck is not installed")
    for script, reason in (
        ("exit 7", "shellcheck failed with status 7"),
        ("exit 251", "shellcheck ran out of memory"),
        ("echo x", "shellcheck could not be run: JSONDecodeError"),
        ("echo '[1]'", "shellcheck answered something else"),
    ):
        (tmp_path / "shellcheck").write_text(f"#!/bin/sh\n{script}\n")
        (tmp_path / "shellcheck").chmod(0o755)
        outcome = check(tmp_path, "cd x\n")
        assert (outcome.fate, outcome.reason) == (Fate.FAILED, reason)


def test_every_rule_is_known_to_the_installed_program_and_has_texts(tmp_path: Path) -> None:
    program = installed("shellcheck")
    assert program is not None
    for code, advice in RULES.items():
        assert len(advice.title) <= MAX_TITLE
        assert advice.body.endswith(".")
        assert 1000 < code < 4000
    script = tmp_path / "x.sh"
    script.write_text("#!/bin/bash\n")
    codes = ",".join(f"SC{code}" for code in RULES)
    done = subprocess.run([program, "--norc", "-f", "json1", f"--include={codes}", script], capture_output=True)
    assert json.loads(done.stdout) == {"comments": []}


def test_a_script_without_content_is_said(tmp_path: Path) -> None:
    outcome = Shellcheck().run([Target("a.sh", "sh", ())], tmp_path, Deadline(30))
    assert (outcome.fate, outcome.reason) == (Fate.PARTIAL, "1 shell scripts had no whole content to read")
