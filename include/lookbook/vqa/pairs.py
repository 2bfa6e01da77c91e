"""From the published catalogue to question/answer pairs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from lookbook.catalog import tables
from lookbook.settings import Settings
from lookbook.vqa.questions import ATTRIBUTES, QUESTIONS, answer
from lookbook.vqa.split import side_of

_PRODUCT_COLUMNS = [
    "drop_id",
    "product_id",
    "article_type",
    "attributes",
    "picture_uri",
    "picture_sha256",
    "picture_phash",
]

# What Kaggle's catalogue writes where an attribute does not apply: no answer to learn.
_NOT_APPLICABLE = "NA"

# The columns of training.vqa_pairs but for the data set's id, which is a function of them.
_PAIR = pa.schema(
    [
        (name, pa.string())
        for name in (
            "drop_id",
            "product_id",
            "attribute",
            "question",
            "answer",
            "side",
            "picture_uri",
            "picture_sha256",
        )
    ]
)


@dataclass(frozen=True, slots=True)
class LabelledProduct:
    """A published product with a picture and at least one attribute that the model is asked about."""

    drop_id: str
    product_id: str
    picture_uri: str
    picture_sha256: str
    picture_phash: str
    labels: dict[str, str]


def labelled_products(article_types: Sequence[str], snapshot: str) -> list[LabelledProduct]:
    """Return the products that a model can learn from, in the order of their ids.

    A product that came in several drops counts once, as its newest drop has it.

    Args:
        article_types: only these; empty means all.
        snapshot: the version of ``catalog.products``.
    """
    rows = tables.read("catalog.products", columns=_PRODUCT_COLUMNS, snapshot=snapshot)
    rows = rows.filter(pc.is_valid(rows["picture_sha256"]))
    if article_types:
        rows = rows.filter(pc.is_in(rows["article_type"], pa.array(article_types, pa.string())))
    newest = {product.product_id: product for product in map(_product, rows.sort_by("drop_id").to_pylist())}
    return [product for _, product in sorted(newest.items()) if product.labels]


def make_pairs(products: Sequence[LabelledProduct], settings: Settings) -> pa.Table:
    """Return one question/answer pair per product and attribute, each with the side of its picture.

    An answer that fewer than ``settings.min_answer_products`` products have is left out: it can neither be learned
    nor fairly asked for.
    """
    frequency = Counter(label for product in products for label in product.labels.items())
    rows = [
        (
            product.drop_id,
            product.product_id,
            attribute,
            QUESTIONS[attribute],
            answer(attribute, value),
            side_of(product.picture_phash, settings.split_salt, settings.benchmark_share, settings.validation_share),
            product.picture_uri,
            product.picture_sha256,
        )
        for product in products
        for attribute, value in product.labels.items()
        if frequency[attribute, value] >= settings.min_answer_products
    ]
    columns = zip(*rows, strict=True) if rows else ([] for _ in _PAIR)
    return pa.table([pa.array(column, pa.string()) for column in columns], schema=_PAIR)


def _product(row: dict[str, Any]) -> LabelledProduct:
    stated = dict(row["attributes"] or [])
    return LabelledProduct(
        drop_id=row["drop_id"],
        product_id=row["product_id"],
        picture_uri=row["picture_uri"],
        picture_sha256=row["picture_sha256"],
        picture_phash=row["picture_phash"],
        labels={a: stated[a] for a in ATTRIBUTES if stated.get(a) and stated[a] != _NOT_APPLICABLE},
    )
