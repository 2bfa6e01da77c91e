"""Decoding of pictures that somebody else made."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from typing import IO

from PIL import Image, UnidentifiedImageError

from lookbook_image.errors import BadPictureError

MAX_PIXELS = 50_000_000
"""A picture with more pixels is refused before it is decoded: 150 MB in RGB."""

FORMATS = ("JPEG", "PNG", "WEBP")
"""Those that drops may hold. Pillow would read dozens more, and for one of them start another program."""

_MARGIN = 4
UNREADABLE = (OSError, SyntaxError, ValueError, EOFError, struct.error, zlib.error)
"""What Pillow's decoders raise on bytes that aren't what they claim to be."""


def decode(data: bytes | bytearray, *, at_least: int | None = None) -> Image.Image:
    """Return the picture in ``data`` as RGB, of an animated one the first frame.

    Args:
        data: a file in one of FORMATS, in any of their modes: a CMYK JPEG is converted.
        at_least: the side, in pixels, that will be needed; a large JPEG is then decoded at a fraction of its size,
            and whatever is still far larger is averaged down.

    Raises:
        BadPictureError: ``data`` isn't a readable picture or has more than MAX_PIXELS.
    """
    with _refusing():
        picture = Image.open(BytesIO(data), formats=FORMATS)
        _check_size(picture)
        if at_least is not None:
            picture.draft("RGB", (at_least, at_least))
        return _averaged(picture.convert("RGB"), at_least)


def _averaged(picture: Image.Image, at_least: int | None) -> Image.Image:
    """Return ``picture`` with whole blocks of pixels made one, as far as its sides stay well above ``at_least``.

    Resizing tens of megapixels takes seconds. What is left is enough for the resizing that a model brings.
    """
    factor = min(picture.size) // (_MARGIN * at_least) if at_least else 1
    return picture.reduce(factor) if factor > 1 else picture


def check_header(file: IO[bytes]) -> None:
    """Refuse what isn't a picture by its first bytes alone; the rest isn't read.

    Raises:
        BadPictureError: ``file`` doesn't begin as a picture does, or states more than MAX_PIXELS.
    """
    with _refusing():
        _check_size(Image.open(file, formats=FORMATS))


@contextmanager
def _refusing() -> Iterator[None]:
    """Turn what Pillow raises into a BadPictureError."""
    try:
        yield
    except Image.DecompressionBombError as error:
        raise BadPictureError(f"more than {MAX_PIXELS} pixels", too_large=True) from error
    except UnidentifiedImageError as error:  # its own message names only a Python object
        raise BadPictureError(f"not a readable picture (none of {', '.join(FORMATS)})") from error
    except UNREADABLE as error:
        raise BadPictureError(f"not a readable picture ({error})") from error


def _check_size(picture: Image.Image) -> None:
    width, height = picture.size
    if width * height > MAX_PIXELS:
        raise BadPictureError(f"{width} x {height} is more than {MAX_PIXELS} pixels", too_large=True)
