"""The JSON shape of section 2 and the statuses of section 4 of the contract."""

import httpx2
from lintel.review.v1 import code_review_service_pb2 as reviews
from lintel.review.v1 import review_pb2

from tests.integration.edge.upstream import ID, KEY, Upstream


async def test_a_message_is_shown_in_the_contract_s_shape(rest: httpx2.AsyncClient) -> None:
    answer = await rest.get(f"/codeReview/{ID}")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    review = answer.json()["review"]
    assert review["state"] == "running"
    assert review["createTime"] == "2023-11-14T22:13:20.120Z"
    assert review["finishTime"] is None
    assert review["pullRequestNumber"] == 0
    assert answer.json()["receipt"] is None
    (finding,) = answer.json()["findings"]
    assert (finding["side"], finding["severity"], finding["startLine"]) == ("RIGHT", "high", 3)
    assert finding["suggestion"] is None
    assert finding["state"] is None
    assert finding["confidence"] == 0.5


async def test_a_receipt_shows_empty_lists_and_a_missing_price(rest: httpx2.AsyncClient, upstream: Upstream) -> None:
    upstream.script.answers["GetReceipt"] = review_pb2.Receipt(
        models=[review_pb2.ModelReceipt(model="m", input_tokens=2**31 - 1)],
        files=[review_pb2.FileReceipt(path="a", fate=review_pb2.FILE_FATE_REVIEWED)],
    )
    receipt = (await rest.get(f"/codeReview/{ID}/receipt")).json()
    assert receipt["models"][0]["costUsd"] is None
    assert receipt["models"][0]["inputTokens"] == 2**31 - 1
    assert receipt["files"][0]["fate"] == "reviewed"
    assert receipt["files"][0]["notes"] == receipt["droppedFindings"] == []


async def test_a_create_is_201_with_its_place(rest: httpx2.AsyncClient, upstream: Upstream) -> None:
    answer = await rest.post("/auth/api-keys", json={"name": "ci", "expireTime": "2027-01-01T00:00:00Z"})
    assert answer.status_code == 201
    assert answer.headers["location"] == f"/auth/api-keys/{ID}"
    assert answer.json()["apiKey"]["name"] == "ci"
    assert upstream.script.requests[0].expire_time.ToJsonString() == "2027-01-01T00:00:00Z"


async def test_a_delete_is_204_without_a_body(rest: httpx2.AsyncClient) -> None:
    answer = await rest.delete(f"/auth/api-keys/{ID}")
    assert (answer.status_code, answer.content) == (204, b"")


async def test_accepted_work_is_202_and_needs_no_body(rest: httpx2.AsyncClient, upstream: Upstream) -> None:
    upstream.script.answers["CancelReview"] = reviews.CancelReviewResponse(review=review_pb2.Review(id=ID))
    answer = await rest.post(f"/codeReview/{ID}/cancel")
    assert answer.status_code == 202
    assert answer.json()["review"]["id"] == ID
    assert upstream.script.requests[0].id == ID


async def test_query_parameters_reach_the_request(rest: httpx2.AsyncClient, upstream: Upstream) -> None:
    query = "pageSize=5&pageToken=a%2Bb+c&repository=x%2Fy&pullRequestNumber=7"
    assert (await rest.get(f"/codeReview?{query}")).status_code == 200
    request = upstream.script.requests[0]
    assert (request.page_size, request.page_token) == (5, "a+b c")
    assert (request.repository, request.pull_request_number) == ("x/y", 7)
    assert (await rest.get("/webhook-health/deliveries?state=failed")).status_code == 200
    assert upstream.script.requests[1].state == 4


async def test_only_the_listed_headers_travel_on(rest: httpx2.AsyncClient, upstream: Upstream) -> None:
    headers = {
        "x-request-id": "my-id.1",
        "traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        "idempotency-key": "k1",
        "x-lintel-caller": "review",
        "cookie": "a=b",
    }
    answer = await rest.get("/organization", headers=headers)
    seen = upstream.script.metadata[0]
    assert seen["authorization"] == f"Bearer {KEY}"
    assert seen["x-request-id"] == answer.headers["x-request-id"] == "my-id.1"
    assert seen["idempotency-key"] == "k1"
    assert seen["x-lintel-caller"] == "gateway"
    assert "cookie" not in seen
    assert answer.json()["name"] == "Örg"


async def test_every_answer_has_a_request_id_and_security_headers(rest: httpx2.AsyncClient) -> None:
    for path, sent in (("/organization", "bad id!"), ("/nowhere", "x" * 65), ("/docs", "")):
        answer = await rest.get(path, headers={"x-request-id": sent})
        assert answer.headers["x-request-id"] not in ("", sent)
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert "default-src 'none'" in answer.headers["content-security-policy"]
