"""Read ``styles/<id>.json``: brand, age group and the attributes that the seller states."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import Any

import ftfy
import orjson

from lookbook.drops.lines import normalise_space


@dataclass(frozen=True)
class Styles:
    """What a product's JSON says; ``problem`` is a code when it is missing or says nothing usable."""

    sha256: str | None = None
    brand: str | None = None
    age_group: str | None = None
    attributes: dict[str, str] = field(default_factory=dict)
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
        brand, age_group = _text(data.get("brandName") or ""), _text(data.get("ageGroup") or "")
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        return Styles(sha256, problem="json_unreadable", detail=f"{type(error).__name__}: {error}"[:200])
    if stated_id != int(product_id):
        return Styles(sha256, problem="json_of_another_product", detail=f"it is about product {stated_id}"[:200])
    return Styles(sha256, brand or None, age_group or None, texts)


def _text(value: Any) -> str:
    text = str(value)
    return normalise_space(text if text.isascii() else ftfy.fix_encoding(text))
