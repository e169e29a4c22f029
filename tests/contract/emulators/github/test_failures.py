"""Failures on demand, before and after the operation took effect."""

from __future__ import annotations

import asyncio

import httpx2
import pytest

from emulators.github import Failure
from tests.contract.emulators.github.support import Bench

CREATE = "pulls/create-review"


@pytest.mark.parametrize("status", [401, 403, 404, 422, 429, 500, 502, 503])
async def test_before_nothing_happens_and_after_it_has(bench: Bench, status: int) -> None:
    bench.emulator.fail(CREATE, status=status)
    assert (await bench.review(event="COMMENT", body="x")).status_code == status
    assert bench.emulator.reviews(1) == []
    bench.emulator.fail(CREATE, status=status, when="after")
    assert (await bench.review(event="COMMENT", body="x")).status_code == status
    assert len(bench.emulator.reviews(1)) == 1
    assert [record.status for record in bench.emulator.calls(CREATE)] == [status, status]
    assert (await bench.review(event="COMMENT", body="x")).status_code == 200


async def test_headers_and_bodies_can_be_given(bench: Bench) -> None:
    headers = {"Retry-After": "rubbish", "X-RateLimit-Remaining": "0"}
    bench.emulator.fail("users/get-authenticated", status=429, headers=headers)
    answer = await bench.client.get("/user")
    assert (answer.headers["retry-after"], answer.headers["x-ratelimit-remaining"]) == ("rubbish", "0")
    assert len(answer.headers.get_list("x-ratelimit-remaining")) == 1
    bench.emulator.fail("users/get-authenticated", status=200, body="<html>", headers={"Content-Type": "text/html"})
    answer = await bench.client.get("/user")
    assert (answer.text, answer.headers["content-type"]) == ("<html>", "text/html")
    bench.emulator.fail("users/get-authenticated", status=403, body={"message": "mine"})
    assert (await bench.client.get("/user")).json() == {"message": "mine"}
    assert "retry-after" not in (await bench.client.get("/user")).headers


async def test_orders_count_and_skip(bench: Bench) -> None:
    order = bench.emulator.fail("*", status=500, times=2, skip=1)
    assert [(await bench.client.get("/user")).status_code for _ in range(4)] == [200, 500, 500, 200]
    assert order.hits == 2
    bench.emulator.fail("*", status=500, times=9)
    bench.emulator.heal()
    assert (await bench.client.get("/user")).status_code == 200


@pytest.mark.parametrize(("when", "posted"), [("before", 0), ("after", 1)])
async def test_a_cut_connection_gives_no_answer(bench: Bench, when: str, posted: int) -> None:
    bench.emulator.fail(CREATE, action="close", when="after" if when == "after" else "before")
    with pytest.raises(httpx2.TransportError):
        await bench.review(event="COMMENT", body="x")
    assert len(bench.emulator.reviews(1)) == posted
    [record] = await bench.emulator.wait_for(CREATE)
    assert record.status is None
    assert (await bench.client.get("/user")).status_code == 200


async def reached(order: Failure) -> None:
    async with asyncio.timeout(10):
        await order.reached.wait()


@pytest.mark.parametrize(("when", "posted"), [("before", 0), ("after", 1)])
async def test_a_stall_holds_until_released(bench: Bench, when: str, posted: int) -> None:
    order = bench.emulator.fail(CREATE, action="stall", when="after" if when == "after" else "before")
    asking = asyncio.create_task(bench.review(event="COMMENT", body="x"))
    await reached(order)
    assert len(bench.emulator.reviews(1)) == posted
    assert not asking.done()
    assert (await bench.client.get("/user")).status_code == 200
    order.release()
    assert (await asking).status_code == 200
    assert len(bench.emulator.reviews(1)) == 1


async def test_a_stall_can_end_in_an_answer(bench: Bench) -> None:
    order = bench.emulator.fail(CREATE, action="stall", status=504, when="after")
    asking = asyncio.create_task(bench.review(event="COMMENT", body="x"))
    await reached(order)
    order.release()
    assert ((await asking).status_code, len(bench.emulator.reviews(1))) == (504, 1)


async def test_a_client_that_gives_up_does_not_stop_the_effect(bench: Bench) -> None:
    order = bench.emulator.fail(CREATE, action="stall")
    asking = asyncio.create_task(bench.review(event="COMMENT", body="x"))
    await reached(order)
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    order.release()
    await bench.emulator.wait_for(CREATE)
    assert len(bench.emulator.reviews(1)) == 1


async def test_stopping_releases_what_is_stalled(bench: Bench) -> None:
    order = bench.emulator.fail("users/get-authenticated", action="stall")
    asking = asyncio.create_task(bench.client.get("/user"))
    await reached(order)
    await bench.emulator.stop()
    assert (await asking).status_code == 200


async def test_orders_that_make_no_sense_are_refused(bench: Bench) -> None:
    for operation, order in (
        ("pulls/nothing", {"status": 500}),
        (CREATE, {}),
        (CREATE, {"action": "close", "status": 500}),
        (CREATE, {"status": 500, "when": "later"}),
        (CREATE, {"action": "explode"}),
    ):
        with pytest.raises(ValueError, match=r"."):
            bench.emulator.fail(operation, **order)


async def test_waiting_gives_up_in_time(bench: Bench) -> None:
    with pytest.raises(TimeoutError):
        await bench.emulator.wait_for(CREATE, timeout=0.01)
