"""Asking a person about one description: what is shown, what may be answered, what becomes of it."""

from __future__ import annotations

import contextlib
import re
from datetime import UTC, datetime
from typing import Any

import pytest
from airflow.providers.standard.operators.hitl import HITLOperator
from airflow.sdk import DAG

from lookbook import storage
from lookbook.descriptions.facts import Fact
from lookbook.descriptions.reviews import Question
from lookbook.descriptions.texts import ProductText
from lookbook_airflow.defaults import DEFAULT_ARGS
from lookbook_airflow.operators.review import ReviewOperator, body_of

URI = "s3://lookbook/reviews/run/questions.json"
REFERENCE = {"uri": URI, "number": 0, "label": "1 Shirts", "answer": "s3://lookbook/reviews/run/answers/00000.json"}
USER = {"id": "1", "name": "ada"}


def question(kind: str = "withheld", **columns: Any) -> Question:
    facts = (Fact("Article Type", "Shirts"), Fact("Neck", "V-Neck", "model", 0.91))
    text = ProductText("A shirt.", "Shirt", ("blue",))
    asked = {
        "drop_id": "2026-11-16",
        "product_id": "1",
        "input_hash": "ab",
        "request_id": "r",
        "picture_uri": "s3://x/1",
    }
    return Question(**{**asked, "kind": kind, "text": text, "facts": facts, "reasons": ("too short",), **columns})


@pytest.fixture
def asking(bucket: str, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A function that makes the operator for a question, as a mapped task has it."""

    def make(asked: Question) -> ReviewOperator:
        storage.write_json(URI, [vars(asked) | {"text": vars(asked.text), "facts": [vars(f) for f in asked.facts]}])
        with DAG("reviews", schedule=None, default_args=DEFAULT_ARGS):
            return ReviewOperator(task_id="ask", question=REFERENCE)

    monkeypatch.setattr("lookbook_airflow.operators.review.traced", lambda _: contextlib.nullcontext())
    return make


def event(option: str, params: dict[str, Any] | None = None, user: dict[str, str] | None = USER) -> dict[str, Any]:
    return {
        "chosen_options": [option],
        "params_input": params or {},
        "responded_at": datetime(2026, 11, 17, tzinfo=UTC),
        "responded_by_user": user,
    }


def asked_with(operator: ReviewOperator, monkeypatch: pytest.MonkeyPatch) -> ReviewOperator:
    monkeypatch.setattr(HITLOperator, "execute", lambda self, context: None)
    operator.execute({})
    return operator


def test_a_task_waits_for_a_person_and_not_for_a_worker(asking: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOOKBOOK_REVIEW_WAIT_H", "5")
    operator = asked_with(asking(question()), monkeypatch)
    assert operator.execution_timeout is None
    assert operator.response_timeout.total_seconds() == 5 * 3600


def test_a_withheld_description_can_be_edited(asking: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    operator = asked_with(asking(question()), monkeypatch)
    assert (operator.options, operator.defaults) == (["Publish", "Keep withheld"], ["Keep withheld"])
    fields = operator.serialized_params
    assert {name: field["value"] for name, field in fields.items()} == {
        "title": "Shirt",
        "description": "A shirt.",
        "bullet_points": "blue",
        "keywords": None,
        "reason": None,
    }
    assert fields["description"]["schema"]["format"] == "multiline"


def test_a_sampled_one_can_only_be_withdrawn(asking: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    operator = asked_with(asking(question("sample")), monkeypatch)
    assert (operator.options, operator.defaults) == (["Withdraw", "Keep published"], ["Keep published"])
    assert set(operator.serialized_params) == {"reason"}


def test_an_answer_is_kept_with_name_reason_and_text(asking: Any) -> None:
    fields = {"title": "T", "description": " New. ", "bullet_points": "a\nb", "keywords": "", "reason": " because "}
    told = asking(question()).execute_complete({}, event("Publish", fields))
    assert told == {"answer": REFERENCE["answer"]}
    assert storage.read_json(told["answer"]) == {
        "option": "Publish",
        "by": "ada",
        "at": "2026-11-17T00:00:00+00:00",
        "reason": "because",
        "text": {
            "description": "New.",
            "title": "T",
            "bullet_points": ["a", "b"],
            "keywords": [],
            "language": "en-GB",
        },
    }


def test_an_answer_without_a_form_leaves_the_text_as_it_is(asking: Any) -> None:
    told = asking(question("sample")).execute_complete({}, event("Withdraw"))
    assert storage.read_json(told["answer"])["text"] is None


def test_when_nobody_answers_no_answer_is_kept(asking: Any) -> None:
    told = asking(question()).execute_complete({}, event("Keep withheld", user=None))
    assert told == {"answer": None}
    assert storage.find(REFERENCE["answer"]) is None


def test_what_is_shown_has_everything_to_judge_by() -> None:
    body = body_of(question())
    assert "![The product's picture](/lookbook/pictures/2026-11-16/1)" in body
    assert "- Article Type: Shirts\n- Neck: V\\-Neck (the model, 0.91)" in body
    assert "- too short" in body and "A shirt\\." in body and "- blue" in body


@pytest.mark.parametrize("hostile", ["![x](http://evil/p.png)", "<img src=x>", "[a](javascript:b)", "# big\n\n---"])
def test_nothing_that_a_model_or_a_drop_says_is_markup(hostile: str) -> None:
    text = ProductText(hostile, hostile, (hostile,))
    body = body_of(question(text=text, reasons=(hostile,), facts=(Fact(hostile, hostile),)))
    unescaped = re.sub(r"\\.", "", body.replace("![The product's picture](", ""))
    assert not re.search(r"!\[|\]\(|<|\n#|\n---", unescaped)
