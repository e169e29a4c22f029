import base64
import json
import zlib
from pathlib import Path

import pytest

from services.review.analyzers.secrets import Secrets, _base62, find
from services.review.analyzers.target import Deadline
from services.review.domain import Fate, Severity
from tests.unit.analyzers.support import target

# Put together here so that no scanner takes this file for a leak; none of them was ever issued.
RANDOM = "zQ8WBuTR4SOoRi4A9spHcVY5ncnsDk"
LONGER = RANDOM + "7xK2mLq1Vb9Tz3Ye6Wp0Nf5Hj8Gd4Sa"


def github(prefix: str, body: str = RANDOM) -> str:
    return prefix + body + _base62(zlib.crc32(body.encode()))


def jwt(header: dict[str, str], payload: dict[str, object], signature: str = LONGER) -> str:
    parts = [base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in (header, payload)]
    return ".".join([*parts, signature])


SIGNED = jwt({"alg": "HS256", "typ": "JWT"}, {"sub": "83b1", "role": "admin"})
REAL = {
    "aws-access-key": "AK" + "IAQ3EGTJ6WZ5VDX4UK",
    "github-token": github("gh" + "p_"),
    "gitlab-token": "gl" + "pat-" + RANDOM[:20],
    "slack-token": "xo" + "xb-263594206564-2343594206574-" + RANDOM[:24],
    "stripe-key": "sk_" + "live_" + RANDOM[:24],
    "google-api-key": "AI" + "za" + LONGER[:35],
    "google-access-token": "ya" + "29.a0" + LONGER + RANDOM,
    "openrouter-key": "sk-" + "or-v1-" + LONGER + RANDOM,
    "groq-key": "gs" + "k_" + (LONGER + RANDOM)[:52],
    "anthropic-key": "sk-" + "ant-api03-" + LONGER + "-" + RANDOM,
    "openai-key": "sk-" + "proj-" + LONGER + RANDOM,
    "npm-token": "np" + "m_" + LONGER[:36],
    "pypi-token": "py" + "pi-AgEIcHlwaS5vcmc" + LONGER + RANDOM + LONGER,
    "sendgrid-key": "SG" + "." + RANDOM[:22] + "." + LONGER[:43],
    "jwt": SIGNED,
    "private-key": "-----BEGIN " + "EC PRIVATE KEY-----",
    "url-password": "postgres://app:" + "v9Kq2mXw7z" + "@db.internal.net/app",
    "assigned-secret": 'client_secret = "' + "x8Jq2vKz91LmWp4Rt7" + '"',
}


@pytest.mark.parametrize(("kind", "text"), REAL.items())
def test_a_credential_is_found_once_and_by_its_name(kind: str, text: str) -> None:
    assert [hit.kind for hit in find(f"value: {text}", supporting=False)] == [kind]


@pytest.mark.parametrize(
    "kind",
    [kind for kind in REAL if kind not in ("jwt", "google-api-key", "url-password", "assigned-secret", "private-key")],
)
def test_a_proven_one_is_found_in_tests_and_documentation_too(kind: str) -> None:
    assert [hit.kind for hit in find(REAL[kind], supporting=True)] == [kind]


def test_keys_of_test_servers_are_left_alone() -> None:
    assert list(find(REAL["private-key"], supporting=True)) == []


def test_the_long_github_token_of_2026() -> None:
    token = "gh" + "s_2938475_" + SIGNED
    assert next(hit.kind for hit in find(token, supporting=False)) == "github-token"


def test_the_checksum_decides() -> None:
    # A published sample of the format, from GitHub's own description of the checksum.
    assert _base62(zlib.crc32(b"zQWBuTSOoRi4A9spHcVY5ncnsDkxkJ")) == "0mLq17"
    good = github("gh" + "p_")
    changed = good[:10] + ("a" if good[10] != "a" else "b") + good[11:]
    assert list(find(good, supporting=False))
    assert not list(find(changed, supporting=False))


@pytest.mark.parametrize(
    "text",
    [
        "AK" + "IAIOSFODNN7EXAMPLE",
        "gh" + "p_" + "x" * 36,
        "gh" + "p_" + "0123456789" * 3 + "012345",
        "sk-" + "ant-your-key-goes-here-000000000000000000",
        "sk_" + "test_" + RANDOM[:24],
        "task-force-and-risk-assessment-of-the-whole-thing",
        jwt({"alg": "none"}, {"sub": "1"}),
        jwt({"alg": "HS256"}, {"sub": "1234567890", "name": "John Doe"}),
        "postgres://user:password@localhost/db",
        "postgres://user:${DB_PASSWORD}@db.internal/app",
        "https://user:pass@example.com/",
        "redis://:changeme@cache.internal:6379",
        'password = os.environ["DB_PASSWORD"]',
        'secret_name = "projects/lintel/secrets/database-password"',
        'api_key = "YOUR_API_KEY_GOES_HERE_12345"',
        'token_url = "https://login.internal.net/oauth2/v2.0/token"',
        'password_hint = "at least 12 characters"',
        'access_key_header = "X-Access-Key-Id-V2"',
        'START = b"-----BEGIN OPENSSH ' + 'PRIVATE KEY-----"',
        'if line.startswith("-----BEGIN PRIVATE KEY-----"):',
        'TOKEN_PATTERN = re.compile(r"gh[pousr]_[A-Za-z0-9]{36}")',
        'integrity: "sha512-' + "x8Jq2vKz91LmWp4Rt7aa" + '=="',
        "credentialsId: '3f9ba4d5-100d-45b0-a3c4-633fd6061207',",
        '"regenerate_secret": "' + "\\u91cd\\u65b0\\u751f\\u6210" + '",',
        '"api_key": "phc_6cmXy4MEbLfNGezqGjuUTY8abLu0sAwtGzZFpQW97lc",',
        "csrf_token = '40a227fcf12c380d7d3c81af2cd8c5e8'",
        "commit 9fceb02d0ae598e95dc970b74767f19372d61af8",
    ],
)
def test_what_is_no_credential(text: str) -> None:
    assert [hit.kind for hit in find(text, supporting=False)] == []


def test_claims_quote_their_line_and_say_what_to_do() -> None:
    file = target("app/settings.py", f'DEBUG = False\nKEY = "{REAL["stripe-key"]}"\n')
    outcome = Secrets().run([file], Path(), Deadline(10))
    (claim,) = outcome.claims
    assert (claim.near_line, claim.quote, claim.severity) == (2, file.added[1].text, Severity.CRITICAL)
    assert claim.title == "Stripe secret key committed"
    assert REAL["stripe-key"] not in claim.title + claim.body
    assert "Revoke" in claim.body


def test_lines_without_a_trigger_are_passed_over_and_none_with_one_is_missed() -> None:
    lines = [f"plain text {number} İß\ufffd" for number in range(30 * len(REAL))]
    for number, text in enumerate(REAL.values()):
        lines[number * 30 + 7] = text
    outcome = Secrets().run([target("src/a.py", "\n".join(lines))], Path(), Deadline(10))
    assert [claim.near_line for claim in outcome.claims] == [number * 30 + 8 for number in range(len(REAL))]


def test_it_stops_at_the_deadline() -> None:
    outcome = Secrets().run([target("a.py", "x")], Path(), Deadline(0))
    assert (outcome.fate, outcome.reason) == (Fate.PARTIAL, "out of time after 0 of 1 files")
