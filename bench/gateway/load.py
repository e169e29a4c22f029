"""One cell of the measurement: calls of one kind at one concurrency for a while, in this process alone.

`python -m bench.gateway.load KIND CONCURRENCY SECONDS ADDRESS [ORGANIZATION]` prints one line of JSON. `sdk` calls a
provider with the bare OpenAI SDK; `gateway` calls LlmService.Complete; `http` posts to a proxy with aiohttp, the
cheapest client there is, so that a proxy is not charged for the SDK; `streams` holds CONCURRENCY streams open.
"""

import asyncio
import json
import statistics
import sys
import time
from collections.abc import Awaitable, Callable
from itertools import count
from typing import Any

import uvloop

INSTRUCTIONS = "Review the change. Answer with JSON, as the schema says. " * 8
INPUT = "\n".join(f"+    total_{i} = compute(values[{i}], rate={i}) if enabled else None" for i in range(25))
MESSAGES = [{"role": "system", "content": INSTRUCTIONS}, {"role": "user", "content": INPUT}]
SCHEMA = {
    "type": "object",
    "properties": {"findings": {"type": "array", "items": {"type": "object", "properties": {}}}},
    "required": ["findings"],
    "additionalProperties": False,
}
KEY = "sk-bench-0123456789"
Call = Callable[[], Awaitable[Any]]


async def _sdk(address: str) -> Call:
    import openai

    client = openai.AsyncOpenAI(base_url=address, api_key=KEY, max_retries=0)
    form = {"type": "json_schema", "json_schema": {"name": "answer", "strict": True, "schema": SCHEMA}}

    async def call() -> None:
        made: Any = client.chat.completions.create
        answer = await made(model="bench-model", messages=MESSAGES, max_tokens=500, response_format=form)
        assert answer.choices[0].message.content

    return call


async def _gateway(address: str, organization: str) -> Call:
    from lintel.llm.v1 import llm_service_pb2 as pb
    from lintel.llm.v1.llm_service_pb2_grpc import LlmServiceStub

    from services.kit.rpc.channel import open_channel

    stub = LlmServiceStub(open_channel(address, "review_worker"))
    numbers, run = count(), time.time_ns()
    schema = json.dumps(SCHEMA)

    async def call() -> None:
        request = pb.CompleteRequest(
            organization_id=organization,
            request_id=f"bench-{run}-{next(numbers)}",
            purpose="review",
            instructions=INSTRUCTIONS,
            input=INPUT,
            json_schema=schema,
            max_output_tokens=500,
            repository="acme/bench",
            pull_request_number=1,
        )
        answer = await stub.Complete(request, timeout=60)
        assert answer.text

    return call


async def _http(address: str) -> Call:
    import aiohttp

    session = aiohttp.ClientSession(headers={"authorization": f"Bearer {KEY}"})
    form = {"type": "json_schema", "json_schema": {"name": "answer", "strict": True, "schema": SCHEMA}}
    body = {"model": "bench-model", "messages": MESSAGES, "max_tokens": 500, "response_format": form}

    async def call() -> None:
        async with session.post(f"{address}/chat/completions", json=body) as answer:
            assert answer.status == 200, await answer.text()
            await answer.read()

    return call


async def measure(call: Call, concurrency: int, seconds: float) -> dict[str, float]:
    """Call for a while after a warm-up; answers calls a second and milliseconds."""
    took: list[float] = []
    failures = 0

    async def work(until: float, keep: bool) -> None:
        nonlocal failures
        while (began := time.perf_counter()) < until:
            try:
                await call()
            except AssertionError:
                raise
            except Exception:
                failures += keep
                continue
            if keep:
                took.append((time.perf_counter() - began) * 1000)

    for length, keep in ((min(1.0, seconds / 3), False), (seconds, True)):
        until = time.perf_counter() + length
        await asyncio.gather(*(work(until, keep) for _ in range(concurrency)))
    cuts = statistics.quantiles(took, n=100) if len(took) > 1 else [0.0] * 99
    return {"rps": len(took) / seconds, "p50": cuts[49], "p99": cuts[98], "failures": failures}


async def hold(address: str, organization: str, number: int, seconds: float) -> dict[str, float]:
    """Open streams, wait until each has had its first piece, and hold them."""
    from lintel.llm.v1 import llm_service_pb2 as pb
    from lintel.llm.v1.llm_service_pb2_grpc import LlmServiceStub

    from services.kit.rpc.channel import open_channel

    run = time.time_ns()
    stubs = [LlmServiceStub(open_channel(address, "review_worker")) for _ in range(4)]
    first = asyncio.Semaphore(0)
    failures = 0

    async def one(index: int) -> None:
        nonlocal failures
        completion = pb.CompleteRequest(
            organization_id=organization,
            request_id=f"stream-{run}-{index}",
            purpose="conversation",
            instructions=INSTRUCTIONS,
            input=INPUT,
            max_output_tokens=500,
        )
        call = stubs[index % 4].StreamComplete(pb.StreamCompleteRequest(completion=completion), timeout=600)
        try:
            await call.read()
            first.release()
            while True:
                await call.read()
        except asyncio.CancelledError:
            call.cancel()
            raise
        except Exception:
            failures += 1
            first.release()

    tasks = []
    for index in range(number):
        tasks.append(asyncio.create_task(one(index)))
        if index % 50 == 49:
            await asyncio.sleep(0.2)
    for _ in range(number):
        await asyncio.wait_for(first.acquire(), 120)
    print(json.dumps({"open": number - failures}), flush=True)
    await asyncio.sleep(seconds)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    return {"failures": failures}


async def main(arguments: list[str]) -> None:
    kind, concurrency, seconds, address, *rest = arguments
    if kind == "streams":
        result = await hold(address, rest[0], int(concurrency), float(seconds))
    else:
        makers: dict[str, Callable[..., Awaitable[Call]]] = {"sdk": _sdk, "gateway": _gateway, "http": _http}
        made = makers[kind]
        result = await measure(await made(address, *rest), int(concurrency), float(seconds))
    print(json.dumps(result), flush=True)


if __name__ == "__main__":
    uvloop.run(main(sys.argv[1:]))
