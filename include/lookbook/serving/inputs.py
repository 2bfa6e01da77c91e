"""What the model is asked about: each product's picture, and which of the model's questions apply to it."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass

import orjson

from lookbook.catalog import tables
from lookbook.descriptions.plans import Plan, PlannedProduct
from lookbook.settings import get_settings


@dataclass(frozen=True)
class Input:
    """A picture and what is asked about it; products with the same picture and type share one."""

    picture_uri: str
    picture_sha256: str
    attributes: tuple[str, ...]
    picture_etag: str | None = None
    """The version of the object, as it was published."""


def inputs_of(plan: Plan, taught: tuple[str, ...]) -> dict[str, Input]:
    """Return what a model is asked about each product of a plan that has a picture.

    It is asked only what it was ``taught``, of that only what the catalogue states for any product of the article type.
    """
    catalogue = _Catalogue(plan)
    # The same picture under several ids is one input, read from one place.
    places = {product.picture_sha256: product for product in plan.products}

    def asked(product: PlannedProduct) -> tuple[str, ...]:
        applicable = catalogue.stated[product.article_type]
        return tuple(attribute for attribute in taught if attribute in applicable) or taught

    return {
        product.product_id: Input(uri, product.picture_sha256, asked(product), catalogue.etags.get(place.product_id))
        for product in plan.products
        if product.picture_sha256 and (uri := (place := places[product.picture_sha256]).picture_uri)
    }


def results_prefix(drop_id: str) -> str:
    """Return the prefix of everything that models said about a drop's pictures."""
    return f"s3://{get_settings().bucket}/predictions/{drop_id}/"


def result_uri(drop_id: str, asked: Input, model_name: str) -> str:
    """Return where the result is stored: a function of the picture, the attributes asked about and the model."""
    named = orjson.dumps([asked.picture_sha256, list(asked.attributes), model_name])
    return f"{results_prefix(drop_id)}{hashlib.sha256(named).hexdigest()}.json"


class _Catalogue:
    """The published products as a plan sees them."""

    def __init__(self, plan: Plan) -> None:
        columns = ("drop_id", "product_id", "article_type", "attributes", "picture_etag")
        rows = tables.read("catalog.products", columns=columns, snapshot=plan.products_snapshot)
        stated: defaultdict[str | None, set[str]] = defaultdict(set)
        self.etags: dict[str, str | None] = {}
        for row in rows.to_pylist(maps_as_pydicts="strict"):
            stated[row["article_type"]].update(row["attributes"] or {})
            if row["drop_id"] == plan.drop_id:
                self.etags[row["product_id"]] = row["picture_etag"]
        self.stated: Mapping[str | None, set[str]] = stated
        """By article type, the attributes that the catalogue states for any product of it."""
