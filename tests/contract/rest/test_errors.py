"""An error of a service becomes the problem that the catalogue says."""

from datetime import timedelta

import httpx2
import pytest

from gateway.problems import http_status
from services.kit.errors import AppError, Reason, Violation
from tests.contract.rest.test_bad_input import check_problem
from tests.integration.edge.upstream import Upstream

FIXED = {
    Reason.INVALID_REQUEST: 400,
    Reason.UNAUTHENTICATED: 401,
    Reason.PERMISSION_DENIED: 403,
    Reason.NOT_FOUND: 404,
    Reason.METHOD_NOT_ALLOWED: 405,
    Reason.BODY_TOO_SLOW: 408,
    Reason.FENCED: 409,
    Reason.BODY_TOO_LARGE: 413,
    Reason.UNSUPPORTED_MEDIA_TYPE: 415,
    Reason.OVERLOADED: 429,
    Reason.INTERNAL: 500,
    Reason.UNIMPLEMENTED: 501,
    Reason.UNAVAILABLE: 503,
    Reason.DEADLINE_EXCEEDED: 504,
}


@pytest.mark.parametrize("reason", list(Reason))
async def test_each_reason_crosses_the_edge(rest: httpx2.AsyncClient, upstream: Upstream, reason: Reason) -> None:
    upstream.script.error = AppError(reason, "words for people")
    answer = await rest.get("/organization")
    problem = check_problem(answer, FIXED.get(reason, http_status(reason)), reason.value)
    assert (problem["detail"] == "words for people") is (reason is not Reason.INTERNAL)
    assert ("www-authenticate" in answer.headers) is (reason is Reason.UNAUTHENTICATED)


async def test_details_cross_the_edge(rest: httpx2.AsyncClient, upstream: Upstream) -> None:
    upstream.script.error = AppError(
        Reason.OVERLOADED,
        violations=[Violation("page_size", "too greedy", "r")],
        retry_after=timedelta(seconds=2.5),
    )
    answer = await rest.get("/codeReview")
    problem = check_problem(answer, 429, "OVERLOADED")
    assert answer.headers["retry-after"] == "3"
    assert problem["violations"] == [{"field": "pageSize", "description": "too greedy", "rule": "r"}]


async def test_a_bug_says_nothing(rest: httpx2.AsyncClient, upstream: Upstream) -> None:
    upstream.script.error = ValueError("dsn=postgres://secret")
    answer = await rest.get("/organization")
    check_problem(answer, 500, "INTERNAL")
    assert "secret" not in answer.text


async def test_no_credential_and_a_wrong_one_are_401(rest: httpx2.AsyncClient) -> None:
    for value in ("", "Bearer wrong", "Basic YTpi", "Bearer"):
        answer = await rest.get("/organization", headers={"authorization": value})
        check_problem(answer, 401, "UNAUTHENTICATED")
