"""What the tasks of a run left of its products, as rows: read list by list, so that 44,000 fit into little memory."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import orjson
import pyarrow as pa

from lookbook import storage
from lookbook.catalog.schemas import DESCRIPTIONS
from lookbook.descriptions.plans import ShardPlan, WorkItem, read_items
from lookbook.descriptions.results import Result
from lookbook.lineage import records

_NO_OUTCOME = "its task left no outcome; look at its log, then run the drop again"


def rows_of(shards: ShardPlan, lists: Sequence[str]) -> pa.Table:
    """Return one row of ``descriptions.descriptions`` for each work item of a run.

    A product that failed, or that no list names, is looked up by its input: somebody else may have finished it, and a
    task that was killed loses nothing that was finished. Only then is it failed.

    Args:
        shards: the run's work.
        lists: URIs of the lists of outcomes that its mapped tasks stored, in any order.
    """
    seen: set[str] = set()
    failed: dict[str, Result] = {}
    told = [
        _rows(_finished(orjson.loads(_reported(uri, content)), seen, failed))
        for uri, content in zip(lists, storage.read_all(lists), strict=True)
    ]
    told.append(_rows(_looked_up([result.item for key, result in failed.items() if key not in seen], failed)))
    seen |= failed.keys()
    if len(seen) < sum(shard.count for shard in shards.shards):
        told += [_rows(_looked_up(items, failed)) for items in _without_outcome(shards, seen)]
    return pa.concat_tables(told)


def _reported(uri: str, content: bytes | None) -> bytes:
    """Return a list of outcomes, reported by its checksum; one that is gone is empty."""
    if content is None:
        return b"[]"
    checksum = hashlib.sha256(content).hexdigest()
    records.reads("object", uri, checksum, checksum=checksum)
    return content


def _finished(stored: Iterable[Mapping[str, Any]], seen: set[str], failed: dict[str, Result]) -> Iterator[Result]:
    """Yield the outcomes of inputs that no list before had, and remember these inputs; set failed ones aside."""
    for outcome in stored:
        key = outcome["item"]["input_hash"]
        if outcome["status"] == "failed":
            failed[key] = Result.from_dict(outcome)
        elif key not in seen:
            seen.add(key)
            yield Result.from_dict(outcome)


def _without_outcome(shards: ShardPlan, seen: set[str]) -> Iterator[list[WorkItem]]:
    for shard in shards.shards:
        yield [item for item in read_items(shard.uri) if item.input_hash not in seen]


def _looked_up(items: list[WorkItem], failed: Mapping[str, Result]) -> Iterator[Result]:
    contents = storage.read_all([item.result_uri for item in items])
    for item, content in zip(items, contents, strict=True):
        if content:
            yield Result.from_dict(orjson.loads(content))
        else:
            yield failed.get(item.input_hash) or Result(item, "failed", (_NO_OUTCOME,), failure="retryable")


def _rows(outcomes: Iterable[Result]) -> pa.Table:
    return pa.Table.from_pylist([outcome.row() for outcome in outcomes], schema=DESCRIPTIONS)
