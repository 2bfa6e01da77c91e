"""What a day and a drop cost: hours and tokens at list price, worked out once and kept."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.client import BaseClient

from lookbook import storage
from lookbook.aws import client
from lookbook.descriptions import spending
from lookbook.housekeeping import costs, plans, sightings
from lookbook.housekeeping.costs import Line
from lookbook.lineage import store
from lookbook.lineage.records import LineageRecord, TaskKey
from lookbook.settings import get_settings

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
DROP, HAIKU, G5 = "2026-11-16", "anthropic.claude-3-5-haiku-20241022-v1:0", "ml.g5.xlarge"

pytestmark = pytest.mark.usefixtures("bucket")


def at(day: int, hour: float) -> datetime:
    return datetime(2026, 11, day, tzinfo=UTC) + timedelta(hours=hour)


def spend(source: str, lines: list[Line]) -> list[tuple[str, float, float | None]]:
    return [(line.day, line.hours, line.usd) for line in lines if line.source == source]


@pytest.fixture
def endpoint(monkeypatch: pytest.MonkeyPatch) -> str:
    """An endpoint that came up on the 19th at 22:00 and is there."""
    sagemaker = client("sagemaker")
    variant = {"VariantName": "AllTraffic", "ModelName": "m1", "InstanceType": "ml.g4dn.xlarge"}
    sagemaker.create_model(ModelName="m1", ExecutionRoleArn=get_settings().execution_role_arn)
    sagemaker.create_endpoint_config(
        EndpointConfigName="c1", ProductionVariants=[{**variant, "InitialInstanceCount": 1}]
    )
    name = get_settings().endpoint_name
    sagemaker.create_endpoint(EndpointName=name, EndpointConfigName="c1")
    described = sightings.registry.describe_endpoint(name) or {}
    times = {"CreationTime": at(19, 22), "LastModifiedTime": at(19, 22)}
    monkeypatch.setattr(sightings.registry, "describe_endpoint", lambda _: described | times)
    _let_moto_take_g5(monkeypatch)
    return name


def _let_moto_take_g5(monkeypatch: pytest.MonkeyPatch) -> None:
    variants = sightings._variants
    monkeypatch.setattr(sightings, "_variants", lambda found: [one | {"InstanceType": G5} for one in variants(found)])


def lines(now: datetime = NOW) -> list[Line]:
    return [Line(**line) for line in storage.read_json(costs.report("run", now).uri)["lines"]]


def test_an_endpoint_costs_its_hours_on_each_day(endpoint: str) -> None:
    assert spend("endpoint", lines()) == [
        ("2026-11-19", 2.0, 2.816),
        ("2026-11-20", 24.0, 33.792),
        ("2026-11-21", 12.0, 16.896),
    ]


def test_the_hours_in_which_it_was_asked_are_the_drops(endpoint: str) -> None:
    task = TaskKey("describe_products", "run-1", "predict_attributes", drop_id=DROP)
    store.save(LineageRecord(task, at(20, 23.5), "abc1234", "5e77", finished_at=at(21, 0.5)))
    store.collect("describe_products", "run-1")
    asked = [line for line in lines() if line.source == "endpoint in use"]
    assert [(line.day, line.hours, line.drop_id) for line in asked] == [
        ("2026-11-20", 0.5, DROP),
        ("2026-11-21", 0.5, DROP),
    ]
    assert costs.report("run", NOW).usd == pytest.approx(2.816 + 33.792 + 16.896)


def test_descriptions_cost_their_tokens_at_list_price(monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(3):
        describe(number)
    now = datetime.now(UTC)
    [line] = [line for line in lines(now) if line.source == "descriptions"]
    assert (line.day, line.drop_id, line.name) == (now.date().isoformat(), DROP, HAIKU)
    assert (line.input_tokens, line.output_tokens) == (3000, 1500)
    assert line.usd == pytest.approx((3000 * 0.8 + 1500 * 4) / 1e6)


def describe(number: int) -> None:
    """Store an outcome as it was before there were prompts in a cache, batch jobs and fallbacks."""
    took = {"calls": 1, "input_tokens": 1000, "output_tokens": 500, "cost_usd": None, "run_id": "run"}
    outcome = {"item": {"drop_id": DROP, "text_model_id": HAIKU}, **took}
    storage.write_json(f"s3://lookbook/descriptions/{DROP}/{number}.json", outcome)


def test_a_day_that_is_over_closes_the_ledger_with_what_its_outcomes_cost() -> None:
    describe(1)
    today = datetime.now(UTC)
    with spending.entered(today):
        spending.paid_for(99)  # another try of the same task: what it had stored was paid for by the first
    lines(today)
    assert spending.month_usd(today) == 99
    lines(today + timedelta(days=2))
    assert spending.month_usd(today) == pytest.approx((1000 * 0.8 + 500 * 4) / 1e6)


def test_a_job_costs_what_is_billed_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    job = {
        "TrainingJobName": "lookbook-train-1",
        "TrainingEndTime": at(20, 3),
        "BillableTimeInSeconds": 1800,
        "ResourceConfig": {"InstanceType": "ml.g5.2xlarge", "InstanceCount": 2},
    }
    transform = {
        "TransformJobName": "lookbook-transform-1",
        "TransformJobArn": "arn:aws:sagemaker:us-east-1:000000000000:transform-job/lookbook-transform-1",
        "TransformStartTime": at(20, 4),
        "TransformEndTime": at(20, 4.5),
        "TransformResources": {"InstanceType": "ml.unlisted", "InstanceCount": 1},
    }
    answers = {"ListTrainingJobs": {"TrainingJobSummaries": [job]}, "DescribeTrainingJob": job}
    answers |= {"ListTransformJobs": {"TransformJobSummaries": [transform]}, "DescribeTransformJob": transform}
    answers |= {"ListTags": {"Tags": [{"Key": "drop_id", "Value": DROP}]}}
    _answer(monkeypatch, answers)
    found = lines()
    assert spend("training", found) == [("2026-11-20", 1.0, 1.515)]
    assert spend("transform", found) == [("2026-11-20", 0.5, None)]
    assert [line.drop_id for line in found if line.source == "transform"] == [DROP]
    assert costs.report("run", NOW).unpriced == 1


def _answer(monkeypatch: pytest.MonkeyPatch, answers: dict[str, Any]) -> None:
    """Let SageMaker answer some operations with what is given: moto's jobs have no end."""
    real = BaseClient._make_api_call

    def call(self: Any, operation: str, arguments: Any) -> Any:
        return answers[operation] if operation in answers else real(self, operation, arguments)

    monkeypatch.setattr(BaseClient, "_make_api_call", call)


def test_a_day_that_is_over_is_worked_out_once(endpoint: str) -> None:
    before = lines()
    for stored in storage.list_objects("s3://lookbook/costs/endpoints/"):
        storage.delete(stored.uri)
    client("sagemaker").delete_endpoint(EndpointName=endpoint)
    after = [line for line in lines() if line.day < "2026-11-21"]
    assert after == [line for line in before if line.day < "2026-11-21"]
    assert storage.find("s3://lookbook/costs/days/2026-11-20.json")
    assert storage.find("s3://lookbook/costs/days/2026-11-21.json") is None


def test_a_change_of_config_begins_a_new_span(endpoint: str, monkeypatch: pytest.MonkeyPatch) -> None:
    sightings.look(at(20, 0))
    changed = sightings.registry.describe_endpoint(endpoint)
    assert changed
    client("sagemaker").create_endpoint_config(
        EndpointConfigName="c2",
        ProductionVariants=[
            {
                "VariantName": "AllTraffic",
                "ModelName": "m1",
                "InstanceType": "ml.g4dn.xlarge",
                "InitialInstanceCount": 2,
            }
        ],
    )
    changed = changed | {"EndpointConfigName": "c2", "LastModifiedTime": at(20, 6)}
    monkeypatch.setattr(sightings.registry, "describe_endpoint", lambda _: changed)
    sightings.look(at(20, 8))
    sightings.look(at(20, 9))
    first, second = sightings.spans()
    assert (first.config, first.until) == ("c1 AllTraffic", at(20, 0))
    assert (second.config, second.since, second.until) == ("c2 AllTraffic", at(20, 6), at(20, 9))
    assert second.hours(at(20, 0), at(21, 0)) == 6.0


def test_the_page_sums_by_source_day_and_drop_and_needs_nothing_else(endpoint: str) -> None:
    costs.report("run", NOW)
    page = plans.page("run", "costs").decode()
    for text in ("53.50 USD", "By drop", "0.00 of 38.00 hours", "2025-06-30"):
        assert text in page
    assert "<script" not in page and "src=" not in page


@pytest.mark.parametrize(("run_key", "name"), [("run", "secret"), ("../run", "costs"), ("absent", "costs")])
def test_no_other_object_is_shown_as_a_page(run_key: str, name: str) -> None:
    storage.write_bytes("s3://lookbook/housekeeping/run/secret/page.html", b"secret")
    with pytest.raises(plans.PageNotFoundError):
        plans.page(run_key, name)


def test_two_writers_of_one_object_lose_nothing() -> None:
    uri, late = "s3://lookbook/costs/shared.json", []

    def add(value: Any) -> Any:
        if not late:
            late.append(storage.write_json(uri, ["other"]))
        return [*(value or []), "own"]

    assert storage.update_json(uri, add) == ["other", "own"] == storage.read_json(uri)
