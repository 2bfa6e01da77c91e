"""Draw a garment as a product picture: cloth, sewing, a dummy or none, pose, background, light and noise."""

from __future__ import annotations

from math import ceil, floor, hypot

import numpy as np
import numpy.typing as npt
from PIL import Image

from lookbook.drops.sample import cloth, details, scenery, shapes
from lookbook.drops.sample.details import SCALE, Pen
from lookbook.drops.sample.garments import Garment
from lookbook.drops.sample.shapes import AXIS, HEIGHT, WIDTH, Points, Silhouette

Box = tuple[int, int, int, int]

_LARGE = (WIDTH * SCALE, HEIGHT * SCALE)
_DUMMIES: tuple[cloth.Rgb, ...] = ((226, 208, 188), (188, 146, 112), (128, 92, 70), (206, 206, 210), (92, 92, 98))


def draw(garment: Garment, rng: np.random.Generator) -> Image.Image:
    """Draw ``garment`` as an RGB picture of 192×256 pixels.

    Everything that the garment's attributes do not say (pose, arms, background, light, exact shades and periods)
    comes from ``rng``: the same garment and an equal generator give the same picture.
    """
    figure = _posed(_figure(garment, rng), rng)
    picture = scenery.background(rng)
    scenery.cast_shadow(picture, figure.getchannel("A"), rng)
    picture.paste(figure, (0, 0), figure)
    return scenery.photograph(picture, rng)


def _figure(garment: Garment, rng: np.random.Generator) -> Image.Image:
    """Draw the garment upright and large, on nothing."""
    shape = shapes.silhouette(garment, rng)
    arms = [shapes.arm(shape, side, rng) for side in (-1, 1)]
    dummy = _DUMMIES[rng.integers(len(_DUMMIES))] if rng.uniform() < 0.6 else None
    canvas = Image.new("RGBA", _LARGE)
    pen = Pen(canvas)
    details.draw_behind(pen, garment)
    if dummy:
        _draw_dummy(pen, garment, arms, dummy)
    _lay_cloth(canvas, garment, shape, arms, rng)
    details.draw_seams(pen, garment, shape)
    details.draw_neck(pen, garment)
    return canvas


def _draw_dummy(pen: Pen, garment: Garment, arms: list[Points], colour: cloth.Rgb) -> None:
    dark = details.shaded(colour, 0.86)
    for line in arms:
        pen.fill(shapes.ribbon(line, 1.0, lambda t: 7.5 - 2.5 * t), colour)
        pen.fill(shapes.ellipse(line[-1], 5.5, 7.5), colour)
    pen.fill(details.opening(garment), colour)
    pen.fill([(86, 58), (87, 26), (105, 26), (106, 58)], dark)
    pen.fill(shapes.ellipse((AXIS, 26), 9, 3.5), details.shaded(colour, 1.1))


def _lay_cloth(
    canvas: Image.Image, garment: Garment, shape: Silhouette, arms: list[Points], rng: np.random.Generator
) -> None:
    """Fill the outlines of sleeves and body with cloth, leaving the neck open."""
    body, sleeves = shapes.body(garment, shape), _sleeves(garment, shape, arms)
    window = _window([body, *(outline for _, outline in sleeves)])
    textile = _textile(garment, shape, body, sleeves, window, rng)
    pen, edge = Pen(canvas), details.edge_colour(garment)
    for line, outline in sleeves:
        canvas.paste(textile, window, _mask(outline).crop(window))
        pen.line([*outline, outline[0]], edge)
        details.draw_sleeve_end(pen, garment, shape, line, shapes.SLEEVE_REACH[garment.sleeve_length])
    canvas.paste(textile, window, _mask(body, hole=details.opening(garment)).crop(window))
    pen.line(body, edge)


def _sleeves(garment: Garment, shape: Silhouette, arms: list[Points]) -> list[tuple[Points, Points]]:
    """Return each sleeve's arm and outline; none for a sleeveless garment."""
    if garment.sleeve_length == "Sleeveless":
        return []
    reach, width = shapes.SLEEVE_REACH[garment.sleeve_length], shapes.sleeve_width(garment, shape)
    return [(line, shapes.ribbon(line, reach, width)) for line in arms]


def _window(outlines: list[Points]) -> Box:
    """Return the part of the canvas that the cloth covers."""
    x, y = zip(*(point for outline in outlines for point in outline), strict=True)
    left, top = max(0, floor(min(x)) * SCALE), max(0, floor(min(y)) * SCALE)
    return left, top, min(_LARGE[0], ceil(max(x) + 1) * SCALE), min(_LARGE[1], ceil(max(y) + 1) * SCALE)


def _mask(outline: Points, hole: Points | None = None) -> Image.Image:
    mask = Image.new("L", _LARGE)
    pen = Pen(mask)
    pen.fill(outline, 255)
    if hole:
        pen.fill(hole, 0)
    return mask


def _textile(
    garment: Garment,
    shape: Silhouette,
    body: Points,
    sleeves: list[tuple[Points, Points]],
    window: Box,
    rng: np.random.Generator,
) -> Image.Image:
    """Render the cloth of a window of the canvas; inside a sleeve it runs along the arm."""
    field = _straight(shape, window)
    in_body = np.asarray(_mask(body).crop(window)) > 0
    for line, outline in sleeves:
        inside = (np.asarray(_mask(outline).crop(window)) > 0) & ~in_body
        _turn(field, inside, line, shape)
    return Image.fromarray(np.clip(cloth.render(garment, field, rng), 0, 255).astype(np.uint8))


def _straight(shape: Silhouette, window: Box) -> cloth.Field:
    """Return the coordinates of cloth that hangs straight down."""
    across = np.arange(window[0], window[2], dtype=np.float32) / SCALE - np.float32(AXIS)
    down = np.arange(window[1], window[3], dtype=np.float32) / SCALE
    u, v = np.meshgrid(across, down)
    return cloth.Field(u, v, np.minimum(np.abs(u) / max(shape.chest, shape.hem), 1))


def _turn(field: cloth.Field, inside: npt.NDArray[np.bool_], line: Points, shape: Silhouette) -> None:
    """Let the cloth's coordinates inside a sleeve run across and along the arm."""
    (x0, y0), (x1, y1) = line[0], line[-1]
    length = hypot(x1 - x0, y1 - y0)
    cos, sin = (x1 - x0) / length, (y1 - y0) / length
    x, y = field.u[inside] + (AXIS - x0), field.v[inside] - y0
    field.u[inside], field.v[inside] = x * sin - y * cos, x * cos + y * sin
    field.side[inside] = np.minimum(np.abs(field.u[inside]) / (1.4 * shape.sleeve), 1)


def _posed(figure: Image.Image, rng: np.random.Generator) -> Image.Image:
    """Return the figure turned, scaled to most of the picture and moved a little, at the picture's size."""
    left, top, right, bottom = figure.getchannel("A").getbbox() or (0, 0, *_LARGE)
    zoom = rng.uniform(0.82, 0.96) * min(1.5, _LARGE[0] / (right - left), _LARGE[1] / (bottom - top))
    angle, move = np.radians(rng.uniform(-8, 8)), rng.uniform(-5, 5, 2).tolist()
    cos, sin = SCALE * float(np.cos(angle)) / zoom, SCALE * float(np.sin(angle)) / zoom
    x, y = WIDTH / 2 + move[0], HEIGHT / 2 + move[1]
    matrix = (cos, sin, (left + right) / 2 - cos * x - sin * y, -sin, cos, (top + bottom) / 2 + sin * x - cos * y)
    softened = figure.convert("RGBa")
    return softened.transform((WIDTH, HEIGHT), Image.Transform.AFFINE, matrix, Image.Resampling.BICUBIC).convert("RGBA")
