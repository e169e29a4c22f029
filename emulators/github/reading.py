"""The operations that only read: accounts, pull requests, their files, and the repository's content."""

from __future__ import annotations

import base64
from typing import Any

from emulators.github import rules
from emulators.github.answers import Answer, Call, RefusedError, json_answer, link_header, not_found, page_bounds, paged
from emulators.github.diff import diff_text
from emulators.github.git import GitError
from emulators.github.host import Host
from emulators.github.model import PullRequest, PullState


class Reading:
    """Handlers of pull requests, commits and comparisons."""

    def __init__(self, host: Host) -> None:
        self._host = host

    async def user(self, call: Call) -> Answer:
        """Answers GET /user."""
        return json_answer(self._host.render.account(call.user))

    async def repository(self, call: Call) -> Answer:
        """Answers GET /repos/{owner}/{repo}."""
        return json_answer(self._host.render.repository(call.user, self._host.open_pulls(), full=True))

    async def pulls(self, call: Call) -> Answer:
        """Answers the list of pull requests, newest first unless told otherwise."""
        found = [pull for pull in self._host.state.pulls.values() if self._listed(call, pull)]
        field = "updated_at" if call.query["sort"] == "updated" else "created_at"
        direction = call.query.get("direction") or ("desc" if call.query["sort"] == "created" else "asc")
        found.sort(key=lambda pull: (getattr(pull, field), pull.number), reverse=direction == "desc")
        page, headers = paged(call, found, self._host.limits.page, self._host.api)
        opened = self._host.open_pulls()
        return json_answer([self._host.render.pull(p, call.user, opened, None) for p in page], headers=headers)

    def _listed(self, call: Call, pull: PullRequest) -> bool:
        if call.query["state"] not in ("all", pull.state):
            return False
        head = f"{self._host.head_owner(pull)}:{pull.head_ref}"
        wanted = (call.query.get("base", pull.base_ref), call.query.get("head", head))
        return wanted == (pull.base_ref, head)

    async def pull(self, call: Call) -> Answer:
        """Answers a pull request as JSON, or as a diff when that is what the request accepts."""
        host, pull = self._host, self._host.pull(call.integer("pull_number"))
        if call.wants("diff"):
            return await self._diff(pull.state_now)
        return json_answer(host.render.pull(pull, call.user, host.open_pulls(), host.counts(pull.number)))

    async def _diff(self, state: PullState) -> Answer:
        limits = self._host.limits
        text = await diff_text(self._host.repository, state.merge_base, state.head)
        excess = (
            ("number of files", len(state.files), limits.diff_files),
            ("number of lines", text.count(b"\n"), limits.diff_lines),
            ("number of bytes", len(text), limits.diff_bytes),
        )
        for what, size, limit in excess:
            if size > limit:
                error = {"resource": "PullRequest", "field": "diff", "code": "too_large"}
                raise RefusedError(406, f"Sorry, the diff exceeded the maximum {what} ({limit}).", [error])
        return Answer(200, text, "application/vnd.github.diff")

    async def files(self, call: Call) -> Answer:
        """Answers the changed files, up to the host's cap; files beyond the limits of a patch have none."""
        state = self._host.pull(call.integer("pull_number")).state_now
        limits = self._host.limits
        page, headers = paged(call, state.files[: limits.files], limits.page, self._host.api)
        return json_answer(self._files(state, page), headers=headers)

    def _files(self, state: PullState, files: list[Any]) -> list[dict[str, Any]]:
        shown = rules.shown_patches(state, self._host.limits)
        null = self._host.null_sha_paths
        return [
            self._host.render.file(
                file,
                state.head,
                shown[file.name].patch if file.name in shown else None,
                null_sha=file.name in null,
            )
            for file in files
        ]

    async def commits(self, call: Call) -> Answer:
        """Answers the commits of a pull request, oldest first, at most as many as the host lists."""
        state = self._host.pull(call.integer("pull_number")).state_now
        shas, headers = paged(call, state.commits[: self._host.limits.commits], self._host.limits.page, self._host.api)
        return json_answer(await self._commits(shas), headers=headers)

    async def _commits(self, shas: list[str]) -> list[dict[str, Any]]:
        return [self._host.render.commit(await self._host.repository.commit(sha)) for sha in shas]

    async def compare(self, call: Call) -> Answer:
        """Answers base...head from their merge base; all files are on the first page."""
        host, text = self._host, call.parameters["basehead"]
        base_ref, dots, head_ref = text.partition("...")
        base = await host.commit_of(base_ref) if dots else None
        head = await host.commit_of(head_ref) if dots else None
        if base is None or head is None:
            raise not_found()
        try:
            state = await host.pull_state(base, head)
        except GitError:
            raise RefusedError(404, f"No common ancestor between {base_ref} and {head_ref}.") from None
        if call.wants("diff"):
            return await self._diff(state)
        behind = len(await host.repository.commits_between(head, base))
        number, size = page_bounds(call, host.limits.commits, self._size(call))
        commits = state.commits[(number - 1) * size : number * size]
        files = self._files(state, list(state.files[: host.limits.compare_files])) if number == 1 else []
        url = f"{host.render.repo_web}/compare/{base}...{head}"
        repository = host.repository
        shape = {
            "url": f"{host.render.repo_api}/compare/{base}...{head}",
            "html_url": url,
            "permalink_url": url,
            "diff_url": f"{url}.diff",
            "patch_url": f"{url}.patch",
            "base_commit": host.render.commit(await repository.commit(base)),
            "merge_base_commit": host.render.commit(await repository.commit(state.merge_base)),
            "status": _status(len(state.commits), behind),
            "ahead_by": len(state.commits),
            "behind_by": behind,
            "total_commits": len(state.commits),
            "commits": await self._commits(list(commits)),
            "files": files,
        }
        return json_answer(shape, headers=link_header(call, number, size, len(state.commits), host.api))

    def _size(self, call: Call) -> int:
        """Without paging parameters the host answers up to 250 commits at once."""
        return int(call.query["per_page"]) if call.given & {"page", "per_page"} else self._host.limits.commits


def _status(ahead: int, behind: int) -> str:
    if ahead and behind:
        return "diverged"
    return "ahead" if ahead else ("behind" if behind else "identical")


def encoded(content: bytes) -> str:
    """Returns base64 in lines of 60, each with its line feed, as the host sends content."""
    text = base64.b64encode(content).decode()
    return "".join(text[start : start + 60] + "\n" for start in range(0, len(text), 60))
