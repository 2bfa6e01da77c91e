"""The one form in which a model answers: ``<attribute>: <value>``, such as ``Sleeve Length: Long Sleeves``."""

from __future__ import annotations

SEPARATOR = ":"


def parse(text: str) -> tuple[str, str] | None:
    """Return attribute and value of an answer, or None if ``text`` isn't in the form."""
    attribute, separator, value = (part.strip() for part in text.partition(SEPARATOR))
    return (attribute, value) if attribute and separator and value else None
