"""Finds credentials that a change adds: known token formats, private keys, passwords in URLs and assignments.

Each format is checked as far as its issuer lets us (length, alphabet, checksum), because a false alarm about a secret
is loud. Values that are plainly made up are left alone.
"""

import base64
import binascii
import json
import math
import re
import zlib
from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from itertools import accumulate
from pathlib import Path
from typing import NamedTuple

from services.kit.redact import ASSIGNED, SHAPES, URL_PASSWORD
from services.review.analyzers.target import AddedLine, Deadline, Outcome, Target, claim, stopped
from services.review.domain import Claim, Severity

_NAMES = {
    "aws-access-key": "AWS access key id",
    "github-token": "GitHub token",
    "gitlab-token": "GitLab token",
    "slack-token": "Slack token",
    "slack-webhook": "Slack webhook address",
    "stripe-key": "Stripe secret key",
    "stripe-webhook-secret": "Stripe webhook secret",
    "google-api-key": "Google API key",
    "google-oauth-secret": "Google OAuth client secret",
    "google-access-token": "Google access token",
    "openrouter-key": "OpenRouter API key",
    "groq-key": "Groq API key",
    "anthropic-key": "Anthropic API key",
    "openai-key": "OpenAI API key",
    "npm-token": "npm access token",
    "pypi-token": "PyPI upload token",
    "huggingface-token": "Hugging Face token",
    "digitalocean-token": "DigitalOcean token",
    "sendgrid-key": "SendGrid API key",
    "lintel-key": "Lintel API key",
    "jwt": "signed token (JWT)",
    "private-key": "private key",
    "url-password": "password in a URL",
    "assigned-secret": "secret in the source",
}
_ADVICE = (
    "Everyone who can read the repository or any copy of its history can use it. Revoke it, issue a new one and read "
    "that from the environment or a secret store; deleting the line does not take it out of the history."
)
# A real block ends its first line here, or goes on in the same string; a constant for comparing is closed at once.
_KEY = re.compile(
    r"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----(?:\s*$|\s?(?:\\r?\\n)?\s?[A-Za-z0-9+/]{16}|\\n)"
)
_KEY_MENTION = re.compile(r"(?i)(?:startswith|contains|\bin |==|match|replace|split|strip|find|index|regex|re\.)")
_DUMMY = re.compile(
    r"(?i)example|dummy|fake|sample|place.?holder|change.?me|redacted|masked|your[_-]|insert|todo|xxxx|\*\*\*|\.\.\.|"
    r"(.)\1{5}|012345|123456|abcdef|qwert|deadbeef|foobar|\$\{|\{\{|<|>"
)
_FIXED_LENGTH = {"ghp_": 40, "gho_": 40, "ghu_": 40, "ghr_": 40}
_BASE62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_LOCAL_HOST = re.compile(
    r"@(?:localhost|127\.|0\.0\.0\.0|\[::1\]|host\.docker|(?:db|postgres|mysql|redis|mongo|rabbitmq)(?=[:/]|$)|\w+:\d)"
)
_COMMON = re.compile(
    r"(?i)^(?:pass(?:word|wd)?|secret|admin|root|user|guest|test\w*|postgres|mysql|rabbitmq|pwd|token|\W+)\d{0,4}$"
)


_TRIGGERS = tuple({shape.hint.encode() for shape in SHAPES} | {b"PRIVATE KEY", b"://"})
_NAME_TRIGGERS = (
    b"passw", b"passphrase", b"pwd", b"secret", b"token", b"credential", b"apikey", b"api_key", b"api-key",
    b"accesskey", b"access_key", b"access-key", b"privatekey", b"private_key", b"private-key",
)  # fmt: skip


class Hit(NamedTuple):
    """A secret in a line: its kind, and how sure we are."""

    kind: str
    severity: Severity
    confidence: float


class Secrets:
    """The analyzer; see the module."""

    name = "secrets"

    def version(self) -> str:
        """Our own, raised when a detector changes."""
        return "1"

    def run(self, targets: Sequence[Target], folder: Path, deadline: Deadline) -> Outcome:
        """Claim each added line that carries a credential, once per kind."""
        claims: list[Claim] = []
        for done, target in enumerate(targets):
            if deadline.passed:
                return stopped(claims, done, len(targets))
            for position, line in enumerate(_candidates(target.added)):
                if position % 512 == 0 and deadline.passed:
                    return stopped(claims, done, len(targets))
                claims += [self._claim(target, line, hit) for hit in find(line.text, supporting=target.is_supporting)]
        return Outcome(tuple(claims))

    def _claim(self, target: Target, line: AddedLine, hit: Hit) -> Claim:
        name = _NAMES[hit.kind]
        title = (
            f"{name[0].upper()}{name[1:]} committed"
            if hit.kind != "assigned-secret"
            else "Secret written in the source"
        )
        return claim(self.name, hit.kind, target, line, hit.severity, "security", title, _ADVICE, hit.confidence)


def _candidates(lines: Sequence[AddedLine]) -> list[AddedLine]:
    """The lines that hold a trigger; plain searches over the whole file are some twenty times faster than patterns."""
    encoded = [line.text.encode("utf-8", "replace") for line in lines]
    ends = list(accumulate(len(text) + 1 for text in encoded))
    whole = b"\n".join(encoded)
    found: set[int] = set()
    for haystack, triggers in ((whole, _TRIGGERS), (whole.lower(), _NAME_TRIGGERS)):
        for trigger in triggers:
            at = haystack.find(trigger)
            while at >= 0:
                index = bisect_right(ends, at)
                found.add(index)
                at = haystack.find(trigger, ends[index])
    return [lines[index] for index in sorted(found)]


def find(text: str, *, supporting: bool) -> Iterator[Hit]:
    """Yield the secrets in one line, each kind once; in `supporting` files only those whose form proves them."""
    seen: set[str] = set()
    for shape in SHAPES:
        if shape.hint not in text or shape.kind in seen:
            continue
        if any(_is_real(shape.kind, match[0], supporting) for match in shape.pattern.finditer(text)):
            seen.add(shape.kind)
            yield Hit(shape.kind, _severity(shape.kind), 0.95)
    if supporting:
        return  # test servers need certificates, and their keys are made for them
    if "PRIVATE KEY" in text and _KEY.search(text) and not _KEY_MENTION.search(text) and not _DUMMY.search(text):
        seen.add("private-key")
        yield Hit("private-key", Severity.CRITICAL, 0.9)
    if seen:
        return
    if "://" in text and any(_is_real_url(text, match) for match in URL_PASSWORD.finditer(text)):
        yield Hit("url-password", Severity.HIGH, 0.8)
    elif any(_is_real_value(match) for match in ASSIGNED.finditer(text)):
        yield Hit("assigned-secret", Severity.HIGH, 0.6)


def _severity(kind: str) -> Severity:
    return Severity.HIGH if kind in {"jwt", "google-api-key", "slack-webhook", "aws-access-key"} else Severity.CRITICAL


def _is_real(kind: str, value: str, supporting: bool) -> bool:
    if kind == "stripe-key" and "_test_" in value:
        return False  # keys of Stripe's sandbox move no money and are in its documentation
    check = _CHECKS.get(kind)
    if check is not None and not check(value):
        return False
    if kind == "github-token" and value[:4] in _FIXED_LENGTH:
        return True  # the checksum has spoken
    if supporting and kind in {"jwt", "google-api-key"}:
        return False
    body = value[value.find("_") + 1 :]
    return not _DUMMY.search(value) and entropy(body) >= 3.0


def _github(value: str) -> bool:
    """The last six characters of a classic token are the CRC-32 of the thirty before, in base 62."""
    length = _FIXED_LENGTH.get(value[:4])
    if length is None:
        return len(value) >= 40
    body = value[4:length]
    return len(value) == length and body[30:] == _base62(zlib.crc32(body[:30].encode()))


def _base62(number: int) -> str:
    digits = ""
    while number:
        number, rest = divmod(number, 62)
        digits = _BASE62[rest] + digits
    return digits.rjust(6, "0")


def _jwt(value: str) -> bool:
    """A header that names an algorithm and a signature; an unsigned or expired-looking demo token is no secret."""
    parts = value.rstrip(".").split(".")
    if len(parts) not in (3, 5) or len(parts[-1]) < 20:
        return False
    try:
        header = json.loads(base64.urlsafe_b64decode(parts[0] + "=" * (-len(parts[0]) % 4)))
        payload = base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4))
    except (ValueError, binascii.Error, RecursionError):
        return False
    # jwt.io's sample speaks of John Doe and 1234567890.
    return isinstance(header, dict) and header.get("alg") not in (None, "none") and b"1234567890" not in payload


def _pypi(value: str) -> bool:
    return value.startswith("pypi-AgE") and len(value) >= 100  # a macaroon whose first field is its version


_CHECKS: dict[str, Callable[[str], bool]] = {
    "aws-access-key": lambda value: len(value) == 20,
    "github-token": _github,
    "google-api-key": lambda value: len(value) == 39,
    "npm-token": lambda value: len(value) == 40,
    "jwt": _jwt,
    "pypi-token": _pypi,
    "slack-token": lambda value: len(value) >= 24 and any(c.isdigit() for c in value),
    "openai-key": lambda value: len(value) >= 40,
    "anthropic-key": lambda value: len(value) >= 40,
    "openrouter-key": lambda value: len(value) >= 60,
    "groq-key": lambda value: len(value) == 56,
    "google-access-token": lambda value: len(value) >= 60,
}


def _is_real_url(text: str, match: re.Match[str]) -> bool:
    password = match[2]
    if _LOCAL_HOST.match(text, match.end() - 1) or text.startswith("example.", match.end()):
        return False
    return (
        len(password) >= 6
        and not _DUMMY.search(password)
        and not _COMMON.match(password)
        and not re.search(r"(?i)passw|secret", password)
        and not re.search(r"[${}%()\[\]+,]", password.replace("%", "", 1))
        and entropy(password) >= 2.5
    )


def _is_real_value(match: re.Match[str]) -> bool:
    """Whether the value is random text: unquoted ones in source code are expressions, so only quotes count."""
    value = match["quoted"]
    if value is None or not 16 <= len(value) <= 512 or re.search(r"[\s${}<>()\[\];,]", value):
        return False
    if re.search(r"\\u[0-9a-fA-F]{4}", value) or re.match(r"(?i)credentials?_?id\b", match["name"]):
        return False  # text of another script; and the name by which Jenkins knows a secret is none
    if value.startswith(("phc_", "pk_")) or re.match(r"(?i).*csrf", match.string[: match.start()]):
        return False  # made for browsers, who all know them
    digits = sum(c.isdigit() for c in value)
    letters = sum(c.isalpha() for c in value)
    if digits < 3 or letters < 3 or value.count("/") > 2 or value.count(".") > 2 or "://" in value:
        return False
    words = re.findall(r"[A-Za-z]{5,}", value)
    in_words = sum(len(word) for word in words if word.islower() or word.istitle() or word.isupper())
    return in_words * 2 < len(value) and not _DUMMY.search(value) and entropy(value) >= 3.3


def entropy(text: str) -> float:
    """Shannon entropy of the characters, in bits each; 0 for empty text."""
    total = len(text)
    return -sum(n / total * math.log2(n / total) for n in Counter(text).values()) if total else 0.0
