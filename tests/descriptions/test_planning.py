"""Which products are described, from which facts, in which pieces."""

from __future__ import annotations

from typing import Any

import pytest
from tests.descriptions.conftest import DROP, describe_all, planned_items, product, publish_answers, publish_products

from lookbook import storage
from lookbook.descriptions import planning, plans, selection, work
from lookbook.descriptions.facts import Difference, Fact
from lookbook.descriptions.plans import WorkItem
from lookbook.errors import PermanentError
from lookbook.settings import get_settings

pytestmark = pytest.mark.usefixtures("aws_server")

NO_MODEL: dict[str, Any] = {"model_version": None}
RUN = "manual__2026-11-16T00:00:00+00:00"


def plan_and_cut(predictions: dict[str, Any] = NO_MODEL) -> tuple[plans.ShardPlan, list[WorkItem]]:
    plan = planning.plan_products(DROP, [], RUN)
    shards = planning.plan_shards(plan.uri, predictions)
    return shards, [item for shard in shards.shards for item in plans.read_items(shard.uri)]


def test_a_drops_products_are_planned_at_one_version_of_the_catalogue() -> None:
    publish_products(product("9", "2026-11-09"), drop_id="2026-11-09")
    snapshot = publish_products(product("2"), product("1"))
    plan = planning.plan_products(DROP, [], RUN)
    assert plan.reference() == {
        "uri": f"s3://lookbook/plans/{storage.key_part(RUN)}/plan.json",
        "drop_id": DROP,
        "products": 2,
        "products_snapshot": snapshot,
    }
    assert [chosen.product_id for chosen in plans.read_plan(plan.uri).products] == ["1", "2"]
    assert plans.read_plan(plan.uri) == plan


def test_only_the_products_asked_for_are_planned() -> None:
    publish_products(product("1"), product("2"))
    assert [chosen.product_id for chosen in planning.plan_products(DROP, ["2"], RUN).products] == ["2"]


def test_product_ids_alone_find_their_newest_drop() -> None:
    publish_products(product("1", "2026-11-09"), drop_id="2026-11-09")
    publish_products(product("1"))
    assert planning.plan_products(None, ["1"], RUN).drop_id == DROP


@pytest.mark.parametrize(
    ("drop_id", "only", "message"),
    [
        (None, [], "Neither a drop nor product ids"),
        ("2026-11-23", [], "2026-11-23 has no product in the catalogue. Run ingest_drop"),
        (DROP, ["1", "77"], "has no product 77"),
        (None, ["77"], "No product of 77"),
        (None, ["1", "9"], "lie in drops 2026-11-09, 2026-11-16"),
    ],
)
def test_what_cannot_be_planned_says_what_to_do(drop_id: str | None, only: list[str], message: str) -> None:
    publish_products(product("9", "2026-11-09"), drop_id="2026-11-09")
    publish_products(product("1"))
    with pytest.raises(PermanentError, match=message):
        planning.plan_products(drop_id, only, RUN)


def test_without_a_model_facts_are_the_catalogues_alone() -> None:
    publish_products(product("1"))
    publish_answers(("1", "Neck", "Round Neck", 0.9), version="v2")
    shards, [item] = plan_and_cut()
    assert [fact.attribute for fact in item.facts.facts] == ["Article Type", "Gender", "baseColour", "Fabric", "Usage"]
    assert {fact.source for fact in item.facts.facts} == {"catalogue"}
    assert (item.attribute_model_version, item.endpoint_config) == (None, None)
    assert shards.summary()["attribute_model_version"] is None


def test_the_model_in_service_fills_in_and_differs() -> None:
    publish_products(product("1"), product("2"))
    publish_answers(
        ("1", "Neck", "Round Neck", 0.9),
        ("1", "Fabric", "Linen", 0.8),
        ("1", "Fit", "Slim Fit", 0.2),
        ("2", "Fabric", "Cotton", 0.9),
    )
    _, [first, second] = plan_and_cut({"model_version": "v3"})
    assert Fact("Neck", "Round Neck", "model", 0.9) in first.facts.facts
    assert "Fit" not in {fact.attribute for fact in first.facts.facts}
    assert first.facts.differences == (Difference("Fabric", "Cotton", "Linen", 0.8),)
    assert (first.attribute_model_version, first.endpoint_config) == ("v3", "config-v3")
    assert (second.attribute_model_version, second.facts.differences) == (None, ())


def test_answers_of_another_model_or_picture_are_not_used() -> None:
    publish_products(product("1"), product("2", picture_sha256="a newer picture"))
    publish_answers(("1", "Neck", "Round Neck", 0.9), ("2", "Neck", "Round Neck", 0.9))
    assert all(item.attribute_model_version is None for item in plan_and_cut({"model_version": "v4"})[1])
    assert [item.attribute_model_version for item in plan_and_cut({"model_version": "v3"})[1]] == ["v3", None]


def test_few_products_get_a_task_each_named_by_product() -> None:
    publish_products(product("1", display_name="Turtle Blue Shirt"), product("2", display_name="{{ ti }}<b>x</b>\n"))
    shards, _ = plan_and_cut()
    root = f"s3://lookbook/plans/{storage.key_part(RUN)}"
    assert shards.references() == [
        {"uri": f"{root}/items/00000.json", "label": "1 Turtle Blue Shirt", "count": 1, "share": 1.0},
        {"uri": f"{root}/items/00001.json", "label": "2 ti bx/b", "count": 1, "share": 1.0},
    ]
    assert plans.read_shards(root) == shards


def test_many_products_are_cut_into_shards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOOKBOOK_PER_PRODUCT_LIMIT", "3")
    monkeypatch.setenv("LOOKBOOK_SHARD_SIZE", "2")
    get_settings.cache_clear()
    publish_products(*(product(str(number)) for number in range(5)))
    shards, items = plan_and_cut()
    assert [reference["label"] for reference in shards.references()] == [
        "shard 1 of 3 (2 products)",
        "shard 2 of 3 (2 products)",
        "shard 3 of 3 (1 products)",
    ]
    assert [item.product_id for item in items] == ["0", "1", "2", "3", "4"]
    assert shards.summary()["mode"] == "sharded"


def test_planning_again_gives_the_same_plan() -> None:
    publish_products(product("1"), product("2"))
    assert plan_and_cut() == plan_and_cut()


def test_a_published_description_from_the_same_input_is_left_alone() -> None:
    publish_products(product("1"), product("2"))
    _, items = plan_and_cut()
    describe_all("published", *items)
    shards, left = plan_and_cut()
    assert (shards.unchanged, left, shards.references()) == (("1", "2"), [], [])


def test_a_withheld_description_is_planned_again() -> None:
    publish_products(product("1"))
    _, items = plan_and_cut()
    describe_all("withheld", *items)
    assert plan_and_cut()[1] == items


@pytest.mark.parametrize(
    "change",
    [{"attributes": {"Fabric": "Linen"}}, {"picture_sha256": "another"}, {"gender": "Women"}],
    ids=lambda change: next(iter(change)),
)
def test_a_changed_product_is_described_again(change: dict[str, Any]) -> None:
    publish_products(product("1"), product("2"))
    describe_all("published", *plan_and_cut()[1])
    publish_products(product("1", **change), product("2"))
    shards, items = plan_and_cut()
    assert ([item.product_id for item in items], shards.unchanged) == (["1"], ("2",))


def test_another_text_model_describes_everything_again(monkeypatch: pytest.MonkeyPatch) -> None:
    publish_products(product("1"))
    describe_all("published", *plan_and_cut()[1])
    monkeypatch.setenv("LOOKBOOK_TEXT_MODEL_ID", "amazon.nova-lite-v1:0")
    get_settings.cache_clear()
    assert len(plan_and_cut()[1]) == 1


def test_a_retrained_model_with_the_same_answers_changes_nothing() -> None:
    publish_products(product("1"))
    publish_answers(("1", "Neck", "Round Neck", 0.9))
    describe_all("published", *plan_and_cut({"model_version": "v3"})[1])
    publish_answers(("1", "Neck", "Round Neck", 0.7), version="v4")
    shards, _ = plan_and_cut({"model_version": "v4"})
    assert shards.unchanged == ("1",)


def test_products_alike_in_all_but_their_id_have_inputs_of_their_own() -> None:
    publish_products(product("1", picture_sha256="same"), product("2", picture_sha256="same"))
    _, [first, second] = plan_and_cut()
    assert first.input_hash != second.input_hash


def test_a_withheld_description_is_asked_for_anew_only_when_it_is_driven_again() -> None:
    publish_products(product("1"), product("2"), product("3"))
    published, withheld, failed = planned_items()
    describe_all("published", published)
    describe_all("withheld", withheld, run_id="the run before")
    describe_all("failed", failed)
    assert planned_items(redrive="failed") == [failed]
    (again,) = planned_items(redrive="withheld")
    assert (again.product_id, again.attempt, again.facts) == ("2", 1, withheld.facts)
    assert again.result_uri != withheld.result_uri
    assert planned_items(redrive="both") == [again, failed]


def test_what_was_driven_again_keeps_its_attempt() -> None:
    publish_products(product("1"))
    describe_all("withheld", *planned_items(), run_id="the run before")
    again = planned_items(redrive="withheld", run_key="this run")
    describe_all("withheld", *again, run_id="this run")
    assert planned_items(redrive="withheld", run_key="this run") == again  # cleared: it was asked about already
    assert planned_items() == again
    describe_all("published", *again)
    assert planned_items() == []


def test_a_redrive_leaves_alone_what_is_not_waiting_for_one() -> None:
    publish_products(product("1"))
    describe_all("published", *planned_items())
    asked = selection.Asked(DROP, redrive="both")
    assert planning.plan_run(asked, [], RUN) is None


@pytest.mark.parametrize(
    ("name", "value"), [("guardrail_id", "gr-1"), ("description_picture", "true"), ("prompt", "product_description@1")]
)
def test_a_setting_that_decides_the_text_describes_everything_again(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    publish_products(product("1"))
    (before,) = planned_items()
    monkeypatch.setenv(f"LOOKBOOK_{name.upper()}", value)
    get_settings.cache_clear()
    (after,) = planned_items()
    assert after.input_hash != before.input_hash


def test_work_is_the_same_however_much_of_it_is_taken_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    publish_products(*(product(str(number)) for number in range(7)))
    publish_answers(("1", "Neck", "Round Neck", 0.9), ("3", "Neck", "Collar", 0.9), ("6", "Neck", "Round Neck", 0.8))
    _, whole = plan_and_cut({"model_version": "v3"})
    monkeypatch.setattr(work, "_AT_ONCE", 2)
    _, in_parts = plan_and_cut({"model_version": "v3"})
    assert in_parts == whole
    assert [item.product_id for item in whole if item.attribute_model_version] == ["1", "3", "6"]


def test_shards_that_work_side_by_side_share_the_quota() -> None:
    publish_products(product("1"), product("2"), product("3"))
    plan = planning.plan_products(DROP, [], RUN)
    shares = {
        side_by_side: [shard.share for shard in planning.plan_shards(plan.uri, NO_MODEL, "auto", side_by_side).shards]
        for side_by_side in (1, 2, 16)
    }
    assert shares == {1: [1.0] * 3, 2: [0.5] * 3, 16: [1 / 3] * 3}


def test_batch_jobs_leave_nothing_to_mapped_tasks() -> None:
    publish_products(*(product(str(number)) for number in range(100)))
    plan = planning.plan_products(DROP, [], RUN)
    assert planning.plan_shards(plan.uri, NO_MODEL, "batch").mode == "batch"
    assert planning.on_demand(plan.uri) == []
    shards = planning.plan_shards(plan.uri, NO_MODEL, "sharded")
    assert planning.on_demand(plan.uri) == shards.references()
