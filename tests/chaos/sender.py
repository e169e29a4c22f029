"""The code host's side of webhooks: it sends, remembers what was answered, and sends again what an operator would."""

import asyncio
import json
from collections.abc import Mapping
from typing import Any

import httpx2

from tests.chaos.reader import Sent


class Sender:
    """Posts deliveries to the webhook port; `sent` is what the reader is told, `open` how many are unanswered."""

    def __init__(self, url: str, seconds: float = 10.0) -> None:
        self.sent: dict[str, Sent] = {}
        self.requests = 0
        self.redeliveries = 0
        self.open = 0
        self._url = url
        self._client = httpx2.AsyncClient(trust_env=False, timeout=seconds)

    async def close(self) -> None:
        await self._client.aclose()

    async def send(
        self, headers: Mapping[str, str], body: bytes, number: int, head: str, hostile: str = ""
    ) -> tuple[int, str]:
        """Post once; answers status and outcome, (0, "") if there was no answer."""
        record = self.sent.setdefault(headers["X-GitHub-Delivery"], Sent(number, head, hostile))
        self.requests += 1
        self.open += 1
        try:
            answer = await self._client.post(self._url, content=body, headers=dict(headers))
            result = answer.status_code, _outcome(answer)
        except (httpx2.HTTPError, OSError):
            result = 0, ""
        finally:
            self.open -= 1
        record.answers.append(result)
        return result

    async def send_until_stored(self, headers: Mapping[str, str], body: bytes, number: int, head: str) -> None:
        """Post until it is answered 2xx, as an operator does who sees failed deliveries and sends them again."""
        while not 200 <= (await self.send(headers, body, number, head))[0] < 300:
            await asyncio.sleep(0.2)


def _outcome(answer: Any) -> str:
    try:
        return str(json.loads(answer.content).get("outcome", ""))
    except (ValueError, AttributeError):
        return ""
