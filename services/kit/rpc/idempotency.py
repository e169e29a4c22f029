"""`Idempotency-Key`: a POST that is sent again makes nothing twice and gets the same resource for an answer.

The id of what is to be made is allotted before the work begins (`services.kit.ids.resource_id`), so that work which is
done again after a crash finds the first one's result, or makes the same thing.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from datetime import timedelta
from hashlib import sha256

from google.protobuf.descriptor import Descriptor
from google.protobuf.message import Message

from services.kit import ids
from services.kit.errors import AppError, Reason
from services.kit.postgres.idempotency import Found, IdempotencyKeys, Key, Turn
from services.kit.rpc.chain import Call, Middleware, Next
from services.kit.rpc.context import principal
from services.kit.rpc.resources import bare, id_of
from services.kit.telemetry import log

HEADER = "idempotency-key"
MAX_KEY = 255  # characters
_SPARE = timedelta(seconds=5)  # beyond the call's own deadline, before whoever began is taken for dead
_SOON = timedelta(seconds=1)
# After these something may have been made; any other refusal came before it.
_IN_DOUBT = frozenset({Reason.INTERNAL, Reason.UNAVAILABLE, Reason.DEADLINE_EXCEEDED})
_logger = log.get("idempotency")

Replay = Callable[[str], Awaitable[Message]]  # id of a resource -> the answer that making it gets; raises NOT_FOUND


def idempotency(keys: IdempotencyKeys, replays: Mapping[str, Replay], answers: Mapping[str, Descriptor]) -> Middleware:
    """Honour the key on public calls that change something.

    What is repeatable by itself is done again, and only held against the first request. `replays` says by full method
    name how to answer the others again; a method without one answers with the id alone. `answers` are the types of the
    answers. Raises AppError: IDEMPOTENCY_KEY_REUSED, or IDEMPOTENCY_KEY_BUSY while the first call is on its way.
    """

    async def middleware(call: Call, proceed: Next) -> None:
        given = call.metadata.get(HEADER, "")
        if not given or call.request is None or not call.rule.writes or call.rule.is_open:
            await proceed()
            return
        if len(given) > MAX_KEY:
            raise AppError(Reason.INVALID_REQUEST, f"An idempotency key has at most {MAX_KEY} characters.")
        key = _key(call, call.request, given)
        found = await keys.take(key, ids.new_id(), call.rule.deadline + _SPARE)
        call.log["idempotency"] = found.turn.name.lower()
        if call.rule.is_idempotent and found.turn is not Turn.MISUSED:
            call.response = None
        else:
            call.response = await _again(call, found, replays, answers)
        if call.response is None:
            await _first(call, proceed, keys, key, found)

    return middleware


def _key(call: Call, request: Message, given: str) -> Key:
    who = principal()
    caller = f"user:{who.user_id}" if who.user_id else f"credential:{who.credential_id}"
    body = request.SerializeToString(deterministic=True)
    return Key(who.organization_id, caller, call.method, sha256(given.encode()).digest(), sha256(body).digest())


async def _again(
    call: Call, found: Found, replays: Mapping[str, Replay], answers: Mapping[str, Descriptor]
) -> Message | None:
    """Answer what was answered before, None where the work is still to be done."""
    if found.turn is Turn.MISUSED:
        raise AppError(Reason.IDEMPOTENCY_KEY_REUSED, "This key was used with another request; take a new one.")
    if found.turn is Turn.BUSY:
        raise AppError(Reason.IDEMPOTENCY_KEY_BUSY, retry_after=_SOON)
    replay = replays.get(call.method)
    if found.turn is Turn.DONE:
        if replay is not None and found.answered_id:
            return await replay(found.answered_id)
        return bare(answers[call.method], found.answered_id)
    if found.turn is Turn.AGAIN and replay is not None:
        try:
            return await replay(str(found.resource_id))
        except AppError as error:
            if error.reason is not Reason.NOT_FOUND:
                raise
    return None


async def _first(call: Call, proceed: Next, keys: IdempotencyKeys, key: Key, found: Found) -> None:
    with ids.allotted(found.resource_id):
        try:
            await proceed()
        except BaseException as error:
            in_doubt = not isinstance(error, AppError) or error.reason in _IN_DOUBT
            await _quietly(keys.give_up(key, is_in_doubt=in_doubt))
            raise
    await _quietly(keys.finish(key, id_of(call.response)))


async def _quietly(step: Awaitable[None]) -> None:
    # Neither a caller that leaves nor a lost database may undo what was done: the record stays as it is, and runs out.
    try:
        await asyncio.shield(asyncio.ensure_future(step))
    except AppError as error:
        _logger.warning("an idempotency key was not settled", reason=error.reason.value)
