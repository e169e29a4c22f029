import re
import string
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.kit.redact import mask

BASE62 = string.ascii_letters + string.digits


def run(alphabet: str, least: int, most: int = 300) -> st.SearchStrategy[str]:
    return st.text(alphabet, min_size=least, max_size=most)


UPPER32 = string.ascii_uppercase + "234567"
URLSAFE = BASE62 + "-_"
TOKENS = st.one_of(
    *(
        st.builds(lambda prefix, body: prefix + body, st.just(prefix), body)
        for prefix, body in (
            ("AK" + "IA", run(UPPER32, 16)),
            *((f"gh{kind}_", run(BASE62, 30)) for kind in "pousr"),
            # GitHub's form of 2026: app id and a signed token.
            ("ghs_123456_", st.builds(".".join, st.lists(run(URLSAFE, 20, 400), min_size=3, max_size=3))),
            ("github_" + "pat_", run(BASE62 + "_", 30)),
            ("gl" + "pat-", run(URLSAFE, 20)),
            ("xo" + "xb-", run(BASE62 + "-", 20)),
            ("sk_" + "live_", run(BASE62, 24)),
            ("AI" + "za", run(URLSAFE, 35)),
            ("sk-" + "ant-api03-", run(URLSAFE, 40)),
            ("sk-" + "or-v1-", run(BASE62, 60)),
            ("gs" + "k_", run(BASE62, 52)),
            ("ya" + "29.a0", run(URLSAFE, 60)),
            ("sk-" + "proj-", run(URLSAFE, 40)),
            ("np" + "m_", run(BASE62, 36)),
            ("py" + "pi-AgE", run(URLSAFE, 60)),
            ("SG" + ".", st.builds(lambda a, b: f"{a}.{b}", run(URLSAFE, 22), run(URLSAFE, 40))),
        )
    )
)
# Text that may stand around a secret and does not itself continue one.
AROUND = st.text(st.characters(exclude_characters=URLSAFE + ".+/=", exclude_categories=["Cs"]), max_size=40)


@given(AROUND, TOKENS, AROUND)
def test_no_part_of_a_token_survives(before: str, token: str, after: str) -> None:
    masked = mask(before + token + after)
    secret = token[11:]
    assert not any(secret[i : i + 8] in masked for i in range(len(secret) - 7))


@given(run(BASE62, 12), AROUND.filter(lambda text: not re.search(r"[\s@:\"'<>`]", text)))
def test_no_part_of_a_password_in_a_url_survives(password: str, user: str) -> None:
    masked = mask(f"dsn=postgres://{user}:{password}@db.internal/app")
    assert password[:8] not in masked
    assert "db.internal/app" in masked


@given(
    st.lists(run(BASE62 + "+/=", 40, 64), min_size=1, max_size=30),
    st.sampled_from(["", "+", "-", "    "]),
    st.booleans(),
)
def test_no_line_of_a_private_key_survives(lines: list[str], mark: str, complete: bool) -> None:
    text = f"{mark}-----BEGIN RSA PRIVATE KEY-----\n" + "".join(f"{mark}{line}\n" for line in lines)
    if complete:
        text += f"{mark}-----END RSA PRIVATE KEY-----\nafter\n"
    masked = mask(text)
    assert not any(line[:24] in masked or line[-24:] in masked for line in lines)
    assert masked.count("\n") == text.count("\n")
    assert not complete or masked.endswith("after\n")


@given(
    st.text(),
    TOKENS | st.sampled_from(["password = 'hunter22x'", "://u:pw@h", "-----BEGIN PRIVATE KEY-----"]),
    st.text(),
)
def test_masking_twice_is_masking_once_and_keeps_the_lines(before: str, middle: str, after: str) -> None:
    text = before + middle + after
    masked = mask(text)
    assert mask(masked) == masked
    assert masked.count("\n") == text.count("\n")


@pytest.mark.parametrize(
    "text",
    [
        'password = "' + "Tr0ub4dor-and-3" + '"',
        "API_KEY=" + "9f8e7d6c5b4a39281",
        "Authorization: Bearer " + "abc123def456ghi789",
        "authorization: Basic " + "dXNlcjpwYXNzd29yZA==",
        '{"client_secret": "' + "q8w7e6r5t4y3" + '"}',
        "curl https://x/?access_token=" + "a1b2c3d4e5f6",
    ],
)
def test_what_a_name_says_is_secret(text: str) -> None:
    secret = re.findall(r"[A-Za-z0-9=-]{11,}", text)[-1]
    assert secret not in mask(text)


@pytest.mark.parametrize(
    "text",
    [
        "token = get_token(request)",
        "password: str = Field(min_length=12)",
        'secret = os.environ["CLIENT_SECRET"]',
        "const apiKey = config.apiKey;",
        "if password == other_password: pass",
        'name = "task-list-of-the-whole-department-which-is-long"',
        "see https://example.com/a:b/c@d",
        "key_id = 7  # tokens: 4096",
        "def mask(text: str) -> str:",
        'password = "${DB_PASSWORD}"',
    ],
)
def test_ordinary_code_is_left_alone(text: str) -> None:
    assert mask(text) == text


@pytest.mark.parametrize(
    "piece",
    ["eyJ", "ghp_", "-----BEGIN PRIVATE KEY-----", "-----END PRIVATE KEY-----", "://a:", "token=", 'token="', "pwd: '",
     "password", "sk-", "SG.", "authorization: bearer ", "xoxe.xoxb-", "eyJaaaaaaaaa.", "bearer ", "a", " ", "\\n"],
)  # fmt: skip
def test_time_grows_with_the_length_alone(piece: str) -> None:
    text = piece * (1_000_000 // len(piece))
    started = time.process_time()
    mask(text)
    assert time.process_time() - started < 5  # a quadratic pattern would take minutes
