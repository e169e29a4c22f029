"""The provider's own words made fit to be shown: cut, of one line, and without any secret."""

import re

from services.kit.redact import mask
from services.llm_gateway.providers.faults import MAX_WORDS

_SHORTEST = 6  # characters of a secret that is looked for by value
_PREFIX = 8  # of a secret that is looked for by its beginning, as where a provider shows only that
_CONTROLS = re.compile(r"[\x00-\x1f\x7f\u200b-\u200f\u2028-\u202e\u2066-\u2069\ufeff]+")
_MAX_READ = 20_000


def shown(words: str, secrets: tuple[str, ...]) -> str:
    """Answer a provider's words without our secrets, whether they stand there whole, cut off, or as another's would."""
    text = words[:_MAX_READ]
    for secret in sorted({s for s in secrets if len(s) >= _SHORTEST}, key=len, reverse=True):
        text = text.replace(secret, "[masked:key]")
        if len(secret) >= 2 * _PREFIX:
            text = re.sub(re.escape(secret[:_PREFIX]) + r"[^\s\"',;)]*", "[masked:key]", text)
    text = _CONTROLS.sub(" ", mask(text)).strip()
    return text if len(text) <= MAX_WORDS else text[: MAX_WORDS - 1] + "…"
