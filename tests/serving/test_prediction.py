from __future__ import annotations

import asyncio
import hashlib
import logging
import os
import signal
from collections.abc import Sequence
from typing import Any

import pyarrow as pa
import pytest
from tests.serving.conftest import wait_for

from lookbook import storage
from lookbook.catalog import tables
from lookbook.catalog.schemas import PRODUCTS
from lookbook.descriptions import planning
from lookbook.errors import PermanentError, RetryableError
from lookbook.lineage.records import TaskKey, recording
from lookbook.serving import endpoint, prediction
from lookbook.serving.inputs import Input, inputs_of
from lookbook.vqa.questions import QUESTIONS

DROP = "2026-11-16"


@pytest.fixture(autouse=True)
def no_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(endpoint, "_FIRST_WAIT_S", 0.0)


def publish(account: Any, pictures: dict[str, str], article_type: str = "Shirts", **columns: Any) -> None:
    """Publish a drop of one product for each picture, whose content is a text that the container understands."""
    rows = []
    for product_id, text in pictures.items():
        uri = f"s3://{account.name}/drops/{DROP}/images/{product_id}.jpg"
        stored = storage.write_bytes(uri, text.encode())
        rows.append(
            {
                "drop_id": DROP,
                "product_id": product_id,
                "article_type": article_type,
                "attributes": [("Fabric", "Silk"), ("baseColour", "Blue")],
                "picture_uri": uri,
                "picture_etag": stored.etag,
                "picture_sha256": hashlib.sha256(text.encode()).hexdigest(),
                **columns,
            }
        )
    rows_of_drop = pa.Table.from_pylist(rows, schema=PRODUCTS)
    tables.replace("catalog.products", rows_of_drop, tables.equals("drop_id", DROP))


def plan(only: Sequence[str] = ()) -> str:
    return planning.plan_products(DROP, only, "manual__1").uri


def rows() -> list[dict[str, Any]]:
    return sorted(
        tables.read("predictions.attributes").to_pylist(), key=lambda row: (row["product_id"], row["attribute"])
    )


async def test_without_a_model_in_service_nothing_is_asked_and_it_is_said(
    account: Any, caplog: pytest.LogCaptureFixture
) -> None:
    publish(account, {"1": "shirt"})
    with caplog.at_level(logging.INFO):
        predictions = await prediction.predict(plan())
    assert (predictions.model_version, predictions.products, predictions.answered) == (None, 1, 0)
    assert "No model is in service" in caplog.text
    assert rows() == []


async def test_every_product_gets_the_answers_of_the_model_in_service(account: Any) -> None:
    publish(account, {"1": "shirt one", "2": "shirt two"})
    config = account.deploy(account.register(attributes=("Fabric", "baseColour")))
    predictions = await prediction.predict(plan())
    assert (predictions.model_version, predictions.answered) == ("v1", 2)
    assert [(row["product_id"], row["attribute"], row["value"]) for row in rows()] == [
        ("1", "Fabric", "Cotton"),
        ("1", "baseColour", "Red"),
        ("2", "Fabric", "Cotton"),
        ("2", "baseColour", "Red"),
    ]
    row = rows()[0]
    assert row["question"] == QUESTIONS["Fabric"]
    assert row["probability"] == 0.75
    assert (row["model_version"], row["endpoint_config"]) == ("v1", config)
    assert row["picture_sha256"] == hashlib.sha256(b"shirt one").hexdigest()
    stored = storage.read_json(row["result_uri"])
    assert stored["status"] == "answered"
    assert stored["latency_ms"] >= 0


async def test_all_questions_about_a_picture_are_one_call(account: Any) -> None:
    publish(account, {"1": "shirt"})
    account.deploy(account.register(attributes=("Fabric", "baseColour")))
    await prediction.predict(plan())
    assert [call["questions"] for call in account.calls()] == [[QUESTIONS["Fabric"], QUESTIONS["baseColour"]]]


async def test_what_was_asked_before_is_not_asked_again(account: Any) -> None:
    publish(account, {"1": "shirt"})
    account.deploy(account.register())
    first = await prediction.predict(plan())
    before = rows()
    assert await prediction.predict(plan()) == first
    assert rows() == before
    assert len(account.calls()) == 1


async def test_a_new_model_is_asked_anew_and_replaces_the_answers(account: Any) -> None:
    publish(account, {"1": "shirt"})
    account.deploy(account.register())
    await prediction.predict(plan())
    account.deploy(account.register())
    await prediction.predict(plan())
    assert [row["model_version"] for row in rows()] == ["v2"]
    assert len(account.calls()) == 2


async def test_the_same_picture_under_two_ids_is_asked_about_once(account: Any) -> None:
    publish(account, {"1": "shirt", "2": "shirt"})
    account.deploy(account.register())
    assert (await prediction.predict(plan())).answered == 2
    assert len(account.calls()) == 1
    assert [row["product_id"] for row in rows()] == ["1", "2"]


async def test_a_run_about_some_products_leaves_the_others_rows(account: Any) -> None:
    publish(account, {"1": "shirt one", "2": "shirt two"})
    account.deploy(account.register())
    await prediction.predict(plan())
    account.deploy(account.register())
    await prediction.predict(plan(only=["2"]))
    assert [(row["product_id"], row["model_version"]) for row in rows()] == [("1", "v1"), ("2", "v2")]


async def test_only_attributes_that_were_trained_and_apply_to_the_article_type_are_asked(account: Any) -> None:
    publish(account, {"1": "belt"}, "Belts", attributes=[("baseColour", "Black")])
    account.deploy(account.register(attributes=("Fabric", "Neck", "baseColour")))
    await prediction.predict(plan())
    assert [call["questions"] for call in account.calls()] == [[QUESTIONS["baseColour"]]]


async def test_a_type_of_which_nothing_is_known_is_asked_everything_that_was_trained(account: Any) -> None:
    publish(account, {"1": "thing"}, "Things", attributes=[])
    account.deploy(account.register(attributes=("Fabric", "baseColour")))
    await prediction.predict(plan())
    assert [call["questions"] for call in account.calls()] == [[QUESTIONS["Fabric"], QUESTIONS["baseColour"]]]


async def test_an_answer_about_another_attribute_is_no_value(account: Any) -> None:
    publish(account, {"1": "shirt"}, attributes=[("Neck", "Round"), ("Fit", "Slim")])
    account.deploy(account.register(attributes=("Neck", "Fit")))
    await prediction.predict(plan())
    assert [(row["attribute"], row["value"]) for row in rows()] == [("Fit", None), ("Neck", None)]


async def test_a_fault_that_passes_is_asked_through(account: Any) -> None:
    publish(account, {"1": "recover please"})
    account.deploy(account.register())
    assert (await prediction.predict(plan())).answered == 1
    assert len(account.calls()) == 2


async def test_a_killed_container_leaves_no_product_without_an_answer(
    account: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(endpoint, "_FIRST_WAIT_S", 0.05)
    publish(account, {str(number): f"shirt {number}" for number in range(40)})
    account.deploy(account.register(image="slow:local"))
    uri = plan()
    asking = asyncio.create_task(prediction.predict(uri))
    await asyncio.to_thread(wait_for, lambda: bool(account.calls()))  # until the container is at work
    os.kill(account.calls()[-1]["pid"], signal.SIGKILL)
    predictions = await asking
    assert (predictions.answered, predictions.unanswered) == (40, 0)
    assert len({call["pid"] for call in account.calls()}) == 2
    assert max(row["attempts"] for row in rows()) > 1


async def test_a_refused_picture_is_an_outcome_with_its_reason_and_is_not_tried_again(account: Any) -> None:
    publish(account, {"1": "shirt", "2": "refuse this"})
    account.deploy(account.register())
    for _ in range(2):
        predictions = await prediction.predict(plan())
        assert (predictions.answered, predictions.refused) == (1, 1)
    assert [call["picture"] for call in account.calls()].count("refuse this") == 1
    results = [storage.read_json(o.uri) for o in storage.list_objects(f"s3://{account.name}/predictions/{DROP}/")]
    [reason] = [result["reason"] for result in results if result["status"] == "refused"]
    assert "the container says 400" in reason


async def test_a_picture_without_an_answer_does_not_stop_the_others_and_is_asked_about_again(account: Any) -> None:
    publish(account, {"1": "shirt", "2": "fail this"})
    account.deploy(account.register())
    predictions = await prediction.predict(plan())
    assert (predictions.answered, predictions.unanswered) == (1, 1)
    calls = len(account.calls())
    await prediction.predict(plan())
    assert len(account.calls()) > calls


async def test_an_endpoint_that_answers_hardly_anything_is_tried_again_later(account: Any) -> None:
    publish(account, {"1": "shirt", "2": "fail one", "3": "fail two"})
    account.deploy(account.register())
    with pytest.raises(RetryableError, match=r"no answer about 2 of 3 pictures.*the container says 500"):
        await prediction.predict(plan())


async def test_a_picture_that_changed_since_it_was_published_is_not_asked_about(account: Any) -> None:
    publish(account, {"1": "shirt", "2": "dress"})
    storage.write_bytes(f"s3://{account.name}/drops/{DROP}/images/2.jpg", b"another")
    account.deploy(account.register())
    assert (await prediction.predict(plan())).unanswered == 1
    assert [call["picture"] for call in account.calls()] == ["shirt"]


async def test_an_endpoint_that_serves_something_else_stops_the_run(account: Any) -> None:
    publish(account, {"1": "garbage please"})
    account.deploy(account.register())
    with pytest.raises(PermanentError, match="Is another image deployed there"):
        await prediction.predict(plan())


async def test_another_version_than_the_one_in_service_stops_the_run_for_now(account: Any) -> None:
    publish(account, {"1": "shirt"})
    account.deploy(account.register(image="liar:local"))
    with pytest.raises(RetryableError, match="v99 answers where v1 was in service"):
        await prediction.predict(plan())


async def test_an_endpoint_updated_meanwhile_is_asked_about_everything_again(
    account: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(account, {"1": "shirt one", "2": "shirt two"})
    account.deploy(account.register())
    await prediction.predict(plan(only=["1"]))
    updates = [account.register()]

    def updated_meanwhile(*arguments: Any) -> dict[str, Input]:
        if updates:
            account.deploy(updates.pop())
        return inputs_of(*arguments)

    monkeypatch.setattr(prediction, "inputs_of", updated_meanwhile)
    predictions = await prediction.predict(plan())
    assert (predictions.model_version, predictions.answered) == ("v2", 2)
    assert [row["model_version"] for row in rows()] == ["v2", "v2"]


@pytest.mark.parametrize("threshold", [0.8, None])
async def test_an_answer_below_its_threshold_has_no_value_and_says_why(account: Any, threshold: float | None) -> None:
    publish(account, {"1": "shirt"}, attributes=[("Fabric", "Silk"), ("baseColour", "Blue"), ("Fit", "Slim Fit")])
    package = account.register(attributes=("Fabric", "Fit", "baseColour"))
    evaluation = storage.read_json(account.report_uri)
    evaluation["calibration"]["attributes"]["Fabric"]["threshold"] = threshold
    storage.write_json(account.report_uri, evaluation)
    account.deploy(package)
    await prediction.predict(plan())
    fabric, fit, colour = rows()
    assert (fabric["value"], fabric["abstained"], fabric["threshold"]) == (None, True, threshold)
    assert (fabric["probability"], fabric["text"]) == (0.75, "so")
    assert (fit["value"], fit["abstained"]) == (None, True)  # by the container itself
    assert (colour["value"], colour["abstained"], colour["threshold"]) == ("Red", False, 0.625)


async def test_what_an_answer_took_is_in_its_row(account: Any) -> None:
    publish(account, {"1": "recover please"})
    account.deploy(account.register())
    await prediction.predict(plan())
    [row] = rows()
    assert (row["attempts"], row["transform_job"]) == (2, None)
    assert row["latency_ms"] >= 0


async def test_the_model_and_the_counts_are_lineage(account: Any) -> None:
    publish(account, {"1": "shirt"})
    package = account.register()
    config = account.deploy(package)
    uri = plan()
    with recording(TaskKey("describe_products", "r", "predict_attributes")) as record:
        await prediction.predict(uri)
    read = {(dataset.kind, dataset.version) for dataset in record.inputs}
    assert {("model_package", package), ("endpoint_config", config)} <= read
    assert [dataset.name for dataset in record.outputs] == ["predictions.attributes"]
    assert record.counts == {"answered": 1}
