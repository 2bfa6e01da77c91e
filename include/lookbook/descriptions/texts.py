"""The text about one product, in the parts that a shop shows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class ProductText:
    """What is published of a product: prose, and what surrounds it on a product page.

    ``language`` is a BCP 47 tag (``en-GB``). Prompt versions that ask for prose alone leave the other parts empty.
    """

    description: str
    title: str = ""
    bullet_points: tuple[str, ...] = ()
    keywords: tuple[str, ...] = ()
    language: str = "en-GB"

    def as_dict(self) -> dict[str, Any]:
        """Return the parts as JSON values."""
        return asdict(self)

    @classmethod
    def from_dict(cls, stored: Mapping[str, Any]) -> ProductText:
        """Return the text that :meth:`as_dict` stored."""
        return cls(
            **{
                **stored,
                "bullet_points": tuple(stored["bullet_points"]),
                "keywords": tuple(stored["keywords"]),
            }
        )
