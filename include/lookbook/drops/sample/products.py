"""A generated product: its garment and what the catalogue says about it, in both of Kaggle's shapes."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, time
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np

from lookbook.drops.lines import COLUMNS
from lookbook.drops.sample import texts
from lookbook.drops.sample.garments import Garment, random_garment

COVERAGE = 0.8  # share of a garment's attributes that its JSON states
# What some sellers write instead; the platform's vocabulary leads them back.
SYNONYMS = {
    "Cotton": "Pure Cotton",
    "Silk": "Pure Silk",
    "Sleeveless": "No Sleeves",
    "Loose Fit": "Loose",
    "Flared Sleeves": "Bell Sleeves",
}
SYNONYM_SHARE = 0.15
_SEASONS = ("Winter", "Spring", "Summer", "Fall")
_USAGES = {"Kurtas": ("Ethnic",), "Shirts": ("Casual", "Formal"), "Sweatshirts": ("Casual", "Sports")}
_TYPE_IDS = {"Tshirts": 90, "Shirts": 93, "Tops": 80, "Dresses": 78, "Kurtas": 115, "Sweatshirts": 86}
_SUB_CATEGORY_IDS = {"Topwear": 31, "Dress": 36}


@dataclass
class Product:
    """A product as the catalogue states it; quirks change it before it is written."""

    garment: Garment
    row: dict[str, str]  # the ten columns of styles.csv
    brand: str
    attributes: dict[str, str]  # as stated, synonyms and gaps included
    description: str


def make_product(product_id: int, monday: date, rng: np.random.Generator, *, plain: bool) -> Product:
    """Make up a product; ``plain`` states every attribute and uses no synonym."""
    garment = random_garment(rng)
    brand = texts.pick(texts.BRANDS, rng)
    name = texts.product_name(garment, brand, garment.colour, rng)
    kind = garment.kind
    values = (
        str(product_id),
        garment.gender,
        "Apparel",
        kind.sub_category,
        kind.article_type,
        garment.colour,
        _SEASONS[monday.month % 12 // 3],
        str(monday.year),
        texts.pick(_USAGES.get(kind.article_type, ("Casual",)), rng),
        name,
    )
    stated = garment.attributes if plain else _stated(garment.attributes, rng)
    row = dict(zip(COLUMNS, values, strict=True))
    return Product(garment, row, brand, stated, texts.description_html(name, rng))


def _stated(attributes: dict[str, str], rng: np.random.Generator) -> dict[str, str]:
    """Return what a seller states of a garment's attributes, in a seller's words."""
    known = {name: value for name, value in attributes.items() if rng.uniform() < COVERAGE}
    return {n: SYNONYMS.get(v, v) if rng.uniform() < SYNONYM_SHARE else v for n, v in known.items()}


def styles_json(product: Product, monday: date) -> dict[str, Any]:
    """Return the content of ``styles/<id>.json``, key by key as the real catalogue has it."""
    row, kind = product.row, product.garment.kind
    name = row["productDisplayName"]
    slug = "-".join(name.replace(",", "").split())
    added = datetime.combine(monday, time(6), ZoneInfo("UTC"))
    price = 399 + 100 * (int(row["id"]) % 23)
    data = {
        "id": int(row["id"]),
        "price": price,
        "discountedPrice": price,
        "styleType": "P",
        "productTypeId": 289,
        "articleNumber": f"LB-{row['id']}",
        "visualTag": "",
        "productDisplayName": name,
        "variantName": name.removeprefix(product.brand).strip(),
        "catalogAddDate": int(added.timestamp()),
        "brandName": product.brand,
        "ageGroup": f"Adults-{row['gender']}",
        "gender": row["gender"],
        "baseColour": row["baseColour"],
        "colour1": "NA",
        "colour2": "NA",
        "fashionType": "Fashion",
        "season": row["season"],
        "year": row["year"],
        "usage": row["usage"],
        "vat": 5.5,
        "displayCategories": "Casual Wear",
        "weight": "0",
        "navigationId": 0,
        "landingPageUrl": f"{kind.article_type}/{product.brand}/{slug}/{row['id']}/buy",
        "articleAttributes": {
            "Body or Garment Size": "Garment Measurements in",
            "Surface Styling": "NA",
            **product.attributes,
        },
        "crossLinks": [{"key": f"More {kind.article_type}", "value": kind.article_type.lower()}],
        "codEnabled": True,
        "styleImages": {
            "default": {
                "imageURL": picture_link(product, monday),
                "resolutions": {},
                "imageType": "default",
            }
        },
        "lookGoodAlbum": {},
        "style360Images": {},
        "masterCategory": _category(9, "Apparel"),
        "subCategory": _category(_SUB_CATEGORY_IDS[kind.sub_category], kind.sub_category),
        "articleType": _category(_TYPE_IDS[kind.article_type], kind.article_type),
        "isEMIEnabled": True,
        "otherFlags": [{"dataType": "BOOLEAN", "name": "isFragile", "value": "false"}],
        "productDescriptors": {
            "description": {"descriptorType": "description", "value": product.description},
            "style_note": {"descriptorType": "style_note", "value": "<p>NA</p>"},
        },
        "styleOptions": [
            {"id": int(row["id"]) * 10 + n, "name": "Size", "value": size, "active": True}
            for n, size in enumerate(("S", "M", "L"))
        ],
    }
    return {"notification": {}, "meta": {"code": 200, "requestId": f"{monday}-{row['id']}"}, "data": data}


def _category(number: int, name: str) -> dict[str, Any]:
    return {"id": number, "typeName": name, "active": True, "isReturnable": True, "isExchangeable": True}


def picture_link(product: Product, monday: date) -> str:
    """Return where ``images.csv`` says that the picture came from."""
    return f"http://assets.example.com/v1/images/style/{monday}/{product.row['id']}_images.jpg"
