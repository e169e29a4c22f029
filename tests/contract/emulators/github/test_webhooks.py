"""Deliveries as GitHub sends them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from emulators.github import Delivery, EmulatorDefectError, deliver, make_delivery, sign_webhook
from emulators.github.listener import Listener
from emulators.github.webhooks import ACTIONS, pull_request_payload
from tests.contract.emulators.github.support import Bench

SECRET = "It's a Secret to Everybody"


class Receiver:
    """Keeps what is posted to it."""

    def __init__(self) -> None:
        self.got: list[tuple[dict[str, str], bytes]] = []

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        body, more = b"", True
        while more:
            message = await receive()
            body, more = body + message["body"], message.get("more_body", False)
        self.got.append(({name.decode(): value.decode() for name, value in scope["headers"]}, body))
        await send({"type": "http.response.start", "status": 202, "headers": [(b"content-length", b"2")]})
        await send({"type": "http.response.body", "body": b"ok"})


@pytest.fixture
async def receiver() -> AsyncIterator[tuple[str, Receiver]]:
    listener, app = Listener(), Receiver()
    url = await listener.start(app, "127.0.0.1", 0)
    yield url + "/hooks", app
    await listener.stop()


def test_signature_of_a_known_vector() -> None:
    expected = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"
    assert sign_webhook(SECRET, b"Hello, World!") == expected


@pytest.mark.parametrize("action", ACTIONS)
async def test_payloads_have_github_s_shape(bench: Bench, action: str) -> None:
    payload = bench.emulator.webhook_payload(action, 1)
    assert (payload["action"], payload["number"], payload["repository"]["full_name"]) == (action, 1, "acme/shop")
    assert payload["pull_request"]["head"]["sha"] == bench.history.head
    assert payload["sender"]["login"] == "octo-author"
    if action != "edited":
        with pytest.raises(EmulatorDefectError, match=action):
            bad = {**payload["pull_request"], "number": "one"}
            pull_request_payload(action, bad, payload["repository"], payload["sender"], {"before": "", "after": ""})


async def test_synchronize_names_both_heads(bench: Bench) -> None:
    await bench.emulator.set_head(1, bench.history.later)
    payload = bench.emulator.webhook_payload("synchronize", 1, installation={"id": 9, "node_id": "x"})
    assert (payload["before"], payload["after"]) == (bench.history.head, bench.history.later)
    assert payload["installation"]["id"] == 9


async def test_closing_a_merged_one_from_a_deleted_fork(bench: Bench) -> None:
    pull = await bench.emulator.open_pull(bench.history.head, "main", head_repository="deleted")
    bench.emulator.close(pull.number, merged=True)
    payload = bench.emulator.webhook_payload("closed", pull.number, sender=bench.emulator.bot)
    assert (payload["pull_request"]["merged"], payload["pull_request"]["head"]["repo"]) == (True, None)
    assert payload["sender"]["login"] == "lintel-bot"


async def test_edited_says_what_changed(bench: Bench) -> None:
    changes = {"base": {"ref": {"from": "main"}, "sha": {"from": bench.history.main}}}
    assert bench.emulator.webhook_payload("edited", 1, changes=changes)["changes"] == changes
    with pytest.raises(ValueError, match="action is one of"):
        bench.emulator.webhook_payload("labeled", 1)


async def test_a_delivery_arrives_signed(bench: Bench, receiver: tuple[str, Receiver]) -> None:
    url, app = receiver
    delivery = bench.emulator.webhook("opened", 1, secret=SECRET, delivery_id="guid-1")
    answer = await deliver(url, delivery)
    again = await deliver(url, delivery)
    assert (answer.status, answer.body, again.status) == (202, b"ok", 202)
    headers, body = app.got[0]
    assert app.got[1][0]["x-github-delivery"] == headers["x-github-delivery"] == "guid-1"
    assert headers["x-hub-signature-256"] == sign_webhook(SECRET, body)
    assert headers["user-agent"].startswith("GitHub-Hookshot/")
    assert headers["x-github-event"] == "pull_request"
    assert headers["content-type"] == "application/json"
    assert {"x-github-hook-id", "x-github-hook-installation-target-id"} <= set(headers)
    assert headers["x-github-hook-installation-target-type"] == "repository"
    assert json.loads(body)["action"] == "opened"


async def test_deliveries_can_be_made_wrong(receiver: tuple[str, Receiver]) -> None:
    url, app = receiver
    good = make_delivery("pull_request", b'{"a": 1}', secret="s")

    async def sent(delivery: Delivery) -> tuple[dict[str, str], bytes]:
        await deliver(url, delivery)
        return app.got[-1]

    assert (await sent(good.with_body(b"\xff{")))[1] == b"\xff{"
    assert app.got[-1][0]["x-hub-signature-256"] == good.headers["X-Hub-Signature-256"]
    assert "x-hub-signature-256" not in (await sent(good.with_signature(None)))[0]
    assert (await sent(good.with_signature("sha256=")))[0]["x-hub-signature-256"] == "sha256="
    assert (await sent(good.with_headers(X_GitHub_Event="push")))[0]["x-github-event"] == "push"
    assert (await sent(good.with_headers(Content_Type=None)))[0].get("content-type") is None
    unsigned = make_delivery("ping", b"{}", secret=None)
    assert (unsigned.event, "X-Hub-Signature-256" in unsigned.headers) == ("ping", False)
    assert len({good.id, unsigned.id, make_delivery("ping", b"", secret="s").id}) == 3


async def test_deliveries_can_run_at_once(bench: Bench, receiver: tuple[str, Receiver]) -> None:
    url, app = receiver
    delivery = bench.emulator.webhook("opened", 1, secret=SECRET)
    await asyncio.gather(deliver(url, delivery), deliver(url, delivery))
    assert len(app.got) == 2
