"""Ask a person about one description."""

from __future__ import annotations

import re
from collections.abc import Collection
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow.providers.standard.operators.hitl import HITLOperator
from airflow.sdk import Param
from airflow.sdk.definitions.param import ParamsDict

from lookbook_airflow.lineage import traced
from lookbook_airflow.pages import page_path

if TYPE_CHECKING:
    from airflow.sdk import Context

    from lookbook.descriptions.judgements import Answer
    from lookbook.descriptions.reviews import Question

_MARKDOWN = re.compile(r"([\\`*_{}\[\]()#+.!|<>~&:-])")


class ReviewOperator(HITLOperator):
    """Shows a description with its facts, and waits for a person to publish, edit, keep or withdraw it.

    What is asked is read from S3 when the task runs. Without an answer within ``LOOKBOOK_REVIEW_WAIT_H`` everything
    stays as it is. Waiting holds no worker. An answer that can't be stored fails the task, whose next try asks again.

    :param question: a reference of :func:`lookbook.descriptions.reviews.choose`; most often another task's result.
    """

    template_fields: Collection[str] = ("question",)

    def __init__(self, *, question: Any, **arguments: Any) -> None:
        # What is really asked differs from task to task: see `_prepare`. The timeout that every task has by default is
        # about a worker's time; a person's is set when the question is asked.
        super().__init__(**(arguments | {"subject": "Review", "options": ["-"], "execution_timeout": None}))
        self.question = question

    def execute(self, context: Context) -> Any:
        """Ask."""
        from lookbook.settings import get_settings  # here and below, since DAG files import this module

        self._prepare()
        self.response_timeout = timedelta(hours=get_settings().review_wait_h)
        return super().execute(context)

    def execute_complete(self, context: Context, event: dict[str, Any]) -> dict[str, Any]:
        """Keep the answer, and return where; nobody's answer is none."""
        from lookbook.descriptions import judgements

        question = self._prepare()
        given = super().execute_complete(context, event)
        if given["responded_by_user"] is None:
            self.log.info("Nobody answered: it stays what it is.")
            return {"answer": None}
        with traced(context):
            return {"answer": judgements.store(self.question, _answer(question, given))}

    def _prepare(self) -> Question:
        """Make this the question that the reference is about; the text of a withheld one can be edited."""
        from lookbook.descriptions import judgements, reviews

        question = reviews.read_question(self.question)
        options = judgements.OPTIONS[question.kind]
        self.options, self.defaults = list(options), [options[-1]]
        self.subject = (
            f"{'Withheld' if question.kind == 'withheld' else 'Sample of what is published'}: {question.label}"
        )
        self.body = body_of(question)
        self.params = ParamsDict({**(_text_fields(question) if question.kind == "withheld" else {}), "reason": _REASON})
        return question


_REASON = Param(
    None,
    type=["null", "string"],
    maxLength=500,
    title="Reason",
    description="Kept with your name. A text that the check still refuses is published only with a reason",
    source="task",
)


def body_of(question: Question) -> str:
    """Return what a person needs to judge, as Markdown: picture, facts, faults, text; nothing of them is markup."""
    picture = page_path("pictures", question.drop_id, question.product_id)
    facts = [f"- {_plain(fact.attribute)}: {_plain(fact.value)}{_source(fact)}" for fact in question.facts]
    parts = [
        f"![The product's picture]({picture})",
        f"**Facts** of product {_plain(question.product_id)}, drop {_plain(question.drop_id)}",
        "\n".join(facts) or "none",
        "**Why it is withheld**" if question.reasons else "",
        "\n".join(f"- {_plain(reason)}" for reason in question.reasons),
        f"**{_plain(question.text.title) or 'Text'}**",
        _plain(question.text.description) or "There is no text.",
        "\n".join(f"- {_plain(point)}" for point in question.text.bullet_points),
    ]
    return "\n\n".join(part for part in parts if part)


def _source(fact: Any) -> str:
    return f" (the model, {fact.probability:.2f})" if fact.source == "model" else ""


def _plain(text: str) -> str:
    """Return a text on one line in which nothing is Markdown."""
    return _MARKDOWN.sub(r"\\\1", " ".join(text.split()))


def _text_fields(question: Question) -> dict[str, Param]:
    text = question.text

    def lines(entries: Collection[str], title: str) -> Param:
        return _field("\n".join(entries), title, "One a line", 2000)

    return {
        "title": Param(
            text.title or None,
            type=["null", "string"],
            maxLength=200,
            title="Title",
            description="Of the product's page",
            source="task",
        ),
        "description": _field(text.description, "Description", "It is checked again once you publish it", 5000),
        "bullet_points": lines(text.bullet_points, "Bullet points"),
        "keywords": lines(text.keywords, "Keywords"),
    }


def _field(value: str, title: str, description: str, longest: int) -> Param:
    kind = {"type": ["null", "string"], "format": "multiline", "maxLength": longest, "source": "task"}
    return Param(value or None, title=title, description=description, **kind)


def _answer(question: Question, given: Any) -> Answer:
    from lookbook.descriptions import judgements

    (option,), fields, user = given["chosen_options"], given["params_input"], given["responded_by_user"]
    return judgements.Answer(
        option=option,
        by=user.get("name") or user["id"],
        at=given["responded_at"].isoformat(),
        reason=(fields.get("reason") or "").strip(),
        text=judgements.edited(question.text, fields) if "description" in fields else None,
    )
