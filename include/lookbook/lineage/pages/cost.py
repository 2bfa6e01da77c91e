"""The page of what everything cost: by month, by drop, by text model and by attribute model.

Texts are known to the last minute: what stands of them from the rows of descriptions, what was paid in a month from the
ledger. Instance hours are known of the days that housekeeping has closed.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import orjson

from lookbook import storage
from lookbook.descriptions import cost as tokens
from lookbook.descriptions import spending
from lookbook.lineage import tallies
from lookbook.lineage.pages.chart import Bar, bars
from lookbook.lineage.pages.layout import render
from lookbook.lineage.pages.links import Links
from lookbook.lineage.pages.models import Training, trainings
from lookbook.lineage.tallies import Texts
from lookbook.settings import get_settings
from lookbook.training import cost as instances

SOURCES = ("descriptions", "training", "transform", "endpoint")
_MONTHS = 12
_DROPS = 100  # of the newest drops; the page of each has its own
_IN_USE = "endpoint in use"
_KEPT = 2  # states of the ledger of closed days


@dataclass(frozen=True)
class Month:
    """What a calendar month (UTC) cost in USD at list price, by source; ``closed`` counts the days worked out."""

    month: str
    usd: dict[str, float]
    closed: int

    @property
    def total(self) -> float:
        """All sources together."""
        return sum(self.usd.values())


@dataclass(frozen=True)
class Group:
    """What the descriptions of one drop, or of one text model, took, and what asking the attribute model cost beside.

    ``asking`` is the time of transform jobs and of the endpoint on closed days; ``None`` where it isn't told apart.
    """

    name: str
    texts: int
    input_tokens: int
    cached_tokens: int
    output_tokens: int
    usd: float
    unpriced: int
    asking: float | None = None

    @property
    def usd_per_thousand(self) -> float | None:
        """USD for a thousand texts; ``None`` where some have no list price."""
        return None if self.unpriced or not self.texts else self.usd / self.texts * 1000


@dataclass(frozen=True)
class Costs:
    """All of the page; ``closed_until`` is the last day of which instance hours are known, if any."""

    months: tuple[Month, ...]
    drops: tuple[Group, ...]
    number_of_drops: int
    text_models: tuple[Group, ...]
    trainings: tuple[tuple[str, Training], ...]
    everything: Group
    closed_until: str | None
    prices_of: dict[str, str]


@dataclass(frozen=True)
class _Line:
    """What a source cost on a closed day, in USD, for a drop if it was for one."""

    day: str
    source: str
    drop_id: str | None
    usd: float


def costs() -> Costs:
    """Return what everything cost, as far as it is known now."""
    lines, texts = _closed(), tallies.texts()
    asking = _asking(lines)
    drops = [_group(name, of_drop, asking.get(name, 0.0)) for name, of_drop in _grouped(texts, lambda one: one.drop_id)]
    return Costs(
        months=_months(lines, spending.by_day()),
        drops=tuple(reversed(drops[-_DROPS:])),
        number_of_drops=len(drops),
        text_models=tuple(
            _group(name, of_model) for name, of_model in _grouped(texts, lambda one: one.text_model_id or "none")
        ),
        trainings=trainings(),
        everything=_group("all", texts),
        closed_until=max((line.day for line in lines), default=None),
        prices_of={"tokens": tokens.price_list()["date"], "instances": instances.price_list()["date"]},
    )


def render_costs(links: Links) -> str:
    """Return the page as HTML."""
    found = costs()
    return render(
        "cost.html",
        title="Cost",
        active="cost",
        links=links,
        costs=found,
        sources=SOURCES,
        by_month=bars([Bar(month.month, month.usd) for month in reversed(found.months)], SOURCES),
    )


def _months(lines: Iterable[_Line], paid: dict[str, float]) -> tuple[Month, ...]:
    """Return the last months, the newest first: texts as the ledger has them, all else as it was closed."""
    usd: defaultdict[str, defaultdict[str, float]] = defaultdict(lambda: defaultdict(float))
    days: defaultdict[str, set[str]] = defaultdict(set)
    for day, amount in paid.items():
        usd[day[:7]]["descriptions"] += amount
    for line in lines:
        days[line.day[:7]].add(line.day)
        if line.source in SOURCES[1:]:
            usd[line.day[:7]][line.source] += line.usd
    months = sorted(usd.keys() | days.keys(), reverse=True)[:_MONTHS]
    return tuple(Month(month, {one: usd[month][one] for one in SOURCES}, len(days[month])) for month in months)


def _asking(lines: Iterable[_Line]) -> dict[str, float]:
    found: defaultdict[str, float] = defaultdict(float)
    for line in lines:
        if line.drop_id and line.source in ("transform", _IN_USE):
            found[line.drop_id] += line.usd
    return found


def _grouped(texts: Iterable[Texts], key: Callable[[Texts], str]) -> list[tuple[str, list[Texts]]]:
    found: defaultdict[str, list[Texts]] = defaultdict(list)
    for one in texts:
        found[key(one)].append(one)
    return sorted(found.items())


def _group(name: str, texts: Sequence[Texts], asking: float | None = None) -> Group:
    names = ("input_tokens", "cached_tokens", "output_tokens", "usd", "unpriced")
    sums: dict[str, Any] = {name: sum(getattr(one, name) for one in texts) for name in names}
    return Group(name, sum(one.number for one in texts), **sums, asking=asking)


def _closed() -> tuple[_Line, ...]:
    listed = storage.list_objects(f"s3://{get_settings().bucket}/costs/days/")
    return _read_days(tuple(sorted((stored.uri, stored.etag) for stored in listed)[-_MONTHS * 31 :]))


@lru_cache(maxsize=_KEPT)
def _read_days(days: tuple[tuple[str, str], ...]) -> tuple[_Line, ...]:
    """Read what housekeeping worked out of days that are over; ``days`` are its objects and their versions."""
    contents = storage.read_all([uri for uri, _ in days])
    return tuple(
        _Line(line["day"], line["source"], line["drop_id"], line["usd"] or 0.0)
        for content in contents
        if content
        for line in orjson.loads(content)
    )
