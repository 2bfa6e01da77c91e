"""Pictures in a message: what Bedrock takes of them, and what they cost."""

from __future__ import annotations

import io

from PIL import Image, UnidentifiedImageError

from local_aws.bedrock.conversation import Picture
from local_aws.errors import AwsError, validation

MOST_BYTES = 3_932_160  # 3.75 MB
MOST_PIXELS = 8_000
MOST_PICTURES = 20
# A model sees a larger picture at this size.
_LONGEST_EDGE, _PIXELS_PER_TOKEN, _MOST_TOKENS = 1_568, 750, 1_600


def read(kind: str, data: bytes, where: str) -> Picture:
    """Check a picture and count its tokens.

    Args:
        kind: the format that the request says it has: png, jpeg, gif or webp.
        data: the file.
        where: its place in the request, for the message.

    Raises:
        AwsError: ValidationException: it is no picture, another format, or too large.
    """
    if len(data) > MOST_BYTES:
        raise _refused(where, f"image exceeds 3.75 MB maximum: {len(data)} bytes > {MOST_BYTES} bytes")
    try:
        with Image.open(io.BytesIO(data), formats=("PNG", "JPEG", "GIF", "WEBP")) as image:
            found, size = str(image.format).lower(), image.size
    except (UnidentifiedImageError, OSError, Image.DecompressionBombError) as error:
        raise _refused(where, "Could not process image") from error
    if found != kind:
        raise _refused(where, f"Image does not match the provided media type image/{kind}")
    if max(size) > MOST_PIXELS:
        raise _refused(where, f"At least one of the image dimensions exceed max allowed size: {MOST_PIXELS} pixels")
    return Picture(kind, data, _tokens(*size))


def _tokens(width: int, height: int) -> int:
    """Return Anthropic's estimate: a token for every 750 pixels of what the model sees."""
    shrunk = min(1.0, _LONGEST_EDGE / max(width, height))
    return max(1, min(_MOST_TOKENS, round(width * height * shrunk**2 / _PIXELS_PER_TOKEN)))


def _refused(where: str, why: str) -> AwsError:
    return validation(f"The model returned the following errors: {where}: {why}")
