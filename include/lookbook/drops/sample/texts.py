"""Brands, names and HTML texts of generated products. Every brand is invented."""

from __future__ import annotations

import numpy as np

from lookbook.drops.sample.garments import Garment

BRANDS = (
    "Orlavane",
    "Tindrelle",
    "Mosswick Row",
    "Calderine",
    "Brivanta",
    "Fennoway",
    "Lumisett",
    "Harrowlet",
    "Zephrine Co",
    "Quillmere",
    "Aventhe",
    "Dovetarn",
    "Pallowick",
    "Sundrivet",
    "Nerovale",
    "Ketterlyn",
)
_EPITHETS = (
    "Harbour",
    "Meadow",
    "Weekend",
    "Gallery",
    "Orchard",
    "Everyday",
    "Studio",
    "Lantern",
    "Riverside",
    "Atlas",
)
_SINGULAR = {
    "Tshirts": "T-shirt",
    "Shirts": "Shirt",
    "Tops": "Top",
    "Dresses": "Dress",
    "Kurtas": "Kurta",
    "Sweatshirts": "Sweatshirt",
}
_SENTENCES = (
    "Made to be worn often &amp; washed gently.",
    "Pairs well with jeans or chinos &ndash; in town and out.",
    "The model wears a size M; the model&#39;s height is 6&#39;.",
    "Machine wash at 30&deg;C, dry in the shade.",
    "Part of our &quot;Long Weekend&quot; line.",
    "Stitched in small batches; <strong>colours may vary slightly</strong>.",
)


def pick(values: tuple[str, ...], rng: np.random.Generator) -> str:
    """Return one of ``values``."""
    return values[rng.integers(len(values))]


def product_name(garment: Garment, brand: str, colour: str, rng: np.random.Generator) -> str:
    """Return a name in the catalogue's manner: brand, gender, epithet, colour, article."""
    return f"{brand} {garment.gender} {pick(_EPITHETS, rng)} {colour} {_SINGULAR[garment.kind.article_type]}"


def description_html(name: str, rng: np.random.Generator) -> str:
    """Return a description as shops write it: HTML with entities."""
    sentences = rng.permutation(np.array(_SENTENCES))[: rng.integers(2, 5)].tolist()
    return f"<p><strong>{name}</strong><br />{'<br />'.join(sentences)}</p>"
