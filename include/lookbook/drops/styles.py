"""Read ``styles/<id>.json``: brand, age group, and the attributes and texts of the seller."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import ftfy
import orjson
from selectolax.lexbor import LexborHTMLParser

from lookbook.drops.lines import normalise_space

# Where one of these begins, text begins anew: without a space between them, their words would run together.
_BLOCK = re.compile(r"(?=</?(?:br|p|div|li|ul|ol|tr|td|th|table|h[1-6])\b)", re.IGNORECASE)

_WORD = 64  # characters of the longest text that is worth remembering


@dataclass(frozen=True)
class Styles:
    """What a product's JSON says; ``problem`` is a code when it is missing or says nothing usable."""

    sha256: str | None = None
    brand: str | None = None
    age_group: str | None = None
    attributes: dict[str, str] = field(default_factory=dict)
    descriptors: dict[str, str] = field(default_factory=dict)  # plain text by name, without empty ones
    problem: str | None = None
    detail: str | None = None


def parse(content: bytes, product_id: str) -> Styles:
    """Read a product's JSON; one that is damaged or of another product comes back with ``problem``."""
    sha256 = hashlib.sha256(content).hexdigest()
    try:
        data = orjson.loads(content)["data"]
        stated_id, attributes = int(data["id"]), data.get("articleAttributes") or {}
        texts = {
            _text(name): _text(value) for name, value in attributes.items() if isinstance(value, str | int | float)
        }
        descriptors = _descriptors(data.get("productDescriptors"))
        brand, age_group = _text(data.get("brandName") or ""), _text(data.get("ageGroup") or "")
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        return Styles(sha256, problem="json_unreadable", detail=f"{type(error).__name__}: {error}"[:200])
    if stated_id != int(product_id):
        return Styles(sha256, problem="json_of_another_product", detail=f"it is about product {stated_id}"[:200])
    return Styles(sha256, brand or None, age_group or None, texts, descriptors)


def _text(value: Any) -> str:
    text = str(value)
    return _word(text) if len(text) <= _WORD else _clean(text)


@lru_cache(maxsize=8192)
def _word(text: str) -> str:
    """Clean a short text: names and values of attributes are the same few thousand in all products."""
    return _clean(text)


def _clean(text: str) -> str:
    return normalise_space(text if text.isascii() else ftfy.fix_encoding(text))


def _descriptors(stated: Any) -> dict[str, str]:
    """Return the seller's texts by name; what is no text is left out."""
    if not isinstance(stated, dict):
        return {}
    values = {name: entry.get("value") for name, entry in stated.items() if isinstance(entry, dict)}
    texts = {_text(name): plain_text(value) for name, value in values.items() if isinstance(value, str)}
    return {name: text for name, text in texts.items() if text}


def plain_text(html: str) -> str:
    """Return the text of an HTML fragment: no tags, entities as characters, mojibake mended where it can be."""
    if "<" in html or "&" in html:
        page = LexborHTMLParser(_BLOCK.sub(" ", html))
        page.strip_tags(["script", "style"])
        html = page.body.text() if page.body else ""
    return _text(html)
