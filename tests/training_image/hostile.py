"""Request bodies that somebody got wrong, or meant to: a good one, damaged in its values, its text or its picture."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Callable
from random import Random
from typing import Any

from garments import QUESTIONS, draw
from PIL import Image

TYPES = ("application/json", "application/x-image", "image/jpeg", "image/png")
VALUES: tuple[Any, ...] = (
    None, True, 0, -1, 10**400, 1e308, float("nan"), "", " ", "\0", "x" * 501, "\ud800", "é" * 300, "<image>",
    "</s> <pad> <unk>", "＜image＞", "{}", "%s", "{0}", [], {}, [[]], [None], ["What is the fit?", 7], [""],
    {"a": [1]}, ["What is the fit?"] * 65, [["What is the fit?"]], {"0": "What is the fit?"},
)  # fmt: skip
MODES = ("1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "YCbCr", "I;16", "I", "F")
KINDS = ("JPEG", "PNG", "WEBP", "GIF", "TIFF", "BMP", "PPM", "ICO", "PDF")


def request(rng: Random) -> tuple[str, bytes]:
    """Return a content type and a body; few are good."""
    picture = rng.choice((_whole, _odd, _cut, _flipped, _overwritten))(rng)
    if rng.random() < 0.3:
        return rng.choice(TYPES), picture
    asked = _asked(rng, picture)
    damage: Callable[[Random, bytes], bytes] = rng.choice(
        (_as_it_is, _as_it_is, _text_cut, _text_flipped, _text_nested)
    )
    return "application/json", damage(rng, _encoded(rng, asked))


def _whole(rng: Random) -> bytes:
    return draw(rng.choice(("Red", "Blue")), "Long Sleeves", rng)


def _odd(rng: Random) -> bytes:
    """A picture in some format, mode and size; not all can be written."""
    size = rng.choice(((1, 1), (1, 300), (300, 1), (64, 64), (97, 131)))
    file = io.BytesIO()
    try:
        Image.new(rng.choice(MODES), size).save(file, rng.choice(KINDS))
    except (OSError, ValueError, KeyError):
        return b"\x89PNG\r\n\x1a\n"
    return file.getvalue()


def _cut(rng: Random) -> bytes:
    data = _any(rng)
    return data[: rng.randrange(len(data))]


def _flipped(rng: Random) -> bytes:
    data = bytearray(_any(rng))
    for _ in range(rng.randint(1, 20)):
        data[rng.randrange(len(data))] = rng.randrange(256)
    return bytes(data)


def _overwritten(rng: Random) -> bytes:
    """A header that states something else: what it is, how large, how long the next part is."""
    data = bytearray(_any(rng))
    place = rng.randrange(min(64, len(data)))
    data[place : place + 4] = rng.choice((b"\xff\xff\xff\xff", b"\0\0\0\0", b"\x7f\xff\xff\xff", rng.randbytes(4)))
    return bytes(data)


def _any(rng: Random) -> bytes:
    return rng.choice((_whole, _odd))(rng)


def _asked(rng: Random, picture: bytes) -> dict[str, Any]:
    asked: dict[str, Any] = {"image": base64.b64encode(picture).decode()}
    asked |= rng.choice(({"prompt": "What is the fit?"}, {"questions": list(QUESTIONS.values())}))
    for _ in range(rng.choice((0, 0, 1, 2))):
        key = rng.choice(("image", "prompt", "questions", "Image", "", "__proto__"))
        asked[key] = rng.choice(VALUES)
        asked.pop(rng.choice(("image", "prompt", "questions", "nothing")), None)
    return asked


def _encoded(rng: Random, asked: dict[str, Any]) -> bytes:
    text = json.dumps(asked, ensure_ascii=rng.random() < 0.5)
    return text.encode(
        rng.choice(("utf-8", "utf-8", "utf-8", "utf-16", "utf-32", "utf-8-sig", "utf-7")), "surrogatepass"
    )


def _as_it_is(rng: Random, body: bytes) -> bytes:
    return body


def _text_cut(rng: Random, body: bytes) -> bytes:
    return body[: rng.randrange(len(body))] + rng.choice((b"", b"}", b'"}', b"\0"))


def _text_flipped(rng: Random, body: bytes) -> bytes:
    data = bytearray(body)
    for _ in range(rng.randint(1, 3)):
        place = rng.choice((rng.randrange(len(data)), rng.randrange(min(20, len(data)))))
        data[place : place + 1] = rng.choice((b"", b'"', b",", b"[", b"\\u", b"\xff", b"=", rng.randbytes(1)))
    return bytes(data)


def _text_nested(rng: Random, body: bytes) -> bytes:
    deep = rng.choice((1, 50, 5000))
    return rng.choice((b"[" * deep + body + b"]" * deep, b'{"image":' * deep + body, b"[" * deep))
