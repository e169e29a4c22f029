"""A model in the whole system: from a signed webhook to what is posted, and to the receipt."""

from pathlib import Path
from typing import Any

import pytest

from emulators.github import GitHubEmulator, deliver
from emulators.openai import OpenAIEmulator, error, needle_reviewer
from tests.support.postgres import Database
from tests.support.system import SECRET, TOKEN, Repository, running_system

KEY = "emulated-key-Zx81Qq"
PASTED = "ghp_" + "Zy9X8w7V6u5T" * 3
CHANGE = f'def pay(order):\n    token = "{PASTED}"\n    return order.total  # NEEDLE\n'


async def review(
    database: Database, tmp_path: Path, model: OpenAIEmulator
) -> tuple[str, list[tuple[str, int]], dict[str, Any]]:
    repository = Repository(tmp_path)
    base = repository.commit({"app.py": "x = 1\n"})
    head = repository.commit({"pay.py": CHANGE})
    environ = {
        "API_OPENAI_FORCE_BASE_URL": model.url,
        "API_OPEN_AI_API_KEY": KEY,
        "API_LLM_PROVIDER_MODEL": "test-model",
    }
    async with GitHubEmulator(repository.path, "acme", "shop", TOKEN) as host:
        pull = await host.open_pull(head=head, base=base, title="canary-title", body="canary-body")
        async with running_system(database, host, environ) as system:
            await deliver(system.github_webhook, host.webhook("opened", pull.number, secret=SECRET))
            await system.settled()
            listed = (await system.api.get("/codeReview")).json()["reviews"]
            receipt = (await system.api.get(f"/codeReview/{listed[0]['id']}/receipt")).json()
        (posted,) = host.reviews(pull.number)
        comments = host.review_comments(pull.number)
        said = posted.body + "".join(c.body for c in comments)
        assert KEY not in said and PASTED not in said
        host.check()
    model.check()
    places = [(c.path, c.anchor.line) for c in comments if c.anchor and c.anchor.line and "NEEDLE" in c.body]
    return posted.body, places, receipt.get("receipt", receipt)


async def test_what_the_model_finds_stands_at_its_line_and_the_receipt_names_the_model(
    database: Database, tmp_path: Path
) -> None:
    async with OpenAIEmulator(needle_reviewer("NEEDLE"), key=KEY) as model:
        body, places, receipt = await review(database, tmp_path, model)
        assert places == [("pay.py", 3)]
        assert "test-model" in body
        (use,) = receipt["models"]
        assert (use["provider"], use["model"], use["calls"]) == ("openai_compatible", "test-model", 2)
        for chat in model.chats:
            for absent in (PASTED, "canary", TOKEN):
                assert absent not in chat.user
        assert "[masked:github-token]" in model.chats[0].user


@pytest.mark.parametrize("script", ["I see no problems.", {}, error(401)], ids=["prose", "empty object", "bad key"])
async def test_a_model_that_fails_never_reads_as_no_findings(
    database: Database, tmp_path: Path, script: object
) -> None:
    async with OpenAIEmulator(lambda chat: script, key=KEY) as model:
        body, places, _ = await review(database, tmp_path, model)
        assert places == []
        assert "No findings" not in body
        assert "the model did not finish" in body
