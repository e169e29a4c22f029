"""Every operation of the document succeeds as owner, and is answered in the very shape that the document tells."""

import re
from typing import Any

from jsonschema import Draft202012Validator

from tests.e2e.api.conftest import Api
from tests.e2e.api.rows import ROWS, Seen, content_of, filled

# No secret is known for these: their deliveries are refused until there is one, as the contract wants it.
WITHOUT_A_SECRET = {
    f"receive{host}Webhook{of}"
    for host in ("Github", "Gitlab", "Bitbucket", "AzureRepos", "Forgejo")
    for of in ("", "OfConnection")
} - {"receiveGithubWebhook"}


def operations(document: dict[str, Any]) -> dict[str, tuple[str, str, dict[str, Any]]]:
    """Answer verb, path and description of every operation, by its id."""
    return {o["operationId"]: (v, p, o) for p, verbs in document["paths"].items() for v, o in verbs.items()}


def test_every_operation_has_a_row(api: Api) -> None:
    assert sorted(operations(api.document)) == sorted(ROWS.keys() | WITHOUT_A_SECRET)


def test_a_stranger_reaches_what_is_open_and_nothing_else(api: Api) -> None:
    with api.client("127.0.0.5") as client:
        for name, (verb, path, operation) in operations(api.document).items():
            if operation.get("security") == [{}]:
                continue
            path = re.sub(r"\{[^}]+\}", "018f0000-0000-7000-8000-000000000001", path)
            answer = client.request(verb.upper(), path, json={} if "requestBody" in operation else None)
            assert (answer.status_code, answer.json()["reason"]) == (401, "UNAUTHENTICATED"), name
            assert answer.headers["www-authenticate"] == "Bearer"


def test_without_a_secret_a_webhook_is_refused(api: Api) -> None:
    with api.client("127.0.0.7") as client:
        for name in WITHOUT_A_SECRET:
            path = operations(api.document)[name][1].replace("{connectionId}", "c1")
            answer = client.post(path, json={})
            assert (answer.status_code, answer.json()["reason"]) == (401, "SIGNATURE_INVALID"), name


def test_every_operation_succeeds(api: Api) -> None:
    seen, problems = Seen(api), []
    described = operations(api.document)
    with api.client("127.0.0.7", "owner") as client:
        for name, row in ROWS.items():
            verb, path, operation = described[name]
            try:
                for parameter, value in row.path.items():
                    path = path.replace(f"{{{parameter}}}", str(filled(value, seen)))
                content = None if row.body is None else content_of(row, seen)
                headers = {} if content is None else {"content-type": "application/json"}
                if row.headers is not None and content is not None:
                    headers = row.headers(content, seen)
                if row.bearer:
                    headers["authorization"] = f"Bearer {filled(row.bearer, seen)}"
                query = filled(dict(row.query), seen)
                answer = client.request(verb.upper(), path, params=query, content=content, headers=headers)
            except (KeyError, AssertionError) as error:
                problems.append(f"{name}: not asked, {error!r}")
                continue
            told = operation["responses"].get(str(answer.status_code))
            if not answer.is_success or told is None:
                problems.append(f"{name}: {answer.status_code} {answer.text[:400]}")
                continue
            problems += [f"{name}: {wrong}" for wrong in misfits(api.document, told, answer)]
            if answer.headers.get("content-type") == "application/json":
                seen.answers[name] = answer.json()
    assert not problems, "\n".join(problems)
    assert seen.answers["testModel"]["code"] == "ok"
    assert seen.answers["getReceipt"]["models"], "the review asked no model"
    assert seen.answers["verifyAuditLog"]["ok"]


def misfits(document: dict[str, Any], told: dict[str, Any], answer: Any) -> list[str]:
    """Answer where an answer is not as the document says."""
    media_type = answer.headers.get("content-type", "").partition(";")[0]
    if "content" not in told:
        return ["there is a body"] if answer.content else []
    if media_type not in told["content"]:
        return [f"it is {media_type}"]
    missing = [f"no {h}" for h in told.get("headers", {}) if h not in answer.headers]
    if media_type != "application/json":
        return missing if answer.content else [*missing, "there is no body"]
    whole = {**told["content"][media_type]["schema"], "components": document["components"]}
    return missing + [f"{e.json_path}: {e.message}" for e in Draft202012Validator(whole).iter_errors(answer.json())]
