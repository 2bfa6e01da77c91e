"""Write and check descriptions: one coroutine per product, a shard of them per task.

A finished product is an object in S3 whose key is a function of its input, written once. Whoever comes to the same
input again, a retry, a cleared task or a run side by side, finds it and pays nothing.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import random
import signal
import threading
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, contextmanager
from typing import Any

from lookbook import storage
from lookbook.descriptions import budget, drafting, judging
from lookbook.descriptions.asking import Answered, Asking, Backoff, Turn, asking
from lookbook.descriptions.conversation import Messages, Reply, reply_of, request_of
from lookbook.descriptions.cost import cost_usd
from lookbook.descriptions.drafting import Ask, Draft
from lookbook.descriptions.judging import Consult
from lookbook.descriptions.plans import WorkItem, read_items, result_uri_of
from lookbook.descriptions.results import Failure, Result, cost_to, find_result, store, task_columns
from lookbook.descriptions.texts import ProductText
from lookbook.errors import PermanentError, RetryableError
from lookbook.lineage import records
from lookbook.progress import Progress
from lookbook.settings import get_settings

log = logging.getLogger(__name__)

Outcome = Result | PermanentError | RetryableError


class _FinishedMeanwhileError(Exception):
    """Another run has finished the product while it waited for its turn."""

    def __init__(self, result: Result) -> None:
        super().__init__(result.item.label)
        self.result = result


async def describe_product(
    item: WorkItem,
    asked: Asking,
    order: int = 0,
    mode: str | None = None,
    first: Mapping[str, Any] | None = None,
    judge: Asking | None = None,
) -> Result:
    """Write one product's description from its facts, check it, and store the outcome.

    An unfaithful text is written again once, by a model that is told its faults; then it is withheld.

    Args:
        item: the facts and everything else that decides the text.
        asked: the open routes to the text model.
        order: the product's place among those asked about at the same time.
        mode: how the run asks, for the record.
        first: a Converse response that was paid for already; its text is only to be mended.
        judge: the open routes to the model that reads each text, if there is one.

    Raises:
        PermanentError: Bedrock refused the request.
        RetryableError: there was no answer in the product's time.
    """
    async with asked.looks:
        done = await find_result(item)
    if done is not None:
        return done
    if not item.facts.facts:
        return await store(Result(item, "withheld", ("no facts",), mode=mode, **task_columns(records.current_task())))
    turn = asked.turn(order)
    ask = await _ask(item, asked, turn)
    consult = _consult(item, judge, order) if judge else None
    try:
        draft = await (_mended(item, first, ask, consult) if first else drafting.draft(item, ask, consult))
    except _FinishedMeanwhileError as error:
        return error.result
    return await store(result_of(item, draft, turn.answered, mode))


async def describe_shard(
    reference: Mapping[str, Any], backoff: Backoff | None = None, *, last_try: bool = False
) -> dict[str, Any]:
    """Describe every product of a shard, several at once, and store their outcomes as one list.

    A product whose request is refused is recorded as failed, and the others go on.

    Args:
        reference: of :meth:`lookbook.descriptions.plans.ShardPlan.references`. ``share``: of the account's quota;
            ``firsts``: URI of Converse responses by input hash, from a batch job, whose texts are only to be mended.
        backoff: how failures of Bedrock are answered.
        last_try: a product without an answer is recorded as failed, for nobody will try it again.

    Returns:
        ``uri`` of the list of outcomes, and the counts ``published``, ``withheld`` and ``failed``.

    Raises:
        PermanentError: every request was refused: a setting is wrong; or the month's budget was used up meanwhile.
        RetryableError: some products got no answer in time; those that did are stored and cost nothing again.
    """
    items = await asyncio.to_thread(read_items, reference["uri"])
    outcomes = await _outcomes(reference, items, backoff)
    results = _results(reference["label"], items, outcomes, last_try=last_try)
    uri = result_uri_of(reference["uri"])
    stored = await asyncio.to_thread(storage.write_json, uri, [result.as_dict() for result in results])
    _report(results, stored)
    return {"uri": uri, **_by_status(results)}


async def _outcomes(
    reference: Mapping[str, Any], items: Sequence[WorkItem], backoff: Backoff | None
) -> Sequence[Outcome]:
    """Describe a shard's items over routes of their own, as long as the month's budget lasts."""
    firsts = await asyncio.to_thread(storage.read_json, reference["firsts"]) if "firsts" in reference else {}
    share, alone = reference.get("share", 1.0), len(items) == 1
    async with AsyncExitStack() as opened:
        asked = await opened.enter_async_context(asking(items[0].text_model_id, share, backoff, alone=alone))
        judge_id = get_settings().judge_model_id
        judge = await opened.enter_async_context(asking(judge_id, share, backoff, alone=True)) if judge_id else None
        with _stopped_by_sigterm(asked):
            async with budget.watched(asked.stop) as month:
                outcomes = await _all(items, asked, "per_product" if alone else "sharded", firsts, judge)
    if month.over and any(isinstance(outcome, RetryableError) for outcome in outcomes):
        raise month.over
    return outcomes


@contextmanager
def _stopped_by_sigterm(asked: Asking) -> Iterator[None]:
    """Make no more calls once the process is told to end; what is in flight has some seconds left to be stored."""
    if threading.current_thread() is not threading.main_thread():
        yield  # signals are the main thread's
        return
    loop, before = asyncio.get_running_loop(), signal.getsignal(signal.SIGTERM)
    loop.add_signal_handler(signal.SIGTERM, asked.stop)
    try:
        yield
    finally:
        loop.remove_signal_handler(signal.SIGTERM)
        signal.signal(signal.SIGTERM, before)


async def _all(
    items: Sequence[WorkItem], asked: Asking, mode: str, firsts: Mapping[str, Any], judge: Asking | None
) -> list[Outcome]:
    """Describe the items; what stopped one is its outcome and stops no other."""
    progress = Progress(log, "Descriptions", len(items))

    async def one(order: int, item: WorkItem) -> Outcome:
        try:
            result = await describe_product(item, asked, order, mode, firsts.get(item.input_hash), judge)
        except (PermanentError, RetryableError) as error:
            log.warning("%s: %s", item.label, error)
            return error
        finally:
            progress.advance()
        log.info("%s: %s", item.label, " ".join([result.status, *result.reasons]))
        return result

    async with asyncio.TaskGroup() as group:
        # In an order of its own, so that runs side by side are seldom at the same product.
        orders = random.sample(range(len(items)), len(items))
        tasks = [group.create_task(one(order, item)) for order, item in zip(orders, items, strict=True)]
    return [task.result() for task in tasks]


def _results(label: str, items: Sequence[WorkItem], outcomes: Sequence[Outcome], *, last_try: bool) -> list[Result]:
    unanswered = [outcome for outcome in outcomes if isinstance(outcome, RetryableError)]
    refused = [outcome for outcome in outcomes if isinstance(outcome, PermanentError)]
    if unanswered and not last_try:
        raise RetryableError(
            f"{label}: {len(unanswered)} of {len(items)} products got no answer; the others are stored. "
            f"First: {unanswered[0]}"
        )
    if len(refused) == len(items):
        raise PermanentError(f"{label}: every request was refused. First: {refused[0]}")
    return [
        outcome if isinstance(outcome, Result) else _failed(item, outcome)
        for item, outcome in zip(items, outcomes, strict=True)
    ]


def _failed(item: WorkItem, error: PermanentError | RetryableError) -> Result:
    failure: Failure = "permanent" if isinstance(error, PermanentError) else "retryable"
    return Result(item, "failed", (str(error),), failure, **task_columns(records.current_task()))


async def _ask(item: WorkItem, asked: Asking, turn: Turn) -> Ask:
    """Return what asks about the product, with its picture where the settings want that."""
    picture = await _picture(item) if get_settings().description_picture and item.picture_uri else None

    async def look() -> None:
        if (done := await find_result(item)) is not None:
            raise _FinishedMeanwhileError(done)

    async def ask(messages: Messages) -> Reply:
        return await asked.ask(request_of(item, messages, picture), turn, look)

    return ask


def _consult(item: WorkItem, judge: Asking, order: int) -> Consult:
    """Return what has the judge read a text of the product; it has a product's time of its own."""

    async def consult(text: ProductText) -> Reply:
        return await judge.ask(judging.request_of(item, text), judge.turn(order))

    return consult


async def _picture(item: WorkItem) -> bytes:
    content = await storage.read_bytes_async(str(item.picture_uri))
    if content is None or hashlib.sha256(content).hexdigest() != item.picture_sha256:
        raise PermanentError(f"{item.picture_uri} is not the picture that was published. Ingest its drop again.")
    return content


async def _mended(item: WorkItem, first: Mapping[str, Any], ask: Ask, consult: Consult | None) -> Draft:
    return await drafting.finish(item, drafting.judge(item, (reply_of(dict(first)),)), ask, consult)


def result_of(item: WorkItem, draft: Draft, answered: Sequence[Answered] = (), mode: str | None = None) -> Result:
    """Return what became of a product whose text was drafted by the current task.

    Args:
        item: the product's.
        draft: its text.
        answered: who gave the draft's last replies and at which latency; replies before them, all if it is empty, are
            of a batch job of the item's own model.
        mode: how the run asks.
    """
    last = answered[-1].target if answered else None
    paid = (*draft.replies, *draft.opinions)
    return Result(
        item=item,
        status="withheld" if draft.problems else "published",
        reasons=draft.problems,
        text=draft.text,
        written_by=last.model_id if last and last.model_id != item.text_model_id else None,
        region=last.region if last else get_settings().aws_region,
        mode=mode,
        request_id=draft.replies[-1].request_id,
        calls=len(paid),
        input_tokens=sum(reply.input_tokens for reply in paid),
        cached_tokens=sum(reply.cached_tokens for reply in paid),
        output_tokens=sum(reply.output_tokens for reply in paid),
        cost_usd=_cost(item, draft, answered),
        latency_ms=sum(one.latency_ms for one in answered) if answered else None,
        **task_columns(records.current_task()),
    )


def _cost(item: WorkItem, draft: Draft, answered: Sequence[Answered]) -> float | None:
    of_job = draft.replies[: len(draft.replies) - len(answered)]
    costs = [_price(item.text_model_id, reply, batch=True) for reply in of_job]
    costs += [_price(one.target.model_id, one.reply, batch=False) for one in answered]
    costs += [_price(str(get_settings().judge_model_id), opinion, batch=False) for opinion in draft.opinions]
    known = [cost for cost in costs if cost is not None]
    return round(sum(known), 8) if len(known) == len(costs) else None


def _price(model_id: str, reply: Reply, *, batch: bool) -> float | None:
    tokens = (reply.input_tokens, reply.output_tokens, reply.cached_tokens, reply.cache_written_tokens)
    return cost_usd(model_id, *tokens, batch=batch)


def _report(results: list[Result], stored: storage.StoredObject) -> None:
    for item in {result.item.prompt_sha256: result.item for result in results}.values():
        records.reads("prompt", item.prompt_version, item.prompt_sha256)
    for model_id in {result.written_by or result.item.text_model_id for result in results}:
        records.reads("text_model", model_id, model_id)
    if judge_id := get_settings().judge_model_id:
        records.reads("text_model", judge_id, judge_id)
    records.writes_object(stored)
    if len(results) == 1:  # the requests of a shard stand in its list of outcomes, which may be long
        _report_request(results[0])
    records.counts(
        **{status: number for status, number in _by_status(results).items() if number},
        input_tokens=sum(result.input_tokens for result in results),
        output_tokens=sum(result.output_tokens for result in results),
    )
    records.costs(cost_to(records.current_task(), results))


def _report_request(result: Result) -> None:
    if result.status != "failed" and (stored := storage.find(result.item.result_uri)):
        records.writes_object(stored)
    if result.request_id:
        records.writes("request", result.written_by or result.item.text_model_id, result.request_id)


def _by_status(results: list[Result]) -> dict[str, int]:
    counted = Counter(result.status for result in results)
    return {"published": counted["published"], "withheld": counted["withheld"], "failed": counted["failed"]}
