"""Server streams as server-sent events."""

import asyncio

import httpx2
import pytest
from lintel.review.v1 import code_review_service_pb2 as reviews
from lintel.review.v1 import review_pb2

from gateway.transcode import sse
from services.kit.errors import AppError, Reason
from tests.contract.rest.test_bad_input import check_problem
from tests.integration.edge.upstream import ID, Upstream

EVENTS = f"/codeReview/{ID}/events"


def change(state: "review_pb2.ReviewState.ValueType") -> reviews.WatchReviewResponse:
    return reviews.WatchReviewResponse(review=review_pb2.Review(id=ID, state=state))


async def test_events_have_ids_and_an_end(rest: httpx2.AsyncClient, upstream: Upstream) -> None:
    for event in (change(review_pb2.REVIEW_STATE_QUEUED), change(review_pb2.REVIEW_STATE_COMPLETED), None):
        upstream.script.events.put_nowait(event)
    answer = await rest.get(EVENTS)
    assert answer.headers["content-type"].startswith("text/event-stream")
    first, second, end, rest_of_it = answer.text.split("\n\n")
    assert first.startswith('id: 1\ndata: {"review":{')
    assert '"state":"completed"' in second
    assert (end, rest_of_it) == ("event: end\ndata: {}", "")


async def test_a_refusal_is_a_plain_problem(rest: httpx2.AsyncClient, upstream: Upstream) -> None:
    upstream.script.error = AppError(Reason.NOT_FOUND)
    answer = await rest.get(EVENTS, headers={"accept": "text/event-stream"})
    check_problem(answer, 404, "NOT_FOUND")


async def test_a_failure_on_the_way_is_the_last_event(rest: httpx2.AsyncClient, upstream: Upstream) -> None:
    upstream.script.events.put_nowait(change(review_pb2.REVIEW_STATE_QUEUED))
    upstream.script.events.put_nowait(ValueError("secret"))
    answer = await rest.get(EVENTS)
    last = answer.text.strip().split("\n\n")[-1]
    assert last.startswith('event: error\ndata: {"type":"/docs#internal"')
    assert "secret" not in last


async def test_the_call_is_cancelled_when_the_client_leaves(rest: httpx2.AsyncClient, upstream: Upstream) -> None:
    upstream.script.events.put_nowait(change(review_pb2.REVIEW_STATE_QUEUED))
    async with rest.stream("GET", EVENTS) as answer:
        assert (await anext(answer.aiter_lines())) == "id: 1"
        assert not upstream.script.watch_ended.is_set()
    await asyncio.wait_for(upstream.script.watch_ended.wait(), 10)


async def test_silence_is_filled(rest: httpx2.AsyncClient, upstream: Upstream, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sse, "HEARTBEAT_SECONDS", 0.05)
    async with rest.stream("GET", EVENTS) as answer:
        assert (await anext(answer.aiter_lines())) == ": still here"
