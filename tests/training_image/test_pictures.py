from __future__ import annotations

import io
import zlib

import pytest
from PIL import Image

from lookbook_image.errors import BadPictureError
from lookbook_image.pictures import decode


def encoded(picture: Image.Image, kind: str = "JPEG") -> bytes:
    file = io.BytesIO()
    picture.save(file, kind)
    return file.getvalue()


@pytest.mark.parametrize(
    ("mode", "kind"), [("L", "PNG"), ("RGBA", "PNG"), ("P", "PNG"), ("I;16", "PNG"), ("CMYK", "JPEG")]
)
def test_a_picture_of_any_mode_becomes_rgb(mode: str, kind: str) -> None:
    picture = decode(encoded(Image.new(mode, (10, 20)), kind))
    assert (picture.mode, picture.size) == ("RGB", (10, 20))


def test_a_large_jpeg_is_decoded_no_larger_than_needed() -> None:
    width, height = decode(encoded(Image.new("RGB", (1600, 1200))), at_least=64).size
    assert 64 <= height < 200
    assert width > height


def test_any_other_large_picture_is_averaged_down_in_its_proportions() -> None:
    picture = Image.new("RGB", (3000, 2000), (255, 255, 255))
    picture.paste((0, 0, 0), (0, 0, 1500, 2000))
    small = decode(encoded(picture, "PNG"), at_least=64)
    assert min(small.size) >= 256
    assert small.size == (429, 286)
    assert (small.getpixel((100, 100)), small.getpixel((400, 100))) == ((0, 0, 0), (255, 255, 255))


def test_a_picture_that_is_not_far_larger_than_needed_stays_as_it_is() -> None:
    picture = Image.effect_noise((300, 400), 60).convert("RGB")
    assert decode(encoded(picture, "PNG"), at_least=64).tobytes() == picture.tobytes()


@pytest.mark.parametrize("data", [b"", b"no picture", b"\x89PNG\r\n\x1a\n" + b"x" * 40])
def test_bytes_that_are_no_picture_are_refused(data: bytes) -> None:
    with pytest.raises(BadPictureError, match="not a readable picture") as caught:
        decode(data)
    assert not caught.value.too_large


def test_a_cut_off_picture_is_refused() -> None:
    with pytest.raises(BadPictureError, match="not a readable picture"):
        decode(encoded(Image.effect_noise((200, 200), 60).convert("RGB"))[:3000])


def test_a_picture_with_too_many_pixels_is_refused_by_its_header() -> None:
    with pytest.raises(BadPictureError) as caught:
        decode(png_header(60_000, 1_000))
    assert caught.value.too_large


def test_a_decompression_bomb_is_refused() -> None:
    with pytest.raises(BadPictureError) as caught:
        decode(png_header(60_000, 60_000))
    assert caught.value.too_large


def png_header(width: int, height: int) -> bytes:
    """The start of a PNG of that size; there are no pixels behind it."""
    header = width.to_bytes(4, "big") + height.to_bytes(4, "big") + b"\x08\x02\x00\x00\x00"
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", b"")


def chunk(kind: bytes, content: bytes) -> bytes:
    """One chunk of a PNG file."""
    return len(content).to_bytes(4, "big") + kind + content + zlib.crc32(kind + content).to_bytes(4, "big")
