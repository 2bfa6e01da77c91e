"""The outcome of one product: its description, or why it has none, and all that traces it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

import orjson

from lookbook import storage
from lookbook.descriptions import spending
from lookbook.descriptions.plans import WorkItem
from lookbook.descriptions.texts import ProductText
from lookbook.lineage import records
from lookbook.lineage.records import TaskKey

Status = Literal["published", "withheld", "failed"]
Failure = Literal["permanent", "retryable"]


@dataclass(frozen=True)
class Result:
    """What became of one work item.

    ``failure`` says whether a failed one may succeed when it is asked about again. ``written_by`` and ``region`` are
    the model that wrote, where it isn't the item's own choice, and where it was asked; ``mode`` is how:
    ``per_product``, ``sharded`` or ``batch``. ``latency_ms`` is that of all calls together.
    ``cached_tokens`` are those of ``input_tokens`` that the model read from its cache of prompts.
    Tokens and cost (USD at list price, ``None`` for an unlisted model) are those of all calls; ``request_id`` is
    the last call's, the one that wrote the description. The task is the one that paid for it.
    """

    item: WorkItem
    status: Status
    reasons: tuple[str, ...] = ()
    failure: Failure | None = None
    text: ProductText | None = None
    written_by: str | None = None
    region: str | None = None
    mode: str | None = None
    request_id: str | None = None
    calls: int = 0
    input_tokens: int = 0
    cached_tokens: int = 0
    output_tokens: int = 0
    cost_usd: float | None = None
    latency_ms: int | None = None
    dag_id: str | None = None
    run_id: str | None = None
    task_id: str | None = None
    map_index: int | None = None

    def as_dict(self) -> dict[str, Any]:
        """Return the result as JSON values."""
        return asdict(self)

    @classmethod
    def from_dict(cls, stored: Mapping[str, Any]) -> Result:
        """Return the result that :meth:`as_dict` stored."""
        item, reasons = WorkItem.from_dict(stored["item"]), tuple(stored["reasons"])
        text = ProductText.from_dict(stored["text"]) if stored["text"] else None
        return cls(**{**stored, "item": item, "reasons": reasons, "text": text})

    def row(self) -> dict[str, Any]:
        """Return the result as a row of ``descriptions.descriptions``."""
        item, uri = self.item, self.item.result_uri if self.status != "failed" else None
        facts = {
            "facts": [vars(fact) for fact in item.facts.facts],
            "differences": [vars(difference) for difference in item.facts.differences],
        }
        # Not asdict(), which copies to the last value: a run may have 44,000 of these.
        columns = {**vars(item), **vars(self), **(vars(self.text) if self.text else {}), **facts, "result_uri": uri}
        columns["text_model_id"] = self.written_by or item.text_model_id
        return {name: value for name, value in columns.items() if name not in ("item", "text", "label", "written_by")}


def cost_to(task: TaskKey | None, results: Iterable[Result]) -> float | None:
    """Return what a task instance paid for these outcomes in all its tries; ``None`` if it asked nobody at a price.

    An outcome that another task had stored before cost this one nothing.
    """
    mine = task_columns(task)
    costs = [result.cost_usd for result in results if mine.items() <= vars(result).items()]
    known = [usd for usd in costs if usd is not None]
    return round(sum(known), 8) if known else None


def task_columns(task: TaskKey | None) -> dict[str, Any]:
    """Return the fields of a result that name the task instance at work."""
    if task is None:
        return {}
    return {"dag_id": task.dag_id, "run_id": task.run_id, "task_id": task.task_id, "map_index": task.map_index}


def stored_result(item: WorkItem) -> Result | None:
    """Return the outcome that is already stored for the item's input, if there is one."""
    try:
        return Result.from_dict(storage.read_json(item.result_uri))
    except storage.ObjectNotFoundError:
        return None


async def find_result(item: WorkItem) -> Result | None:
    """Return the same as :func:`stored_result`, for coroutines that look many up.

    Raises:
        RetryableError: S3 doesn't answer.
    """
    content = await storage.read_bytes_async(item.result_uri)
    return None if content is None else Result.from_dict(orjson.loads(content))


async def store(result: Result) -> Result:
    """Store the outcome; if somebody was first, theirs is the product's. Once begun, it isn't cancelled.

    Raises:
        RetryableError: S3 doesn't answer.
    """
    _paid(result)  # though somebody was first
    storing = asyncio.ensure_future(_store(result))
    try:
        return await asyncio.shield(storing)
    except asyncio.CancelledError:
        await asyncio.wait([storing])  # it was paid for
        raise


def _paid(result: Result) -> None:
    spending.paid_for(result.cost_usd)
    records.adds(
        paid_calls=result.calls,
        paid_input_tokens=result.input_tokens,
        paid_cached_tokens=result.cached_tokens,
        paid_output_tokens=result.output_tokens,
        paid_micro_usd=round((result.cost_usd or 0) * 1e6),
    )


async def _store(result: Result) -> Result:
    content = orjson.dumps(result.as_dict(), option=orjson.OPT_SORT_KEYS)
    if not await storage.write_once_async(result.item.result_uri, content):
        return await find_result(result.item) or result
    return result
