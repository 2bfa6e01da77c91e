"""What the tasks of a run left of its products, as rows: read list by list, so that 44,000 fit into little memory."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import orjson
import pyarrow as pa

from lookbook import storage
from lookbook.catalog.schemas import DESCRIPTIONS
from lookbook.descriptions.plans import ShardPlan, WorkItem, read_items
from lookbook.descriptions.results import Result

_NO_OUTCOME = "its task left no outcome; look at its log, then run the drop again"


def rows_of(shards: ShardPlan, lists: Sequence[str]) -> pa.Table:
    """Return one row of ``descriptions.descriptions`` for each work item of a run.

    A product that no list names is looked up by its input, and failed if it has no outcome there either: a task that
    was killed loses nothing that was finished.

    Args:
        shards: the run's work.
        lists: URIs of the lists of outcomes that its mapped tasks stored, in any order.
    """
    seen: set[str] = set()
    told = [_rows(_unseen(orjson.loads(content or b"[]"), seen)) for content in storage.read_all(lists)]
    if len(seen) < sum(shard.count for shard in shards.shards):
        told += [_rows(_looked_up(items)) for items in _without_outcome(shards, seen)]
    return pa.concat_tables([DESCRIPTIONS.empty_table(), *told])


def _unseen(stored: Iterable[Mapping[str, Any]], seen: set[str]) -> Iterator[Result]:
    """Yield the outcomes whose input no other list had, and remember their inputs."""
    for outcome in stored:
        if (key := outcome["item"]["input_hash"]) not in seen:
            seen.add(key)
            yield Result.from_dict(outcome)


def _without_outcome(shards: ShardPlan, seen: set[str]) -> Iterator[list[WorkItem]]:
    for shard in shards.shards:
        yield [item for item in read_items(shard.uri) if item.input_hash not in seen]


def _looked_up(items: list[WorkItem]) -> Iterator[Result]:
    contents = storage.read_all([item.result_uri for item in items])
    for item, content in zip(items, contents, strict=True):
        yield Result.from_dict(orjson.loads(content)) if content else Result(item, "failed", (_NO_OUTCOME,))


def _rows(outcomes: Iterable[Result]) -> pa.Table:
    return pa.Table.from_pylist([outcome.row() for outcome in outcomes], schema=DESCRIPTIONS)
