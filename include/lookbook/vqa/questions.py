"""Which attributes the model is asked about, in which words, and the form of its answers."""

from __future__ import annotations

from lookbook.errors import PermanentError

_ASKED_AS = {
    "Fabric": "fabric",
    "Fit": "fit",
    "Collar": "collar",
    "Neck": "neck",
    "Pattern": "pattern",
    "Sleeve Length": "sleeve length",
    "Sleeve Styling": "sleeve styling",
    "baseColour": "colour",
}

QUESTIONS: dict[str, str] = {
    attribute: f"What is the {words} of the clothing in this picture?" for attribute, words in _ASKED_AS.items()
}
ATTRIBUTES: tuple[str, ...] = tuple(QUESTIONS)


class MalformedAnswerError(PermanentError):
    """A text is no answer of the form ``<attribute>: <value>``."""


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
