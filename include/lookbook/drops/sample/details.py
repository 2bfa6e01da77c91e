"""What is sewn onto a garment: necks and collars, plackets, pockets, hems, seams.

Each function draws with a :class:`Pen` in pixels of the 192×256 picture; the pen works at twice that.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from math import hypot

from PIL import Image, ImageDraw

from lookbook.drops.sample.cloth import Rgb, luminance, second_colour
from lookbook.drops.sample.garments import COLOURS, Garment
from lookbook.drops.sample.shapes import (
    AXIS,
    NECK_Y,
    WAIST_Y,
    Points,
    Silhouette,
    ellipse,
    hem,
    neck_half,
    ribbon,
    sleeve_width,
)

SCALE = 2  # pixels drawn per pixel of the picture, both ways
STITCH: Rgb = (222, 160, 70)


class Pen:
    """Draws polygons and lines on an image in pixels of the picture."""

    def __init__(self, image: Image.Image) -> None:
        self._draw = ImageDraw.Draw(image)

    def fill(self, points: Points, colour: Rgb | int) -> None:
        """Fill a polygon."""
        self._draw.polygon(_scaled(points), fill=colour)

    def line(self, points: Points, colour: Rgb, width: float = 1.0) -> None:
        """Draw an open line, ``width`` pixels wide."""
        self._draw.line(_scaled(points), fill=colour, width=round(width * SCALE), joint="curve")

    def outlined(self, points: Points, colour: Rgb, edge: Rgb) -> None:
        """Fill a polygon and draw its edge."""
        self.fill(points, colour)
        self.line([*points, points[0]], edge, 1.5)

    def dashed(self, points: Points, colour: Rgb) -> None:
        """Draw a line of stitches."""
        for one, other in pairwise(points):
            steps = max(1, round(hypot(other[0] - one[0], other[1] - one[1]) / 6))
            for step in range(steps):
                self.line([_between(one, other, step / steps), _between(one, other, (step + 0.6) / steps)], colour, 1.5)


def _scaled(points: Points) -> Points:
    return [(x * SCALE, y * SCALE) for x, y in points]


def _between(one: tuple[float, float], other: tuple[float, float], share: float) -> tuple[float, float]:
    return one[0] + (other[0] - one[0]) * share, one[1] + (other[1] - one[1]) * share


def mirrored(points: Points) -> Points:
    """Return points reflected at the garment's axis."""
    return [(2 * AXIS - x, y) for x, y in points]


def shaded(colour: Rgb, factor: float) -> Rgb:
    """Return a colour made darker (< 1) or lighter (> 1)."""
    r, g, b = (max(0, min(255, round(channel * factor))) for channel in colour)
    return r, g, b


def edge_colour(garment: Garment) -> Rgb:
    """Return the colour of seams: darker than the cloth, or lighter where that would not show."""
    base = COLOURS[garment.colour]
    if luminance(base) > 60:
        return shaded(base, 0.62)
    return 104, 104, 112


# --- the opening at the neck ----------------------------------------------------------------------------------------

_OPENINGS: dict[str, Points] = {
    "Round Neck": [(111, NECK_Y - 2), *ellipse((AXIS, NECK_Y), 14.5, 17)[1:18], (81, NECK_Y - 2)],
    "V-Neck": [(82, NECK_Y - 2), (110, NECK_Y - 2), (AXIS, 92)],
    "Square Neck": [(75, NECK_Y - 2), (117, NECK_Y - 2), (114, 78), (78, 78)],
    "Polo Collar": [(85, NECK_Y - 4), (107, NECK_Y - 4), (AXIS, 70)],
    "Mandarin Collar": [(87, NECK_Y - 4), (105, NECK_Y - 4), (98, 66), (94, 66)],
    "Spread Collar": [(84, NECK_Y - 4), (108, NECK_Y - 4), (AXIS, 72)],
    "Hooded": ellipse((AXIS, NECK_Y + 3), 16, 17),
}


def opening(garment: Garment) -> Points:
    """Return the opening at the neck, through which inside or wearer is seen."""
    return _OPENINGS[garment.neck or garment.collar or ""]


def draw_behind(pen: Pen, garment: Garment) -> None:
    """Draw what lies behind the neck: the inside of the back, and a hood."""
    base = COLOURS[garment.colour]
    if garment.collar == "Hooded":
        pen.outlined(ellipse((AXIS, 45), 31, 27), shaded(base, 0.92), edge_colour(garment))
    inside = shaded(base, 0.55) if luminance(base) > 60 else (22, 22, 25)
    pen.fill(opening(garment), inside)
    pen.fill(ellipse((AXIS, NECK_Y), neck_half(garment), 5), inside)


def _rib(pen: Pen, garment: Garment) -> None:
    pen.line(sorted(opening(garment), key=lambda point: point[0]), shaded(edge_colour(garment), 1.12), 3.5)


def _flaps(pen: Pen, garment: Garment, spread: float) -> None:
    left: Points = [
        (83, 43),
        (AXIS - 0.5, 70),
        (AXIS - 11 * spread, 70 + 15 * spread),
        (AXIS - 24 * spread, 56),
        (79, 50),
    ]
    colour = shaded(COLOURS[garment.colour], 1.14)
    for flap in (left, mirrored(left)):
        pen.outlined(flap, colour, edge_colour(garment))


def _spread_collar(pen: Pen, garment: Garment) -> None:
    _placket(pen, garment, 74, garment.kind.hem_y + 7)
    _flaps(pen, garment, 1.0)


def _polo_collar(pen: Pen, garment: Garment) -> None:
    _placket(pen, garment, 70, 100)
    _flaps(pen, garment, 0.86)


def _mandarin_collar(pen: Pen, garment: Garment) -> None:
    _placket(pen, garment, 62, garment.kind.hem_y + 7 if garment.collar else 116)
    left: Points = [(79, 56), (83, 42), (AXIS - 1.5, 54), (AXIS - 1.5, 70), (86, 64)]
    colour = shaded(COLOURS[garment.colour], 1.1)
    for half in (left, mirrored(left)):
        pen.outlined(half, colour, edge_colour(garment))


def _placket(pen: Pen, garment: Garment, top: float, bottom: float) -> None:
    for x in (AXIS - 4.5, AXIS + 4.5):
        pen.line([(x, top), (x, bottom)], edge_colour(garment), 1.2)
    y = top + 14
    while y < bottom - 5:
        pen.outlined(ellipse((AXIS, y), 2.4, 2.4), second_colour(garment.colour), edge_colour(garment))
        y += 19


def _hood(pen: Pen, garment: Garment) -> None:
    rim: Points = [(70, 44), (78, 36), (80, 52), (88, 66), (AXIS, 71), (AXIS, 80), (80, 72), (71, 58)]
    for half in (rim, mirrored(rim)):
        pen.outlined(half, shaded(COLOURS[garment.colour], 1.06), edge_colour(garment))
    for x, sway in ((90, -2), (102, 2)):
        pen.line([(x, 74), (x + sway, 104)], second_colour(garment.colour), 2.2)
    pocket: Points = [(80, 132), (112, 132), (120, 158), (72, 158), (80, 132)]
    pen.line(pocket, edge_colour(garment), 1.4)


_TOPS: dict[str, Callable[[Pen, Garment], None]] = {
    "Round Neck": _rib,
    "V-Neck": _rib,
    "Square Neck": _rib,
    "Polo Collar": _polo_collar,
    "Mandarin Collar": _mandarin_collar,
    "Spread Collar": _spread_collar,
    "Hooded": _hood,
}


def draw_neck(pen: Pen, garment: Garment) -> None:
    """Draw the garment's neck or collar, with placket, buttons and drawstrings."""
    _TOPS[garment.neck or garment.collar or ""](pen, garment)


# --- hems and seams ---------------------------------------------------------------------------------------------------


def draw_sleeve_end(pen: Pen, garment: Garment, shape: Silhouette, line: Points, reach: float) -> None:
    """Draw the seam, or the cuff, at the end of a sleeve."""
    width = sleeve_width(garment, shape)
    cuffed = garment.kind.article_type == "Sweatshirts" or garment.sleeve_styling == "Puff Sleeves"
    outline = ribbon(line, reach, width)
    half = len(outline) // 2
    seams = [(outline[half - 2], outline[half + 1])]
    if cuffed:
        pen.fill([outline[half - 2], outline[half - 1], outline[half], outline[half + 1]], edge_colour(garment))
    for one, other in seams:
        _seam(pen, garment, [one, other])


def draw_seams(pen: Pen, garment: Garment, shape: Silhouette) -> None:
    """Draw hem, waist, slits and pocket, as the kind has them."""
    right = [(AXIS + x, y - 4) for x, y in hem(garment, shape)]
    along_the_hem = [*right, *mirrored(right)[::-1]]
    kind = garment.kind.article_type
    if kind == "Sweatshirts":
        pen.line([(x, y - 1) for x, y in along_the_hem], edge_colour(garment), 8)
    _seam(pen, garment, along_the_hem)
    if kind == "Dresses":
        _seam(pen, garment, [(AXIS - shape.waist, WAIST_Y), (AXIS, WAIST_Y + 3), (AXIS + shape.waist, WAIST_Y)])
    if kind == "Kurtas":
        _slits(pen, garment, shape)
    if kind == "Shirts":
        _seam(pen, garment, [(106, 92), (106, 110), (113, 114), (120, 110), (120, 92), (106, 92)])


def _slits(pen: Pen, garment: Garment, shape: Silhouette) -> None:
    for side in (-1, 1):
        x = AXIS + side * shape.hem
        pen.line(
            [(x - side * 4, garment.kind.hem_y - 44), (x - side * 6, garment.kind.hem_y)], edge_colour(garment), 1.6
        )


def _seam(pen: Pen, garment: Garment, points: Points) -> None:
    pen.line(points, edge_colour(garment), 1.2)
    if garment.fabric == "Denim":
        pen.dashed([(x, y - 3) for x, y in points], STITCH)
