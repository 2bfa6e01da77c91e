"""What a person decides about a description: published, edited, kept, withdrawn; and it stays so."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
import pytest
from tests.descriptions.conftest import DROP, work_item

from lookbook import storage
from lookbook.catalog import tables
from lookbook.catalog.schemas import DESCRIPTIONS
from lookbook.descriptions import judgements, publishing, reviewed, reviews
from lookbook.descriptions.judgements import Answer
from lookbook.descriptions.plans import Shard, ShardPlan, write_items, write_shards
from lookbook.descriptions.results import Result
from lookbook.descriptions.texts import ProductText
from lookbook.settings import get_settings

pytestmark = pytest.mark.usefixtures("aws_server")

FAITHFUL = "These blue shirts are made of cotton."
ROOT = "s3://lookbook/plans/run"


def outcome(product_id: str, status: Any = "withheld", text: str = "Green shirts of cotton.") -> Result:
    reasons = ("it says baseColour: Green, which contradicts the facts",) if status == "withheld" else ()
    return Result(work_item(product_id), status, reasons, text=ProductText(text), request_id=f"r-{product_id}", calls=1)


def publish(*outcomes: Result) -> publishing.Publication:
    """Publish outcomes as a run of ``describe_products`` does."""
    items = [outcome.item for outcome in outcomes]
    write_items(f"{ROOT}/items/0.json", items)
    write_shards(ROOT, ShardPlan(DROP, "sharded", None, (Shard(f"{ROOT}/items/0.json", "all", len(items)),), ()))
    storage.write_json(f"{ROOT}/results/0.json", [outcome.as_dict() for outcome in outcomes])
    return publishing.publish(f"{ROOT}/plan.json", [{"uri": f"{ROOT}/results/0.json"}])


def row(product_id: str = "1") -> dict[str, Any]:
    (found,) = tables.read(reviewed.TABLE, tables.equals("product_id", product_id)).to_pylist()
    return dict(found)


def answer(option: str, text: str | None = None, reason: str = "", at: str | None = None) -> Answer:
    edited = ProductText(text) if text else None
    return Answer(option, "ada", at or datetime.now(UTC).isoformat(), reason, edited)


def review(*answers: Answer | None, run: str = "run") -> judgements.Reviewed:
    """Ask in a run, answer its questions in their order, and commit."""
    for reference, given in zip(reviews.choose(None, run), answers, strict=True):
        if given:
            judgements.store(reference, given)
    return judgements.commit(run)


def asked(run: str) -> list[str]:
    return [question["label"] for question in reviews.choose(None, run)]


def test_an_edited_text_that_is_faithful_is_published_with_the_persons_name() -> None:
    publish(outcome("1"))
    told = review(answer("Publish", FAITHFUL))
    assert told.reference() == {
        "asked": 1,
        "answered": 1,
        "overtaken": 0,
        "decisions": {"published": 1},
        "drops": [DROP],
        "snapshot": tables.current_snapshot(reviewed.TABLE),
    }
    after = row()
    assert (after["status"], after["description"], after["reasons"]) == ("published", FAITHFUL, [])
    assert (after["review"], after["edited"], after["reviewed_by"]) == ("published", True, "ada")
    assert after["reviewed_at"] and after["review_reason"] is None
    assert after["request_id"] == "r-1" and after["facts"], "what traces it stays"


def test_an_edited_text_that_is_not_faithful_stays_withheld_and_is_asked_about_again_as_edited() -> None:
    publish(outcome("1"))
    assert review(answer("Publish", "Red shirts of cotton.")).decisions == {"returned": 1}
    after = row()
    assert (after["status"], after["description"]) == ("withheld", "Red shirts of cotton.")
    assert any("Red" in reason for reason in after["reasons"])
    assert review(answer("Publish", FAITHFUL), run="next").decisions == {"published": 1}
    assert (row()["status"], row()["edited"]) == ("published", True)


def test_a_person_overrules_the_check_with_a_reason_that_is_kept() -> None:
    publish(outcome("1"))
    assert review(answer("Publish", reason="The picture is of a green one.")).decisions == {"overruled": 1}
    after = row()
    assert (after["status"], after["review"], after["edited"]) == ("published", "overruled", False)
    assert after["review_reason"] == "The picture is of a green one."
    assert after["reasons"], "what was overruled"


def test_what_a_person_keeps_withheld_is_not_asked_about_again() -> None:
    publish(outcome("1"))
    review(answer("Keep withheld"))
    assert (row()["status"], row()["review"]) == ("withheld", "kept")
    assert asked("next") == []


def test_what_nobody_answers_stays_withheld_and_is_asked_about_again() -> None:
    publish(outcome("1"))
    before = row()
    assert (review(None).snapshot, row()) == (None, before)
    assert len(asked("next")) == 1


def test_a_published_description_that_is_withdrawn_says_who_and_why(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOOKBOOK_REVIEW_SHARE", "1")
    get_settings.cache_clear()
    publish(outcome("1", "published", FAITHFUL), outcome("2", "published", FAITHFUL))
    told = review(answer("Withdraw", reason="Dull."), answer("Keep published"))
    assert told.decisions == {"withdrawn": 1, "confirmed": 1}
    assert (row("1")["status"], row("1")["reasons"]) == ("withheld", ["withdrawn by ada: Dull."])
    assert (row("2")["status"], row("2")["reviewed_by"]) == ("published", "ada")
    assert asked("next") == []


def test_decisions_survive_the_same_text_being_published_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOOKBOOK_REVIEW_SHARE", "1")
    get_settings.cache_clear()
    outcomes = [outcome("1"), outcome("2"), outcome("3", "published", FAITHFUL)]
    publish(*outcomes)
    review(answer("Publish", FAITHFUL), answer("Keep withheld"), answer("Withdraw"))
    before = [row(product_id) for product_id in "123"]
    again = publish(*outcomes)
    assert [row(product_id) for product_id in "123"] == before
    assert (again.published, again.withheld) == (1, 2), "what a run tells is what it left"
    assert [found["review"] for found in before] == ["published", "kept", "withdrawn"]


def test_another_text_is_judged_anew() -> None:
    publish(outcome("1"))
    review(answer("Keep withheld"))
    later = outcome("1", text="Yellow shirts of cotton.")
    publish(Result(**{**vars(later), "request_id": "another"}))
    assert (row()["review"], row()["description"]) == (None, "Yellow shirts of cotton.")
    assert len(asked("next")) == 1


def test_an_answer_about_a_text_that_was_replaced_meanwhile_changes_nothing() -> None:
    publish(outcome("1"))
    (reference,) = reviews.choose(None, "run")
    judgements.store(reference, answer("Publish", FAITHFUL))
    publish(Result(**{**vars(outcome("1")), "request_id": "another"}))
    before = row()
    told = judgements.commit("run")
    assert (told.overtaken, told.snapshot, row()) == (1, None, before)


def test_committing_again_changes_nothing_and_never_what_was_judged_later() -> None:
    publish(outcome("1"))
    review(answer("Publish", "Red shirts of cotton."))
    before = row()
    judgements.commit("run")
    assert row() == before
    review(answer("Keep withheld"), run="next")
    assert judgements.commit("run").overtaken == 1
    assert row()["review"] == "kept"


def test_withheld_ones_come_first_the_newest_drop_before_others_and_no_more_than_the_limit(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rows = [
        {"drop_id": drop, "product_id": product_id, "status": status, "input_hash": "0" * 64, "description": "x"}
        for drop, product_id, status in [
            ("2026-11-09", "1", "withheld"),
            ("2026-11-16", "2", "published"),
            ("2026-11-16", "4", "withheld"),
            ("2026-11-16", "3", "withheld"),
            ("2026-11-16", "5", "failed"),
        ]
    ]
    tables.replace(reviewed.TABLE, pa.Table.from_pylist(rows, schema=DESCRIPTIONS), "drop_id is not null")
    assert asked("one") == ["3", "4", "1"]
    monkeypatch.setenv("LOOKBOOK_REVIEW_SHARE", "0.1")
    get_settings.cache_clear()
    assert asked("two") == ["3", "4", "1", "2"]
    assert [question["label"] for question in reviews.choose("2026-11-09", "three")] == ["1"]
    monkeypatch.setenv("LOOKBOOK_REVIEW_LIMIT", "2")
    get_settings.cache_clear()
    assert asked("four") == ["3", "4"]


def test_the_sample_is_a_function_of_the_input_and_as_large_as_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = {
        share: {n for n in range(2000) if reviews._is_drawn(work_item(str(n)).input_hash, share)}
        for share in (0.05, 0.2)
    }
    assert 60 < len(drawn[0.05]) < 140 and 320 < len(drawn[0.2]) < 480
    assert drawn[0.05] < drawn[0.2]


def test_a_form_makes_a_text_of_lines() -> None:
    left = ProductText("old", "Old", ("a",), ("b",), "de-DE")
    fields = {"title": " A \n title ", "description": " new\n", "bullet_points": "one\n\n two ", "keywords": None}
    assert judgements.edited(left, fields) == ProductText("new", "A title", ("one", "two"), (), "de-DE")
