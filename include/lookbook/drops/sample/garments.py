"""What a drawn garment is: its kind and the attributes that can be seen in its picture.

Every value is one that the real catalogue uses, so that vocabulary, questions and answers are the same for both;
Denim alone is added. Values are drawn evenly within a kind: no answer is right most of the time.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

SubCategory = Literal["Topwear", "Dress"]

COLOURS: dict[str, tuple[int, int, int]] = {
    "Black": (40, 40, 44),
    "White": (236, 235, 231),
    "Grey": (134, 137, 141),
    "Red": (196, 32, 40),
    "Blue": (42, 92, 196),
    "Green": (36, 132, 66),
    "Yellow": (238, 196, 38),
    "Pink": (238, 142, 178),
    "Purple": (116, 56, 156),
    "Brown": (116, 72, 42),
}
FABRICS = ("Cotton", "Denim", "Linen", "Silk", "Wool")
FITS = ("Slim Fit", "Regular Fit", "Loose Fit")
PATTERNS = ("Solid", "Striped", "Checked", "Printed", "Polka Dots")
SLEEVE_LENGTHS = ("Sleeveless", "Short Sleeves", "Three-Quarter Sleeves", "Long Sleeves")
SLEEVE_STYLINGS = ("Regular Sleeves", "Puff Sleeves", "Flared Sleeves")


@dataclass(frozen=True)
class Kind:
    """An article type: where it stands in the catalogue, what it can be, how long it hangs (pixels of 256)."""

    article_type: str
    sub_category: SubCategory
    hem_y: float
    fabrics: tuple[str, ...]
    sleeve_lengths: tuple[str, ...] = SLEEVE_LENGTHS
    necks: tuple[str, ...] = ()
    collars: tuple[str, ...] = ()
    styled_sleeves: bool = False
    genders: tuple[str, ...] = ("Men", "Women")


KINDS = (
    Kind("Tshirts", "Topwear", 176, ("Cotton", "Linen", "Wool", "Silk"), necks=("Round Neck", "V-Neck", "Polo Collar")),
    Kind("Shirts", "Topwear", 184, FABRICS, collars=("Spread Collar", "Mandarin Collar")),
    Kind(
        "Tops",
        "Topwear",
        166,
        ("Cotton", "Denim", "Linen", "Silk"),
        necks=("Round Neck", "V-Neck", "Square Neck"),
        styled_sleeves=True,
        genders=("Women",),
    ),
    Kind(
        "Dresses",
        "Dress",
        224,
        FABRICS,
        necks=("Round Neck", "V-Neck", "Square Neck"),
        styled_sleeves=True,
        genders=("Women",),
    ),
    Kind("Kurtas", "Topwear", 220, ("Cotton", "Linen", "Silk"), necks=("Mandarin Collar", "Round Neck", "V-Neck")),
    Kind(
        "Sweatshirts",
        "Topwear",
        172,
        ("Cotton", "Wool", "Denim"),
        sleeve_lengths=SLEEVE_LENGTHS[1:],
        necks=("Round Neck", "V-Neck"),
        collars=("Hooded",),
    ),
)


@dataclass(frozen=True)
class Garment:
    """One garment to draw; exactly one of ``neck`` and ``collar`` is set."""

    kind: Kind
    gender: str
    colour: str
    fabric: str
    fit: str
    pattern: str
    sleeve_length: str
    sleeve_styling: str | None
    neck: str | None
    collar: str | None

    @property
    def attributes(self) -> dict[str, str]:
        """Return the garment's attributes by the catalogue's names, ``baseColour`` not among them."""
        named = {
            "Fabric": self.fabric,
            "Fit": self.fit,
            "Pattern": self.pattern,
            "Sleeve Length": self.sleeve_length,
            "Sleeve Styling": self.sleeve_styling,
            "Neck": self.neck,
            "Collar": self.collar,
        }
        return {name: value for name, value in named.items() if value is not None}


def random_garment(rng: np.random.Generator) -> Garment:
    """Draw a garment's kind and attributes, each value as likely as any other of its kind."""

    def one(values: tuple[str, ...]) -> str:
        return values[rng.integers(len(values))]

    kind = KINDS[rng.integers(len(KINDS))]
    at_the_top = one(kind.necks + kind.collars)
    sleeve_length = one(kind.sleeve_lengths)
    styled = kind.styled_sleeves and sleeve_length != "Sleeveless"
    return Garment(
        kind=kind,
        gender=one(kind.genders),
        colour=one(tuple(COLOURS)),
        fabric=one(kind.fabrics),
        fit=one(FITS),
        pattern=one(PATTERNS),
        sleeve_length=sleeve_length,
        sleeve_styling=one(SLEEVE_STYLINGS) if styled else None,
        neck=at_the_top if at_the_top in kind.necks else None,
        collar=at_the_top if at_the_top in kind.collars else None,
    )
