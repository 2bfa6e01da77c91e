"""The cost report as a page: sums by source, by day and by drop."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from lookbook.housekeeping import pages

Line = Mapping[str, Any]

_SOURCES = ("training", "transform", "endpoint", "descriptions")
_IN_USE = "endpoint in use"


def render(lines: Sequence[Line], prices_of: Mapping[str, str], now: datetime) -> str:
    """Return the page of :class:`lookbook.housekeeping.costs.Line` values as dicts."""
    paid = [line for line in lines if line["source"] != _IN_USE]
    intro = (
        f"{_usd(paid):,.2f} USD in the days shown, as known {now:%Y-%m-%d %H:%M} UTC, at on-demand list prices of "
        f"{prices_of['instances']} (instance hours) and {prices_of['tokens']} (tokens)."
    )
    parts = [
        pages.table("By source", ("source", "hours", "tokens in", "tokens out", "USD"), _by_source(lines)),
        *_idle(lines),
        pages.table("By day", ("day", *_SOURCES, "USD"), _by_day(paid)),
        pages.table("By drop", ("drop", "endpoint in use", "transform", "descriptions", "USD"), _by_drop(lines)),
        pages.table("Everything", ("day", "source", "what", "drop", "hours", "USD"), _everything(paid)),
        pages.note(
            "USD are – where no price list has the price, and sums leave these out. Spot capacity, saving plans and "
            "storage are not in the prices. A drop's share of the endpoint is the time in which it was asked about it; "
            "the time in which nobody asked belongs to no drop. An endpoint that was not deleted by Lookbook counts up "
            "to when it was last looked at."
        ),
    ]
    return pages.page("What Lookbook cost", intro, parts)


def _by_source(lines: Iterable[Line]) -> list[tuple[object, ...]]:
    found = _grouped(lines, "source")
    return [
        (source, _hours(group), _sum(group, "input_tokens"), _sum(group, "output_tokens"), _usd(group))
        for source in (*_SOURCES, _IN_USE)
        if (group := found.get(source))
    ]


def _idle(lines: Iterable[Line]) -> list[str]:
    """Say how much of the endpoint's time nobody asked it anything."""
    found = _grouped(lines, "source")
    ran, asked = _hours(found.get("endpoint", ())), _hours(found.get(_IN_USE, ()))
    if not ran:
        return []
    return [
        pages.note(
            f"The endpoint was asked in {asked:,.2f} of {ran:,.2f} hours ({asked / ran:.0%}). With "
            "LOOKBOOK_ENDPOINT_LIFE=run it is there only while it is asked."
        )
    ]


def _by_day(lines: Iterable[Line]) -> list[tuple[object, ...]]:
    days = sorted(_grouped(lines, "day").items(), reverse=True)
    return [(day, *_of_sources(group, _SOURCES), _usd(group)) for day, group in days]


def _by_drop(lines: Iterable[Line]) -> list[tuple[object, ...]]:
    drops = sorted((item for item in _grouped(lines, "drop_id").items() if item[0]), reverse=True)
    sources = (_IN_USE, "transform", "descriptions")
    return [(drop_id, *_of_sources(group, sources), _usd(group)) for drop_id, group in drops]


def _everything(lines: Iterable[Line]) -> list[tuple[object, ...]]:
    newest = sorted(lines, key=lambda line: (line["day"], line["source"], line["name"]), reverse=True)
    columns = ("day", "source", "name", "drop_id", "hours", "usd")
    return [tuple(line[column] for column in columns) for line in newest]


def _of_sources(group: Iterable[Line], sources: Iterable[str]) -> list[float]:
    found = _grouped(group, "source")
    return [_usd(found.get(source, ())) for source in sources]


def _grouped(lines: Iterable[Line], column: str) -> dict[Any, list[Line]]:
    found: defaultdict[Any, list[Line]] = defaultdict(list)
    for line in lines:
        found[line[column]].append(line)
    return found


def _usd(lines: Iterable[Line]) -> float:
    return float(sum(line["usd"] or 0 for line in lines))


def _hours(lines: Iterable[Line]) -> float:
    return float(sum(line["hours"] for line in lines))


def _sum(lines: Iterable[Line], column: str) -> int:
    return sum(line[column] for line in lines)
