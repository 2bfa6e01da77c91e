"""Descriptions that a person looks at: the withheld ones, and a sample of the published ones.

reviews/<run>/questions.json   what is asked, in the order of the mapped tasks
reviews/<run>/answers/<n>.json what a person answered to the n-th

A decision is kept in the description's row and is about that text alone: whatever is written of the product since is
judged anew (:mod:`lookbook.descriptions.reviewed`).
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal

import orjson
from pyiceberg.expressions import And, BooleanExpression, Or

from lookbook import storage
from lookbook.catalog import tables
from lookbook.descriptions.facts import Fact
from lookbook.descriptions.reviewed import TABLE
from lookbook.descriptions.sanitising import label
from lookbook.descriptions.texts import ProductText
from lookbook.lineage import records
from lookbook.settings import get_settings

log = logging.getLogger(__name__)

Kind = Literal["withheld", "sample"]

# A text that a person edited, and that still had faults, is shown again with what they left.
_OPEN = ("returned",)
_CHOOSING = ("drop_id", "product_id", "status", "review", "input_hash")
_SHARES = 16**8  # numbers that the first eight digits of a checksum can be


@dataclass(frozen=True)
class Question:
    """One description to be judged: what was written, from which facts, and why it was withheld."""

    kind: Kind
    drop_id: str
    product_id: str
    input_hash: str | None
    request_id: str | None
    text: ProductText
    facts: tuple[Fact, ...]
    reasons: tuple[str, ...]
    picture_uri: str | None
    edited: bool = False
    """Whether the text is a person's already."""

    @property
    def label(self) -> str:
        """What names it in a list."""
        garment = next((fact.value for fact in self.facts if fact.attribute == "Article Type"), "")
        return label(f"{self.product_id} {garment}")

    @property
    def text_key(self) -> tuple[str | None, ...]:
        """The text that it is about."""
        return self.drop_id, self.product_id, self.input_hash, self.request_id

    @classmethod
    def from_dict(cls, stored: Mapping[str, Any]) -> Question:
        """Return the question that ``asdict`` made JSON values of."""
        facts = tuple(Fact(**fact) for fact in stored["facts"])
        reasons, text = tuple(stored["reasons"]), ProductText.from_dict(stored["text"])
        return cls(**{**stored, "text": text, "facts": facts, "reasons": reasons})


def choose(drop_id: str | None, run_key: str) -> list[dict[str, Any]]:
    """Choose what a run asks people about, store it, and return a reference for each: ``uri``, ``number``, ``label``.

    Withheld descriptions that nobody has decided about come first, the newest drop's before others; then those of the
    share of published ones that is looked at, which their input's checksum draws: the same ones however often it is
    asked. What is beyond ``LOOKBOOK_REVIEW_LIMIT`` is left for the next run.

    Args:
        drop_id: only this drop's; ``None`` means any.
        run_key: names the run; where its questions lie is a function of it.
    """
    chosen = _chosen(drop_id)
    questions = [_question(row) for row in _rows_of(chosen)]
    uri = f"{root_of(run_key)}/questions.json"
    records.writes_object(storage.write_json(uri, [asdict(question) for question in questions]))
    records.counts(asked=len(questions))
    log.info("%d descriptions are to be looked at.", len(questions))
    return [
        {"uri": uri, "number": number, "label": question.label, "answer": _answer_uri(run_key, number)}
        for number, question in enumerate(questions)
    ]


def read_questions(run_key: str) -> list[Question]:
    """Return what a run asks about."""
    questions = orjson.loads(records.read_object(f"{root_of(run_key)}/questions.json"))
    return [Question.from_dict(stored) for stored in questions]


def read_question(reference: Mapping[str, Any]) -> Question:
    """Return the question of a reference that :func:`choose` returned."""
    return Question.from_dict(orjson.loads(records.read_object(reference["uri"]))[reference["number"]])


def root_of(run_key: str) -> str:
    """Return the S3 prefix of a run's reviews, without a slash at its end."""
    return f"s3://{get_settings().bucket}/reviews/{storage.key_part(run_key)}"


def answers_of(run_key: str, number: int) -> list[str]:
    """Return where the answers to a run's questions lie, whether or not there are any yet."""
    return [_answer_uri(run_key, question) for question in range(number)]


def rows_of(keys: Iterable[tuple[str, str]]) -> BooleanExpression | None:
    """Return the filter for the rows of products, each with its drop; ``None`` for no product."""
    by_drop: dict[str, list[str]] = {}
    for drop_id, product_id in keys:
        by_drop.setdefault(drop_id, []).append(product_id)
    each = [And(tables.equals("drop_id", drop), tables.one_of("product_id", ids)) for drop, ids in by_drop.items()]
    return None if not each else each[0] if len(each) == 1 else Or(*each)


def _answer_uri(run_key: str, number: int) -> str:
    return f"{root_of(run_key)}/answers/{number:05d}.json"


def _chosen(drop_id: str | None) -> list[tuple[str, str]]:
    settings = get_settings()
    rows = tables.read(TABLE, _may_be_asked(drop_id, settings.review_share), _CHOOSING).to_pylist()
    asked = [row for row in rows if _is_open(row, settings.review_share)]
    asked.sort(key=lambda row: row["product_id"])
    asked.sort(key=lambda row: row["drop_id"], reverse=True)
    asked.sort(key=lambda row: row["status"] != "withheld")
    return [(row["drop_id"], row["product_id"]) for row in asked[: settings.review_limit]]


def _may_be_asked(drop_id: str | None, share: float) -> BooleanExpression:
    status = tables.one_of("status", ["withheld", "published"] if share else ["withheld"])
    return And(tables.equals("drop_id", drop_id), status) if drop_id else status


def _is_open(row: Mapping[str, Any], share: float) -> bool:
    if row["review"] not in (None, *_OPEN):
        return False
    return row["status"] == "withheld" or _is_drawn(row["input_hash"], share)


def _is_drawn(input_hash: str | None, share: float) -> bool:
    return bool(input_hash) and int(str(input_hash)[:8], 16) < share * _SHARES


def _rows_of(chosen: Sequence[tuple[str, str]]) -> list[dict[str, Any]]:
    """Return the rows of products in the order in which they were chosen."""
    if (of_products := rows_of(chosen)) is None:
        return []
    rows = {(row["drop_id"], row["product_id"]): row for row in tables.read(TABLE, of_products).to_pylist()}
    return [rows[key] for key in chosen if key in rows]


def _question(row: Mapping[str, Any]) -> Question:
    parts = {part.name: row[part.name] for part in fields(ProductText) if row[part.name] is not None}
    return Question(
        kind="withheld" if row["status"] == "withheld" else "sample",
        text=ProductText.from_dict({"description": "", "bullet_points": (), "keywords": (), **parts}),
        facts=tuple(Fact(**fact) for fact in row["facts"] or ()),
        reasons=tuple(row["reasons"] or ()),
        edited=bool(row["edited"]),
        **{name: row[name] for name in ("drop_id", "product_id", "input_hash", "request_id", "picture_uri")},
    )
