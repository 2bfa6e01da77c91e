"""What texts cost, from the outcomes that were stored: each is an object that is written once, by whoever paid."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from typing import Any

import orjson

from lookbook import storage
from lookbook.descriptions.cost import cost_usd
from lookbook.descriptions.plans import read_plan, root_of
from lookbook.settings import get_settings


@dataclass(frozen=True)
class Paid:
    """What products of one drop cost that one run had one model describe on one day (UTC), in one way.

    ``usd`` is at the list price of the day they were paid for; of products of a model that has no price, ``unpriced``
    counts how many are not in it.
    """

    day: str
    drop_id: str
    run_id: str | None
    model_id: str
    mode: str | None
    products: int = 0
    calls: int = 0
    input_tokens: int = 0
    cached_tokens: int = 0
    output_tokens: int = 0
    usd: float = 0.0
    unpriced: int = 0


_KEY = ("day", "drop_id", "run_id", "model_id", "mode")
_SUMS = tuple(field.name for field in fields(Paid) if field.name not in _KEY)


def paid(drop_id: str | None = None, since: datetime | None = None, until: datetime | None = None) -> list[Paid]:
    """Return what was paid for, in the order of days, drops, runs and models.

    Args:
        drop_id: only for this drop.
        since: only from this time on.
        until: only before this time.
    """
    prefix = f"s3://{get_settings().bucket}/descriptions/" + (f"{drop_id}/" if drop_id else "")
    dated = [
        (stored.uri, written)
        for stored, written in storage.list_dated(prefix)
        if (since is None or written >= since) and (until is None or written < until)
    ]
    contents = storage.read_all([uri for uri, _ in dated])
    return summed(
        _of_outcome(orjson.loads(content), written)
        for (_, written), content in zip(dated, contents, strict=True)
        if content
    )


def paid_by(run_id: str) -> list[Paid]:
    """Return what a run paid for.

    Raises:
        PermanentError: no run of that id has planned anything.
    """
    plan = read_plan(f"{root_of(run_id)}/plan.json")
    return [one for one in paid(plan.drop_id) if one.run_id == run_id]


def summed(entries: Iterable[Paid], by: tuple[str, ...] = _KEY) -> list[Paid]:
    """Add up entries that are alike in the fields ``by``; of the others of :class:`Paid`'s key, the first's stand."""
    found: dict[tuple[Any, ...], dict[str, Any]] = {}
    for entry in entries:
        values = vars(entry)
        group = found.setdefault(tuple(values[name] for name in by), {**values, **dict.fromkeys(_SUMS, 0)})
        for name in _SUMS:
            group[name] += values[name]
    return [Paid(**found[key]) for key in sorted(found, key=lambda key: tuple(part or "" for part in key))]


def table(entries: Iterable[Paid], by: tuple[str, ...]) -> str:
    """Return entries, added up by fields and all together, as text."""
    entries = list(entries)
    header = [*by, "products", "calls", "tokens in", "cached", "tokens out", "USD"]
    groups = [[str(getattr(one, name)) for name in by] + _amounts(one) for one in summed(entries, by)]
    everything = [["all", *[""] * (len(by) - 1), *_amounts(one)] for one in summed(entries, ())]
    return _aligned([header, *groups, *everything], len(by))


def _of_outcome(outcome: Mapping[str, Any], written: datetime) -> Paid:
    item = outcome["item"]
    # Outcomes that are older than a field do without it.
    model_id, mode = outcome.get("written_by") or item["text_model_id"], outcome.get("mode")
    tokens = {name: outcome.get(name, 0) for name in ("input_tokens", "output_tokens", "cached_tokens")}
    usd = outcome["cost_usd"]
    if usd is None and outcome["calls"]:
        usd = cost_usd(model_id, **tokens, batch=mode == "batch")  # it may have got a price since
    return Paid(
        day=written.astimezone(UTC).date().isoformat(),
        drop_id=item["drop_id"],
        run_id=outcome["run_id"],
        model_id=model_id,
        mode=mode,
        products=1,
        calls=outcome["calls"],
        **tokens,
        usd=usd or 0.0,
        unpriced=int(bool(outcome["calls"]) and usd is None),
    )


def _amounts(one: Paid) -> list[str]:
    usd = f"{one.usd:.6f}" + (f" + {one.unpriced} products without list price" if one.unpriced else "")
    return [str(getattr(one, name)) for name in _SUMS[:5]] + [usd]


def _aligned(rows: list[list[str]], left: int) -> str:
    widths = [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]

    def cells(row: list[str]) -> Iterator[str]:
        for place, (cell, width) in enumerate(zip(row, widths, strict=True)):
            yield cell.ljust(width) if place < left or place == len(row) - 1 else cell.rjust(width)

    return "".join("  ".join(cells(row)).rstrip() + "\n" for row in rows)
