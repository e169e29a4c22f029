"""The host's JSON for pull requests, files, commits, reviews and comments."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import quote

from emulators.github.diff import FileDiff
from emulators.github.git import Commit, iso
from emulators.github.model import Anchor, IssueComment, PullRequest, Review, ReviewComment, User
from emulators.github.repository_shapes import Json, RepositoryShapes, node_id


@dataclass(frozen=True)
class Renderer(RepositoryShapes):
    """Writes the host's JSON for one repository and what belongs to it."""

    def pull(self, pull: PullRequest, viewer: User, open_pulls: int, counts: tuple[int, int] | None) -> Json:
        """Returns a pull request; `counts` (page comments, inline comments) makes it the long form."""
        api, web = f"{self.repo_api}/pulls/{pull.number}", f"{self.repo_web}/pull/{pull.number}"
        issue = f"{self.repo_api}/issues/{pull.number}"
        urls = {
            "self": api,
            "html": web,
            "issue": issue,
            "comments": f"{issue}/comments",
            "review_comments": f"{api}/comments",
            "review_comment": f"{self.repo_api}/pulls/comments{{/number}}",
            "commits": f"{api}/commits",
            "statuses": f"{self.repo_api}/statuses/{pull.head_sha}",
        }
        repository = self.repository(viewer, open_pulls)
        shape: Json = {
            "url": api,
            "id": 900_000 + pull.number,
            "node_id": node_id("PullRequest", pull.number),
            "html_url": web,
            "diff_url": f"{web}.diff",
            "patch_url": f"{web}.patch",
            "issue_url": issue,
            **{f"{n}_url": urls[n] for n in ("comments", "review_comments", "review_comment", "commits", "statuses")},
            "number": pull.number,
            "state": pull.state,
            "locked": False,
            "active_lock_reason": None,
            "title": pull.title,
            "user": self.user(pull.author),
            "body": pull.body,
            "created_at": iso(pull.created_at),
            "updated_at": iso(pull.updated_at),
            "closed_at": None if pull.closed_at is None else iso(pull.closed_at),
            "merged_at": iso(pull.closed_at) if pull.merged and pull.closed_at is not None else None,
            "merge_commit_sha": None,
            **dict.fromkeys(("assignee", "milestone", "auto_merge")),
            **{name: [] for name in ("assignees", "requested_reviewers", "requested_teams", "labels")},
            "draft": pull.draft,
            "head": self._head(pull, repository),
            "base": self._branch(self.owner, pull.base_ref, pull.base_sha, repository),
            "_links": {name: {"href": url} for name, url in urls.items()},
            "author_association": self.association(pull.author),
        }
        return shape if counts is None else shape | self._long(pull, counts)

    def _long(self, pull: PullRequest, counts: tuple[int, int]) -> Json:
        state = pull.state_now
        return {
            "merged": pull.merged,
            "mergeable": None,
            "rebaseable": None,
            "mergeable_state": "draft" if pull.draft else "unknown",
            "merged_by": self.user(self.owner) if pull.merged else None,
            "comments": counts[0],
            "review_comments": counts[1],
            "maintainer_can_modify": False,
            "commits": len(state.commits),
            "additions": sum(file.additions for file in state.files),
            "deletions": sum(file.deletions for file in state.files),
            "changed_files": len(state.files),
        }

    def _head(self, pull: PullRequest, repository: Json) -> Json:
        if pull.head_repository == "same":
            return self._branch(self.owner, pull.head_ref, pull.head_sha, repository)
        if pull.head_repository == "deleted":
            return self._branch(pull.author, pull.head_ref, pull.head_sha, None)
        name = f"{pull.author.login}/{self.name}"
        fork = repository | {
            "id": self.repository_id + pull.author.id,
            "full_name": name,
            "fork": True,
            "owner": self.user(pull.author),
            "url": f"{self.api}/repos/{name}",
            "html_url": f"{self.web}/{name}",
            "clone_url": f"{self.web}/{name}.git",
        }
        return self._branch(pull.author, pull.head_ref, pull.head_sha, fork)

    def _branch(self, user: User, ref: str, sha: str, repository: Json | None) -> Json:
        label = f"{user.login}:{ref}"
        return {"label": label, "ref": ref, "sha": sha, "user": self.user(user), "repo": repository}

    def file(self, file: FileDiff, commit: str, patch: bytes | None, *, null_sha: bool = False) -> Json:
        """Returns a changed file; the patch starts at the first hunk header and is left out when None."""
        path = quote(file.path)
        removed = file.status == "removed"
        shape: Json = {
            "sha": None if null_sha else (file.old_sha if removed else file.new_sha),
            "filename": file.name,
            "status": file.status,
            "additions": file.additions,
            "deletions": file.deletions,
            "changes": file.additions + file.deletions,
            "blob_url": f"{self.repo_web}/blob/{commit}/{path}",
            "raw_url": f"{self.repo_web}/raw/{commit}/{path}",
            "contents_url": f"{self.repo_api}/contents/{path}?ref={commit}",
        }
        if patch is not None:
            shape["patch"] = patch.decode("utf-8", "replace")
        if file.status in ("renamed", "copied"):
            shape["previous_filename"] = file.old_path.decode("utf-8", "replace")
        return shape

    def commit(self, commit: Commit) -> Json:
        """Returns a commit; its people have no accounts here."""
        api, web = f"{self.repo_api}/commits/{commit.sha}", f"{self.repo_web}/commit/{commit.sha}"
        author, committer = (
            {"name": name, "email": email, "date": date} for name, email, date in (commit.author, commit.committer)
        )
        return {
            "url": api,
            "sha": commit.sha,
            "node_id": "C_" + commit.sha,
            "html_url": web,
            "comments_url": f"{api}/comments",
            "commit": {
                "url": f"{self.repo_api}/git/commits/{commit.sha}",
                "author": author,
                "committer": committer,
                "message": commit.message,
                "comment_count": 0,
                "tree": {"sha": commit.tree, "url": f"{self.repo_api}/git/trees/{commit.tree}"},
                "verification": {
                    "verified": False,
                    "reason": "unsigned",
                    **dict.fromkeys(("signature", "payload", "verified_at")),
                },
            },
            "author": None,
            "committer": None,
            "parents": [
                {
                    "sha": sha,
                    "url": f"{self.repo_api}/commits/{sha}",
                    "html_url": f"{self.repo_web}/commit/{sha}",
                }
                for sha in commit.parents
            ],
        }

    def review(self, review: Review) -> Json:
        """Returns a review; a pending one has no `submitted_at`."""
        html = f"{self.repo_web}/pull/{review.number}#pullrequestreview-{review.id}"
        pull = f"{self.repo_api}/pulls/{review.number}"
        shape: Json = {
            "id": review.id,
            "node_id": node_id("PullRequestReview", review.id),
            "user": self.user(review.user),
            "body": review.body,
            "state": review.state,
            "html_url": html,
            "pull_request_url": pull,
            "author_association": self.association(review.user),
            "_links": {"html": {"href": html}, "pull_request": {"href": pull}},
            "commit_id": review.commit_id,
        }
        if review.submitted_at is not None:
            shape["submitted_at"] = iso(review.submitted_at)
        return shape

    def comment(self, comment: ReviewComment, commit_id: str, now: Anchor | None) -> Json:
        """Returns an inline comment; `now` is its place at `commit_id`, None once it is outdated."""
        html = f"{self.repo_web}/pull/{comment.number}#discussion_r{comment.id}"
        api = f"{self.repo_api}/pulls/comments/{comment.id}"
        pull = f"{self.repo_api}/pulls/{comment.number}"
        first = comment.anchor
        shape: Json = {
            "url": api,
            "pull_request_review_id": comment.review_id,
            "id": comment.id,
            "node_id": node_id("PullRequestReviewComment", comment.id),
            "diff_hunk": first.hunk_text if first else "",
            "path": comment.path,
            "commit_id": commit_id,
            "original_commit_id": comment.commit_id,
            "user": self.user(comment.user),
            "body": comment.body,
            "created_at": iso(comment.created_at),
            "updated_at": iso(comment.updated_at),
            "html_url": html,
            "pull_request_url": pull,
            "author_association": self.association(comment.user),
            "_links": {"self": {"href": api}, "html": {"href": html}, "pull_request": {"href": pull}},
            "subject_type": "line" if first else "file",
            "position": now.position if now else (None if first else 1),
            "original_position": first.position if first else 1,
        }
        if first:
            shape |= {
                "line": now.line if now else None,
                "start_line": now.start_line if now else None,
                "original_line": first.line,
                "original_start_line": first.start_line,
                "start_side": first.start_side,
                "side": first.side,
            }
        if comment.in_reply_to is not None:
            shape["in_reply_to_id"] = comment.in_reply_to
        return shape

    def issue_comment(self, comment: IssueComment) -> Json:
        """Returns a comment on the page of the pull request."""
        return {
            "id": comment.id,
            "node_id": node_id("IssueComment", comment.id),
            "url": f"{self.repo_api}/issues/comments/{comment.id}",
            "html_url": f"{self.repo_web}/pull/{comment.number}#issuecomment-{comment.id}",
            "issue_url": f"{self.repo_api}/issues/{comment.number}",
            "user": self.user(comment.user),
            "body": comment.body,
            "created_at": iso(comment.created_at),
            "updated_at": iso(comment.updated_at),
            "author_association": self.association(comment.user),
            "performed_via_github_app": None,
        }
