"""Who may call which RPC: one line each, and a server that does not start while a line is missing."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta

from google.protobuf.descriptor import ServiceDescriptor

OWNER = frozenset({"owner"})
EVERYONE = frozenset({"owner", "billing_manager", "repo_admin", "contributor"})
REVIEWERS = frozenset({"owner", "repo_admin", "contributor"})
OPERATORS = frozenset({"owner", "repo_admin"})


class PolicyError(Exception):
    """The policy table and the RPCs do not fit together; the service must not start."""


@dataclass(frozen=True, slots=True)
class Rule:
    """One line of a policy table.

    `roles` may call on the public listener (empty: nobody), `callers` are the roles of the mesh that may call on the
    internal one, `is_open` needs no credential. `deadline` holds where the caller sets none. `writes` is refused to a
    credential with scope `read` only.
    """

    roles: frozenset[str] = frozenset()
    callers: frozenset[str] = frozenset()
    is_open: bool = False
    deadline: timedelta = timedelta(seconds=10)
    is_idempotent: bool = False
    writes: bool = True

    @property
    def is_internal(self) -> bool:
        """Whether the RPC belongs on the internal listener."""
        return bool(self.callers)


Policy = Mapping[str, Rule]  # full method name, as in "/lintel.review.v1.CodeReviewService/GetReview"


DEADLINE = timedelta(seconds=10)


def read(roles: frozenset[str], *, deadline: timedelta = DEADLINE) -> Rule:
    """A public RPC that changes nothing."""
    return Rule(roles=roles, is_idempotent=True, writes=False, deadline=deadline)


def write(roles: frozenset[str], *, is_idempotent: bool = False, deadline: timedelta = DEADLINE) -> Rule:
    """A public RPC that changes something."""
    return Rule(roles=roles, is_idempotent=is_idempotent, deadline=deadline)


def opened(*, deadline: timedelta = DEADLINE) -> Rule:
    """A public RPC that needs no credential; one that comes along is not looked at."""
    return Rule(is_open=True, deadline=deadline)


def internal(*callers: str, is_idempotent: bool = False, deadline: timedelta = DEADLINE) -> Rule:
    """An RPC for other roles of the mesh only."""
    return Rule(callers=frozenset(callers), is_idempotent=is_idempotent, deadline=deadline)


def methods(services: Iterable[ServiceDescriptor]) -> set[str]:
    """Answer the full names of all RPCs."""
    return {f"/{service.full_name}/{method.name}" for service in services for method in service.methods}


def check(policy: Policy, services: Iterable[ServiceDescriptor], *, is_internal: bool) -> None:
    """Raise PolicyError unless every RPC of a listener has a line that fits the listener."""
    problems = []
    for name in sorted(methods(services)):
        rule = policy.get(name)
        if rule is None:
            problems.append(f"{name} has no line in the policy table")
        elif rule.is_internal is not is_internal:
            problems.append(f"{name} is on the {'internal' if is_internal else 'public'} listener against its line")
        elif not (rule.roles or rule.callers or rule.is_open):
            problems.append(f"{name} can be called by nobody")
    if problems:
        raise PolicyError("; ".join(problems))
