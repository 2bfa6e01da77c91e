"""What a garment is made of: pattern, weave and the way light falls on it, as fields over the picture.

``u`` runs across and ``v`` along the cloth, in pixels of the 192×256 picture, so that stripes ring a sleeve and a
rib follows it. Periods are long enough to survive a reduction to 64×64 pixels.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import cos, pi

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

from lookbook.drops.sample.garments import COLOURS, Garment
from lookbook.drops.sample.shapes import Array

Rgb = tuple[int, int, int]
TILE = 256  # side of a print's repeat, in half pixels of the picture

_LIGHT: Rgb = (248, 246, 240)
_DARK: Rgb = (30, 36, 66)
_ACCENTS: tuple[Rgb, ...] = ((226, 84, 60), (246, 196, 70), (58, 150, 150), (90, 60, 130), (232, 130, 160))


@dataclass(frozen=True)
class Field:
    """Cloth coordinates of every pixel: across, along, and how far from the middle of its part (0 … 1)."""

    u: Array
    v: Array
    side: Array


def second_colour(colour: str) -> Rgb:
    """Return the colour that a pattern on ``colour`` is in: dark on light cloth, light on dark."""
    return _DARK if luminance(COLOURS[colour]) > 125 else _LIGHT


def luminance(colour: Rgb) -> float:
    """Return a colour's brightness, 0 to 255."""
    return 0.299 * colour[0] + 0.587 * colour[1] + 0.114 * colour[2]


def render(garment: Garment, field: Field, rng: np.random.Generator) -> Array:
    """Return the cloth as RGB (0 … 255, float32) at every pixel of ``field``."""
    base = np.array(COLOURS[garment.colour], dtype=np.float32) + rng.uniform(-7, 7, 3).astype(np.float32)
    cloth = _PATTERNS[garment.pattern](np.broadcast_to(base, (*field.u.shape, 3)), field, garment, rng)
    relief = _WEAVES[garment.fabric](field, rng)
    shade = 1.0 - 0.20 * field.side**3 + 0.05 * _clouds(field.u.shape, (7, 5), rng)
    lit = cloth * shade[..., None]
    lit += (relief * _room(garment.colour))[..., None]
    return lit


def _room(colour: str) -> float:
    """Return how strongly relief shows: dark cloth swallows it, bright cloth can only get darker."""
    return 1.0 if 60 < luminance(COLOURS[colour]) < 220 else 0.8


def _clouds(shape: tuple[int, ...], cells: tuple[int, int], rng: np.random.Generator) -> Array:
    """Return smooth noise between -1 and 1 with ``cells`` rows and columns of bumps over the picture."""
    coarse = Image.fromarray(rng.uniform(-1, 1, cells).astype(np.float32))
    return np.asarray(coarse.resize((shape[1], shape[0]), Image.Resampling.BICUBIC), dtype=np.float32)


def _wave(phase: Array) -> Array:
    wave: Array = np.sin(2 * np.pi * phase)
    return wave


def _band(phase: Array, share: float) -> Array:
    """Return soft-edged bands (0 … 1) that cover ``share`` of each period of ``phase``."""
    band: Array = np.clip(6 * (_wave(phase) - cos(pi * share)) + 0.5, 0, 1)
    return band


def _whole_and_rest(positive: Array) -> tuple[npt.NDArray[np.int32], Array]:
    whole = positive.astype(np.int32)
    return whole, positive - whole.astype(np.float32)


def _blend(cloth: Array, colour: Rgb, amount: Array) -> Array:
    ink = np.array(colour, dtype=np.float32)
    blended: Array = cloth + (ink - cloth[0, 0]) * amount[..., None]  # the cloth below a pattern is plain
    return blended


# --- patterns -------------------------------------------------------------------------------------------------------


def _solid(cloth: Array, field: Field, garment: Garment, rng: np.random.Generator) -> Array:
    return cloth


def _striped(cloth: Array, field: Field, garment: Garment, rng: np.random.Generator) -> Array:
    bands = _band(field.v / rng.uniform(17, 25) + rng.uniform(), rng.uniform(0.3, 0.42))
    return _blend(cloth, second_colour(garment.colour), 0.92 * bands)


def _checked(cloth: Array, field: Field, garment: Garment, rng: np.random.Generator) -> Array:
    period, share, phase = rng.uniform(19, 25), rng.uniform(0.3, 0.4), rng.uniform(size=2).tolist()
    across, down = _band(field.u / period + phase[0], share), _band(field.v / period + phase[1], share)
    return _blend(cloth, second_colour(garment.colour), 0.5 * (across + down))


def _dotted(cloth: Array, field: Field, garment: Garment, rng: np.random.Generator) -> Array:
    spacing, phase, radius = rng.uniform(17, 21), rng.uniform(50, 51, 2).tolist(), rng.uniform(0.27, 0.32)
    row, y = _whole_and_rest(field.v / (0.8 * spacing) + phase[1])
    _, x = _whole_and_rest(field.u / spacing + phase[0] + 0.5 * (row % 2))
    away = (x - 0.5) ** 2 + 0.64 * (y - 0.5) ** 2
    inside = np.clip((radius**2 - away) * 22 + 0.5, 0, 1)
    return _blend(cloth, second_colour(garment.colour), inside)


def _printed(cloth: Array, field: Field, garment: Garment, rng: np.random.Generator) -> Array:
    plain = Image.new("RGBA", (TILE, TILE), (*cloth[0, 0].astype(np.uint8).tolist(), 255))
    tile = np.asarray(Image.alpha_composite(plain, _print_tile(garment.colour, rng)).convert("RGB"))
    rows, columns = (2 * field.v).astype(np.int32) % TILE, (2 * field.u).astype(np.int32) % TILE
    print_: Array = tile.reshape(-1, 3)[rows * TILE + columns].astype(np.float32)
    return print_


def _print_tile(colour: str, rng: np.random.Generator) -> Image.Image:
    """Draw one repeat of a print: flowers and leaves of all sizes, strewn without order."""
    tile = Image.new("RGBA", (TILE, TILE), (*second_colour(colour), 0))
    pen = ImageDraw.Draw(tile)
    inks = [second_colour(colour), *(a for a in _ACCENTS if _apart(a, COLOURS[colour]))]
    motif = (_flower, _leaf)
    for _ in range(38):
        x, y = rng.uniform(20, TILE - 20, 2).tolist()
        size = rng.uniform(10, 22)
        motif[rng.integers(2)](pen, x, y, size, inks[rng.integers(min(3, len(inks)))], rng)
    return tile


def _apart(one: Rgb, other: Rgb) -> bool:
    return sum(abs(a - b) for a, b in zip(one, other, strict=True)) > 170


def _flower(pen: ImageDraw.ImageDraw, x: float, y: float, size: float, ink: Rgb, rng: np.random.Generator) -> None:
    turn, petal = rng.uniform(0, 2 * np.pi), size * 0.42
    for angle in (turn + np.arange(5) * 2 * np.pi / 5).tolist():
        px, py = x + np.cos(angle) * size * 0.55, y + np.sin(angle) * size * 0.55
        pen.ellipse((px - petal, py - petal, px + petal, py + petal), fill=(*ink, 255))
    heart = size * 0.26
    pen.ellipse((x - heart, y - heart, x + heart, y + heart), fill=(250, 214, 90, 255))


def _leaf(pen: ImageDraw.ImageDraw, x: float, y: float, size: float, ink: Rgb, rng: np.random.Generator) -> None:
    angle = rng.uniform(0, 2 * np.pi)
    tip = np.array([np.cos(angle), np.sin(angle)]) * size * 1.2
    bulge = np.array([-tip[1], tip[0]]) * 0.42
    outline = [tip, bulge + tip * 0.2, -tip, -bulge + tip * 0.2]
    pen.polygon([(x + float(dx), y + float(dy)) for dx, dy in outline], fill=(*ink, 255))


# --- weaves: relief in levels of brightness ------------------------------------------------------------------------


def _cotton(field: Field, rng: np.random.Generator) -> Array:
    return 3.0 * _clouds(field.u.shape, (64, 48), rng)


def _denim(field: Field, rng: np.random.Generator) -> Array:
    twill = _wave(field.u / 11 + field.v / 15)
    washed: Array = 22.0 * np.clip(1 - 1.6 * field.side, 0, 1)
    return 25.0 * twill + washed + 7.0 * _clouds(field.u.shape, (100, 75), rng)


def _linen(field: Field, rng: np.random.Generator) -> Array:
    lying, standing = _clouds(field.u.shape, (58, 7), rng), _clouds(field.u.shape, (8, 46), rng)
    return 27.0 * (lying + standing)


def _wool(field: Field, rng: np.random.Generator) -> Array:
    across = field.u / 12
    rib = np.abs(_wave(across / 2)) * 2 - 1.2
    stitch = _wave(field.v / 7 + np.abs((across % 1) - 0.5))
    return 40.0 * rib + 6.0 * stitch


def _silk(field: Field, rng: np.random.Generator) -> Array:
    bend = 0.22 * _clouds(field.u.shape, (4, 3), rng)
    flow = _wave(field.u / rng.uniform(44, 54) + field.v / 120 + bend + rng.uniform())
    return 88.0 * np.clip(flow, 0, 1) ** 3 - 40.0 * np.clip(-flow, 0, 1)


_PATTERNS: dict[str, Callable[[Array, Field, Garment, np.random.Generator], Array]] = {
    "Solid": _solid,
    "Striped": _striped,
    "Checked": _checked,
    "Printed": _printed,
    "Polka Dots": _dotted,
}
_WEAVES: dict[str, Callable[[Field, np.random.Generator], Array]] = {
    "Cotton": _cotton,
    "Denim": _denim,
    "Linen": _linen,
    "Silk": _silk,
    "Wool": _wool,
}
