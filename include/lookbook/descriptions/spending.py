"""What was paid for texts, entered as it is paid, so that a month's sum is a listing and no reading.

spending/<day>/<micro-USD>-<task>   what one try of one task paid for, or a part of it
spending/<day>/total-<micro-USD>    what the day came to by its outcomes; stands for all other entries of the day

The amount is in the key: a thousand entries are one call of ListObjectsV2. What a try that was killed had not entered
yet is missing. What it had finished is stored, so the day's total has it, which housekeeping works out once the day is
over.
"""

from __future__ import annotations

import contextlib
import uuid
from collections import defaultdict
from collections.abc import Iterator
from contextvars import ContextVar
from datetime import UTC, date, datetime

import orjson

from lookbook import storage
from lookbook.lineage import records
from lookbook.settings import get_settings

_MICRO = 1_000_000
_TOTAL = "total"


class _Paid:
    """What has been paid for so far, by all coroutines of a task together, and what of it is in the ledger."""

    usd = 0.0
    entered_usd = 0.0
    entries = 0


_current: ContextVar[_Paid | None] = ContextVar("lookbook_paid", default=None)


@contextlib.contextmanager
def entered(now: datetime | None = None) -> Iterator[None]:
    """Enter what is paid for inside into the ledger, however the block ends; threads of one's own are not inside."""
    token = _current.set(_Paid())
    try:
        yield
    finally:
        enter(now=now)
        _current.reset(token)


def enter(more_than_usd: float = 0.0, now: datetime | None = None) -> None:
    """Enter what the current task has paid for since its last entry, if it is more than that."""
    paid = _current.get()
    if paid is None or (usd := paid.usd - paid.entered_usd) <= more_than_usd:
        return
    _enter(usd, paid.entries, now or datetime.now(UTC))
    paid.entered_usd, paid.entries = paid.entered_usd + usd, paid.entries + 1


def paid_for(usd: float | None) -> None:
    """Count an outcome's cost as paid by the current task; outside of :func:`entered`, nobody counts."""
    paid = _current.get()
    if paid is not None:
        paid.usd += usd or 0


def month_usd(now: datetime | None = None) -> float:
    """Return what has been paid for in the calendar month (UTC) so far."""
    return sum(by_day(f"{now or datetime.now(UTC):%Y-%m}").values())


def by_day(begins: str = "") -> dict[str, float]:
    """Return what was paid for on each day (``2026-11-21``) of the ledger, UTC.

    Args:
        begins: only for days that begin so: ``2026-11`` for a month.
    """
    amounts: defaultdict[str, list[int]] = defaultdict(list)
    totals: dict[str, int] = {}
    for stored in storage.list_objects(f"{_ledger()}{begins}"):
        day, name = stored.uri.rsplit("/", 2)[1:]
        first, _, rest = name.partition("-")
        if first == _TOTAL:
            totals[day] = int(rest)
        else:
            amounts[day].append(int(first))
    return {day: totals.get(day, sum(amounts[day])) / _MICRO for day in sorted(amounts | totals.keys())}


def close_day(day: date, usd: float) -> None:
    """Put what a day came to in place of its entries; done twice, it does nothing."""
    total = f"{_TOTAL}-{round(usd * _MICRO)}"
    prefix = f"{_ledger()}{day.isoformat()}/"
    storage.write_bytes(f"{prefix}{total}", b"")
    storage.delete_others(prefix, {total})


def _enter(usd: float, number: int, now: datetime) -> None:
    task = records.current_task()
    name = f"{task.run_id}.{task.task_id}.{task.map_index}.{task.try_number}.{number}" if task else uuid.uuid4().hex
    uri = f"{_ledger()}{now:%Y-%m-%d}/{round(usd * _MICRO)}-{storage.key_part(name)}"
    storage.write_bytes(uri, orjson.dumps({"usd": usd, "task": name}), "application/json")


def _ledger() -> str:
    return f"s3://{get_settings().bucket}/spending/"
