"""Texts as sequences of plain words, so that "Long-sleeved", "long sleeves" and "LONG SLEEVE" are the same."""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

END = "."  # stands for every mark that ends a sentence or clause
COMMA = ","

_WORD_OR_MARK = re.compile(r"[a-z0-9]+|[.!?;,]")
_POSSESSIVE = re.compile(r"['’`´](?:s\b|(?=\s|$))")
_APOSTROPHE = re.compile(r"['’`´]")

# Written apart or together, it is one word.
_JOINED = re.compile(r"\b(?:t[\s-]shirt|v[\s-]?neck|u[\s-]?neck|(?:crew|round)neck)")
_SPELT = {
    "roundneck": "round neck",
    "crewneck": "crew neck",
    "vneck": "v neck",
    "uneck": "u neck",
    "v-neck": "v neck",
    "u-neck": "u neck",
    "t-shirt": "tshirt",
    "t shirt": "tshirt",
}

_SAME = {
    "men": "man",
    "mens": "man",
    "women": "woman",
    "womens": "woman",
    "gentlemen": "gentleman",
    "scarves": "scarf",
    "sleeved": "sleeve",
    "necked": "neck",
    "neckline": "neck",
    "collared": "collar",
    "fits": "fit",
    "fitted": "fit",
    "fitting": "fit",
    "color": "colour",
    "coloured": "colour",
    "colored": "colour",
    "colorblocked": "colourblocked",
    "multicolor": "multicolour",
    "multicolored": "multicolour",
    "multicoloured": "multicolour",
    "gray": "grey",
    "are": "is",
    "was": "is",
    "were": "is",
}
# Words that lose their meaning with their s: shorts are no short.
_WHOLE = {"shorts", "tights", "flats", "pants", "this", "its", "has", "always", "perhaps", "does", "plus", "less",
          "canvas", "christmas", "bias", "gas", "atlas", "pyjamas"}  # fmt: skip


@lru_cache(maxsize=4096)  # the same names and values come with every text
def words(text: str) -> tuple[str, ...]:
    """Return the text's words in lower case without plural endings, and :data:`COMMA` and :data:`END` as words."""
    plain = text.casefold() if text.isascii() else _unaccented(text)
    plain = _APOSTROPHE.sub("", _POSSESSIVE.sub("", plain))
    plain = _JOINED.sub(lambda match: _SPELT.get(match[0], match[0].replace(" ", "-")), plain)
    return tuple(_root(word) for word in _WORD_OR_MARK.findall(plain))


def _unaccented(text: str) -> str:
    decomposed = unicodedata.normalize("NFKD", text).casefold()
    return "".join(char for char in decomposed if not unicodedata.combining(char))


def _root(word: str) -> str:
    if not word[0].isalnum():
        return COMMA if word == COMMA else END
    if word in _SAME or word in _WHOLE:
        return _SAME.get(word, word)
    return _SAME.get(singular := _singular(word), singular)


def _singular(word: str) -> str:
    if len(word) < 4 or word.endswith(("ss", "us", "is")) or not word.endswith("s"):
        return word
    if word.endswith("ies") and len(word) > 4:
        return word[:-3] + "y"
    if word.endswith(("sses", "ches", "shes", "xes")):
        return word[:-2]
    return word[:-1]
