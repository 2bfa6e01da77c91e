"""From the published catalogue to question/answer pairs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from lookbook.catalog import tables
from lookbook.settings import Settings
from lookbook.vqa import questions
from lookbook.vqa.questions import ATTRIBUTES, answer
from lookbook.vqa.split import Side, side_of

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


@dataclass(frozen=True)
class Pairs:
    """Question/answer pairs as rows of ``training.vqa_pairs`` without their data set's id, and what was left out.

    ``left_out`` counts pairs by reason: ``rare_answer`` and ``former_benchmark``.
    """

    rows: pa.Table
    left_out: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Seen:
    """The products and the pictures (by checksum) that were in a benchmark before."""

    products: Collection[str] = frozenset()
    pictures: Collection[str] = frozenset()

    def has(self, product: LabelledProduct) -> bool:
        """Return whether the product, or its picture, was in a benchmark."""
        return product.product_id in self.products or product.picture_sha256 in self.pictures


def labelled_products(article_types: Sequence[str], snapshot: str) -> list[LabelledProduct]:
    """Return the products that a model can learn from, in the order of their ids.

    A product that came in several drops counts once, as its newest drop has it.

    Args:
        article_types: only these, presets among them (:data:`lookbook.vqa.questions.PRESETS`); empty means all.
        snapshot: the version of ``catalog.products``.
    """
    rows = tables.read("catalog.products", columns=_PRODUCT_COLUMNS, snapshot=snapshot)
    rows = rows.filter(pc.is_valid(rows["picture_sha256"]))
    if article_types:
        chosen = pa.array(questions.article_types(article_types), pa.string())
        rows = rows.filter(pc.is_in(rows["article_type"], chosen))
    newest = {product.product_id: product for product in map(_product, rows.sort_by("drop_id").to_pylist())}
    return [product for _, product in sorted(newest.items()) if product.labels]


def make_pairs(products: Sequence[LabelledProduct], settings: Settings, benchmarked: Seen) -> Pairs:
    """Return one question/answer pair per product and attribute, each with the side of its picture.

    Two kinds are left out. An answer that fewer than ``settings.min_answer_products`` products have: it can neither be
    learned nor fairly asked for. And what was once in a benchmark but would train now, such as a product that got
    another picture: a model must not have learned what it is compared on.
    """
    frequency = Counter(label for product in products for label in product.labels.items())
    left_out: Counter[str] = Counter()
    rows: list[tuple[str, ...]] = []
    for product in products:
        side = _side(product, settings)
        common = {label for label in product.labels.items() if frequency[label] >= settings.min_answer_products}
        left_out["rare_answer"] += len(product.labels) - len(common)
        if side != "benchmark" and benchmarked.has(product):
            left_out["former_benchmark"] += len(common)
        else:
            rows.extend(_pairs(product, common, side, settings))
    columns = zip(*rows, strict=True) if rows else ([] for _ in _PAIR)
    table = pa.table([pa.array(column, pa.string()) for column in columns], schema=_PAIR)
    return Pairs(table, dict(left_out))


def _side(product: LabelledProduct, settings: Settings) -> Side:
    return side_of(product.picture_phash, settings.split_salt, settings.benchmark_share, settings.validation_share)


def _pairs(
    product: LabelledProduct, labels: Collection[tuple[str, str]], side: Side, settings: Settings
) -> Iterator[tuple[str, ...]]:
    share = settings.paraphrased_share if side == "train" else 0.0
    for attribute, value in product.labels.items():
        if (attribute, value) in labels:
            yield (
                product.drop_id,
                product.product_id,
                attribute,
                questions.wording(attribute, product.product_id, share),
                answer(attribute, value),
                side,
                product.picture_uri,
                product.picture_sha256,
            )


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
