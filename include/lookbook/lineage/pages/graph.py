"""A tree of links as a drawing: boxes from left to right by depth, made on the server, so that no script is needed.

The thing itself stands at the left, what it was made from, or what it went into, to the right of it; each box leads to
its step in the list below the drawing, which says the same in full.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from lookbook.lineage.chain import Link

WIDTH, HEIGHT = 196, 58  # of a box, in the drawing's units, which are pixels at its natural size
_COLUMN, _ROW = WIDTH + 44, HEIGHT + 14
_MARGIN = 6
_HEAD = 2  # units between an arrow's head and the box it points to
_CHARACTERS = 26  # of a name that fit into a box

_GROUPS = {
    **dict.fromkeys(("description", "request", "prompt", "facts", "result"), "text"),
    **dict.fromkeys(("product", "row", "mended row", "styles JSON", "picture", "validation"), "catalogue"),
}


@dataclass(frozen=True)
class Step:
    """A link of a chain with its number, by which drawing and list refer to each other, and the steps behind it."""

    number: int
    link: Link
    steps: tuple[Step, ...]

    def walk(self) -> Iterator[Step]:
        """Yield this step and all behind it, by number."""
        yield self
        for step in self.steps:
            yield from step.walk()


@dataclass(frozen=True)
class Box:
    """A link as it is drawn; ``x`` and ``y`` are its upper left corner."""

    step: Step
    x: float
    y: float

    @property
    def group(self) -> str:
        """What kind of thing it is, for its colour: text, catalogue or model."""
        return _GROUPS.get(self.step.link.kind, "model")

    @property
    def name(self) -> str:
        """The link's name, cut to what fits."""
        return _fitting(self.step.link.name)

    @property
    def version(self) -> str:
        """The link's version, cut to what fits."""
        return _fitting(self.step.link.version or "")


@dataclass(frozen=True)
class Arrow:
    """From what was used to what was made of it, as an SVG path."""

    path: str
    broken: bool


@dataclass(frozen=True)
class Drawing:
    """A tree, laid out."""

    width: float
    height: float
    boxes: tuple[Box, ...]
    arrows: tuple[Arrow, ...]


def numbered(root: Link) -> Step:
    """Return a tree of links with their numbers, in the order in which they are read."""
    numbers = iter(range(1_000_000))

    def step(link: Link) -> Step:
        number = next(numbers)
        return Step(number, link, tuple(step(source) for source in link.sources))

    return step(root)


def draw(root: Step, *, forward: bool = False) -> Drawing:
    """Lay a tree out: a column a depth, a row a leaf, every other box in the middle of those behind it.

    Args:
        root: of the tree.
        forward: whether what is behind a step was made of it, and not the other way round; it turns the arrows.
    """
    boxes: dict[int, Box] = {}
    rows = iter(range(1_000_000))

    def place(step: Step, depth: int) -> float:
        behind = [place(source, depth + 1) for source in step.steps]
        y = (behind[0] + behind[-1]) / 2 if behind else _MARGIN + next(rows) * _ROW
        boxes[step.number] = Box(step, _MARGIN + depth * _COLUMN, y)
        return y

    place(root, 0)
    placed = tuple(boxes[number] for number in sorted(boxes))
    width = max(box.x for box in placed) + WIDTH + _MARGIN
    height = max(box.y for box in placed) + HEIGHT + _MARGIN
    return Drawing(width, height, placed, tuple(_arrows(boxes, forward)))


def _arrows(boxes: dict[int, Box], forward: bool) -> Iterator[Arrow]:
    for box in boxes.values():
        for source in box.step.steps:
            left = (box.x + WIDTH, box.y + HEIGHT / 2)
            right = (boxes[source.number].x, boxes[source.number].y + HEIGHT / 2)
            yield Arrow(_curve(left, right) if forward else _curve(right, left), source.link.problem is not None)


def _curve(begin: tuple[float, float], end: tuple[float, float]) -> str:
    """Return the path between two boxes' sides; it ends before the box, where its head has room."""
    (from_x, from_y), (x, y) = begin, end
    x += _HEAD if x < from_x else -_HEAD
    middle = (x + from_x) / 2
    return f"M{from_x:g} {from_y:g} C{middle:g} {from_y:g} {middle:g} {y:g} {x:g} {y:g}"


def _fitting(text: str) -> str:
    """Return text for one line of a box: of an address its end, which tells things apart; else the beginning."""
    name = text.rpartition("/")[2] or text if "://" in text or text.startswith("arn:") else text
    return name if len(name) <= _CHARACTERS else f"{name[: _CHARACTERS - 1]}…"
