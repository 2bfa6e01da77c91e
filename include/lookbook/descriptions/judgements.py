"""What people said about descriptions, made into rows: published, still withheld, or withdrawn.

A text that a person edited is checked as the model's was. What the check refuses is published only if the person says
why it is right all the same; that is kept with their name.
"""

from __future__ import annotations

import hashlib
import logging
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Any

import orjson
import pyarrow as pa

from lookbook import storage
from lookbook.catalog import tables
from lookbook.catalog.schemas import DESCRIPTIONS
from lookbook.descriptions import checking, prompts
from lookbook.descriptions.reviewed import TABLE
from lookbook.descriptions.reviews import Question, answers_of, read_questions, rows_of
from lookbook.descriptions.texts import ProductText
from lookbook.lineage import records

log = logging.getLogger(__name__)

PUBLISH, KEEP_WITHHELD = "Publish", "Keep withheld"
KEEP_PUBLISHED, WITHDRAW = "Keep published", "Withdraw"
# What may be answered; the last-named of each changes nothing, and stands where nobody answers.
OPTIONS = {"withheld": (PUBLISH, KEEP_WITHHELD), "sample": (WITHDRAW, KEEP_PUBLISHED)}


@dataclass(frozen=True)
class Answer:
    """What a person said; ``text`` is the description as they left it, ``at`` ISO 8601."""

    option: str
    by: str
    at: str
    reason: str = ""
    text: ProductText | None = None


@dataclass(frozen=True)
class Reviewed:
    """What came of a run's questions. ``overtaken``: answered, but written or judged again since."""

    asked: int
    answered: int
    overtaken: int
    decisions: dict[str, int]
    drops: list[str]
    snapshot: str | None

    def reference(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return asdict(self)


def edited(text: ProductText, fields: Mapping[str, str | None]) -> ProductText:
    """Return a text with the parts that a person left in a form; bullet points and keywords stand one a line."""
    return replace(
        text,
        title=" ".join((fields.get("title") or "").split()),
        description=(fields.get("description") or "").strip(),
        bullet_points=_lines(fields.get("bullet_points")),
        keywords=_lines(fields.get("keywords")),
    )


def _lines(field: str | None) -> tuple[str, ...]:
    return tuple(line.strip() for line in (field or "").splitlines() if line.strip())


def store(reference: Mapping[str, Any], answer: Answer) -> str:
    """Keep the answer to a question; given again, it is the new answer that counts. Return where it is kept.

    Args:
        reference: of the question, as :func:`lookbook.descriptions.reviews.choose` returned it.
        answer: what the person said.
    """
    records.writes_object(storage.write_json(reference["answer"], asdict(answer)))
    records.details(answer=f"{answer.option}, by {answer.by}")
    return str(reference["answer"])


def commit(run_key: str) -> Reviewed:
    """Put what people answered in a run into the rows of the descriptions, in one commit.

    Done twice, it leaves what once leaves. No run of ``describe_products`` may publish meanwhile: the DAG's task holds
    the pool of those that do. An answer about a text that is not the product's any more, or that somebody has judged
    again since, changes nothing.
    """
    questions = read_questions(run_key)
    answers = _answers(run_key, questions)
    of_products = rows_of((question.drop_id, question.product_id) for question in answers)
    rows = {_key(row): row for row in tables.read(TABLE, of_products).to_pylist()} if of_products else {}
    changed = [
        row | _decision(question, answer)
        for question, answer in answers.items()
        if (row := rows.get(question.text_key)) and _is_newest(answer, row)
    ]
    return _reported(len(questions), len(answers) - len(changed), changed, _replace(changed))


def _answers(run_key: str, questions: list[Question]) -> dict[Question, Answer]:
    uris = answers_of(run_key, len(questions))
    contents = [_reported_answer(uri, content) for uri, content in zip(uris, storage.read_all(uris), strict=True)]
    answered = [
        (question, orjson.loads(content)) for question, content in zip(questions, contents, strict=True) if content
    ]
    return {question: _answer(stored) for question, stored in answered}


def _reported_answer(uri: str, content: bytes | None) -> bytes | None:
    if content:
        checksum = hashlib.sha256(content).hexdigest()
        records.reads("object", uri, checksum, checksum=checksum)
    return content


def _answer(stored: Mapping[str, Any]) -> Answer:
    return Answer(**{**stored, "text": ProductText.from_dict(stored["text"]) if stored["text"] else None})


def _key(row: Mapping[str, Any]) -> tuple[str | None, ...]:
    return row["drop_id"], row["product_id"], row["input_hash"], row["request_id"]


def _is_newest(answer: Answer, row: Mapping[str, Any]) -> bool:
    return row["reviewed_at"] is None or row["reviewed_at"] <= datetime.fromisoformat(answer.at)


def _decision(question: Question, answer: Answer) -> dict[str, Any]:
    """Return the columns that an answer changes."""
    by_whom = {
        "reviewed_by": answer.by,
        "reviewed_at": datetime.fromisoformat(answer.at),
        "review_reason": answer.reason or None,
    }
    return by_whom | _outcome(question, answer)


def _outcome(question: Question, answer: Answer) -> dict[str, Any]:
    if answer.option == PUBLISH:
        return _published(question, answer)
    if answer.option == WITHDRAW:
        why = f"withdrawn by {answer.by}: {answer.reason or 'no reason given'}"
        return {"status": "withheld", "reasons": [why], "review": "withdrawn"}
    return {"review": "kept" if answer.option == KEEP_WITHHELD else "confirmed"}


def _published(question: Question, answer: Answer) -> dict[str, Any]:
    text = answer.text or question.text
    problems = checking.problems(text, question.facts, prompts.load(language=text.language))
    review = "published" if not problems else "overruled" if answer.reason else "returned"
    return {
        **asdict(text),
        "status": "withheld" if review == "returned" else "published",
        "reasons": problems,
        "review": review,
        "edited": question.edited or text != question.text,
    }


def _replace(rows: list[dict[str, Any]]) -> str | None:
    of_products = rows_of((row["drop_id"], row["product_id"]) for row in rows)
    if of_products is None:
        return None
    return tables.replace(TABLE, pa.Table.from_pylist(rows, schema=DESCRIPTIONS), of_products)


def _reported(asked: int, overtaken: int, rows: list[dict[str, Any]], snapshot: str | None) -> Reviewed:
    decisions = dict(Counter(row["review"] for row in rows))
    records.counts(asked=asked, answered=len(rows) + overtaken, **decisions)
    drops = sorted({row["drop_id"] for row in rows})
    log.info("%d asked, %d decided about: %s; %d overtaken by another text", asked, len(rows), decisions, overtaken)
    return Reviewed(asked, len(rows) + overtaken, overtaken, decisions, drops, snapshot)
