"""Hidden marks that tell our own texts from others': keyed, bound to one pull request, and only counted at the end."""

import hashlib
import hmac
import re
from collections.abc import Sequence

from services.webhooks.hosts.base import Mark, MarkKind, PullRequestRef

_SUBKEY = b"lintel/webhooks/markers/1"
_TAG_BYTES = 16
_KEY = re.compile(r"[A-Za-z0-9.-]{1,80}")
_MARK = re.compile(r"<!-- lintel:1:([a-z]{1,16}):([A-Za-z0-9.-]{1,80}):([0-9a-f]{32}) -->\Z")
_LOOKS = re.compile(r"<!--\s*lintel\s*:", re.IGNORECASE)
_STRIP = re.compile(r"<!--\s*lintel\s*:(?:[^<>]*?-->)?", re.IGNORECASE)


class Marker:
    """Writes marks with the first key and verifies them with any: API_CRYPTO_KEY and its previous values."""

    def __init__(self, keys: Sequence[bytes]) -> None:
        if not keys or not all(keys):
            raise ValueError("a marker needs at least one key, and no empty one")
        self._keys = [hmac.digest(key, _SUBKEY, "sha256") for key in keys]

    def write(self, ref: PullRequestRef, mark: Mark) -> str:
        """Answer the mark as a comment of Markdown; ValueError for a key that could end it early."""
        if not _KEY.fullmatch(mark.key):
            raise ValueError("the key of a mark is made of letters, digits, dots and dashes")
        tag = self._tag(self._keys[0], ref, mark.kind, mark.key)
        return f"<!-- lintel:1:{mark.kind}:{mark.key}:{tag} -->"

    def read(self, ref: PullRequestRef, text: str) -> Mark | None:
        """Answer the mark that `text` ends with, if one of our keys wrote it for this pull request."""
        match = _MARK.search(text.rstrip()[-200:])
        if match is None or match[1] not in set(MarkKind):
            return None
        for key in self._keys:
            if hmac.compare_digest(self._tag(key, ref, match[1], match[2]), match[3]):
                return Mark(MarkKind(match[1]), match[2])
        return None

    @staticmethod
    def _tag(key: bytes, ref: PullRequestRef, kind: str, name: str) -> str:
        # Repository ids outlive renames and transfers; every part is free of NUL or comes from us.
        said = "\0".join(("1", ref.host, ref.repository_id, str(ref.number), kind, name))
        return hmac.digest(key, said.encode("utf-8", "surrogatepass"), hashlib.sha256)[:_TAG_BYTES].hex()


def looks_marked(text: str) -> bool:
    """Whether the text holds anything like a mark of ours, whoever wrote it."""
    return _LOOKS.search(text) is not None


def strip_marks(text: str) -> str:
    """`text` with "[removed]" for all that looks like a mark of ours; one pass, as a word left behind joins nothing."""
    return _STRIP.sub("[removed]", text)
