"""A chart of stacked bars, worked out here so that the page needs no script: a template draws it as SVG."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

ROW = 26  # units of the drawing a bar and the space below it are high
WIDTH = 560  # units the longest bar is wide


@dataclass(frozen=True)
class Bar:
    """One row of a chart: its label, and the amount of each part."""

    label: str
    parts: Mapping[str, float]

    @property
    def total(self) -> float:
        """All parts together."""
        return sum(self.parts.values())


@dataclass(frozen=True)
class Part:
    """A part of a bar as it is drawn: ``place`` counts the chart's parts, for the colour; the rest in units."""

    name: str
    amount: float
    place: int
    x: float
    width: float


@dataclass(frozen=True)
class Drawn:
    """A bar as it is drawn: where it begins from above, its parts from left to right, and where they end."""

    label: str
    total: float
    y: int
    parts: tuple[Part, ...]
    end: float


def bars(rows: Sequence[Bar], names: Sequence[str]) -> tuple[Drawn, ...]:
    """Lay out bars to one scale; a part that costs nothing is left out.

    Args:
        rows: from above to below.
        names: of the parts, in the order in which each bar has them.
    """
    longest = max((row.total for row in rows), default=0.0)
    return tuple(_drawn(row, number, names, WIDTH / longest if longest else 0.0) for number, row in enumerate(rows))


def _drawn(row: Bar, number: int, names: Sequence[str], scale: float) -> Drawn:
    parts: list[Part] = []
    x = 0.0
    for place, name in enumerate(names):
        if amount := row.parts.get(name, 0.0):
            parts.append(Part(name, amount, place, round(x, 2), round(amount * scale, 2)))
            x += amount * scale
    return Drawn(row.label, row.total, number * ROW, tuple(parts), round(x, 2))
