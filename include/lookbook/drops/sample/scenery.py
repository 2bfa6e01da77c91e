"""What is around a drawn garment and how the picture was taken: background, shadow, light, noise."""

from __future__ import annotations

from math import cos, pi, sin

import numpy as np
from PIL import Image, ImageFilter

from lookbook.drops.sample.shapes import HEIGHT, WIDTH, Array

_WALLS = (
    (244, 243, 240),
    (226, 228, 230),
    (232, 222, 206),
    (206, 220, 230),
    (212, 224, 206),
    (236, 214, 212),
    (186, 184, 190),
    (150, 158, 166),
)
_FLOORS = ((196, 170, 138), (172, 172, 170), (148, 126, 104), (214, 206, 194))
_ROWS, _COLUMNS = np.mgrid[0:HEIGHT, 0:WIDTH].astype(np.float32)


def background(rng: np.random.Generator) -> Image.Image:
    """Paint a studio: paper, a wall above a floor, planks or plaster."""
    wall = np.array(_WALLS[rng.integers(len(_WALLS))], dtype=np.float32)
    style = (_paper, _room, _planks, _plaster)[rng.integers(4)]
    painted = style(np.broadcast_to(wall, (HEIGHT, WIDTH, 3)), rng)
    return Image.fromarray(np.clip(painted, 0, 255).astype(np.uint8))


def _paper(wall: Array, rng: np.random.Generator) -> Array:
    centre = rng.uniform(0.3, 0.7, 2).tolist()
    away = np.hypot(_COLUMNS / WIDTH - centre[0], _ROWS / HEIGHT - centre[1])
    lit: Array = wall * (1.04 - 0.2 * away)[..., None]
    return lit


def _room(wall: Array, rng: np.random.Generator) -> Array:
    floor = np.array(_FLOORS[rng.integers(len(_FLOORS))], dtype=np.float32)
    horizon = rng.uniform(0.72, 0.86) * HEIGHT
    below = np.clip(_ROWS - horizon, 0, 1)[..., None]
    fade = (1 - 0.0006 * np.abs(_ROWS - horizon))[..., None]
    room: Array = (wall + (floor - wall) * below) * fade
    return room


def _planks(wall: Array, rng: np.random.Generator) -> Array:
    width = rng.uniform(24, 44)
    gap = np.abs(((_COLUMNS + rng.uniform(0, width)) % width) - width / 2) > width / 2 - 0.8
    tone = 1 + rng.uniform(-0.05, 0.05, 12).astype(np.float32)[(_COLUMNS // width).astype(np.int32)]
    return wall * np.where(gap, 0.84, tone)[..., None].astype(np.float32)


def _plaster(wall: Array, rng: np.random.Generator) -> Array:
    grain = Image.fromarray(rng.uniform(-1, 1, (24, 18)).astype(np.float32)).resize((WIDTH, HEIGHT))
    return wall * (1 + 0.05 * np.asarray(grain, dtype=np.float32))[..., None]


def cast_shadow(picture: Image.Image, outline: Image.Image, rng: np.random.Generator) -> None:
    """Darken ``picture`` where ``outline`` shades it, a little beside and below."""
    strength = rng.uniform(0.25, 0.5)
    soft = outline.filter(ImageFilter.BoxBlur(5)).filter(ImageFilter.BoxBlur(4)).point(lambda a: int(a * strength))
    offset = (int(rng.integers(-6, 7)), int(rng.integers(3, 8)))
    picture.paste((38, 36, 44), (offset[0], offset[1], offset[0] + WIDTH, offset[1] + HEIGHT), soft)


def photograph(picture: Image.Image, rng: np.random.Generator) -> Image.Image:
    """Light the scene from one side, tint it, and add the sensor's noise."""
    towards = rng.uniform(0, 2 * pi)
    ramp = cos(towards) * (_COLUMNS / WIDTH - 0.5) + sin(towards) * (_ROWS / HEIGHT - 0.5)
    light = rng.uniform(0.92, 1.06) * (1 + rng.uniform(0.02, 0.16) * ramp)
    warmth = rng.uniform(-0.03, 0.03)
    tint = np.array([1 + warmth, 1.0, 1 - warmth], dtype=np.float32)
    noise = rng.uniform(1.0, 3.5) * rng.standard_normal((HEIGHT, WIDTH, 1), dtype=np.float32)
    lit = np.asarray(picture, dtype=np.float32) * (light[..., None] * tint) + noise
    return Image.fromarray(np.clip(lit, 0, 255).astype(np.uint8))
