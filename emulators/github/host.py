"""The emulated host itself: one repository, its accounts, and the life of its pull requests."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from emulators.github.answers import not_found
from emulators.github.diff import FileDiff, diff_files
from emulators.github.git import GitError, GitRepository, iso
from emulators.github.model import Anchor, Limits, PullRequest, PullState, ReviewComment, State, User
from emulators.github.render import Renderer


class Host:
    """State and rules that reading and writing share; `api` is set once the emulator listens."""

    def __init__(
        self,
        repo_path: str | Path,
        owner: str,
        name: str,
        *,
        limits: Limits,
        clock: Callable[[], float],
        default_branch: str,
        private: bool,
    ) -> None:
        self.repository = GitRepository(repo_path)
        self.state = State()
        self.limits = limits
        self.clock = clock
        self.api = "https://api.github.com"
        self.archived = False
        self.null_sha_paths: set[str] = set()
        self.owner = User(1, owner)
        self.name = name
        self.default_branch = default_branch
        self._private = private
        self._created_at = iso(clock())
        self._users: dict[str, User] = {owner.lower(): self.owner}
        self._tokens: dict[str, User] = {}
        self._states: dict[tuple[str, str], PullState] = {}
        self._moves: dict[tuple[str, str], list[FileDiff]] = {}

    @property
    def render(self) -> Renderer:
        """The writer of JSON shapes for the present address and flags."""
        return Renderer(
            self.api,
            self.owner,
            self.name,
            4_711,
            self.default_branch,
            self._private,
            self.archived,
            self._created_at,
        )

    def add_user(self, login: str, token: str | None, kind: str, access: str) -> User:
        """Adds an account, or gives an existing one a (further) token; ValueError on an unknown access."""
        if access not in ("write", "read", "none"):
            raise ValueError(f"access is write, read or none, not {access!r}")
        user = self._users.get(login.lower())
        if user is None:
            user = User(len(self._users) + 1, login, kind, access)
            self._users[login.lower()] = user
        if token is not None:
            self._tokens[token] = user
        return user

    def remove_token(self, token: str) -> None:
        """Revokes a token: from now on it gets 401."""
        self._tokens.pop(token, None)

    def user_of(self, token: str) -> User | None:
        """Returns the account a token belongs to."""
        return self._tokens.get(token)

    def tokens(self) -> tuple[str, ...]:
        """Returns the valid tokens, for redaction."""
        return tuple(self._tokens)

    def open_pulls(self) -> int:
        """Returns how many pull requests are open."""
        return sum(pull.state == "open" for pull in self.state.pulls.values())

    def pull(self, number: int) -> PullRequest:
        """Returns a pull request; RefusedError 404 when there is none."""
        found = self.state.pulls.get(number)
        if found is None:
            raise not_found()
        return found

    async def pull_state(self, base: str, head: str) -> PullState:
        """Returns what git says between two commits; GitError when their histories are unrelated."""
        if (base, head) not in self._states:
            merge_base = await self.repository.merge_base(base, head)
            if merge_base is None:
                raise GitError(f"{base[:12]} and {head[:12]} have no common ancestor here; base None is the empty tree")
            files = tuple(await diff_files(self.repository, merge_base, head))
            commits = tuple(await self.repository.commits_between(base, head))
            self._states[base, head] = PullState(merge_base, head, files, commits)
        return self._states[base, head]

    async def base_commit(self, base: str | None) -> str:
        """Returns the commit for a base revision; None is a commit of the empty tree."""
        return self.repository.empty_base.sha if base is None else await self.repository.revision(base)

    def head_owner(self, pull: PullRequest) -> str:
        """Returns the login that owns the head branch."""
        return self.owner.login if pull.head_repository == "same" else pull.author.login

    def counts(self, number: int) -> tuple[int, int]:
        """Returns how many page comments and visible inline comments a pull request has."""
        hidden = {review.id for review in self.state.reviews.values() if review.state == "PENDING"}
        page = sum(comment.number == number for comment in self.state.issue_comments.values())
        inline = self.state.comments.values()
        return page, sum(c.number == number and c.review_id not in hidden for c in inline)

    def register(self, pull: PullRequest) -> PullRequest:
        """Registers a pull request under its number; ValueError when the number is taken."""
        if pull.number in self.state.pulls:
            raise ValueError(f"pull request {pull.number} exists")
        self.state.pulls[pull.number] = pull
        return pull

    async def move(self, pull: PullRequest, base_sha: str, head_sha: str) -> None:
        """Gives a pull request another base or head, as a push or a change of the base does."""
        state = await self.pull_state(base_sha, head_sha)
        if head_sha != pull.head_sha:
            pull.former_heads.append(pull.head_sha)
        pull.base_sha, pull.head_sha, pull.state_now = base_sha, head_sha, state
        self.touch(pull)

    def touch(self, pull: PullRequest) -> None:
        """Notes that a pull request changed."""
        pull.updated_at = self.clock()

    async def commit_of(self, ref: str) -> str | None:
        """Returns the commit for a ref as a client names it: branches of pull requests, pull refs, then git's own."""
        owner, _, ref = ref.rpartition(":")
        parts = ref.removeprefix("refs/").split("/")
        if len(parts) == 3 and parts[0] == "pull" and parts[1].isdigit() and parts[2] == "head":
            pull = self.state.pulls.get(int(parts[1]))
            return pull.head_sha if pull else None
        short = ref.removeprefix("refs/").removeprefix("heads/")
        owner = owner or self.owner.login
        ours = owner.lower() == self.owner.login.lower()
        for pull in reversed(self.state.pulls.values()):
            if (owner.lower(), short) == (self.head_owner(pull).lower(), pull.head_ref):
                return pull.head_sha
            if ours and short == pull.base_ref:
                return pull.base_sha
        if not ours:
            return None
        return await self.repository.resolve(ref)

    async def place(self, comment: ReviewComment) -> tuple[str, Anchor | None]:
        """Returns the commit and the place a comment has at the present head; no place once it is outdated."""
        pull = self.state.pulls[comment.number]
        now, first = pull.state_now, comment.anchor
        if first is None or (now.head, now.merge_base) == (comment.commit_id, comment.merge_base):
            return (now.head if first is None else comment.commit_id), first
        line = await self._moved(comment, first.side, first.line)
        file = now.file(comment.path)
        found = file.find(first.side, line) if file is not None and line is not None else None
        if file is None or line is None or found is None:
            return now.head, None
        start = None
        if first.start_line is not None:
            start = await self._moved(comment, first.start_side or first.side, first.start_line)
        position = file.hunks[found[0]].rows[found[1]].position
        return now.head, replace(first, line=line, start_line=start, position=position)

    async def _moved(self, comment: ReviewComment, side: str, line: int) -> int | None:
        now = self.state.pulls[comment.number].state_now
        pair = (comment.merge_base, now.merge_base) if side == "LEFT" else (comment.commit_id, now.head)
        if pair[0] == pair[1]:
            return line
        if pair not in self._moves:
            self._moves[pair] = await diff_files(self.repository, *pair, context=0)
        for file in self._moves[pair]:
            if file.old_path.decode("utf-8", "replace") == comment.path:
                return moved_line(file, line)
        return line


def moved_line(file: FileDiff, line: int) -> int | None:
    """Returns the new number of an old line, from hunks without context; None when it was removed or rewritten."""
    if file.status not in ("modified", "changed"):
        return None
    shift = 0
    for hunk in file.hunks:
        start = int(hunk.header.split(b" ")[1][1:].split(b",")[0])
        removed = [row.old for row in hunk.rows if row.old is not None]
        if line in removed:
            return None
        if start < line:
            shift += len(hunk.rows) - 2 * len(removed)
    return line + shift
