"""Decoding of pictures that somebody else made."""

from __future__ import annotations

import struct
import zlib
from io import BytesIO

from PIL import Image, UnidentifiedImageError

from lookbook_image.errors import BadPictureError

MAX_PIXELS = 50_000_000
"""A picture with more pixels is refused before it is decoded: 150 MB in RGB."""

UNREADABLE = (OSError, SyntaxError, ValueError, EOFError, struct.error, zlib.error)
"""What Pillow's decoders raise on bytes that aren't what they claim to be."""


def decode(data: bytes, *, at_least: int | None = None) -> Image.Image:
    """Return the picture in ``data`` as RGB.

    Args:
        data: a file in any format that Pillow reads.
        at_least: the side, in pixels, that will be needed; a large JPEG is then decoded at a fraction of its size.

    Raises:
        BadPictureError: ``data`` isn't a readable picture or has more than MAX_PIXELS.
    """
    try:
        picture = Image.open(BytesIO(data))
        _check_size(picture)
        if at_least is not None:
            picture.draft("RGB", (at_least, at_least))
        return picture.convert("RGB")
    except Image.DecompressionBombError as error:
        raise BadPictureError(f"more than {MAX_PIXELS} pixels", too_large=True) from error
    except UnidentifiedImageError as error:  # its own message names only a Python object
        raise BadPictureError("not a readable picture (its format is unknown)") from error
    except UNREADABLE as error:
        raise BadPictureError(f"not a readable picture ({error})") from error


def _check_size(picture: Image.Image) -> None:
    width, height = picture.size
    if width * height > MAX_PIXELS:
        raise BadPictureError(f"{width} x {height} is more than {MAX_PIXELS} pixels", too_large=True)
