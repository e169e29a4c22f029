"""What each operation does and answers."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote_to_bytes, urlencode

from emulators.github.answers import Answer, json_answer
from emulators.gitlab.host import PROJECT_ID, Host, written_out
from emulators.gitlab.model import DraftNote, MergeRequest, Note, User
from emulators.gitlab.positions import PositionError, place
from emulators.gitlab.render import Renderer


@dataclass(frozen=True)
class Call:
    """A validated request."""

    path: str
    parameters: Mapping[str, str]
    query: Mapping[str, str]
    body: Mapping[str, Any]
    user: User


Handler = Callable[[Call], Awaitable[Answer]]


class RefusedError(Exception):
    """The instance refuses the request; `message` is what stands under that name, `violation` what a client broke."""

    def __init__(self, status: int, message: Any, violation: str | None = None) -> None:
        super().__init__(str(message))
        self.status, self.message, self.violation = status, message, violation

    def answer(self) -> Answer:
        """Returns the refusal in GitLab's shape."""
        return json_answer({"message": self.message}, self.status)


def not_found(what: str = "") -> RefusedError:
    """Returns the answer for what isn't there, or may not be seen."""
    return RefusedError(404, f"404 {what} Not Found".replace("  ", " "))


class Handlers:
    """The operations over one instance; `web` answers its address."""

    def __init__(self, host: Host, web: Callable[[], str]) -> None:
        self._host = host
        self._web = web

    def all(self) -> dict[str, Handler]:
        """Returns the handlers by the id of their operation."""
        names = ("user", "merge_requests", "merge_request", "diffs", "versions", "version", "raw_file", "notes", "note")
        writing = ("create_note", "update_note", "delete_note", "draft_notes", "create_draft", "delete_draft")
        return {name: getattr(self, name) for name in (*names, *writing, "publish_drafts")}

    @property
    def _render(self) -> Renderer:
        return Renderer(self._web(), PROJECT_ID, self._host.path, self._host.limits)

    def _request(self, call: Call) -> MergeRequest:
        number = call.parameters["number"]
        found = self._host.requests.get(int(number)) if number.isdigit() else None
        if found is None:
            raise not_found()
        return found

    def _paged(self, call: Call, items: list[Any]) -> Answer:
        number, size = int(call.query.get("page", 1)), int(call.query.get("per_page", 20))
        last = max((len(items) + size - 1) // size, 1)
        headers = {"x-page": str(number), "x-per-page": str(size), "x-next-page": ""}
        if number < last:
            query = urlencode({**call.query, "page": number + 1, "per_page": size})
            headers["x-next-page"] = str(number + 1)
            headers["link"] = f'<{self._web()}{call.path}?{query}>; rel="next"'
        return json_answer(items[(number - 1) * size : number * size], headers=headers)

    async def user(self, call: Call) -> Answer:
        """The account of the token."""
        return json_answer(self._render.user(call.user))

    async def merge_requests(self, call: Call) -> Answer:
        """The merge requests of the project."""
        state, by = call.query.get("state", "all"), call.query.get("order_by", "created_at")
        found = [request for request in self._host.requests.values() if state in ("all", request.state)]
        found.sort(key=lambda request: getattr(request, by), reverse=call.query.get("sort", "desc") == "desc")
        return self._paged(call, [self._render.merge_request(request, whole=False) for request in found])

    async def merge_request(self, call: Call) -> Answer:
        """One merge request; its diff_refs are null while it is being prepared."""
        request = self._request(call)
        left = self._host.unprepared.get(request.number, 0)
        self._host.unprepared[request.number] = max(left - 1, 0)
        return json_answer(self._render.merge_request(request, whole=True, prepared=left == 0))

    async def diffs(self, call: Call) -> Answer:
        """The changed files of the newest version, with the limits of the list."""
        files = self._request(call).now.files[: self._host.limits.files]
        return self._paged(call, [self._render.diff(file, limited=True) for file in files])

    async def versions(self, call: Call) -> Answer:
        """The versions, newest first."""
        request = self._request(call)
        found = [self._render.version(request, one, whole=False) for one in reversed(request.versions)]
        return self._paged(call, found)

    async def version(self, call: Call) -> Answer:
        """One version with its files."""
        request = self._request(call)
        for version in request.versions:
            if str(version.id) == call.parameters["id"]:
                return json_answer(self._render.version(request, version, whole=True))
        raise not_found()

    async def raw_file(self, call: Call) -> Answer:
        """The content of a file at a ref."""
        commit = await self._host.repository.resolve(call.query.get("ref", ""))
        if commit is None:
            raise not_found("Commit")
        path = unquote_to_bytes(call.parameters["path"])
        entry = await self._host.repository.entry(await self._host.repository.tree_of(commit), path)
        if entry is None or entry.kind != "blob":
            raise not_found("File")
        return Answer(200, await self._host.repository.blob(entry.sha), media="text/plain")

    def _note(self, call: Call) -> Note:
        request = self._request(call)
        note = self._host.notes.get(int(call.parameters["id"])) if call.parameters["id"].isdigit() else None
        if note is None or note.number != request.number:
            raise not_found("Note")
        return note

    async def notes(self, call: Call) -> Answer:
        """The visible notes."""
        request = self._request(call)
        found = [note for note in self._host.notes.values() if note.number == request.number]
        by = call.query.get("order_by", "created_at")
        found.sort(key=lambda note: (getattr(note, by), note.id), reverse=call.query.get("sort", "desc") == "desc")
        return self._paged(call, [self._render.note(request, note) for note in found])

    async def note(self, call: Call) -> Answer:
        """One note."""
        return json_answer(self._render.note(self._request(call), self._note(call)))

    def _text(self, call: Call, name: str) -> str:
        text = str(call.body[name])
        if not text.strip():
            raise RefusedError(400, {"note": ["can't be blank"]}, "a note without text")
        if len(text) > self._host.limits.note_characters:
            raise RefusedError(400, {"note": ["is too long (maximum is 1000000 characters)"]})
        return text

    async def create_note(self, call: Call) -> Answer:
        """Says something on the page."""
        request = self._request(call)
        return json_answer(
            self._render.note(request, self._host.say(request.number, call.user, self._text(call, "body"))), 201
        )

    def _own(self, call: Call) -> Note:
        note = self._note(call)
        if note.author != call.user or note.system:
            raise RefusedError(403, "403 Forbidden")
        return note

    async def update_note(self, call: Call) -> Answer:
        """Edits a note of one's own."""
        note = self._own(call)
        self._host.edit(note, self._text(call, "body"))
        return json_answer(self._render.note(self._request(call), note))

    async def delete_note(self, call: Call) -> Answer:
        """Deletes a note of one's own."""
        del self._host.notes[self._own(call).id]
        return Answer(204)

    def _drafts(self, call: Call) -> list[DraftNote]:
        number = self._request(call).number
        return [one for one in self._host.drafts.values() if one.number == number and one.author == call.user]

    async def draft_notes(self, call: Call) -> Answer:
        """One's own drafts: nobody sees another's."""
        request = self._request(call)
        return self._paged(call, [self._render.draft(request, draft) for draft in self._drafts(call)])

    async def create_draft(self, call: Call) -> Answer:
        """Writes a draft, on a line or on the page."""
        request, position = self._request(call), call.body.get("position")
        text = self._text(call, "note")
        try:
            anchor = place(request, position) if position is not None else None
        except PositionError as error:
            raise RefusedError(400, error.message, error.violation) from None
        whole = written_out(dict(position)) if position is not None else None
        draft = DraftNote(self._host.next_id(), request.number, call.user, text, whole, anchor)
        self._host.drafts[draft.id] = draft
        return json_answer(self._render.draft(request, draft), 201)

    async def delete_draft(self, call: Call) -> Answer:
        """Drops a draft of one's own."""
        for draft in self._drafts(call):
            if str(draft.id) == call.parameters["id"]:
                del self._host.drafts[draft.id]
                return Answer(204)
        raise not_found()

    async def publish_drafts(self, call: Call) -> Answer:
        """Publishes all drafts of one's own."""
        if not self._host.publish(self._request(call).number, call.user):
            raise RefusedError(500, "500 Internal Server Error")
        return Answer(204)
