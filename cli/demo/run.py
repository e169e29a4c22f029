"""One signed webhook for a real change, through the whole system, and the review read back from the code host."""

import re
import secrets
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
from anyio.from_thread import start_blocking_portal

from cli.demo.change import DemoChange
from cli.embedded import Embedded
from cli.terminal import Progress, ignore_interrupts, uninterrupted
from emulators.github import GitHubEmulator, deliver

OWNER = "demo"
REVIEW_SECONDS = 900.0  # a slow model is asked up to some dozen times
_POLL_SECONDS = 0.1
_FINAL = {"published", "completed", "superseded", "cancelled", "failed"}


class DemoError(Exception):
    """The review did not come to its end; the message says where to look."""


@dataclass(frozen=True, slots=True)
class InlineComment:
    """A comment as the code host has it."""

    path: str
    line: int
    body: str


@dataclass(frozen=True, slots=True)
class DemoResult:
    """What the code host shows, and how long it took in seconds."""

    repository: str
    number: int
    summary: str
    comments: tuple[InlineComment, ...]
    start_seconds: float
    review_seconds: float
    edge: str
    model: str  # which one was asked, or why none was


def run(change: DemoChange, progress: Progress) -> DemoResult:
    """Run the demo in a state directory of its own, which is removed. Raises DemoError or SystemStartError."""
    token, secret = secrets.token_hex(20), secrets.token_hex(32)
    repository = f"{OWNER}/{_name(change)}"
    with (
        tempfile.TemporaryDirectory(prefix="lintel-demo-") as state,
        _emulator(change, token) as (emulator, call, number),
        Embedded(
            Path(state),
            env={"GITHUB_TOKEN": token, "LINTEL_GITHUB_API_URL": emulator.url, "GITHUB_WEBHOOK_SECRET": secret},
            watch=progress,
        ) as system,
        _stopping_undisturbed(),
    ):
        began = time.monotonic()
        progress("sending the webhook")
        delivery = emulator.webhook("opened", number, secret=secret)
        answer = call(deliver, f"{system.webhooks_url}/github/webhook", delivery)
        if answer.status != 202:
            raise DemoError(f"the webhook was answered {answer.status}: {answer.body!r}")
        model = _model(_wait(system, number, progress), system)
        seconds = time.monotonic() - began
        summary, comments = _read_back(f"{emulator.url}/repos/{repository}/pulls/{number}", token)
        edge = system.status.edge
        return DemoResult(repository, number, summary, comments, system.startup_seconds, seconds, edge, model)


@contextmanager
def _stopping_undisturbed() -> Iterator[None]:
    """Ignore interrupts from the end of the block on, while what was started is being stopped."""
    try:
        yield
    finally:
        ignore_interrupts()


def _name(change: DemoChange) -> str:
    """Answer the repository's name as a code host would allow it."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", change.repository.name) or "repository"


@contextmanager
def _emulator(change: DemoChange, token: str) -> Iterator[tuple[GitHubEmulator, Any, int]]:
    """Serve the repository as a code host would, in a thread of its own."""
    with ExitStack() as stack:
        with uninterrupted():  # the portal waits for its thread for ever when its start is interrupted
            portal = stack.enter_context(start_blocking_portal())
        emulator = GitHubEmulator(change.repository, OWNER, _name(change), token)
        portal.call(emulator.start)
        try:
            pull = portal.call(lambda: emulator.open_pull(head=change.head, base=change.base))
            yield emulator, portal.call, pull.number
        finally:
            portal.call(emulator.stop)


def _edge(system: Embedded) -> httpx2.Client:
    headers = {"Authorization": f"Bearer {system.api_key}"}
    return httpx2.Client(base_url=system.edge_url, headers=headers, trust_env=False, timeout=10)


def _wait(system: Embedded, number: int, progress: Progress) -> str:
    """Wait until the review is published; answers its id."""
    until = time.monotonic() + REVIEW_SECONDS
    with _edge(system) as client:
        while time.monotonic() < until:
            found = client.get("/codeReview", params={"pullRequestNumber": number}).raise_for_status().json()
            review = next(iter(found["reviews"]), None)
            progress(f"the review is {review['state']}" if review else "the webhook is being handled")
            if review and review["state"] in _FINAL:
                if review["state"] != "published":
                    raise DemoError(f"the review is {review['state']}: {review['stateReason']}")
                return str(review["id"])
            time.sleep(_POLL_SECONDS)
    raise DemoError(f"no review after {REVIEW_SECONDS:.0f} s; the logs were in {system.layout.logs}")


def _model(review: str, system: Embedded) -> str:
    """Answer in words which model the receipt names."""
    with _edge(system) as client:
        found = client.get(f"/codeReview/{review}/receipt").raise_for_status().json()
    receipt = found.get("receipt", found)
    asked = [f"{use['model']} of {use['provider']} was asked, calls: {use['calls']}" for use in receipt["models"]]
    failure = receipt.get("modelFailure")
    if failure:
        return f"Model: {'; '.join([*asked, f'it did not finish: {failure}'])}"
    return f"Model: {'; '.join(asked)}" if asked else "Model: none was asked"


def _read_back(base: str, token: str) -> tuple[str, tuple[InlineComment, ...]]:
    """Ask the code host itself, as anybody would, what was posted."""
    headers = {"Authorization": f"Bearer {token}", "User-Agent": "lintel-demo"}
    with httpx2.Client(headers=headers, trust_env=False, timeout=10) as client:
        reviews = client.get(f"{base}/reviews").raise_for_status().json()
        if len(reviews) != 1:
            raise DemoError(f"the code host shows {len(reviews)} reviews instead of one")
        comments: list[InlineComment] = []
        page: str | None = f"{base}/comments?per_page=100"
        while page is not None:
            answer = client.get(page).raise_for_status()
            comments += [InlineComment(c["path"], c["line"], c["body"]) for c in answer.json()]
            page = answer.links.get("next", {}).get("url")
    return reviews[0]["body"], tuple(comments)
