"""When a CloudWatch alarm is in ALARM: its statistic over the last periods, judged as CloudWatch does.

Two things differ, so that an alarm can be rehearsed in seconds: periods end now, not with the clock's minute, and each
alarm is judged every second. A missing datapoint is not replaced by one of a period further back.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

OK, ALARM, INSUFFICIENT_DATA = "OK", "ALARM", "INSUFFICIENT_DATA"

_COMPARISONS: Mapping[str, tuple[str, Callable[[float, float], bool]]] = {
    "GreaterThanOrEqualToThreshold": ("greater than or equal to", lambda value, bound: value >= bound),
    "GreaterThanThreshold": ("greater than", lambda value, bound: value > bound),
    "LessThanThreshold": ("less than", lambda value, bound: value < bound),
    "LessThanOrEqualToThreshold": ("less than or equal to", lambda value, bound: value <= bound),
}


class Weighted(float):
    """A value that was measured ``count`` times."""

    def __new__(cls, value: float, count: int = 1) -> Weighted:
        """Return ``value`` with its count."""
        made = super().__new__(cls, value)
        made.count = count
        return made

    count: int


@dataclass(frozen=True)
class Judgement:
    """An alarm's state and CloudWatch's sentence for why."""

    state: str
    reason: str


def statistics(values: Sequence[float]) -> dict[str, float]:
    """Return CloudWatch's five statistics of values, none of no values."""
    if not values:
        return {}
    number, total = sum(map(_count, values)), sum(value * _count(value) for value in values)
    return {
        "SampleCount": float(number),
        "Sum": float(total),
        "Average": total / number,
        "Minimum": float(min(values)),
        "Maximum": float(max(values)),
    }


def percentile(values: Sequence[float], percent: float) -> float:
    """Return a percentile of at least one value, interpolated between the two nearest."""
    ordered = sorted(float(value) for value in values for _ in range(_count(value)))
    place = percent / 100 * (len(ordered) - 1)
    lower = int(place)
    upper = min(lower + 1, len(ordered) - 1)
    return ordered[lower] + (place - lower) * (ordered[upper] - ordered[lower])


def judge(alarm: Mapping[str, Any], points: Iterable[Mapping[str, Any]], now: float) -> Judgement:
    """Return the state an alarm is in.

    Args:
        alarm: as PutMetricAlarm has it.
        points: of the alarm's metric; each has ``Timestamp`` (seconds) and ``Value``.
        now: the time at which the last period ends.
    """
    present = [value for value in _datapoints(alarm, points, now) if value is not None]
    periods, needed = alarm["EvaluationPeriods"], alarm.get("DatapointsToAlarm") or alarm["EvaluationPeriods"]
    missing, treated = periods - len(present), alarm.get("TreatMissingData") or "missing"
    if not present and treated in ("missing", "ignore"):
        state = INSUFFICIENT_DATA if treated == "missing" else alarm["StateValue"]
        return Judgement(state, "Insufficient Data: no datapoints were received for the last periods.")
    if treated == "ignore" and len(present) < needed:
        return Judgement(alarm["StateValue"], "Too few datapoints: the state is kept.")
    words, exceeds = _COMPARISONS[alarm["ComparisonOperator"]]
    breaching = sum(exceeds(value, alarm["Threshold"]) for value in present)
    if treated == "breaching":
        breaching += missing
    # Of less data than the alarm asks for, each datapoint that is there must breach.
    enough = min(needed, len(present)) if treated == "missing" else needed
    return _judgement(breaching >= enough, present, f"{words} the threshold ({alarm['Threshold']})")


def _judgement(in_alarm: bool, present: Sequence[float], test: str) -> Judgement:
    values = ", ".join(f"{value:g}" for value in present) or "none"
    told = f"Threshold Crossed: datapoints [{values}] were {'' if in_alarm else 'not '}{test}."
    return Judgement(ALARM if in_alarm else OK, told)


def _datapoints(alarm: Mapping[str, Any], points: Iterable[Mapping[str, Any]], now: float) -> list[float | None]:
    """Return the alarm's statistic for each of the last periods, the latest first."""
    values: list[list[float]] = [[] for _ in range(alarm["EvaluationPeriods"])]
    for point in points:
        periods_ago = int((now - point["Timestamp"]) // alarm["Period"])
        if 0 <= periods_ago < len(values):
            values[periods_ago].append(point["Value"])
    name = alarm.get("ExtendedStatistic") or alarm.get("Statistic") or "Average"
    return [_statistic(each, name) if each else None for each in values]


def _statistic(values: Sequence[float], name: str) -> float:
    if name.startswith("p"):
        return percentile(values, float(name[1:]))
    return statistics(values)[name]


def _count(value: float) -> int:
    return value.count if isinstance(value, Weighted) else 1
