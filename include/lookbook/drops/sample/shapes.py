"""The outlines of a garment, in pixels of a 192×256 picture with the garment's axis at x = 96.

Fit is silhouette width, length is the kind's; the arm is a polyline that the sleeve follows as far as it reaches.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import pi, sin, sqrt
from typing import Any

import numpy as np
import numpy.typing as npt

from lookbook.drops.sample.garments import Garment

Point = tuple[float, float]
Points = list[Point]
Array = npt.NDArray[np.floating[Any]]

WIDTH, HEIGHT = 192, 256
AXIS = 96.0
NECK_Y, SHOULDER_Y, ARMPIT_Y, WAIST_Y = 50.0, 60.0, 88.0, 126.0
ARM_LENGTH = 112.0
SLEEVE_REACH = {"Short Sleeves": 0.34, "Three-Quarter Sleeves": 0.67, "Long Sleeves": 0.98}


@dataclass(frozen=True)
class Silhouette:
    """Half widths of the body and the half width of a sleeve at its top."""

    shoulder: float
    chest: float
    waist: float
    hem: float
    sleeve: float


SILHOUETTES = {
    "Slim Fit": Silhouette(shoulder=30, chest=27, waist=21, hem=26, sleeve=9.5),
    "Regular Fit": Silhouette(shoulder=34, chest=35, waist=33, hem=36, sleeve=12),
    "Loose Fit": Silhouette(shoulder=40, chest=47, waist=48, hem=53, sleeve=16),
}
# How much wider than the silhouette's the hem is, and how far it sags in the middle.
HEM_FLARE = {"Dresses": 1.32, "Kurtas": 1.08, "Tops": 1.04}
HEM_SAG = {"Shirts": 9.0, "Dresses": 7.0, "Tshirts": 3.0, "Tops": 4.0, "Kurtas": 2.0, "Sweatshirts": 1.0}


def silhouette(garment: Garment, rng: np.random.Generator) -> Silhouette:
    """Return the garment's half widths, varied by a few per cent, less than fits differ."""
    base = SILHOUETTES[garment.fit]
    wider = rng.uniform(0.97, 1.03)
    flare = HEM_FLARE.get(garment.kind.article_type, 1.0)
    shoulder = base.shoulder - (5.0 if garment.sleeve_length == "Sleeveless" else 0.0)
    return Silhouette(
        shoulder * wider, base.chest * wider, base.waist * wider, base.hem * wider * flare, base.sleeve * wider
    )


def body(garment: Garment, shape: Silhouette) -> Points:
    """Return the body's outline, from the left of the neck around the hem to the right of it."""
    hem_y = garment.kind.hem_y
    armhole: Points = [(shape.shoulder, SHOULDER_Y), (shape.shoulder - 2, 72), (shape.chest, ARMPIT_Y)]
    if garment.sleeve_length == "Sleeveless":
        armhole = [(shape.shoulder, SHOULDER_Y), (shape.shoulder - 5, 74), (shape.chest, ARMPIT_Y + 4)]
    side = smooth([*armhole, (shape.waist, WAIST_Y), (shape.hem, hem_y)])
    right = [(neck_half(garment), NECK_Y), *side, *hem(garment, shape)]
    return [(AXIS + x, y) for x, y in right] + [(AXIS - x, y) for x, y in reversed(right)]


def neck_half(garment: Garment) -> float:
    """Return half the width of the neck where it meets the shoulders."""
    return 20.0 if garment.neck == "Square Neck" else 14.0


def hem(garment: Garment, shape: Silhouette) -> Points:
    """Return the right half of the hem line, from the side to the axis."""
    sag = HEM_SAG[garment.kind.article_type]
    return [(shape.hem * t, garment.kind.hem_y + sag * (1 - t * t)) for t in np.linspace(1, 0, 8).tolist()]


def arm(shape: Silhouette, side: int, rng: np.random.Generator) -> Points:
    """Return shoulder, elbow and wrist of the arm on ``side`` (-1 left, 1 right)."""
    down = np.radians(rng.uniform(67, 77) - 0.6 * (shape.chest - 27))
    lower = down + np.radians(rng.uniform(0, 10))
    half = ARM_LENGTH / 2
    shoulder = (shape.shoulder - 0.9 * shape.sleeve, SHOULDER_Y + 2)
    elbow = (shoulder[0] + half * np.cos(down), shoulder[1] + half * np.sin(down))
    wrist = (elbow[0] + half * np.cos(lower), elbow[1] + half * np.sin(lower))
    return [(AXIS + side * float(x), float(y)) for x, y in (shoulder, elbow, wrist)]


def sleeve_width(garment: Garment, shape: Silhouette) -> Callable[[float], float]:
    """Return a sleeve's half width as a function of the way along it, 0 at the shoulder and 1 at its end."""
    taper = 0.42 if garment.sleeve_length == "Long Sleeves" else 0.26
    top = shape.sleeve
    if garment.sleeve_styling == "Puff Sleeves":
        bulge = 1.0 if garment.sleeve_length == "Short Sleeves" else 0.5
        return lambda t: top * _cap(t) * (1 - taper * t) * (1 + 0.95 * max(0.0, sin(pi * min(t / bulge, 1.0))))
    if garment.sleeve_styling == "Flared Sleeves":
        return lambda t: top * _cap(t) * (0.9 + 1.15 * max(0.0, (t - 0.35) / 0.65) ** 1.4)
    return lambda t: top * _cap(t) * (1 - taper * t)


def _cap(t: float) -> float:
    """Return how far the round top of a sleeve has opened."""
    return 0.45 + 0.55 * sqrt(min(1.0, t / 0.15))


def ribbon(line: Points, reach: float, half_width: Callable[[float], float]) -> Points:
    """Return the outline of a band along ``line`` as far as ``reach`` (share of its length)."""
    steps = np.linspace(0, 1, 14)
    centres = along(line, steps * reach)
    tangents = np.gradient(centres, axis=0)
    normals = np.stack([-tangents[:, 1], tangents[:, 0]], axis=1)
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    widths = np.array([half_width(t) for t in steps.tolist()])[:, None]
    left, right = centres + normals * widths, (centres - normals * widths)[::-1]
    return [(float(x), float(y)) for x, y in np.concatenate([left, right])]


def along(line: Points, shares: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return the points at ``shares`` of the length of a smoothed polyline."""
    points = np.array(smooth(line))
    lengths = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(points, axis=0), axis=1))])
    at = shares * lengths[-1]
    return np.stack([np.interp(at, lengths, points[:, 0]), np.interp(at, lengths, points[:, 1])], axis=1)


def smooth(points: Sequence[Point], steps: int = 8) -> Points:
    """Return a Catmull–Rom curve through ``points``."""
    padded = np.array([points[0], *points, points[-1]])
    t = np.linspace(0, 1, steps, endpoint=False)[:, None]
    curve = [_segment(padded[i : i + 4], t) for i in range(len(points) - 1)]
    return [(float(x), float(y)) for x, y in np.concatenate([*curve, padded[-1:]])]


def _segment(p: npt.NDArray[np.float64], t: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    a = 2 * p[1] + (p[2] - p[0]) * t
    b = (2 * p[0] - 5 * p[1] + 4 * p[2] - p[3]) * t**2
    c = (3 * p[1] - p[0] - 3 * p[2] + p[3]) * t**3
    curve: npt.NDArray[np.float64] = 0.5 * (a + b + c)
    return curve


def ellipse(centre: Point, radius_x: float, radius_y: float) -> Points:
    """Return an ellipse as a polygon."""
    angles = np.linspace(0, 2 * pi, 36, endpoint=False)
    x, y = centre
    return [
        (x + radius_x * float(c), y + radius_y * float(s)) for c, s in zip(np.cos(angles), np.sin(angles), strict=True)
    ]
