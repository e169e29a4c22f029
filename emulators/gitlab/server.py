"""The ASGI application: checks each request by hand-written rules, and lets a handler answer it."""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import Callable
from urllib.parse import parse_qsl

from emulators.github.answers import Answer
from emulators.github.answers import RefusedError as MalformedError
from emulators.github.failures import Failures, When
from emulators.github.incoming import ConnectionCutError, Incoming, Message, Receive, Send, parsed_body
from emulators.github.record import Recorder, RequestRecord, redacted, redacted_headers
from emulators.gitlab import routes
from emulators.gitlab.handlers import Call, Handlers, RefusedError, not_found
from emulators.gitlab.host import PROJECT_ID, Host
from emulators.gitlab.model import User
from emulators.gitlab.routes import Operation

_NOTES = frozenset({"create_note", "create_draft"})


class App:
    """The emulated API as an ASGI application; `cut` closes the connection of a peer without an answer."""

    def __init__(
        self,
        host: Host,
        failures: Failures,
        recorder: Recorder,
        cut: Callable[[tuple[str, int]], None],
        web: Callable[[], str],
    ) -> None:
        self._host, self._failures, self._recorder, self._cut = host, failures, recorder, cut
        self._handlers = Handlers(host, web).all()
        self._asked: deque[float] = deque()
        self._said: deque[float] = deque()
        self._writing = asyncio.Lock()

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Serves one request."""
        try:
            incoming = await Incoming.read(scope, receive)
        except MalformedError as refusal:
            await self._send(refusal.answer(), send)
            return
        except ConnectionCutError:
            return
        found = routes.find(incoming.method, incoming.raw_path)
        record = self._record(incoming, found[0] if found else None)
        try:
            answer = await self._answer(incoming, found, record)
        except ConnectionCutError:
            await self._recorder.finish(record, None)
            if incoming.peer is not None:
                self._cut(incoming.peer)
            return
        record.status = answer.status
        try:
            await self._send(answer, send)
        finally:
            await self._recorder.finish(record, answer.status)

    def _record(self, incoming: Incoming, operation: Operation | None) -> RequestRecord:
        tokens = self._host.tokens()
        text = incoming.body.decode("utf-8", "replace")
        sent = {"path": incoming.raw_path, "query": incoming.query, "body": text}
        id_ = operation.id if operation else None
        leaks = [name for name, value in sent.items() if any(token in value for token in tokens)]
        self._recorder.violation(id_, [f"a token in the {name}" for name in leaks])
        path, query, text = (redacted(value, tokens) for value in sent.values())
        try:
            body = json.loads(text) if text else None
        except (ValueError, RecursionError):
            body = text
        headers = redacted_headers(incoming.headers, tokens)
        record = RequestRecord(incoming.method, path, query, id_, None, headers, body)
        self._recorder.requests.append(record)
        return record

    async def _answer(
        self, incoming: Incoming, found: tuple[Operation, dict[str, str]] | None, record: RequestRecord
    ) -> Answer:
        operation = found[0] if found else None
        user = self._user(incoming)
        record.user = user.username if user else None
        answer = await self._injected(operation, "before")
        if answer is None:
            answer = await self._served(incoming, found, user)
            answer = await self._injected(operation, "after") or answer
        return answer

    async def _injected(self, operation: Operation | None, when: When) -> Answer | None:
        order = self._failures.take(operation.id if operation else "", when)
        if order is None:
            return None
        if order.action == "close":
            raise ConnectionCutError
        if order.action == "stall":
            await order.hold()
        return order.answer()

    async def _served(
        self, incoming: Incoming, found: tuple[Operation, dict[str, str]] | None, user: User | None
    ) -> Answer:
        try:
            if user is None:
                raise RefusedError(401, "401 Unauthorized")
            limited = self._limited(found[0] if found else None)
            if limited is not None:
                return limited
            if found is None:
                raise RefusedError(
                    404, "404 Not Found", f"{incoming.method} {incoming.raw_path} is not an emulated operation"
                )
            return await self._handled(incoming, *found, user)
        except RefusedError as refusal:
            if refusal.violation:
                self._recorder.violation(found[0].id if found else None, [refusal.violation])
            return refusal.answer()
        except Exception as error:  # the server must go on; the defect is reported to the test
            self._recorder.defects.append(f"{incoming.method} {incoming.raw_path}: {type(error).__name__}: {error}")
            return RefusedError(500, "defect of the emulator; see its records").answer()

    async def _handled(
        self, incoming: Incoming, operation: Operation, parameters: dict[str, str], user: User
    ) -> Answer:
        project = parameters.get("project")
        if project is not None and (project != str(PROJECT_ID) or user.access == "none"):
            raise not_found("Project")
        if not operation.reads and user.access != "write":
            raise RefusedError(403, "403 Forbidden")
        pairs = parse_qsl(incoming.query, keep_blank_values=True)
        body = self._body(incoming)
        wrong = routes.wrong_query(operation, pairs) + routes.wrong_body(operation, body)
        if wrong:
            raise RefusedError(400, "400 Bad request - " + ", ".join(wrong), "; ".join(wrong))
        call = Call(incoming.raw_path, parameters, dict(pairs), body or {}, user)
        handler = self._handlers[operation.id]
        if operation.reads:
            return await handler(call)
        async with self._writing:
            return await handler(call)

    @staticmethod
    def _body(incoming: Incoming) -> dict[str, object] | None:
        media = incoming.headers.get("content-type", "").partition(";")[0].strip()
        if incoming.body and media != "application/json":
            raise RefusedError(415, "The provided content-type is not supported.", f"content type {media[:40]!r}")
        try:
            body: dict[str, object] | None = parsed_body(incoming.body)
        except MalformedError:
            raise RefusedError(400, "400 Bad request", "a body that is no JSON object") from None
        return body

    def _user(self, incoming: Incoming) -> User | None:
        token = incoming.headers.get("private-token")
        if token is None:
            scheme, _, bearer = incoming.headers.get("authorization", "").partition(" ")
            token = bearer.strip() if scheme.lower() == "bearer" else ""
        return self._host.user_of(token)

    def _limited(self, operation: Operation | None) -> Answer | None:
        limits, now = self._host.limits, self._host.clock()
        for asked in (self._asked, self._said):
            while asked and now - asked[0] >= 60:
                asked.popleft()
        if len(self._asked) >= limits.requests_per_minute:
            headers = {"retry-after": "60", "ratelimit-remaining": "0", "ratelimit-reset": str(int(now) + 60)}
            return Answer(429, b"Retry later\n", media="text/plain", headers=headers)
        self._asked.append(now)
        if operation is not None and operation.id in _NOTES:
            if len(self._said) >= limits.notes_per_minute:
                # As the real one: without any header that says how long.
                message = {"error": "This endpoint has been requested too many times. Try again later."}
                return RefusedError(429, message).answer()
            self._said.append(now)
        return None

    @staticmethod
    async def _send(answer: Answer, send: Send) -> None:
        headers = {name.lower(): value for name, value in answer.headers.items()}
        if answer.status != 204:
            headers.setdefault("content-type", answer.media)
            headers["content-length"] = str(len(answer.body))
        pairs = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()]
        await send({"type": "http.response.start", "status": answer.status, "headers": pairs})
        await send({"type": "http.response.body", "body": answer.body})
