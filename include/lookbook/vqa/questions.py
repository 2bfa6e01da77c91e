"""Which attributes the model is asked about, in which words, and the form of its answers.

The words are those of a versioned file, ``tasks/<version>.toml``.
"""

from __future__ import annotations

import hashlib
import tomllib
from collections.abc import Iterable
from importlib import resources
from typing import Any

from lookbook.errors import PermanentError

VERSION = "v1"


def _task(version: str) -> dict[str, Any]:
    text = resources.files("lookbook.vqa").joinpath("tasks", f"{version}.toml").read_text(encoding="utf-8")
    return tomllib.loads(text)


_TASK = _task(VERSION)
WORDINGS: dict[str, tuple[str, ...]] = {
    attribute: tuple(entry["questions"]) for attribute, entry in _TASK["attributes"].items()
}
"""By attribute, every wording of its question; the first is the one that is asked in service."""
QUESTIONS: dict[str, str] = {attribute: wordings[0] for attribute, wordings in WORDINGS.items()}
ATTRIBUTES: tuple[str, ...] = tuple(QUESTIONS)
PRESETS: dict[str, tuple[str, ...]] = {name: tuple(types) for name, types in _TASK["presets"].items()}


class MalformedAnswerError(PermanentError):
    """A text is no answer of the form ``<attribute>: <value>``."""


def article_types(names: Iterable[str]) -> tuple[str, ...]:
    """Return article types where presets stand for theirs: ``shirts_and_tshirts`` for Shirts and Tshirts."""
    return tuple(dict.fromkeys(kind for name in names for kind in PRESETS.get(name, (name,))))


def wording(attribute: str, product_id: str, paraphrased_share: float) -> str:
    """Return the words in which one product's attribute is asked for in training.

    They are a function of the arguments alone, so that an unchanged catalogue gives an unchanged data set.

    Args:
        attribute: one of :data:`ATTRIBUTES`.
        product_id: the product.
        paraphrased_share: fraction of products that are asked for in other words than those of service.
    """
    usual, *others = WORDINGS[attribute]
    digest = hashlib.sha256(f"{attribute}:{product_id}".encode()).digest()
    if not others or int.from_bytes(digest[:8]) / 2**64 >= paraphrased_share:
        return usual
    return others[int.from_bytes(digest[8:16]) % len(others)]


def answer(attribute: str, value: str) -> str:
    """Return the answer that states ``value``: ``Fabric: Cotton``."""
    return f"{attribute}: {value}"


def parse_answer(text: str) -> tuple[str, str]:
    """Split an answer into attribute and value.

    Raises:
        MalformedAnswerError: there is no value, or the attribute is none of :data:`ATTRIBUTES`.
    """
    attribute, colon, value = (part.strip() for part in text.partition(":"))
    if attribute not in QUESTIONS or not colon or not value:
        raise MalformedAnswerError(f"{text!r} is no answer. Expected <attribute>: <value> with one of {ATTRIBUTES}.")
    return attribute, value
