"""One product's description, and a shard of them: outcomes, repairs, and never paying twice."""

from __future__ import annotations

import asyncio
import os
import signal
from datetime import UTC, datetime
from typing import Any

import orjson
import pytest
from tests.descriptions.conftest import (
    AT_ONCE,
    SOON,
    Answer,
    ScriptedBedrock,
    faithful,
    refused,
    said,
    work_item,
)

from lookbook import storage
from lookbook.descriptions import asking as asking_module
from lookbook.descriptions import bedrock as bedrock_calls
from lookbook.descriptions import budget, cost, plans, routes, spending, writing
from lookbook.descriptions.asking import asking
from lookbook.descriptions.bedrock import converse
from lookbook.descriptions.conversation import Reply
from lookbook.descriptions.plans import WorkItem
from lookbook.descriptions.results import Result
from lookbook.descriptions.texts import ProductText
from lookbook.errors import PermanentError, RetryableError
from lookbook.lineage.records import Dataset, TaskKey, recording
from lookbook.settings import get_settings

pytestmark = pytest.mark.usefixtures("aws_server")

GOOD = "This blue shirt is made of cotton."
BAD = "This red shirt is made for summer."


async def describe(item: WorkItem) -> Result:
    async with asking(item.text_model_id, backoff=AT_ONCE, alone=True) as asked:
        return await writing.describe_product(item, asked)


def shard(*items: WorkItem) -> dict[str, Any]:
    uri = "s3://lookbook/plans/run/items/00000.json"
    plans.write_items(uri, list(items))
    return {"uri": uri, "label": "shard 1 of 1", "count": len(items)}


async def test_a_faithful_text_is_published(bedrock: ScriptedBedrock) -> None:
    bedrock.script = [said(GOOD, input_tokens=1000, output_tokens=100)]
    result = await describe(work_item())
    assert (result.status, result.text, result.reasons) == ("published", ProductText(GOOD), ())
    assert (result.calls, result.input_tokens, result.output_tokens) == (1, 1000, 100)
    assert result.cost_usd == pytest.approx(0.0012)
    assert result.request_id


async def test_the_prompt_states_the_facts_and_nothing_of_the_name(bedrock: ScriptedBedrock) -> None:
    bedrock.script = [said(GOOD)]
    await describe(work_item())
    text = bedrock.requests[0]["messages"][-1]["content"][0]["text"]
    assert text.startswith("<facts>\n- Article Type: Shirts\n- Colour: Blue\n- Fabric: Cotton\n</facts>\n")
    assert "38642" not in text


async def test_an_unfaithful_text_is_written_again_with_its_faults(bedrock: ScriptedBedrock) -> None:
    bedrock.script = [said(BAD), said(GOOD)]
    result = await describe(work_item())
    assert (result.status, result.text, result.calls) == ("published", ProductText(GOOD), 2)
    assert (result.input_tokens, result.output_tokens) == (200, 40)
    second = bedrock.requests[1]["messages"]
    assert [turn["role"] for turn in second] == ["user", "assistant", "user"]
    assert second[1]["content"] == [{"text": BAD}]
    told = second[2]["content"][0]["text"]
    assert "<facts>" in told
    assert "it doesn't state Fabric: Cotton" in told
    assert "it says baseColour: Red, which contradicts the facts" in told
    assert "it says Season: Summer, which is not among the facts" in told


async def test_a_text_that_stays_unfaithful_is_withheld_with_the_reasons(bedrock: ScriptedBedrock) -> None:
    bedrock.script = [said(BAD), said("A blue shirt.")]
    result = await describe(work_item())
    assert (result.status, result.reasons) == ("withheld", ("it doesn't state Fabric: Cotton",))
    assert result.text == ProductText("A blue shirt.")


async def test_a_filtered_text_is_withheld_without_another_try(bedrock: ScriptedBedrock) -> None:
    bedrock.script = [said("", "content_filtered")]
    result = await describe(work_item())
    assert (result.status, result.reasons, result.text) == ("withheld", ("content_filtered",), None)
    assert len(bedrock.requests) == 1


async def test_a_product_without_facts_is_withheld_without_a_call(bedrock: ScriptedBedrock) -> None:
    item = WorkItem.from_dict(work_item().as_dict() | {"facts": {"facts": [], "differences": []}})
    result = await describe(item)
    assert (result.status, result.reasons) == ("withheld", ("no facts",))
    assert bedrock.requests == []


@pytest.mark.parametrize("text", [GOOD, BAD])
async def test_a_finished_product_is_never_paid_for_again(bedrock: ScriptedBedrock, text: str) -> None:
    bedrock.respond = lambda request: said(text)
    first = await describe(work_item())
    calls = len(bedrock.requests)
    assert await describe(work_item()) == first
    assert len(bedrock.requests) == calls
    assert [stored.uri for stored in storage.list_objects("s3://lookbook/descriptions/")] == [first.item.result_uri]


async def test_a_task_counts_what_it_paid_for_and_not_what_it_found_finished(bedrock: ScriptedBedrock) -> None:
    bedrock.script = [refused("ThrottlingException", 429), said(GOOD, input_tokens=1000, output_tokens=100)]
    task = TaskKey("describe_products", "run", "describe", 0)
    with recording(task) as first:
        await describe(work_item())
    with recording(task) as again:
        await describe(work_item())
    assert first.counts == {
        "throttled": 1,
        "paid_calls": 1,
        "paid_input_tokens": 1000,
        "paid_cached_tokens": 0,
        "paid_output_tokens": 100,
        "paid_micro_usd": 1200,
    }
    assert again.counts == {}


async def test_of_two_runs_side_by_side_the_first_outcome_counts(
    bedrock: ScriptedBedrock, monkeypatch: pytest.MonkeyPatch
) -> None:
    texts = iter([GOOD, "A cotton shirt in blue."])
    bedrock.respond = lambda request: said(next(texts))
    write_once, both_have_written = storage.write_once_async, asyncio.Barrier(2)

    async def write_when_both_have_a_text(*args: Any) -> bool:
        await both_have_written.wait()
        return await write_once(*args)

    monkeypatch.setattr(storage, "write_once_async", write_when_both_have_a_text)
    first, second = await asyncio.gather(describe(work_item()), describe(work_item()))
    assert first == second
    assert len(bedrock.requests) == 2


async def test_what_another_run_finishes_meanwhile_is_not_asked_about(
    bedrock: ScriptedBedrock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOOKBOOK_DESCRIPTION_CONCURRENCY", "1")
    monkeypatch.setattr(asking_module, "_LOOK_AGAIN_AFTER_S", 0.0)
    get_settings.cache_clear()
    items = [work_item(str(number)) for number in range(5)]

    def respond(request: dict[str, Any]) -> Answer:
        for item in items:
            done = Result(item, "published", text=ProductText(GOOD), run_id="another")
            storage.write_once(item.result_uri, orjson.dumps(done.as_dict()))
        return faithful(request)

    bedrock.respond = respond
    summary = await writing.describe_shard(shard(*items), AT_ONCE)
    assert (summary["published"], len(bedrock.requests)) == (5, 1)
    assert {result["run_id"] for result in storage.read_json(summary["uri"])} == {"another"}


async def test_the_outcome_names_the_task_that_paid(bedrock: ScriptedBedrock) -> None:
    bedrock.script = [said(GOOD)]
    with recording(TaskKey("describe_products", "run", "describe", 7)):
        result = await describe(work_item())
    assert (result.dag_id, result.run_id, result.task_id, result.map_index) == (
        "describe_products",
        "run",
        "describe",
        7,
    )


async def test_a_shard_lists_every_products_outcome(bedrock: ScriptedBedrock) -> None:
    bedrock.respond = lambda request: said(BAD) if "Linen" in str(request) else faithful(request)
    items = [work_item("1"), work_item("2", Fabric="Linen"), work_item("3")]
    summary = await writing.describe_shard(shard(*items), AT_ONCE)
    assert summary == {
        "uri": "s3://lookbook/plans/run/results/00000.json",
        "published": 2,
        "withheld": 1,
        "failed": 0,
    }
    stored = [Result.from_dict(entry) for entry in storage.read_json(summary["uri"])]
    assert [(result.item.product_id, result.status) for result in stored] == [
        ("1", "published"),
        ("2", "withheld"),
        ("3", "published"),
    ]


async def test_a_shard_keeps_its_calls_in_flight_below_the_limit(
    bedrock: ScriptedBedrock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOOKBOOK_DESCRIPTION_CONCURRENCY", "3")
    get_settings.cache_clear()
    running, most = 0, 0
    original = bedrock_calls.converse

    async def counting(*args: Any) -> Reply:
        nonlocal running, most
        running += 1
        most = max(most, running)
        try:
            return await original(*args)
        finally:
            running -= 1

    monkeypatch.setattr(bedrock_calls, "converse", counting)
    bedrock.respond = faithful
    await writing.describe_shard(shard(*(work_item(str(number)) for number in range(12))), AT_ONCE)
    assert most == 3


async def test_a_shard_makes_its_first_calls_before_it_has_looked_up_every_product(
    bedrock: ScriptedBedrock, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks: list[str] = []
    looked_up_before: list[int] = []
    look = storage.read_bytes_async

    async def looking(uri: str) -> bytes | None:
        looks.append(uri)
        return await look(uri)

    def respond(request: dict[str, Any]) -> Answer:
        looked_up_before.append(len(looks))
        return faithful(request)

    monkeypatch.setattr(storage, "read_bytes_async", looking)
    bedrock.respond = respond
    await writing.describe_shard(shard(*(work_item(str(number)) for number in range(60))), AT_ONCE)
    assert len(looks) == len(looked_up_before) == 60
    assert looked_up_before[0] < 60


@pytest.fixture
def month_budget(monkeypatch: pytest.MonkeyPatch) -> float:
    """A month's budget for about ten of :func:`faithful`'s texts, which a task looks at all the time."""
    price = cost.cost_usd(work_item().text_model_id, 100, 20)
    assert price is not None
    usd = 10 * price
    monkeypatch.setenv("LOOKBOOK_MONTH_BUDGET_USD", f"{usd:.6f}")
    monkeypatch.setenv("LOOKBOOK_DESCRIPTION_CONCURRENCY", "2")
    monkeypatch.setattr(budget, "_LOOK_EVERY_S", 0.01)
    get_settings.cache_clear()
    return usd


async def slowly(*args: Any) -> Reply:
    await asyncio.sleep(0.05)
    return await converse(*args)


async def test_a_shard_asks_no_more_once_the_months_budget_is_used_up_and_what_is_finished_stays(
    bedrock: ScriptedBedrock, month_budget: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bedrock_calls, "converse", slowly)
    bedrock.respond = faithful
    with pytest.raises(PermanentError, match="LOOKBOOK_MONTH_BUDGET_USD"), budget.within_month():
        await writing.describe_shard(shard(*(work_item(str(number)) for number in range(60))), AT_ONCE)
    stored = list(storage.list_objects("s3://lookbook/descriptions/"))
    assert 10 <= len(stored) == len(bedrock.requests) < 30
    assert spending.month_usd() == pytest.approx(month_budget * len(stored) / 10, rel=0.01)


async def test_a_shard_stops_for_what_others_have_spent_meanwhile(
    bedrock: ScriptedBedrock, month_budget: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    def respond(request: dict[str, Any]) -> Answer:
        if len(bedrock.requests) == 3:
            storage.write_bytes(f"s3://lookbook/spending/{datetime.now(UTC):%Y-%m-%d}/1000000-another-task", b"")
        return faithful(request)

    monkeypatch.setattr(bedrock_calls, "converse", slowly)
    bedrock.respond = respond
    with pytest.raises(PermanentError, match=r"1\.0\d USD are spent"), budget.within_month():
        await writing.describe_shard(shard(*(work_item(str(number)) for number in range(60))), AT_ONCE)
    assert 3 <= len(bedrock.requests) < 10


async def test_what_is_in_flight_when_the_months_budget_is_used_up_is_a_success(
    bedrock: ScriptedBedrock, month_budget: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def dearly(*args: Any) -> Reply:
        reply = await converse(*args)
        spending.paid_for(2 * month_budget)
        await asyncio.sleep(0.2)
        return reply

    monkeypatch.setattr(bedrock_calls, "converse", dearly)
    bedrock.respond = faithful
    with budget.within_month():
        summary = await writing.describe_shard(shard(work_item("1")), AT_ONCE)
    assert summary["published"] == 1
    with pytest.raises(PermanentError, match="LOOKBOOK_MONTH_BUDGET_USD"), budget.within_month():
        raise AssertionError("it began")


async def test_a_refused_product_fails_and_the_others_go_on(bedrock: ScriptedBedrock) -> None:
    bedrock.respond = lambda request: (
        refused("ValidationException", 400, "too odd") if "Linen" in str(request) else faithful(request)
    )
    summary = await writing.describe_shard(shard(work_item("1"), work_item("2", Fabric="Linen")), AT_ONCE)
    assert (summary["published"], summary["failed"]) == (1, 1)
    failed = Result.from_dict(storage.read_json(summary["uri"])[1])
    assert "too odd" in failed.reasons[0]
    assert storage.find(failed.item.result_uri) is None


async def test_a_shard_whose_every_request_is_refused_fails_at_once(bedrock: ScriptedBedrock) -> None:
    bedrock.respond = lambda request: refused("AccessDeniedException", 403)
    with pytest.raises(PermanentError, match=r"shard 1 of 1: every request was refused.*AccessDenied"):
        await writing.describe_shard(shard(work_item("1"), work_item("2")), AT_ONCE)


async def test_clearing_a_shard_redoes_only_what_is_not_finished(bedrock: ScriptedBedrock) -> None:
    down = True
    bedrock.respond = lambda request: (
        refused("ThrottlingException", 429) if down and "Linen" in str(request) else faithful(request)
    )
    reference = shard(work_item("1"), work_item("2", Fabric="Linen"), work_item("3"))
    with pytest.raises(RetryableError, match="1 of 3 products got no answer"):
        await writing.describe_shard(reference, SOON)
    down, bedrock.requests = False, []
    summary = await writing.describe_shard(reference, AT_ONCE)
    assert (summary["published"], len(bedrock.requests)) == (3, 1)


async def test_a_task_records_prompt_model_request_and_counts(bedrock: ScriptedBedrock) -> None:
    bedrock.respond = faithful
    item = work_item()
    with recording(TaskKey("describe_products", "run", "describe", 0)) as record:
        await writing.describe_shard(shard(item), AT_ONCE)
    assert Dataset("prompt", "product_description@1", item.prompt_sha256) in record.inputs
    assert Dataset("text_model", item.text_model_id, item.text_model_id) in record.inputs
    kinds = [dataset.kind for dataset in record.outputs]
    assert kinds == ["object", "object", "request"]
    assert record.outputs[2].version == Result.from_dict(storage.read_json(item.result_uri)).request_id
    paid = {"paid_calls": 1, "paid_input_tokens": 100, "paid_cached_tokens": 0, "paid_output_tokens": 20}
    paid["paid_micro_usd"] = 160
    assert record.counts == {"published": 1, "input_tokens": 100, "output_tokens": 20} | paid


async def test_a_record_costs_what_its_task_paid_in_all_tries_and_nothing_that_another_did(
    bedrock: ScriptedBedrock,
) -> None:
    bedrock.respond = faithful
    reference, costs = shard(work_item("1"), work_item("2", Fabric="Linen")), []
    for map_index, try_number in ((0, 1), (0, 2), (1, 1)):
        with recording(TaskKey("describe_products", "run", "describe", map_index, try_number)) as record:
            await writing.describe_shard(reference, AT_ONCE)
        costs.append(record.cost_usd)
    assert costs == [pytest.approx(0.00032), costs[0], None]


async def test_a_shard_outlasts_throttling(bedrock: ScriptedBedrock) -> None:
    bedrock.respond = lambda request: (
        refused("ThrottlingException", 429) if len(bedrock.requests) % 3 == 0 else faithful(request)
    )
    summary = await writing.describe_shard(shard(*(work_item(str(number)) for number in range(40))), AT_ONCE)
    assert (summary["published"], summary["failed"], len(bedrock.requests)) == (40, 0, 59)


async def test_a_task_told_to_end_stores_what_is_in_flight_and_asks_no_more(
    bedrock: ScriptedBedrock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOOKBOOK_DESCRIPTION_CONCURRENCY", "3")
    get_settings.cache_clear()

    def respond(request: dict[str, Any]) -> Answer:
        if len(bedrock.requests) == 2:
            os.kill(os.getpid(), signal.SIGTERM)
        return faithful(request)

    before, bedrock.respond = signal.getsignal(signal.SIGTERM), respond
    with pytest.raises(RetryableError, match="told to stop"):
        await writing.describe_shard(shard(*(work_item(str(number)) for number in range(40))), AT_ONCE)
    stored = list(storage.list_objects("s3://lookbook/descriptions/"))
    assert 2 <= len(stored) == len(bedrock.requests) < 40
    assert signal.getsignal(signal.SIGTERM) == before


async def test_a_cancelled_task_still_stores_a_text_that_was_paid_for(
    bedrock: ScriptedBedrock, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_once, storing = storage.write_once_async, asyncio.Event()

    async def write_slowly(*args: Any) -> bool:
        storing.set()
        await asyncio.sleep(0.05)
        return await write_once(*args)

    monkeypatch.setattr(storage, "write_once_async", write_slowly)
    bedrock.script = [said(GOOD)]
    describing = asyncio.create_task(describe(work_item()))
    await storing.wait()
    describing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await describing
    assert storage.find(work_item().result_uri) is not None


async def test_on_the_last_try_a_product_without_an_answer_is_recorded_as_failed(bedrock: ScriptedBedrock) -> None:
    bedrock.respond = lambda request: (
        refused("InternalServerException", 500) if "Linen" in str(request) else faithful(request)
    )
    reference = shard(work_item("1"), work_item("2", Fabric="Linen"))
    summary = await writing.describe_shard(reference, AT_ONCE, last_try=True)
    assert (summary["published"], summary["failed"]) == (1, 1)
    failed = Result.from_dict(storage.read_json(summary["uri"])[1])
    assert failed.failure == "retryable"
    assert storage.find(failed.item.result_uri) is None


async def test_who_wrote_and_where_and_its_price_are_recorded(
    bedrock: ScriptedBedrock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOOKBOOK_TEXT_FALLBACKS", '["amazon.nova-lite-v1:0@eu-west-1"]')
    get_settings.cache_clear()
    monkeypatch.setattr(routes, "_FAILURES", 2)
    monkeypatch.setattr(routes, "_SILENT_S", 0.0)
    first = work_item().text_model_id

    def respond(request: dict[str, Any]) -> Answer:
        if bedrock.requests[-1]["modelId"] == first:
            return refused("ThrottlingException", 429)
        return said(GOOD, input_tokens=1000, output_tokens=100)

    bedrock.respond = respond
    result = await describe(work_item())
    assert (result.written_by, result.region) == ("amazon.nova-lite-v1:0", "eu-west-1")
    assert result.cost_usd == pytest.approx(0.000084)
    assert result.row()["text_model_id"] == "amazon.nova-lite-v1:0"
    assert result.latency_ms is not None


async def test_what_goes_into_the_cache_of_prompts_is_paid_for(bedrock: ScriptedBedrock) -> None:
    status, answer, code = said(GOOD, input_tokens=1000, output_tokens=100)
    assert isinstance(answer, dict)
    answer["usage"] |= {"cacheWriteInputTokens": 2000, "totalTokens": 3100}
    bedrock.script = [(status, answer, code)]
    result = await describe(work_item())
    assert (result.input_tokens, result.cached_tokens) == (3000, 0)
    assert result.cost_usd == pytest.approx((1000 * 0.80 + 2000 * 1.00 + 100 * 4.00) / 1e6)


async def test_a_text_that_a_batch_job_wrote_is_only_mended(bedrock: ScriptedBedrock) -> None:
    item, (_, bad, _) = work_item(), said(BAD, input_tokens=1000, output_tokens=100)
    assert isinstance(bad, dict)
    firsts = {item.input_hash: bad | {"ResponseMetadata": {"RequestId": "of-the-job"}}}
    storage.write_json("s3://lookbook/plans/run/firsts/x.json", firsts)
    bedrock.script = [said(GOOD, input_tokens=1000, output_tokens=100)]
    reference = shard(item) | {"firsts": "s3://lookbook/plans/run/firsts/x.json"}
    summary = await writing.describe_shard(reference, AT_ONCE)
    result = Result.from_dict(storage.read_json(summary["uri"])[0])
    assert (result.status, result.calls, len(bedrock.requests)) == ("published", 2, 1)
    assert result.cost_usd == pytest.approx(0.0012 + 0.0006)
