"""Write and check descriptions: one coroutine per product, a shard of them per task.

A finished product is an object in S3 whose key is a function of its input, written once. Whoever comes to the same
input again, a retry, a cleared task or a run side by side, finds it and pays nothing.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Mapping
from typing import Any

import orjson

from lookbook import storage
from lookbook.aws import async_client
from lookbook.descriptions import bedrock
from lookbook.descriptions.bedrock import Backoff
from lookbook.descriptions.conversation import Messages, Reply, request_of
from lookbook.descriptions.cost import cost_usd
from lookbook.descriptions.drafting import Ask, Draft, draft
from lookbook.descriptions.plans import WorkItem, read_items, result_uri_of
from lookbook.descriptions.results import Result, stored_result, task_columns
from lookbook.errors import PermanentError, RetryableError
from lookbook.lineage import records
from lookbook.progress import Progress
from lookbook.settings import get_settings

log = logging.getLogger(__name__)


async def describe_product(item: WorkItem, client: Any, backoff: Backoff | None = None) -> Result:
    """Write one product's description from its facts, check it, and store the outcome.

    An unfaithful text is written again once, by a model that is told its faults; then it is withheld.

    Args:
        item: the facts and everything else that decides the text.
        client: an aiobotocore client of ``bedrock-runtime``.
        backoff: how often and how far apart to try when Bedrock has no answer.

    Raises:
        PermanentError: Bedrock refused the request.
        RetryableError: Bedrock gave no answer in time.
    """
    if (done := await asyncio.to_thread(stored_result, item)) is not None:
        return done
    if not item.facts.facts:
        return await store(Result(item, "withheld", ("no facts",), **task_columns(records.current_task())))
    return await store(result_of(item, await draft(item, _asking(item, client, backoff))))


async def describe_shard(reference: Mapping[str, Any], backoff: Backoff | None = None) -> dict[str, Any]:
    """Describe every product of a shard, several at once, and store their outcomes as one list.

    A product whose request is refused is recorded as failed, and the others go on.

    Args:
        reference: of :meth:`lookbook.descriptions.plans.ShardPlan.references`.
        backoff: as for :func:`describe_product`.

    Returns:
        ``uri`` of the list of outcomes, and the counts ``published``, ``withheld`` and ``failed``.

    Raises:
        PermanentError: every request was refused: a setting is wrong.
        RetryableError: some products got no answer in time; those that did are stored and cost nothing again.
    """
    items = await asyncio.to_thread(read_items, reference["uri"])
    concurrency = get_settings().description_concurrency
    async with async_client("bedrock-runtime", connections=concurrency, attempts=1) as client:
        outcomes = await _all(items, client, asyncio.Semaphore(concurrency), backoff)
    results = _results(reference["label"], items, outcomes)
    uri = result_uri_of(reference["uri"])
    stored = await asyncio.to_thread(storage.write_json, uri, [result.as_dict() for result in results])
    _report(results, stored)
    return {"uri": uri, **_by_status(results)}


async def _all(
    items: list[WorkItem], client: Any, slots: asyncio.Semaphore, backoff: Backoff | None
) -> list[Result | PermanentError | RetryableError]:
    """Describe the items; what stopped one is its outcome and stops no other."""
    progress = Progress(log, "Descriptions", len(items))

    async def one(item: WorkItem) -> Result | PermanentError | RetryableError:
        async with slots:
            try:
                return await describe_product(item, client, backoff)
            except (PermanentError, RetryableError) as error:
                log.warning("%s: %s", item.label, error)
                return error
            finally:
                progress.advance()

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(one(item)) for item in items]
    return [task.result() for task in tasks]


def _results(
    label: str, items: list[WorkItem], outcomes: list[Result | PermanentError | RetryableError]
) -> list[Result]:
    unanswered = [outcome for outcome in outcomes if isinstance(outcome, RetryableError)]
    refused = [outcome for outcome in outcomes if isinstance(outcome, PermanentError)]
    if unanswered:
        raise RetryableError(
            f"{label}: {len(unanswered)} of {len(items)} products got no answer; the others are stored. "
            f"First: {unanswered[0]}"
        )
    if len(refused) == len(items):
        raise PermanentError(f"{label}: every request was refused. First: {refused[0]}")
    return [
        Result(item, "failed", (str(outcome),), **task_columns(records.current_task()))
        if isinstance(outcome, PermanentError)
        else outcome
        for item, outcome in zip(items, outcomes, strict=True)
        if not isinstance(outcome, RetryableError)
    ]


def _asking(item: WorkItem, client: Any, backoff: Backoff | None) -> Ask:
    async def ask(messages: Messages) -> Reply:
        return await bedrock.converse(client, item.text_model_id, request_of(item, messages), backoff)

    return ask


def result_of(item: WorkItem, draft: Draft) -> Result:
    """Return what became of a product whose text was drafted by the current task."""
    tokens = [sum(reply.input_tokens for reply in draft.replies), sum(reply.output_tokens for reply in draft.replies)]
    return Result(
        item=item,
        status="withheld" if draft.problems else "published",
        reasons=draft.problems,
        text=draft.text,
        request_id=draft.replies[-1].request_id,
        calls=len(draft.replies),
        input_tokens=tokens[0],
        output_tokens=tokens[1],
        cost_usd=cost_usd(item.text_model_id, *tokens),
        **task_columns(records.current_task()),
    )


async def store(result: Result) -> Result:
    """Store the outcome; if somebody was first, theirs is the product's."""
    content = orjson.dumps(result.as_dict(), option=orjson.OPT_SORT_KEYS)
    written = await asyncio.to_thread(storage.write_once, result.item.result_uri, content)
    if written is None and (first := await asyncio.to_thread(stored_result, result.item)):
        return first
    return result


def _report(results: list[Result], stored: storage.StoredObject) -> None:
    for item in {result.item.prompt_sha256: result.item for result in results}.values():
        records.reads("prompt", item.prompt_version, item.prompt_sha256)
        records.reads("text_model", item.text_model_id, item.text_model_id)
    records.writes_object(stored)
    if len(results) == 1:  # the requests of a shard stand in its list of outcomes, which may be long
        _report_request(results[0])
    records.counts(
        **{status: number for status, number in _by_status(results).items() if number},
        input_tokens=sum(result.input_tokens for result in results),
        output_tokens=sum(result.output_tokens for result in results),
    )


def _report_request(result: Result) -> None:
    if result.status != "failed":
        records.writes("object", result.item.result_uri, result.item.input_hash)
    if result.request_id:
        records.writes("request", result.item.text_model_id, result.request_id)


def _by_status(results: list[Result]) -> dict[str, int]:
    counted = Counter(result.status for result in results)
    return {"published": counted["published"], "withheld": counted["withheld"], "failed": counted["failed"]}
