"""Writes the JSON shapes of answers."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from emulators.github.diff import FileDiff
from emulators.gitlab.model import DraftNote, Limits, MergeRequest, Note, User, Version

EMPTY_BLOB = "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391"


def moment(seconds: float) -> str:
    """Returns epoch seconds as GitLab's API writes time."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


class Renderer:
    """Writes shapes for one project at one address."""

    def __init__(self, web: str, project_id: int, path: str, limits: Limits) -> None:
        self.web, self.project_id, self.path, self._limits = web, project_id, path, limits

    def user(self, user: User) -> dict[str, Any]:
        """Returns an account as it appears in other shapes."""
        return {
            "id": user.id,
            "username": user.username,
            "name": user.username,
            "state": "active",
            "locked": False,
            "avatar_url": None,
            "web_url": f"{self.web}/{user.username}",
        }

    def merge_request(self, request: MergeRequest, *, whole: bool, prepared: bool = True) -> dict[str, Any]:
        """Returns a merge request; the lists leave out what only a single one tells."""
        count = len(request.now.files)
        shape: dict[str, Any] = {
            "id": request.id,
            "iid": request.number,
            "project_id": self.project_id,
            "title": request.title,
            "description": None,
            "state": request.state,
            "created_at": moment(request.created_at),
            "updated_at": moment(request.updated_at),
            "target_branch": request.target_branch,
            "source_branch": request.source_branch,
            "author": self.user(request.author),
            "source_project_id": {"same": self.project_id, "fork": self.project_id + 1}.get(request.source),
            "target_project_id": self.project_id,
            "draft": request.draft,
            "work_in_progress": request.draft,
            "detailed_merge_status": "draft_status" if request.draft else "mergeable",
            "sha": request.head_sha,
            "merge_commit_sha": None,
            "web_url": f"{self.web}/{self.path}/-/merge_requests/{request.number}",
            "labels": [],
        }
        if whole:
            now = request.now
            limit = self._limits.files
            refs = {"base_sha": now.base, "head_sha": now.head, "start_sha": now.start}
            shape["changes_count"] = f"{limit}+" if count > limit else str(count)
            shape["diff_refs"] = refs if prepared else None
        return shape

    def diff(self, file: FileDiff, *, limited: bool) -> dict[str, Any]:
        """Returns a changed file; beyond a limit its diff is empty, and a flag tells why."""
        text = self._text(file)
        size = len(text.encode())
        too_large = limited and size > self._limits.patch_bytes
        collapsed = limited and not too_large and size > self._limits.collapse_bytes
        return {
            "old_path": file.old_path.decode("utf-8", "replace"),
            "new_path": file.name,
            "a_mode": "0" if file.status == "added" else file.old_mode,
            "b_mode": "0" if file.status == "removed" else file.new_mode,
            "diff": "" if too_large or collapsed else text,
            "new_file": file.status == "added",
            "renamed_file": file.status == "renamed",
            "deleted_file": file.status == "removed",
            "generated_file": False,
            "collapsed": collapsed,
            "too_large": too_large,
        }

    @staticmethod
    def _text(file: FileDiff) -> str:
        if file.patch is not None:
            return file.patch.decode("utf-8", "replace") + "\n"
        if file.old_sha == file.new_sha or EMPTY_BLOB in (file.old_sha, file.new_sha):
            return ""
        old = "/dev/null" if file.status == "added" else f"a/{file.old_path.decode('utf-8', 'replace')}"
        new = "/dev/null" if file.status == "removed" else f"b/{file.name}"
        return f"Binary files {old} and {new} differ\n"

    def version(self, request: MergeRequest, version: Version, *, whole: bool) -> dict[str, Any]:
        """Returns a version; a single one tells its files too, without the limits of the list of files."""
        shape: dict[str, Any] = {
            "id": version.id,
            "head_commit_sha": version.head,
            "base_commit_sha": version.base,
            "start_commit_sha": version.start,
            "created_at": moment(version.created_at),
            "merge_request_id": request.id,
            "state": "collected",
            "real_size": str(len(version.files)),
            "patch_id_sha": None,
        }
        if whole:
            shape["commits"] = []
            shape["diffs"] = [self.diff(file, limited=False) for file in version.files]
        return shape

    def note(self, request: MergeRequest, note: Note) -> dict[str, Any]:
        """Returns a visible note."""
        shape: dict[str, Any] = {
            "id": note.id,
            "type": "DiffNote" if note.position else None,
            "body": note.body,
            "author": self.user(note.author),
            "created_at": moment(note.created_at),
            "updated_at": moment(note.updated_at),
            "system": note.system,
            "noteable_id": request.id,
            "noteable_type": "MergeRequest",
            "project_id": self.project_id,
            "resolvable": note.position is not None,
            "confidential": False,
            "internal": False,
            "noteable_iid": request.number,
            "imported": False,
        }
        if note.position:
            shape |= {"position": note.position, "resolved": False, "commit_id": None}
        return shape

    def draft(self, request: MergeRequest, draft: DraftNote) -> dict[str, Any]:
        """Returns a draft; one without a place has a position full of nothing, as the real one answers."""
        empty = dict.fromkeys(("base_sha", "start_sha", "head_sha", "old_path", "new_path", "old_line", "new_line"))
        return {
            "id": draft.id,
            "author_id": draft.author.id,
            "merge_request_id": request.id,
            "resolve_discussion": False,
            "discussion_id": None,
            "note": draft.body,
            "commit_id": None,
            "line_code": None,
            "position": draft.position or {**empty, "position_type": "text"},
        }
