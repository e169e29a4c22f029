"""Runs ruff on copies of the Python files, with our rules and nobody's configuration."""

import json
import re
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from services.kit.diff.model import Side
from services.review.analyzers.ruff_rules import RULES, SELECTED
from services.review.analyzers.target import Deadline, Outcome, Target, claim, installed_version
from services.review.analyzers.tools import installed
from services.review.domain import Claim, Fate, Severity

_EXTENSIONS = frozenset({"py", "pyi"})
_MAX_OUTPUT = 32 * 1024 * 1024
_REDEFINED = re.compile(r"`([\w.]+)`")  # the first name in the words of F811 and F821
_EMPTY_DEFAULT = re.compile(r"(\w+)\s*(?::[^=]*?)?=\s*(\[\]|\{\}|(?:list|dict|set)\(\))")
_LATE_ANNOTATIONS = "from __future__ import annotations"
_BODY = 80  # lines of a function that are looked at
_ARCHIVES = re.compile(r"(?i)zipfile|tarfile|tar\.open|shutil\.unpack")
_LOOK_BACK = 60
_ONCE = frozenset({"invalid-syntax", "S113", "S307", "S501"})  # the first one tells the author where to look further
_PYTHON_2 = frozenset(
    {"basestring", "cmp", "file", "long", "raw_input", "reduce", "reload", "unichr", "unicode", "xrange"}
)
_OLD_PYTHON = re.compile(r"\bPY[23]\b|sys\.version|\bsix\b|except NameError|ImportError")
_SHELL_LITERAL = "seems safe"  # ruff's words where the command is a literal


def executable() -> Path | None:
    """The ruff that was installed beside this interpreter, None where there is none."""
    return installed("ruff")


class Ruff:
    """The analyzer; see the module."""

    name = "ruff"

    def version(self) -> str:
        """The installed version, empty where there is none."""
        return installed_version("ruff")

    def run(self, targets: Sequence[Target], folder: Path, deadline: Deadline) -> Outcome:
        """Claim what ruff finds on added lines; the copies are named so that no file can pass for an option."""
        program = executable()
        if program is None:
            return Outcome((), Fate.SKIPPED, "ruff is not installed")
        python = {target.copy: target for target in targets if target.copy and target.extension in _EXTENSIONS}
        unread = sum(1 for target in targets if target.copy is None and target.extension in _EXTENSIONS)
        if not python:
            return _outcome([], unread)
        try:
            answer = _run(program, list(python), folder, deadline.remaining)
        except subprocess.TimeoutExpired:
            return Outcome((), Fate.FAILED, "ruff ran out of time")
        except (OSError, ValueError) as error:
            return Outcome((), Fate.FAILED, f"ruff could not be run: {type(error).__name__}")
        return _outcome(_claims(answer, python), unread)


def _outcome(claims: Sequence[Claim], unread: int) -> Outcome:
    if unread:
        return Outcome(tuple(claims), Fate.PARTIAL, f"{unread} Python files had no whole content to read")
    return Outcome(tuple(claims))


def _run(program: Path, names: Sequence[str], folder: Path, seconds: float) -> list[Any]:
    """Run ruff over `names`; raises ValueError where it fails or its answer can't be read."""
    output = folder / "ruff.json"
    command = [
        str(program), "check", "--isolated", "--no-cache", "--no-preview", "--ignore-noqa", "--no-fix", "--quiet",
        "--exit-zero", "--target-version=py314", "--select", ",".join(SELECTED), "--config", 'builtins=["_"]',
        "--output-format=json", f"--output-file={output}", "--", *names,
    ]  # fmt: skip
    done = subprocess.run(
        command,
        cwd=folder,
        env={"RAYON_NUM_THREADS": "2", "LC_ALL": "C.UTF-8"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        timeout=max(0.1, seconds),
        check=False,
    )
    if done.returncode != 0:
        raise ValueError("ruff failed")
    if output.stat().st_size > _MAX_OUTPUT:
        raise ValueError("ruff answered too much")
    answer = json.loads(output.read_bytes())
    if not isinstance(answer, list):
        raise ValueError("ruff answered something else")
    return answer


def _claims(answer: Sequence[Any], targets: Mapping[str, Target]) -> list[Claim]:
    claims: list[Claim] = []
    once: set[tuple[str, str]] = set()  # files and rules of which one finding says it all
    seen: set[tuple[str, int, str]] = set()
    added = {name: {line.number: line for line in target.added} for name, target in targets.items()}
    for item in answer:
        name, row, code = Path(item["filename"]).name, item["location"]["row"], item["code"] or "invalid-syntax"
        advice, line = RULES.get(code), added.get(name, {}).get(row)
        if advice is None or line is None or (name, row, code) in seen or (name, code) in once:
            continue
        if code in ("S602", "S605") and _SHELL_LITERAL in item["message"]:
            continue
        if _is_usual(code, str(item["message"]), line.text, row, targets[name]):
            continue
        seen.add((name, row, code))
        if code in _ONCE:
            once.add((name, code))
        title = advice.title or str(item["message"]).splitlines()[0].partition(". ")[0]
        body = f"{advice.body} ({item['message']})" if code == "invalid-syntax" else advice.body
        severity = (
            Severity.LOW if targets[name].is_supporting and advice.severity is Severity.MEDIUM else advice.severity
        )
        claims.append(claim("ruff", code, targets[name], line, severity, advice.category, title, body))
    return claims


def _is_usual(code: str, message: str, text: str, row: int, target: Target) -> bool:
    """Whether a finding is one of those that are mostly meant, told by what stands around it."""
    if target.is_supporting and code.startswith(("S", "ASYNC")):
        return True  # tests and examples run what they were given, and wait for it
    if code == "F811":  # an import once more, or an argument by the name of a fixture, hides nothing
        found = _REDEFINED.search(message)
        name = re.escape(found[1]) if found else ""
        return bool(name) and not re.search(rf"\b(?:def|class|as)\s+{name}\b|^\s*{name}\s*=", text)
    if code == "S701":  # escaping is for markup: templates of configuration must not have it
        return b"html" not in (target.head or b"").lower()
    head = (target.head or b"").decode("utf-8", "replace")
    if code == "F821":
        return _is_no_use(message, text, head, row)
    if code == "F822":  # the module answers for names that it does not hold
        return "\ndef __getattr__(" in head
    if code == "S113":  # the time may be among what is handed on
        return "**" in text
    if code == "S307":  # a name of a module, chosen from a list
        return re.search(r"eval\(f[\"'][\w.]+\{[\w.]+\}[\"']\)", text) is not None
    if code == "S202":  # zipfile takes .. and roots out of names by itself
        named = _ARCHIVES.findall("\n".join(head.split("\n")[max(0, row - _LOOK_BACK) : row]))
        return bool(named) and named[-1].lower().startswith("zip")
    return code == "B006" and (_stood_before(text, target) or not _is_changed(text, head, row))


def _is_no_use(message: str, text: str, head: str, row: int) -> bool:
    """Whether an undefined name is looked up never or later: annotations, branches for Python 2, further rounds."""
    found = _REDEFINED.search(message)
    if found is None:
        return False
    if found[1] in _PYTHON_2 and _OLD_PYTHON.search(head):
        return True
    later = re.split(r"(?m)^\s*(?:async\s+)?(?:def|class)\s", "\n".join(head.split("\n")[row:]), maxsplit=1)[0]
    if re.search(rf"(?m)^\s+{found[1]}\s*=[^=]", later):
        return True
    if _LATE_ANNOTATIONS in head and re.search(rf"(?:\w\s*:|->)[^=()]*\b{found[1]}\b", text):
        return True
    return re.search(rf"(?::|->|\[)\s*[\"'][^\"']*\b{found[1]}\b[^\"']*[\"']", text) is not None


def _is_changed(text: str, head: str, row: int) -> bool:
    """Whether a function gives its empty default away or puts something in: else nobody sees that it is shared."""
    body = "\n".join(head.split("\n")[row - 1 : row + _BODY])
    return any(
        re.search(
            rf"\b{name}\s*(?:\.(?:append|extend|insert|add|update|setdefault|pop|remove|clear)\(|\[[^\]\n]+\]\s*=[^=]|[+|]=)"
            rf"|\b(?:return|yield)\s+{name}\b",
            body,
            re.M,
        )
        for name, _ in _EMPTY_DEFAULT.findall(text)
    )


def _stood_before(text: str, target: Target) -> bool:
    """Whether all defaults of a line were there before, and the change only writes them anew."""
    lost = "\n".join(
        row.text.decode("utf-8", "replace")
        for hunk in target.hunks
        for row in hunk.lines()
        if row.number(Side.RIGHT) is None
    )
    before = set(_EMPTY_DEFAULT.findall(lost))
    now = set(_EMPTY_DEFAULT.findall(text))
    return bool(now) and now <= before
