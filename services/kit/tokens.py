"""How many tokens a text has, without any tokenizer: those of models differ, and theirs are downloaded."""

import re

_LONG_WORD = re.compile(r"[A-Za-z0-9+/=_-]{40,}")


def estimate(text: str) -> int:
    """Answer about how many tokens `text` has, rather too many: code has some three characters a token, keys fewer."""
    dense = sum(len(word) for word in _LONG_WORD.findall(text))
    wide = 0 if text.isascii() else sum(not character.isascii() for character in text)
    return max(len(text) - dense - wide, 0) // 3 + dense * 2 // 3 + wide + 1
