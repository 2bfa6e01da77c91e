"""Every product of a run gets its row; nobody else's is touched."""

from __future__ import annotations

from typing import Any

import pytest
from tests.descriptions.conftest import (
    AT_ONCE,
    DROP,
    ScriptedBedrock,
    faithful,
    product,
    publish_answers,
    publish_products,
    refused,
    said,
    work_item,
)

from lookbook import storage
from lookbook.catalog import tables
from lookbook.descriptions import planning, publishing, writing
from lookbook.descriptions.plans import Shard, ShardPlan, write_items, write_shards
from lookbook.descriptions.results import Result
from lookbook.lineage.records import TaskKey, recording
from lookbook.settings import get_settings

pytestmark = pytest.mark.usefixtures("aws_server")


async def run(only: tuple[str, ...] = (), version: str | None = None, lose: int | None = None) -> dict[str, Any]:
    """Plan, describe and publish as the DAG does; ``lose`` drops one mapped task's result."""
    plan = planning.plan_products(DROP, only, "run")
    shards = planning.plan_shards(plan.uri, {"model_version": version})
    with recording(TaskKey("describe_products", "run", "describe", 0)):
        results = [await writing.describe_shard(reference, AT_ONCE) for reference in shards.references()]
    kept = [result for number, result in enumerate(results) if number != lose]
    return publishing.publish(plan.uri, list(reversed(kept))).summary()


def rows() -> dict[str, dict[str, Any]]:
    return {row["product_id"]: row for row in tables.read("descriptions.descriptions").to_pylist()}


async def test_every_product_gets_a_row_that_traces_it(bedrock: ScriptedBedrock) -> None:
    bedrock.respond = faithful
    snapshot = publish_products(product("1"), product("2"))
    publish_answers(("1", "Neck", "Round Neck", 0.9), ("1", "Fabric", "Linen", 0.8))
    summary = await run(version="v3")
    assert summary == {
        "drop_id": DROP,
        "products": 2,
        "published": 2,
        "withheld": 0,
        "failed": 0,
        "unchanged": 0,
        "input_tokens": 200,
        "output_tokens": 40,
        "cost_usd": pytest.approx(2 * (100 * 0.8 + 20 * 4) / 1e6),
        "prices_of": "2026-04-10",
        "differences": 1,
        "attribute_model_version": "v3",
        "facts_from": "catalogue and model v3",
        "snapshot": tables.current_snapshot("descriptions.descriptions"),
    }
    row = rows()["1"]
    assert row["status"] == "published"
    assert row["reasons"] == []
    assert "The Neck is Round Neck." in row["description"]
    assert {"attribute": "Neck", "value": "Round Neck", "source": "model", "probability": 0.9} in row["facts"]
    assert row["differences"] == [
        {"attribute": "Fabric", "catalogue_value": "Cotton", "model_value": "Linen", "probability": 0.8}
    ]
    assert (row["prompt_version"], row["attribute_model_version"], row["endpoint_config"]) == (
        get_settings().prompt,
        "v3",
        "config-v3",
    )
    assert (row["products_snapshot"], row["picture_sha256"]) == (snapshot, "sha-of-1")
    assert (row["dag_id"], row["run_id"], row["task_id"], row["map_index"]) == (
        "describe_products",
        "run",
        "describe",
        0,
    )
    assert row["request_id"]
    assert storage.read_json(row["result_uri"])["text"]["description"] == row["description"]


async def test_withheld_and_failed_products_say_why(bedrock: ScriptedBedrock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOOKBOOK_PER_PRODUCT_LIMIT", "0")
    get_settings.cache_clear()

    def respond(request: dict[str, Any]) -> Any:
        if "Linen" in str(request):
            return said("A shirt.", "content_filtered")
        return refused("ValidationException", 400, "too odd") if "Silk" in str(request) else faithful(request)

    bedrock.respond = respond
    publish_products(
        product("1"), product("2", attributes={"Fabric": "Linen"}), product("3", attributes={"Fabric": "Silk"})
    )
    summary = await run()
    assert (summary["published"], summary["withheld"], summary["failed"]) == (1, 1, 1)
    assert (rows()["2"]["status"], rows()["2"]["reasons"]) == ("withheld", ["content_filtered"])
    assert rows()["3"]["status"] == "failed"
    assert "too odd" in rows()["3"]["reasons"][0]
    assert rows()["3"]["result_uri"] is None


async def test_running_again_calls_nobody_and_keeps_the_rows(bedrock: ScriptedBedrock) -> None:
    bedrock.respond = faithful
    publish_products(product("1"), product("2"))
    await run()
    before, bedrock.requests = rows(), []
    summary = await run()
    assert (summary["unchanged"], summary["published"], summary["snapshot"]) == (2, 0, None)
    assert bedrock.requests == []
    assert rows() == before


async def test_products_outside_the_plan_are_not_touched(bedrock: ScriptedBedrock) -> None:
    bedrock.respond = faithful
    publish_products(product("1"), product("2"))
    await run()
    untouched = rows()["2"]
    publish_products(product("1", attributes={"Fabric": "Linen"}), product("2", attributes={"Fabric": "Linen"}))
    await run(only=("1",))
    assert "Linen" in rows()["1"]["description"]
    assert rows()["2"] == untouched


async def test_an_outcome_whose_task_is_lost_is_found_by_its_input(bedrock: ScriptedBedrock) -> None:
    bedrock.respond = faithful
    publish_products(product("1"), product("2"))
    assert (await run(lose=0))["published"] == 2


def publish_lists(*lists: list[Result]) -> publishing.Publication:
    """Publish a run of two products, 1 and 2, that left these lists of outcomes."""
    root = "s3://lookbook/plans/run"
    write_items(f"{root}/items/0.json", [work_item("1"), work_item("2")])
    write_shards(root, ShardPlan(DROP, "sharded", None, (Shard(f"{root}/items/0.json", "both", 2),), ()))
    uris = [f"{root}/results/{number}.json" for number in range(len(lists))]
    for uri, outcomes in zip(uris, lists, strict=True):
        storage.write_json(uri, [outcome.as_dict() for outcome in outcomes])
    return publishing.publish(f"{root}/plan.json", [{"uri": uri} for uri in uris])


def outcome(product_id: str, status: Any = "published") -> Result:
    return Result(work_item(product_id), status, ("throttled",) if status == "failed" else ())


@pytest.mark.parametrize("first", ["failed", "published"])
def test_a_product_that_failed_and_was_finished_after_all_is_one_row(first: str) -> None:
    second = "published" if first == "failed" else "failed"
    told = publish_lists([outcome("1", first), outcome("2")], [outcome("1", second)])
    assert (told.published, told.failed, len(rows())) == (2, 0, 2)


def test_a_product_that_failed_here_and_was_finished_elsewhere_is_published() -> None:
    storage.write_json(work_item("1").result_uri, outcome("1").as_dict())
    told = publish_lists([outcome("1", "failed"), outcome("2", "failed")])
    assert (told.published, told.failed) == (1, 1)
    assert rows()["2"]["reasons"] == ["throttled"]


def test_what_a_list_leaves_out_is_looked_up() -> None:
    storage.write_json(work_item("2").result_uri, outcome("2", "withheld").as_dict())
    told = publish_lists([outcome("1")], [outcome("1")])
    assert (told.published, told.withheld, len(rows())) == (1, 1, 2)


async def test_a_product_without_an_outcome_is_a_failed_row(bedrock: ScriptedBedrock) -> None:
    publish_products(product("1"))
    plan = planning.plan_products(DROP, [], "run")
    planning.plan_shards(plan.uri, {"model_version": None})
    assert publishing.publish(plan.uri, []).failed == 1
    assert rows()["1"]["reasons"] == ["its task left no outcome; look at its log, then run the drop again"]


async def test_a_model_without_a_list_price_has_no_cost(
    bedrock: ScriptedBedrock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOOKBOOK_TEXT_MODEL_ID", "nobody.knows-v1:0")
    get_settings.cache_clear()
    bedrock.respond = faithful
    publish_products(product("1"))
    assert (await run())["cost_usd"] is None


async def test_the_summary_says_when_no_model_is_in_service(bedrock: ScriptedBedrock) -> None:
    bedrock.respond = faithful
    publish_products(product("1"))
    assert (await run())["facts_from"] == "catalogue alone: no model is in service"
