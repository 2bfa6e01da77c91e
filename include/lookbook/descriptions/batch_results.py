"""What a Bedrock batch job left: each answer judged and stored as its product's outcome, the rest for on demand."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from lookbook import storage
from lookbook.descriptions import drafting
from lookbook.descriptions.batch_files import read_answers
from lookbook.descriptions.batch_records import answer_of
from lookbook.descriptions.batch_requests import MODE, items_uri, store_rest
from lookbook.descriptions.conversation import MalformedReplyError, Reply, reply_of
from lookbook.descriptions.plans import WorkItem, read_items, read_plan, result_uri_of
from lookbook.descriptions.results import Result, cost_to, store
from lookbook.descriptions.writing import result_of
from lookbook.lineage import records
from lookbook.settings import get_settings

log = logging.getLogger(__name__)

_STORED_AT_ONCE = 16


class _NotMendedHereError(Exception):
    """A text is to be written again, which a job doesn't do."""


@dataclass
class _Collection:
    """What has been read of a job so far: finished products, answers to be mended, and what doesn't fit."""

    waiting: dict[str, WorkItem]
    results: list[Result] = field(default_factory=list)
    firsts: dict[str, dict[str, Any]] = field(default_factory=dict)
    rest: list[WorkItem] = field(default_factory=list)
    counted: Counter[str] = field(default_factory=Counter)


async def collect(plan_uri: str, job: Mapping[str, Any]) -> dict[str, Any]:
    """Store the outcome of every product that a job answered for, and what is left as shards.

    Records are matched by their id, in whatever order they come. An answer that isn't faithful goes along with the
    rest, whose first try it then is. Collected again, a job's answers change nothing that is stored.

    Args:
        plan_uri: of the run.
        job: the job task's reference, of :func:`lookbook.descriptions.batch_jobs.reference`.

    Returns:
        ``uri`` of the list of outcomes, their counts by status, and ``rest``: references of shards.
    """
    root, name = read_plan(plan_uri).root, job["asked_name"]
    uri = items_uri(root, name)
    items = await asyncio.to_thread(read_items, uri)
    collection = _Collection({item.input_hash: item for item in items})
    answers = read_answers(job["output_uri"])
    while some := await asyncio.to_thread(_some, answers):
        await asyncio.gather(*[_take(collection, item, answer) for item, answer in _matched(collection, some)])
    collection.counted["unanswered"] += len(collection.waiting)
    left = [*collection.rest, *collection.waiting.values()]
    stored = await asyncio.to_thread(_store_list, result_uri_of(uri), collection.results)
    rest = await asyncio.to_thread(store_rest, root, name, left, collection.firsts)
    _report(job, collection, stored)
    return {"uri": stored.uri, **Counter(result.status for result in collection.results), "rest": rest}


def _some(answers: Iterator[dict[str, Any]]) -> list[dict[str, Any]]:
    return list(islice(answers, _STORED_AT_ONCE))


def _matched(collection: _Collection, answers: Iterable[dict[str, Any]]) -> Iterator[tuple[WorkItem, dict[str, Any]]]:
    """Yield the records that stand for a product that isn't settled; count the others."""
    for record in answers:
        item = collection.waiting.get(str(record.get("recordId")))
        if item is None:
            collection.counted["unknown or again"] += 1
        elif "modelOutput" not in record:
            collection.counted["refused"] += 1
            collection.rest.append(collection.waiting.pop(item.input_hash))
            log.warning("%s: the job refused it: %s", item.label, str(record.get("error"))[:500])
        else:
            yield collection.waiting.pop(item.input_hash), record["modelOutput"]


async def _take(collection: _Collection, item: WorkItem, output: Any) -> None:
    """Judge an answer: a finished product is stored, another is left with its answer."""
    try:
        answer = answer_of(output)
        consult = _refuse if get_settings().judge_model_id else None
        draft = await drafting.finish(item, drafting.judge(item, (reply_of(answer),)), _refuse, consult)
    except MalformedReplyError as error:
        collection.counted["malformed"] += 1
        collection.rest.append(item)
        log.warning("%s: %s", item.label, error)
    except _NotMendedHereError:
        collection.counted["to be mended"] += 1
        collection.rest.append(item)
        collection.firsts[item.input_hash] = answer
    else:
        collection.results.append(await store(result_of(item, draft, mode=MODE)))


async def _refuse(asked: Any) -> Reply:
    raise _NotMendedHereError


def _store_list(uri: str, results: list[Result]) -> storage.StoredObject:
    return storage.write_json(uri, [result.as_dict() for result in results])


def _report(job: Mapping[str, Any], collection: _Collection, stored: storage.StoredObject) -> None:
    counted = Counter(result.status for result in collection.results) + collection.counted
    told = ", ".join(f"{number} {what}" for what, number in sorted(counted.items())) or "nothing"
    log.info("Job %s (%s) left: %s.", job["job_name"], job["status"], told)
    records.reads("prefix", job["output_uri"], job["job_arn"])
    records.writes_object(stored)
    records.counts(**{what.replace(" ", "_"): number for what, number in counted.items()})
    records.costs(cost_to(records.current_task(), collection.results))
