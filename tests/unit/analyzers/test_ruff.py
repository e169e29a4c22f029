import json
import subprocess
from pathlib import Path

import pytest

from services.review.analyzers.prepare import prepare
from services.review.analyzers.ruff import Ruff, executable
from services.review.analyzers.ruff_rules import RULES, SELECTED
from services.review.analyzers.target import MAX_TITLE, Deadline, Outcome, Target
from services.review.domain import Fate, Severity, SourceFile
from tests.unit.analyzers.support import target


def check(folder: Path, source: str, *, path: str = "src/app.py", name: str = "f00000.py") -> Outcome:
    (folder / name).write_text(source)
    return Ruff().run([target(path, source, copy=name)], folder, Deadline(30))


def test_every_rule_is_one_of_the_installed_ruff_and_has_texts() -> None:
    program = executable()
    assert program is not None
    command = [str(program), "rule", "--all", "--output-format", "json"]
    known = {rule["code"] for rule in json.loads(subprocess.run(command, check=True, capture_output=True).stdout)}
    assert set(SELECTED) <= known
    for advice in RULES.values():
        assert len(advice.title) <= MAX_TITLE
        assert advice.body.endswith(".")


@pytest.mark.parametrize(
    ("rule", "source"),
    [
        ("F502", "'%(a)s' % (1,)"),
        ("F507", "'%s %s' % (1,)"),
        ("F601", "x = {'a': 1, 'a': 2}"),
        ("F632", "def f(x):\n    return x is 'a'"),
        ("F821", "print(undefined_name)"),
        ("B002", "def f(n):\n    ++n\n    return n"),
        ("B006", "def f(items=[]):\n    items.append(1)"),
        ("B012", "def f():\n    try:\n        g()\n    finally:\n        return 1\n\n\ndef g(): ..."),
        ("B020", "def f(items):\n    for items in items:\n        print(items)"),
        ("PLE1205", "import logging\nlogging.error('x %s', 1, 2)"),
        ("ASYNC251", "import time\nasync def f():\n    time.sleep(1)"),
        ("S113", "import requests\nrequests.get('https://x')"),
        ("S202", "import tarfile\ntarfile.open('x').extractall()"),
        ("S307", "eval(input())"),
        ("S501", "import requests\nrequests.get('https://x', verify=False, timeout=1)"),
        ("S506", "import yaml\nyaml.load(open('x'))"),
        ("S602", "import subprocess\ndef f(c):\n    subprocess.run(c, shell=True)"),
        ("S701", "import jinja2\njinja2.Environment().get_template('a.html')"),
        ("invalid-syntax", "def f(:\n    pass"),
    ],
)
def test_a_fault_is_found(rule: str, source: str, tmp_path: Path) -> None:
    assert rule in [claim.source.rule_id for claim in check(tmp_path, source).claims]


@pytest.mark.parametrize(
    "source",
    [
        "import os\nx = 1\n",
        "assert True\n",
        "import subprocess\nsubprocess.run('ls -l', shell=True)\n",
        "print(_('text'))\n",
        "try:\n    x = 1\nexcept Exception:\n    pass\n",
        "def f(n: int, *, flag: bool = False) -> int:\n    unused = 1\n    return n\n",
        "type Pair[T] = tuple[T, T]\n",
        "import random\nx = random.random()\n",
        "def q(table, value):\n    return db.execute(f'SELECT 1 FROM {table} WHERE id = %s', value)\n\n\ndb = None\n",
    ],
)
def test_taste_is_left_alone(source: str, tmp_path: Path) -> None:
    assert check(tmp_path, source).claims == ()


def test_nothing_in_the_change_silences_or_steers_it(tmp_path: Path) -> None:
    (tmp_path / "ruff.toml").write_text('lint.ignore = ["ALL"]\nexclude = ["*"]\nextend = "/nonexistent"\n')
    (tmp_path / "pyproject.toml").write_text("[tool.ruff]\nexclude = ['*']\n")
    (tmp_path / ".gitignore").write_text("*\n")
    source = "# ruff: noqa\n# flake8: noqa\n# ruff: disable[S307]\neval(input())  # noqa: S307  # ruff: ignore[S307]\n"
    assert [(claim.near_line, claim.source.rule_id) for claim in check(tmp_path, source).claims] == [(4, "S307")]


def test_a_name_imported_once_more_is_told_only_under_another_ones_name(tmp_path: Path) -> None:
    again = "from a import NAME\nfrom b import (\n    NAME,\n    OTHER,\n)\nfrom c import NAME\n"
    assert check(tmp_path, again).claims == ()
    other = "from tkinter import messagebox\nimport customtkinter as messagebox\n"
    assert [claim.source.rule_id for claim in check(tmp_path, other).claims] == ["F811"]
    twice = "def f() -> int:\n    return 1\n\n\ndef f() -> int:\n    return 2\n"
    assert [claim.source.rule_id for claim in check(tmp_path, twice).claims] == ["F811"]


def test_one_broken_file_gives_one_syntax_error_and_hides_no_other(tmp_path: Path) -> None:
    (tmp_path / "f0.py").write_text("def (:\n  x = = 1\n)]\n" * 20)
    (tmp_path / "f1.py").write_text("eval(input())\n")
    targets = [
        target("a.py", (tmp_path / "f0.py").read_text(), copy="f0.py"),
        target("b.py", (tmp_path / "f1.py").read_text(), copy="f1.py"),
    ]
    outcome = Ruff().run(targets, tmp_path, Deadline(30))
    assert [(c.path, c.source.rule_id) for c in outcome.claims] == [("a.py", "invalid-syntax"), ("b.py", "S307")]


def test_what_is_usual_in_tests_is_graver_elsewhere(tmp_path: Path) -> None:
    source = "import requests\nrequests.get('https://x')\n"
    assert [claim.severity for claim in check(tmp_path, source).claims] == [Severity.LOW]
    assert check(tmp_path, source, path="tests/test_app.py").claims == ()


def test_a_missing_tool_and_one_that_fails_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.executable", str(tmp_path / "python"))
    outcome = check(tmp_path, "eval(x)")
    assert (outcome.fate, outcome.reason) == (Fate.SKIPPED, "ruff is not installed")
    (tmp_path / "ruff").write_text("#!/bin/sh\nexit 2\n")
    (tmp_path / "ruff").chmod(0o755)
    outcome = check(tmp_path, "eval(x)")
    assert (outcome.fate, outcome.reason) == (Fate.FAILED, "ruff could not be run: ValueError")


def test_a_file_without_content_is_said(tmp_path: Path) -> None:
    outcome = Ruff().run([Target("a.py", "py", ())], tmp_path, Deadline(30))
    assert (outcome.fate, outcome.reason) == (Fate.PARTIAL, "1 Python files had no whole content to read")


@pytest.mark.parametrize(
    ("source", "rules"),
    [
        ("from jinja2 import Environment\nEnvironment()\n", []),
        ("from jinja2 import Environment\nEnvironment().get_template('a.html')\n", ["S701"]),
        ("from keys import key\n\n\ndef test(key): ...\n", []),
        ("def key(): ...\n\n\ndef key(): ...\n", ["F811"]),
        ("def f(names=[]):\n    return len(names)\n", []),
        ("def f(names=['all']):\n    names.append(1)\n", []),
        ("def f(names=[]):\n    names.append(1)\n", ["B006"]),
        ("def f(names={}):\n    names['a'] = 1\n", ["B006"]),
        ("class A:\n    def f(self, names=[]):\n        self.names = names\n", []),
        ("from __future__ import annotations\n\n\ndef f(a: list[Other]): ...\n", []),
        ("from __future__ import annotations\n\n\ndef f(a):\n    return Other\n", ["F821"]),
        ("def f():\n    while True:\n        print(found)\n        found = 1\n", []),
        ("def f():\n    while True:\n        print(found)\n\n\ndef g():\n    found = 1\n    return found\n", ["F821"]),
        ("__all__ = ['a']\n\n\ndef __getattr__(name): ...\n", []),
        ("__all__ = ['a']\n", ["F822"]),
        ("import a.b\nimport a.b\n", []),
        ("import requests\n\n\ndef f(**more):\n    requests.get('https://x', **more)\n", []),
        ("import requests\n\nrequests.get('https://x')\nrequests.get('https://y')\n", ["S113"]),
        ("import torch\n\nkind = 'half'\neval(f'torch.{kind}')\n", []),
        ("class A:\n    def f(self) -> 'Other': ...\n", []),
        ("class A:\n    def f(self) -> Other: ...\n", ["F821"]),
        ("print('Other', Other)\n", ["F821"]),
        ("import sys\n\nif sys.version_info < (3,):\n    text = unicode\n", []),
        ("text = unicode\n", ["F821"]),
        ("import zipfile\n\nwith zipfile.ZipFile('a') as found:\n    found.extractall()\n", []),
        ("import tarfile\n\nwith tarfile.open('a') as found:\n    found.extractall()\n", ["S202"]),
    ],
)
def test_what_stands_around_decides(source: str, rules: list[str], tmp_path: Path) -> None:
    assert [claim.source.rule_id for claim in check(tmp_path, source).claims] == rules


def test_what_tests_do_is_theirs(tmp_path: Path) -> None:
    source = "import subprocess, time\n\n\nasync def f(c):\n    time.sleep(1)\n    subprocess.run(c, shell=True)\n"
    found = {claim.source.rule_id for claim in check(tmp_path, source).claims}
    assert {"ASYNC251", "S602"} <= found
    assert check(tmp_path, source, path="tests/test_app.py").claims == ()


def test_a_default_that_is_only_written_anew_is_not_told(tmp_path: Path) -> None:
    def told(old: str, new: str) -> list[str | None]:
        (tmp_path / "a.py").write_text(f"{new}\n    return a\n")
        patch = f"@@ -1,2 +1,2 @@\n-{old}\n+{new}\n     return a\n"
        file = SourceFile(b"a.py", "modified", patch=patch.encode(), head=f"{new}\n    return a\n".encode())
        targets = [each.target for each in prepare([file], tmp_path) if each.target]
        return [claim.source.rule_id for claim in Ruff().run(targets, tmp_path, Deadline(30)).claims]

    assert told("def f(a: List = []):", "def f(a: list = []):") == []
    assert told("def f(a):", "def f(a: list = []):") == ["B006"]
    assert told("def f(b=[]):", "def f(a=[]):") == ["B006"]
