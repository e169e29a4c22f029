"""Masks secrets in text for logs, prompts, archives and posts; standard library only, linear time, any length.

A secret is known by how its issuer starts it, or by the name it is given to. Masking never changes the number of
lines, and masking twice is masking once.
"""

import re
from collections.abc import Callable, Iterator
from typing import NamedTuple


class Shape(NamedTuple):
    """What the secrets of one issuer look like: `hint` is text that each of them contains."""

    kind: str
    hint: str
    pattern: re.Pattern[str]


# Where a run of token characters begins; an escape such as \\n may stand before it in source code.
_START = r"(?:(?<![A-Za-z0-9_-])|(?<=\\[nrt]))"

# GitHub has issued "ghs_<app id>_<jwt>" of some hundred characters since April 2026, so no pattern has an upper bound.
SHAPES: tuple[Shape, ...] = tuple(
    Shape(kind, hint, re.compile(pattern))
    for kind, hint, pattern in (
        ("aws-access-key", "AKIA", r"AKIA[A-Z2-7]{16,}"),
        ("aws-access-key", "ASIA", r"ASIA[A-Z2-7]{16,}"),
        *(("github-token", f"gh{c}_", rf"gh{c}_[A-Za-z0-9_.\-]{{16,}}") for c in "pousr"),
        ("github-token", "github_pat_", r"github_pat_[A-Za-z0-9_]{16,}"),
        *(
            ("gitlab-token", prefix, rf"{prefix}[A-Za-z0-9_.\-]{{16,}}")
            for prefix in ("glpat-", "gldt-", "glrt-", "glptt-", "glsoat-", "glcbt-", "glagent-", "glft-", "GR1348941")
        ),
        ("slack-token", "xox", r"xox[abeoprs](?:\.xox[bp])?-[A-Za-z0-9-]{10,}"),
        ("slack-token", "xapp-", r"xapp-[A-Za-z0-9-]{10,}"),
        (
            "slack-webhook",
            "hooks.slack.com/",
            r"hooks\.slack\.com/(?:services|workflows|triggers)/[A-Za-z0-9+/_-]{20,}",
        ),
        ("stripe-key", "k_live_", r"[srp]k_live_[A-Za-z0-9]{10,}"),
        ("stripe-key", "k_test_", r"[sr]k_test_[A-Za-z0-9]{10,}"),
        ("stripe-webhook-secret", "whsec_", r"whsec_[A-Za-z0-9+/=]{16,}"),
        ("google-api-key", "AIza", r"AIza[A-Za-z0-9_\-]{20,}"),
        ("google-oauth-secret", "GOCSPX-", r"GOCSPX-[A-Za-z0-9_\-]{16,}"),
        ("google-access-token", "ya29.", r"ya29\.[A-Za-z0-9_\-]{16,}"),
        ("openrouter-key", "sk-or-", r"sk-or-(?:v\d-)?[A-Za-z0-9]{16,}"),
        ("groq-key", "gsk_", _START + r"gsk_[A-Za-z0-9]{20,}"),
        ("anthropic-key", "sk-ant-", r"sk-ant-[A-Za-z0-9_\-]{16,}"),
        ("openai-key", "sk-", r"sk-(?:proj|svcacct|admin|None)-[A-Za-z0-9_\-]{16,}"),
        ("openai-key", "T3BlbkFJ", _START + r"sk-[A-Za-z0-9]{16,}T3BlbkFJ[A-Za-z0-9]{8,}"),
        ("openai-key", "sk-", _START + r"sk-[A-Za-z0-9]{32,}"),
        ("npm-token", "npm_", r"npm_[A-Za-z0-9]{20,}"),
        ("pypi-token", "pypi-", r"pypi-[A-Za-z0-9_\-]{32,}"),
        ("huggingface-token", "hf_", _START + r"hf_[A-Za-z0-9]{24,}"),
        ("digitalocean-token", "_v1_", r"do[opr]_v1_[a-f0-9]{32,}"),
        ("sendgrid-key", "SG.", r"SG\.[A-Za-z0-9_\-]{16,}\.[A-Za-z0-9_\-]{16,}"),
        ("lintel-key", "lintel_", r"lintel_(?:[a-z]{1,12}_)?[A-Za-z0-9]{40,}"),
        ("jwt", "eyJ", _START + r"eyJ[A-Za-z0-9_\-]{8,}\.[A-Za-z0-9_\-]{8,}(?:\.[A-Za-z0-9_\-]*)+"),
    )
)

# What stands between the scheme and the host; a password may hold an @, so the last one before the path counts.
URL_PASSWORD = re.compile(r"(?<=://)([^\s/@:\"'<>`]*):([^\s/\"'<>`]+)@")
_AUTHORIZATION = re.compile(
    r"(?i)(authorization[\"']?\s{0,8}[:=,]\s{0,8}[\"']?)(basic|bearer|token)(\s{1,8})([^\s\"',;\[]+)"
)
_BEARER = re.compile(r"(?i)(?<![a-z])(bearer\s{1,8})([A-Za-z0-9._~+/\-]{16,}=*)")
# A value that is given to a name which says that it is secret.
ASSIGNED = re.compile(
    r"(?i)(?P<name>(?:passw(?:or)?d|passphrase|pwd|secret|token|api_?-?key|access_?-?key|private_?-?key|credential)"
    r"[A-Za-z0-9_]{0,40}[\"']?\]?\s{0,8}(?:=>|:=|==|=|:)\s{0,8})"
    r"(?:(?P<quote>[\"'`])(?P<quoted>[^\"'`\n]+)|(?P<bare>[^\s\"'`,;&<>(){}\[\]]+)(?![\w(\[.]))"
)
_BEGIN_KEY = re.compile(r"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----")
_END_KEY = re.compile(r"-----END [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----")
_KEY_WORD = re.compile(r"(?m)(^[+\-])?(\S+)")  # in a diff the mark of the line stays
_KEY_TEXT = re.compile(r"[A-Za-z0-9+/=]{16,}")
_KEY_TAIL = re.compile(r"(?:[\s\"'+,;>|\-]|\\[nr]|[A-Za-z0-9+/=]{24,}|Proc-Type:|DEK-Info:)*")
_NAME_OR_PATH = re.compile(r"[A-Za-z_]*(?:\.[A-Za-z_]\w*)*")
_PLACEHOLDER = re.compile(r"(?i)\$\{|\{\{|^<|^\$|^%|example|placeholder|your[_-]|change_?me|\[masked:")


def mask(text: str) -> str:
    """`text` with every secret replaced by "[masked:<kind>]"; the lines stay as many as they were."""
    if "PRIVATE KEY" in text:
        text = "".join(_mask_keys(text))
    for shape in SHAPES:
        if shape.hint in text:
            text = shape.pattern.sub(f"[masked:{shape.kind}]", text)
    if "://" in text:
        text = URL_PASSWORD.sub(_mask_url, text)
    text = _AUTHORIZATION.sub(r"\1\2\3[masked:credential]", text)
    text = _BEARER.sub(r"\1[masked:credential]", text)
    return ASSIGNED.sub(_mask_assigned, text)


def looks_secret(value: str) -> bool:
    """Whether an assigned value is one a person would hide: no placeholder, no word, no expression."""
    if len(value) < 6 or " " in value or _PLACEHOLDER.search(value):
        return False
    digits = any(c.isdigit() for c in value)
    letters = any(c.isalpha() for c in value)
    mixed = value != value.lower() and value != value.upper() and not value.isalpha()
    return letters and (digits or mixed)


def _mask_url(match: re.Match[str]) -> str:
    if match[2].startswith("[masked:"):
        return match[0]
    return f"{match[1]}:[masked:url-password]@"


def _mask_assigned(match: re.Match[str]) -> str:
    value = match["quoted"] or match["bare"]
    # Without quotes it may be a name in the code, and masking those would make code unreadable.
    if not looks_secret(value) or (match["bare"] and _NAME_OR_PATH.fullmatch(value)):
        return match[0]
    return f"{match['name']}{match['quote'] or ''}[masked:assigned-secret]"


def _mask_keys(text: str) -> Iterator[str]:
    """Mask the lines between BEGIN and END, or what looks like key text where the END is cut off."""
    ends = _end_finder(text)
    position = 0
    for begin in _BEGIN_KEY.finditer(text):
        if begin.start() < position:
            continue
        yield text[position : begin.end()]
        following = _BEGIN_KEY.search(text, begin.end())
        end = ends(begin.end())
        if end is not None and (following is None or end < following.start()):
            body, position = text[begin.end() : end], end
            yield _KEY_WORD.sub(_mask_key_word, body)
        else:
            tail = _KEY_TAIL.match(text, begin.end())
            position = tail.end() if tail else begin.end()
            yield _KEY_TEXT.sub("[masked:private-key]", text[begin.end() : position])
    yield text[position:]


def _mask_key_word(match: re.Match[str]) -> str:
    mark, word = match[1] or "", match[2]
    return match[0] if len(word) < 4 or word == "[masked:private-key]" else f"{mark}[masked:private-key]"


def _end_finder(text: str) -> Callable[[int], int | None]:
    """Answers where the next END stands, looking at each byte of `text` once over all calls."""
    starts = [match.start() for match in _END_KEY.finditer(text)]
    index = 0

    def following(position: int) -> int | None:
        nonlocal index
        while index < len(starts) and starts[index] < position:
            index += 1
        return starts[index] if index < len(starts) else None

    return following
