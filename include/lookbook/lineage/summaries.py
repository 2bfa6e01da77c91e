"""What came of a run, in one line: what its task instances counted, decided and paid, as their records say."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

Record = Mapping[str, Any]
"""A record as :meth:`lookbook.lineage.records.LineageRecord.as_dict` makes it."""


def of_run(records: Iterable[Record]) -> str:
    """Return what came of a run, e.g. *190 products: 188 published, 2 withheld; 0.07 USD; prompt …*.

    Args:
        records: of the run's task instances, in any order.

    Returns:
        One line without an end; empty where no task counted, decided or paid anything worth a line.
    """
    in_order = sorted(records, key=lambda record: str(record["finished_at"]))
    return "; ".join(_unique(phrase for say in _PHRASES for phrase in say(in_order)))


def _unique(phrases: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(" ".join(phrase.split()) for phrase in phrases))


def _rows(records: list[Record]) -> Iterator[str]:
    """Say what a publishing made of a drop's rows; where there was none, why."""
    published = [counts for counts in _counted(records, "rows", "published", "quarantined")]
    for counts in published:
        yield f"{counts['rows']} rows: {_amounts(counts, 'published', 'quarantined')}"
        if difference := _amounts(counts, "added", "removed", "changed"):
            yield f"products: {difference}"
    if not published:
        yield from (f"the drop is {told}" for told in _told(records, "decision"))


def _descriptions(records: list[Record]) -> Iterator[str]:
    for counts in _counted(records, "products", "published", "withheld", "failed"):
        outcomes = _amounts(counts, "published", "withheld", "failed", "unchanged")
        yield f"{counts['products']} products: {outcomes or 'nothing to describe'}"
    yield from (f"facts from {told}" for told in _told(records, "facts_from"))


def _model(records: list[Record]) -> Iterator[str]:
    decided = _told(records, "gate_decision")
    yield from decided or _told(records, "training")
    yield from (f"{version} restored" for version in _told(records, "restored"))
    yield from (f"{version} rejected" for version in _told(records, "rejected"))


def _cost(records: list[Record]) -> Iterator[str]:
    paid = [record["cost_usd"] for record in records if record.get("cost_usd") is not None]
    if paid:
        yield f"{sum(paid):.2f} USD"


def _prompts(records: list[Record]) -> Iterator[str]:
    for record in records:
        yield from (f"prompt {entry['name']}" for entry in record["inputs"] if entry["kind"] == "prompt")


def _others(records: list[Record]) -> Iterator[str]:
    for counts in _counted(records, "asked", "answered"):
        yield f"{counts['answered']} of {counts['asked']} answered"
    for counts in _counted(records, "stale"):
        yield f"{counts['stale']} descriptions marked stale"
    for record in records:
        if record["task"]["task_id"].startswith("expire_") and (gone := _amounts(record["counts"], *record["counts"])):
            yield f"gone: {gone}"


_PHRASES: tuple[Callable[[list[Record]], Iterator[str]], ...] = (
    _rows,
    _descriptions,
    _model,
    _others,
    _cost,
    _prompts,
)


def _counted(records: list[Record], *names: str) -> Iterator[Mapping[str, int]]:
    """Yield the counts of the records that have all of these."""
    return (record["counts"] for record in records if set(names) <= record["counts"].keys())


def _told(records: list[Record], name: str) -> list[str]:
    return [record["details"][name] for record in records if name in record["details"]]


def _amounts(counts: Mapping[str, int], *names: str) -> str:
    """Return those of the counts that are not zero: *188 published, 2 withheld*."""
    return ", ".join(f"{counts[name]} {name.replace('_', ' ')}" for name in names if counts.get(name))
