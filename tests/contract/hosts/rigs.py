"""What the conformance suite needs of each host: its emulator, its adapter, and its words for the same things."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from types import ModuleType
from typing import Any, ClassVar, Protocol

from emulators.github import GitHubEmulator
from emulators.github import deliver as post
from emulators.github import make_delivery as github_delivery
from emulators.gitlab import GitLabEmulator
from emulators.gitlab import make_delivery as gitlab_delivery
from services.webhooks.hosts import ADAPTERS
from services.webhooks.hosts.base import PullRequestRef, ReviewHost, StaticToken
from services.webhooks.hosts.github import client as github_client
from services.webhooks.hosts.gitlab import client as gitlab_client
from services.webhooks.hosts.marker import Marker
from tests.support.system import SECRET, TOKEN

SIGNING = "whsec_" + "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"  # made up; in two parts, for scanners


@dataclass(frozen=True)
class Posted:
    """A visible comment on a line: the path, the side, the line, and the text."""

    path: str
    side: str
    line: int
    body: str


class Sent(Protocol):
    """A delivery."""

    @property
    def body(self) -> bytes: ...

    @property
    def headers(self) -> Mapping[str, str]: ...

    def with_body(self, body: bytes) -> Any: ...

    def with_headers(self, **changes: str | None) -> Any: ...


class Rig:
    """One host. `operations` names its operations by ours: read, list, draft, submit, mine."""

    name: str
    title: str
    secret = SECRET
    client: ModuleType
    emulator: Any
    operations: ClassVar[Mapping[str, str]]

    def __init__(self, path: Path) -> None:
        raise NotImplementedError

    def ref(self, number: int = 1) -> PullRequestRef:
        return PullRequestRef(self.name, "", "4711", "acme/shop", number)

    def host(self) -> ReviewHost:
        """The adapter, with the token of the tests."""
        return ADAPTERS[self.name].connect(StaticToken(TOKEN), self.emulator.url, Marker([b"k" * 32]))

    async def open(self, head: str, base: str, *, draft: bool = False, source: str = "same") -> int:
        raise NotImplementedError

    def event(self, kind: str, number: int, **more: Any) -> Sent:
        """A delivery of one of our kinds: opened, pushed, reopened, ready, closed."""
        raise NotImplementedError

    def raw(self, body: bytes, event: str | None = None) -> Sent:
        """A signed delivery of any body, by default of the kind that is ours."""
        raise NotImplementedError

    def forged(self, delivery: Sent) -> list[Sent]:
        """The same delivery in every way that does not verify."""
        raise NotImplementedError

    def comment_event(self, number: int) -> Sent:
        raise NotImplementedError

    def summaries(self, number: int) -> list[str]:
        """The texts of our visible reviews, oldest first."""
        return [review.body for review in self.emulator.reviews(number)]

    def comments(self, number: int) -> list[Posted]:
        raise NotImplementedError

    def unseen(self, number: int) -> int:
        """How many drafts there are."""
        raise NotImplementedError

    def say(self, number: int, text: str) -> None:
        """Somebody else says something."""
        raise NotImplementedError

    def fail(self, operation: str, **how: Any) -> Any:
        """Order a failure by our name of the operation."""
        return self.emulator.fail(self.operations[operation], **how)

    async def send(self, url: str, delivery: Sent) -> int:
        return (await post(url, delivery)).status  # type: ignore[arg-type]


class GitHubRig(Rig):
    name, title, client = "github", "GitHub", github_client
    operations: ClassVar[Mapping[str, str]] = {
        "read": "pulls/get",
        "list": "pulls/list-files",
        "draft": "pulls/create-review",
        "submit": "pulls/submit-review",
        "mine": "pulls/list-reviews",
    }
    _actions: ClassVar[Mapping[str, str]] = {
        "opened": "opened",
        "pushed": "synchronize",
        "reopened": "reopened",
        "ready": "ready_for_review",
        "closed": "closed",
    }

    def __init__(self, path: Path) -> None:
        self.emulator = GitHubEmulator(path, "acme", "shop", TOKEN)

    async def open(self, head: str, base: str, *, draft: bool = False, source: str = "same") -> int:
        pull = await self.emulator.open_pull(head=head, base=base, draft=draft, head_repository=source)
        return int(pull.number)

    def event(self, kind: str, number: int, **more: Any) -> Sent:
        return self.emulator.webhook(self._actions[kind], number, secret=self.secret, **more)  # type: ignore[no-any-return]

    def raw(self, body: bytes, event: str | None = None) -> Sent:
        return github_delivery(event or "pull_request", body, secret=self.secret)

    def forged(self, delivery: Sent) -> list[Sent]:
        right = delivery.headers["X-Hub-Signature-256"]
        wrong = [
            None,
            "",
            "sha256=",
            "sha256=" + "0" * 64,
            right.upper(),
            right.removeprefix("sha256="),
        ]
        other = github_delivery("pull_request", delivery.body, secret="another secret")
        return [*(delivery.with_headers(X_Hub_Signature_256=one) for one in wrong), other]

    def comment_event(self, number: int) -> Sent:
        return self.raw(b'{"action":"created"}', "issue_comment")

    def comments(self, number: int) -> list[Posted]:
        hidden = {review.id for review in self.emulator.reviews(number, pending=True)}
        shown = [one for one in self.emulator.review_comments(number) if one.review_id not in hidden]
        return [Posted(c.path, c.anchor.side, c.anchor.line, c.body) for c in shown]

    def unseen(self, number: int) -> int:
        return len(self.emulator.reviews(number, pending=True))

    def say(self, number: int, text: str) -> None:
        raise NotImplementedError


class GitLabRig(Rig):
    name, title, client = "gitlab", "GitLab", gitlab_client
    operations: ClassVar[Mapping[str, str]] = {
        "read": "merge_request",
        "list": "diffs",
        "draft": "create_draft",
        "submit": "publish_drafts",
        "mine": "notes",
    }
    _actions: ClassVar[Mapping[str, str]] = {
        "opened": "open",
        "pushed": "update",
        "reopened": "reopen",
        "ready": "update",
        "closed": "close",
    }

    def __init__(self, path: Path) -> None:
        self.emulator = GitLabEmulator(path, "acme/shop", TOKEN)

    async def open(self, head: str, base: str, *, draft: bool = False, source: str = "same") -> int:
        return int((await self.emulator.open_pull(head=head, base=base, draft=draft, source=source)).number)

    def event(self, kind: str, number: int, **more: Any) -> Sent:
        if kind == "ready":
            more["changes"] = {"draft": {"previous": True, "current": False}}
        return self.emulator.webhook(self._actions[kind], number, secret=self.secret, **more)  # type: ignore[no-any-return]

    def raw(self, body: bytes, event: str | None = None) -> Sent:
        return gitlab_delivery(event or "Merge Request Hook", body, secret=self.secret)

    def forged(self, delivery: Sent) -> list[Sent]:
        wrong = [None, "", "x" + self.secret, self.secret[:-1], self.secret.upper()]
        return [delivery.with_headers(X_Gitlab_Token=one) for one in wrong]

    def comment_event(self, number: int) -> Sent:
        body = b'{"object_kind":"note","object_attributes":{"noteable_type":"MergeRequest"}}'
        return self.raw(body, "Note Hook")

    def comments(self, number: int) -> list[Posted]:
        return [Posted(n.path, n.anchor.side, n.anchor.line, n.body) for n in self.emulator.review_comments(number)]

    def unseen(self, number: int) -> int:
        return len(self.emulator.drafts(number))

    def say(self, number: int, text: str) -> None:
        self.emulator.comment(number, text)


class SignedGitLabRig(GitLabRig):
    """GitLab with a signing token instead of the plain one."""

    secret = SIGNING

    def forged(self, delivery: Sent) -> list[Sent]:
        now = int(datetime.now().timestamp())
        plain = gitlab_delivery("Merge Request Hook", delivery.body, secret=SECRET)
        late = [
            gitlab_delivery("Merge Request Hook", delivery.body, secret=self.secret, at=now + by) for by in (-900, 900)
        ]
        wrong = [None, "", "v1,", "v1," + "A" * 44, "v2" + delivery.headers["webhook-signature"][2:]]
        changed = [delivery.with_headers(webhook_signature=one) for one in wrong]
        other_id = delivery.with_headers(webhook_id="msg_other")
        downgraded = plain.with_headers(X_Gitlab_Token=self.secret)
        return [plain, downgraded, *late, *changed, other_id, delivery.with_headers(webhook_timestamp="1e9")]


RIGS: Mapping[str, type[Rig]] = {"github": GitHubRig, "gitlab": GitLabRig, "gitlab-signed": SignedGitLabRig}
