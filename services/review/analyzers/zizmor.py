"""Runs zizmor on copies of GitHub Actions workflows and actions, offline, with our rules and nobody's configuration.

Left out: what is policy rather than a fault (pinning, permissions, credential persistence, caches, names), what needs
the network, and findings that zizmor itself is unsure of.
"""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from services.review.analyzers.advice import Advice, advise
from services.review.analyzers.target import AddedLine, Deadline, Outcome, Target, installed_version
from services.review.analyzers.tools import ToolError, ask, installed
from services.review.domain import Claim, Fate, Severity

_WORKFLOW = re.compile(r"(?:^|/)\.(?:github|gitea|forgejo)/workflows/[^/]+\.ya?ml$")
_ACTION = re.compile(r"(?:^|/)action\.ya?ml$")
# The trigger alone is how bots label and greet; the danger is to take the stranger's code and run it.
_TAKES_THE_HEAD = re.compile(
    rb"(?:github\.event\.pull_request\.head\.(?:sha|ref)|github\.head_ref|refs/pull/|workflow_run\.head_(?:sha|branch))"
)
_CHECKOUT = re.compile(rb"actions/checkout@|git (?:fetch|checkout|clone)|gh pr checkout")
# Strangers write titles, bodies and branch names. Who may start a workflow by hand or publish a release may write
# anyway, and matrices and outputs of steps are mostly the workflow's own.
_FROM_STRANGERS = re.compile(r"github\.(?:event\.(?!inputs\.|release\.)|head_ref)")
_SURE = {"Medium", "High"}
_NOTHING_COLLECTED = 3  # its status where no file was YAML of the kind it reads
_M, _H = Severity.MEDIUM, Severity.HIGH


def _security(title: str, body: str, severity: Severity = _H) -> Advice:
    return Advice(severity, "security", title, body)


RULES: dict[str, Advice] = {
    "bot-conditions": _security(
        "The check for a bot can be fooled",
        "github.actor is whoever caused the latest event, not who wrote the change: anyone can make a bot act on their "
        "pull request. Compare github.event.pull_request.user.login.",
    ),
    "dangerous-triggers": _security(
        "This trigger runs with secrets for strangers' changes",
        "The workflow has the repository's token and secrets, and it checks out a change that comes from anyone: its "
        "build scripts then run with them. Use pull_request, or leave the head of the change alone.",
    ),
    "github-env": _security(
        "Values from outside are written to the environment of later steps",
        "Whoever controls the value can set LD_PRELOAD or PATH and so run code in the job. Write fixed values only, or "
        "pass the value as a step output.",
    ),
    "hardcoded-container-credentials": _security(
        "A password of a container registry is written here",
        "Everyone who can read the repository has it. Revoke it, and use a secret.",
    ),
    "insecure-commands": _security(
        "Commands that GitHub switched off are switched on again",
        "Whatever the job prints can then set its environment. Write to $GITHUB_ENV and $GITHUB_PATH instead.",
    ),
    "insecure-url-scheme": _security(
        "A download without encryption", "Anyone between can replace what is fetched. Use https.", _M
    ),
    "overprovisioned-secrets": _security(
        "Every secret is handed over at once",
        "All secrets go to the runner, and one that is derived from them is not masked in logs. Name those needed.",
        _M,
    ),
    "template-injection": _security(
        "Text from outside becomes part of a command",
        "GitHub puts the value in before the shell reads the line, so a title or branch name can be a command. Hand it "
        'over through env: and use "$NAME" in the script.',
    ),
    "typosquat-uses": _security(
        "The action's name looks like that of a well-known one", "Make sure that it is the one you mean."
    ),
    "unredacted-secrets": _security(
        "Part of a secret escapes the masking of logs",
        "GitHub masks whole secrets; what fromJSON takes out of one is printed as it is. Keep each value as a secret.",
        _M,
    ),
    "unsound-condition": Advice(
        _H,
        "bug",
        "This condition is always true",
        "The text after the expression, often just the line end of a block, makes it a non-empty string. Leave out "
        "${{ }}, or write it on one line.",
    ),
    "unsound-contains": _security(
        "contains() on a string matches parts of it",
        "A branch called `mai` is contained in `main develop`. Use contains(fromJSON('[…]'), …) with a list.",
    ),
    "unsound-ternary": Advice(
        _M,
        "bug",
        "The second value is taken where the first is empty",
        "`a && b || c` gives c whenever b is '', 0 or false. Turn the condition round so that b is never empty.",
    ),
}


class Zizmor:
    """The analyzer; see the module."""

    name = "zizmor"

    def version(self) -> str:
        """The installed version, empty where there is none."""
        return installed_version("zizmor")

    def run(self, targets: Sequence[Target], folder: Path, deadline: Deadline) -> Outcome:
        """Claim what zizmor finds on added lines."""
        program = installed(self.name)
        if program is None:
            return Outcome((), Fate.SKIPPED, "zizmor is not installed")
        ours = [(target, kind) for target in targets if (kind := _kind(target.path))]
        named: dict[str, Target] = {}
        for number, (target, kind) in enumerate(ours):
            if target.head is not None:
                place = folder / "zizmor" / f"{number:05d}"
                place.mkdir(parents=True)
                (place / f"{kind}.yml").write_bytes(re.sub(rb"\r(?!\n)", b" ", target.head))
                named[f"zizmor/{number:05d}/{kind}.yml"] = target
        if not named:
            return _outcome([], len(ours))
        try:
            answer = ask(
                self.name, program, _arguments(list(named)), folder, deadline.remaining, (0, _NOTHING_COLLECTED)
            )
            if answer is None:
                return Outcome((), Fate.PARTIAL, f"{len(named)} workflows are none that zizmor can read")
            return _outcome(_claims(answer, named), len(ours) - len(named))
        except ToolError as error:
            return Outcome((), Fate.FAILED, str(error))
        except (KeyError, TypeError):
            return Outcome((), Fate.FAILED, "zizmor answered something else")


def _kind(path: str) -> str | None:
    """What zizmor goes by is the name: a workflow, an action, or neither."""
    if _WORKFLOW.search(path):
        return "workflow"
    return "action" if _ACTION.search(path) else None


def _outcome(claims: Sequence[Claim], unread: int) -> Outcome:
    if unread:
        return Outcome(tuple(claims), Fate.PARTIAL, f"{unread} workflows had no whole content to read")
    return Outcome(tuple(claims))


def _arguments(names: Sequence[str]) -> list[str]:
    return [
        "--offline", "--no-config", "--no-ignores", "--no-progress", "--no-exit-codes", "--quiet", "--color=never",
        "--persona=regular", "--collect=all", "--format=json-v1", "--", *names,
    ]  # fmt: skip


def _claims(answer: Any, named: Mapping[str, Target]) -> list[Claim]:
    claims: dict[tuple[str, str, str], Claim] = {}  # one for a rule in one step or setting
    added = {name: {line.number: line for line in target.added} for name, target in named.items()}
    for item in answer:
        rule, sure = item["ident"], item["determinations"]
        advice = RULES.get(rule)
        if advice is None or sure["confidence"] not in _SURE or sure["severity"] not in _SURE:
            continue
        for location in item["locations"]:
            symbolic = location["symbolic"]
            name = str(symbolic["key"]["Local"]["verbatim_path"])
            if symbolic["kind"] != "Primary" or not _is_danger(rule, symbolic, named[name].head or b""):
                continue
            key = name, rule, str(symbolic["route"])
            line = _place(location, added[name])
            if line is not None and key not in claims:
                claims[key] = advise("zizmor", rule, advice, named[name], line)
    return list(claims.values())


def _is_danger(rule: str, symbolic: Any, head: bytes) -> bool:
    """Whether what zizmor reports by its form is one by what surrounds it."""
    if rule == "dangerous-triggers":
        return bool(_TAKES_THE_HEAD.search(head) and _CHECKOUT.search(head))
    if rule == "template-injection" and isinstance(feature := symbolic["feature_kind"], dict):
        return bool(_FROM_STRANGERS.search(str(feature.get("Subfeature", {}).get("fragment", {}).get("Raw", ""))))
    return True


def _place(location: Any, lines: Mapping[int, AddedLine]) -> AddedLine | None:
    """The first added line of what zizmor points at; it counts rows from 0."""
    span = location["concrete"]["location"]
    first, last = span["start_point"]["row"] + 1, span["end_point"]["row"] + 1
    return next((lines[row] for row in range(first, last + 1) if row in lines), None)
