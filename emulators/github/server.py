"""The ASGI application: checks each request, lets a handler answer it, and checks that answer."""

from __future__ import annotations

import asyncio
import hashlib
import json
import uuid
from collections.abc import Callable
from urllib.parse import parse_qsl

from emulators.github.answers import Answer, Call, RefusedError, not_found
from emulators.github.description import Operation, load_openapi
from emulators.github.failures import Failures, When
from emulators.github.host import Host
from emulators.github.incoming import ConnectionCutError, Incoming, Message, Receive, Send, parsed_body
from emulators.github.meter import Meter
from emulators.github.model import User
from emulators.github.record import Recorder, RequestRecord, redacted, redacted_headers
from emulators.github.routes import Handler, handlers

API_VERSION = "2022-11-28"
_ACCEPTED = (
    "*/*",
    "application/*",
    "application/json",
    "application/vnd.github+json",
    "application/vnd.github.v3+json",
)
_ACCEPTED_KINDS = ("diff", "raw", "object", "json", "raw+json", "object+json", "text+json", "full+json")


class App:
    """The emulated API as an ASGI application; `cut` closes the connection of a peer without an answer."""

    def __init__(
        self, host: Host, meter: Meter, failures: Failures, recorder: Recorder, cut: Callable[[tuple[str, int]], None]
    ) -> None:
        self._host, self._meter, self._failures, self._recorder, self._cut = host, meter, failures, recorder, cut
        self._description = load_openapi()
        self._handlers = handlers(host, meter)
        self._writing = asyncio.Lock()
        missing = {operation.id for operation in self._description.operations} ^ set(self._handlers)
        if missing:
            raise RuntimeError(f"operations and handlers differ: {sorted(missing)}")

    @property
    def operations(self) -> tuple[Operation, ...]:
        """The operations that are served."""
        return self._description.operations

    def replace_handler(self, operation: str, handler: Handler) -> None:
        """Serves an operation by another handler; its answers are checked like all others."""
        if operation not in self._handlers:
            raise ValueError(f"unknown operation {operation!r}")
        self._handlers[operation] = handler

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Serves one request."""
        try:
            incoming = await Incoming.read(scope, receive)
        except RefusedError as refusal:
            await self._send(refusal.answer(), send)
            return
        except ConnectionCutError:
            return
        matched = self._description.match(incoming.method, incoming.path)
        record = self._record(incoming, matched[0] if matched else None)
        try:
            answer = await self._answer(incoming, matched, record)
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
        sent = {"path": incoming.path, "query": incoming.query, "body": text}
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
        self, incoming: Incoming, matched: tuple[Operation, dict[str, str]] | None, record: RequestRecord
    ) -> Answer:
        operation = matched[0] if matched else None
        user = self._user(incoming)
        record.user = user.login if user else None
        injected = await self._injected(operation, "before")
        if injected is None:
            answer = await self._checked(incoming, matched, user)
            injected = await self._injected(operation, "after")
        extra = self._headers(user)
        if injected is not None:
            answer = injected
        answer.headers = extra | {name.lower(): value for name, value in answer.headers.items()}
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

    def _headers(self, user: User | None) -> dict[str, str]:
        headers = {
            "x-github-request-id": uuid.uuid4().hex[:20].upper(),
            "x-github-api-version-selected": API_VERSION,
            "x-github-media-type": "github.v3; format=json",
        }
        return headers | (self._meter.headers(user) if user else {})

    async def _checked(
        self, incoming: Incoming, matched: tuple[Operation, dict[str, str]] | None, user: User | None
    ) -> Answer:
        """Returns the host's answer; one that its description doesn't allow is a defect and becomes a 500."""
        operation = matched[0] if matched else None
        try:
            answer = await self._served(incoming, matched, user)
        except RefusedError as refusal:
            answer = refusal.answer()
        except Exception as error:  # the server must go on; the defect is reported to the test
            self._recorder.defects.append(f"{incoming.method} {incoming.path}: {type(error).__name__}: {error}")
            return RefusedError(500, "defect of the emulator; see its records").answer()
        wrong = self._description.check_response(operation, answer.status, answer.media, answer.body)
        if wrong:
            self._recorder.defects += [f"{incoming.method} {incoming.path} {answer.status}: {w}" for w in wrong]
            return RefusedError(500, "the emulator's answer is not what the description allows: " + wrong[0]).answer()
        return self._conditional(incoming, answer, user)

    def _conditional(self, incoming: Incoming, answer: Answer, user: User | None) -> Answer:
        """Adds an ETag to a read and answers 304, which costs nothing, when the client has it already."""
        if incoming.method != "GET" or answer.status != 200 or user is None:
            return answer
        etag = f'W/"{hashlib.sha256(answer.media.encode() + answer.body).hexdigest()}"'
        answer.headers["etag"] = etag
        if incoming.headers.get("if-none-match") != etag:
            return answer
        self._meter.forgive(user)
        return Answer(304, headers=answer.headers)

    async def _served(
        self, incoming: Incoming, matched: tuple[Operation, dict[str, str]] | None, user: User | None
    ) -> Answer:
        self._check_headers(incoming, user)
        if user is None:
            raise RefusedError(401, "Bad credentials")
        if matched is None:
            self._recorder.violation(None, [f"{incoming.method} {incoming.path} is not an emulated operation"])
            raise not_found()
        operation, parameters = matched
        with self._meter.request(user, operation):
            self._check_access(operation, parameters, user)
            call = self._call(incoming, operation, parameters, user)
            if operation.reads:
                return await self._handlers[operation.id](call)
            async with self._writing:
                return await self._handlers[operation.id](call)

    def _check_headers(self, incoming: Incoming, user: User | None) -> None:
        if not incoming.headers.get("user-agent", "").strip():
            self._recorder.violation(None, ["a request without User-Agent"])
            raise RefusedError(403, "Request forbidden by administrative rules: it has no User-Agent header.")
        if "authorization" not in incoming.headers:
            raise RefusedError(401, "Requires authentication")
        if user is None:
            raise RefusedError(401, "Bad credentials")
        version = incoming.headers.get("x-github-api-version", API_VERSION)
        if version != API_VERSION:
            self._recorder.violation(None, [f"unsupported X-GitHub-Api-Version {version[:40]!r}"])
            raise RefusedError(400, f"API version {version[:40]!r} is not supported; use {API_VERSION}.")
        kinds = {f"application/vnd.github{v}.{kind}" for kind in _ACCEPTED_KINDS for v in ("", ".v3")}
        if not any(media in _ACCEPTED or media in kinds for media in incoming.accept()):
            self._recorder.violation(None, [f"unsupported Accept {incoming.headers['accept'][:80]!r}"])
            raise RefusedError(415, "Unsupported 'Accept' header. Must accept 'application/json'.")

    def _user(self, incoming: Incoming) -> User | None:
        scheme, _, token = incoming.headers.get("authorization", "").partition(" ")
        return self._host.user_of(token.strip()) if scheme.lower() in ("bearer", "token") else None

    def _check_access(self, operation: Operation, parameters: dict[str, str], user: User) -> None:
        if "owner" not in parameters:
            return
        host = self._host
        named = (parameters["owner"].lower(), parameters["repo"].lower())
        if user.access == "none" or named != (host.owner.login.lower(), host.name.lower()):
            raise not_found()
        if operation.reads:
            return
        if host.archived:
            raise RefusedError(403, "Repository was archived so is read-only.")
        if user.access != "write":
            raise RefusedError(403, "Resource not accessible by personal access token")

    def _call(self, incoming: Incoming, operation: Operation, parameters: dict[str, str], user: User) -> Call:
        pairs = parse_qsl(incoming.query, keep_blank_values=True, errors="replace")
        query, wrong = self._description.check_query(operation, pairs)
        body = parsed_body(incoming.body)
        wrong += self._description.check_body(operation, body)
        if wrong:
            self._recorder.violation(operation.id, wrong)
            raise RefusedError(422, "Invalid request.\n\n" + "\n".join(wrong))
        given = frozenset(name for name, _ in pairs)
        return Call(
            operation=operation.id,
            path=incoming.raw_path,
            parameters=parameters,
            query=query,
            body=body,
            given=given,
            accept=incoming.accept(),
            user=user,
        )

    @staticmethod
    async def _send(answer: Answer, send: Send) -> None:
        headers = {name.lower(): value for name, value in answer.headers.items()}
        if answer.status not in (204, 304):
            headers.setdefault("content-type", f"{answer.media}; charset=utf-8")
            headers["content-length"] = str(len(answer.body))
        pairs = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()]
        await send({"type": "http.response.start", "status": answer.status, "headers": pairs})
        await send({"type": "http.response.body", "body": answer.body})
