"""What becomes of a job's answers: stored once, mended on demand, and every product accounted for."""

from __future__ import annotations

import logging
from typing import Any

import pytest
from tests.descriptions.batch import Record, asked, leave, output, planned
from tests.descriptions.conftest import ScriptedBedrock, said, work_item

from lookbook import storage
from lookbook.descriptions import batch_requests, batch_results, plans, writing
from lookbook.descriptions.batch_files import Limits
from lookbook.descriptions.results import Result, stored_result
from lookbook.lineage.records import Dataset, TaskKey, recording

pytestmark = pytest.mark.usefixtures("bucket")

GOOD = "This blue shirt is made of cotton."
BAD = "This red shirt is made for summer."
WORK = [work_item(str(1000 + number)) for number in range(4)]
ALL = Limits(min_records=1)


@pytest.fixture
def plan_uri(bucket: str) -> str:
    return planned(WORK)


@pytest.fixture
def job(plan_uri: str) -> dict[str, Any]:
    (request,) = batch_requests.batch_requests(plan_uri, ALL)["jobs"]
    return request


def rest_of(collected: dict[str, Any]) -> list[str]:
    return [item.product_id for shard in collected["rest"] for item in plans.read_items(shard["uri"])]


def answering(**by_number: Record) -> Any:
    """Return a job's answers: those given by the product's place, and for the others a faithful text."""
    special = {WORK[int(number.strip("_"))].input_hash: answer for number, answer in by_number.items()}
    return lambda record: special.get(record["recordId"], {"modelOutput": output(GOOD)})


async def test_faithful_answers_are_published_at_half_the_price(plan_uri: str, job: dict[str, Any]) -> None:
    collected = await batch_results.collect(plan_uri, leave(job, answering()))
    assert (collected["published"], collected["rest"]) == (4, [])
    results = [Result.from_dict(stored) for stored in storage.read_json(collected["uri"])]
    assert {result.item.product_id for result in results} == {item.product_id for item in WORK}
    result = stored_result(WORK[0])
    assert (result.status, result.mode, result.calls, result.text.description) == ("published", "batch", 1, GOOD)
    assert (result.input_tokens, result.output_tokens) == (1000, 100)
    assert result.cost_usd == pytest.approx(0.0012 / 2)


async def test_an_unfaithful_answer_is_handed_on_to_be_mended(plan_uri: str, job: dict[str, Any]) -> None:
    collected = await batch_results.collect(plan_uri, leave(job, answering(_1={"modelOutput": output(BAD)})))
    assert collected["published"] == 3
    (shard,) = collected["rest"]
    assert plans.read_items(shard["uri"]) == [WORK[1]]
    assert shard["count"] == 1
    (first,) = storage.read_json(shard["firsts"]).values()
    assert first["output"]["message"]["content"] == [{"text": BAD}]
    assert stored_result(WORK[1]) is None


async def test_an_answer_that_may_not_be_used_is_withheld_and_not_asked_again(
    plan_uri: str, job: dict[str, Any]
) -> None:
    reference = leave(job, answering(_2={"modelOutput": output("A blue", "max_tokens")}))
    collected = await batch_results.collect(plan_uri, reference)
    assert (collected["withheld"], collected["rest"]) == (1, [])
    assert stored_result(WORK[2]).reasons == ("truncated",)


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        ({"error": {"errorCode": 400, "errorMessage": "bad request"}}, "1 refused"),
        ({"modelOutput": {"type": "message"}}, "1 malformed"),
        ({"recordId": ["a", "list"], "modelOutput": output(GOOD)}, "1 unanswered, 1 unknown or again"),
        ({"recordId": "nobodys", "modelOutput": output(GOOD)}, "1 unanswered, 1 unknown or again"),
        ({"recordId": WORK[0].input_hash, "modelOutput": output(GOOD)}, "1 unanswered, 1 unknown or again"),
    ],
)
async def test_a_product_without_an_answer_goes_on_demand(
    plan_uri: str, job: dict[str, Any], answer: Record, told: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    collected = await batch_results.collect(plan_uri, leave(job, answering(_3=answer)))
    assert collected["published"] == 3
    assert rest_of(collected) == [WORK[3].product_id]
    assert "firsts" not in collected["rest"][0]
    assert told in caplog.text


async def test_all_of_a_job_that_left_nothing_goes_on_demand(plan_uri: str, job: dict[str, Any]) -> None:
    collected = await batch_results.collect(plan_uri, leave(job, answering(), only=[]))
    assert rest_of(collected) == [item.product_id for item in WORK]


async def test_answers_of_a_job_and_of_the_one_that_followed_it_count_alike(plan_uri: str, job: dict[str, Any]) -> None:
    records = asked(job)
    leave(job, answering(), only=records[:3])
    collected = await batch_results.collect(plan_uri, leave(job, answering(), only=records[3:], job_id="0123456789ab"))
    assert (collected["published"], collected["rest"]) == (4, [])


async def test_collected_again_nothing_that_is_stored_changes(plan_uri: str, job: dict[str, Any]) -> None:
    await batch_results.collect(plan_uri, leave(job, answering()))
    before = [storage.find(item.result_uri) for item in WORK]
    again = await batch_results.collect(plan_uri, leave(job, lambda record: {"modelOutput": output(BAD)}))
    assert [storage.find(item.result_uri) for item in WORK] == before
    assert again["rest"][0]["count"] == 4  # the next task finds their outcomes


async def test_the_record_of_the_task_names_the_job_and_counts_its_answers(plan_uri: str, job: dict[str, Any]) -> None:
    reference = leave(job, answering(_1={"modelOutput": output(BAD)}))
    with recording(TaskKey("describe_products", "run", "collect_batch")) as record:
        await batch_results.collect(plan_uri, reference)
    assert Dataset("prefix", reference["output_uri"], reference["job_arn"]) in record.inputs
    assert record.counts.items() >= {"published": 3, "to_be_mended": 1, "paid_calls": 3}.items()


async def test_a_text_is_mended_on_demand_for_one_more_call_at_the_full_price(
    plan_uri: str, job: dict[str, Any], bedrock: ScriptedBedrock
) -> None:
    reference = leave(job, answering(_1={"modelOutput": output(BAD, input_tokens=1000, output_tokens=100)}))
    (shard,) = (await batch_results.collect(plan_uri, reference))["rest"]
    bedrock.script = [said(GOOD, input_tokens=1000, output_tokens=100)]
    await writing.describe_shard(shard)
    result = stored_result(WORK[1])
    assert (result.status, result.text.description, result.calls) == ("published", GOOD, 2)
    assert result.cost_usd == pytest.approx(0.0012 / 2 + 0.0012)
    assert BAD in str(bedrock.requests[0]["messages"][1])
