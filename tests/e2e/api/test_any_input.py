"""Schemathesis: what the document allows, and what it does not, is answered as the document says, and never with 5xx.

Every operation, through Envoy, as each kind of caller; owner and contributor signed up by the API itself. The inputs
are the same in every run; LINTEL_TEST_EXAMPLES asks for more of them.
"""

import os
from collections import Counter
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.e2e.api.conftest import Api

EXAMPLES = int(os.environ.get("LINTEL_TEST_EXAMPLES", "12"))  # of each operation and caller
SECONDS = 60  # of one call, on a machine that has other things to do
CHECKS: list[Any] = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]


@pytest.mark.timeout(600)
@pytest.mark.parametrize("caller", ["owner", "contributor", "nobody"])
def test_every_operation_answers_as_it_says(api: Api, caller: str, record_property: Any) -> None:
    headers = api.headers(caller)
    schema = schemathesis.openapi.from_dict(api.document)
    statuses: Counter[int] = Counter()
    problems: list[str] = []
    seen = 0
    for result in schema.get_all_operations():
        operation = result.ok()  # type: ignore[union-attr]  # an error here fails the test, as it should
        seen += 1

        @settings(
            max_examples=EXAMPLES,
            deadline=None,
            database=None,
            derandomize=True,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(case=operation.as_strategy())
        def attack(case: Any) -> None:
            # Schemathesis makes credentials up; and a caller that allows a millisecond gets the 504 it asks for.
            for name in ("Authorization", "X-Request-Timeout"):
                case.headers.pop(name, None)
            response = case.call(base_url=api.url, headers=headers, timeout=SECONDS)
            statuses[response.status_code] += 1
            case.validate_response(response, checks=CHECKS)

        try:
            attack()
        except (Exception, BaseExceptionGroup) as error:  # every operation is looked at before the test fails
            problems.append(f"{operation.label}\n{error}")
    record_property("statuses", dict(statuses))
    print(f"\n{caller}: {seen} operations, {sum(statuses.values())} requests, {dict(sorted(statuses.items()))}")
    assert seen == sum(len(operations) for operations in api.document["paths"].values())
    assert not problems, "\n\n".join(problems)
    assert not [status for status in statuses if status >= 500]
    if caller == "nobody":  # what needs no credential is named here, so that opening more is a decision
        assert statuses[401] > statuses.total() / 2
