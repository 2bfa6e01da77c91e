"""How a run's work is cut: a task a product, shards, or batch jobs."""

from __future__ import annotations

import itertools
import logging
import math
from collections.abc import Sequence
from typing import Literal, TypeVar

from lookbook.descriptions.work import Todo
from lookbook.errors import PermanentError
from lookbook.settings import get_settings

log = logging.getLogger(__name__)

T = TypeVar("T")
Mode = Literal["per_product", "sharded", "batch"]
AskedMode = Literal["auto", "per_product", "sharded", "batch"]

# A wider map stops the scheduler for minutes, and Airflow refuses one above core.max_map_length.
WIDEST_MAP = 1000
# Bedrock takes no smaller batch job; of larger ones it takes up to 50,000 records.
_SMALLEST_JOB = 100
_PRODUCTS_OF_A_JOB = 10_000
# A task costs as much as a hundred products or so; one for fewer than this isn't worth it.
_SMALLEST_SHARD = 50


def mode_of(asked: AskedMode, products: int) -> Mode:
    """Return how so many products are described, as asked for or, with ``auto``, by their number.

    Raises:
        PermanentError: a task for each of so many products is asked for.
    """
    settings = get_settings()
    if asked == "batch" and products < _SMALLEST_JOB:
        log.info("%d products are too few for a batch job, which takes %d or more.", products, _SMALLEST_JOB)
        asked = "auto"
    if asked == "per_product" and products > WIDEST_MAP:
        raise PermanentError(
            f"A mapped task for each of {products} products is more than Airflow maps ({WIDEST_MAP}). "
            "Start the run with Mode sharded or auto."
        )
    if asked != "auto":
        return asked
    if settings.batch_from is not None and products >= settings.batch_from:
        return "batch"
    return "per_product" if products <= settings.per_product_limit else "sharded"


def cut(todo: Sequence[Todo], mode: Mode, side_by_side: int = 1) -> list[Sequence[Todo]]:
    """Cut the work into groups of nearly the same size, never more than a map may be wide.

    Args:
        todo: the work.
        mode: of :func:`mode_of`.
        side_by_side: how many shards are worked on at the same time. There are as many, or a multiple, unless they
            would be very small: with five for four tasks, three would wait for the last.
    """
    size = {"per_product": 1, "sharded": get_settings().shard_size, "batch": _PRODUCTS_OF_A_JOB}[mode]
    groups = math.ceil(len(todo) / size)
    if mode == "sharded":
        groups = max(groups, min(math.ceil(groups / side_by_side) * side_by_side, len(todo) // _SMALLEST_SHARD))
    return evenly(todo, min(groups, WIDEST_MAP))


def evenly(entries: Sequence[T], groups: int) -> list[Sequence[T]]:
    """Cut a list into so many groups whose sizes differ by one at most."""
    size, larger = divmod(len(entries), groups or 1)
    starts = [number * size + min(number, larger) for number in range(groups + 1)]
    return [entries[start:end] for start, end in itertools.pairwise(starts)]


def names_of(groups: Sequence[Sequence[Todo]], mode: Mode) -> list[str]:
    """Return what each group's task is called in the UI."""
    if mode == "per_product":
        return [group[0].label for group in groups]
    return [f"shard {number} of {len(groups)} ({len(group)} products)" for number, group in enumerate(groups, 1)]
