from __future__ import annotations

import hashlib
import io
import struct
import zlib

import imagehash
import numpy as np
import pytest
from PIL import Image
from tests.drops.small import jpeg

from lookbook.drops import pictures

MAX_PIXELS = 1_000_000


def encoded(image: Image.Image, kind: str) -> bytes:
    content = io.BytesIO()
    image.save(content, kind)
    return content.getvalue()


def png_that_claims(width: int, height: int) -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0")) + chunk(b"IEND", b"")


def test_a_picture_gets_checksum_size_and_perceptual_hash() -> None:
    content = jpeg(size=(60, 80))
    picture = pictures.inspect(content, MAX_PIXELS)
    assert picture.problem is None
    assert picture.sha256 == hashlib.sha256(content).hexdigest()
    assert (picture.width, picture.height) == (60, 80)
    assert picture.phash is not None
    assert len(picture.phash) == 16
    int(picture.phash, 16)


def test_a_resized_copy_resembles_the_picture() -> None:
    image = Image.effect_mandelbrot((600, 800), (-2, -1.5, 1, 1.5), 100).convert("RGB")
    large = pictures.inspect(encoded(image, "JPEG"), MAX_PIXELS)
    small = pictures.inspect(encoded(image.resize((150, 200)), "JPEG"), MAX_PIXELS)
    other = pictures.inspect(jpeg(), MAX_PIXELS)
    assert large.phash and small.phash and other.phash
    assert (int(large.phash, 16) ^ int(small.phash, 16)).bit_count() <= 6
    assert (int(large.phash, 16) ^ int(other.phash, 16)).bit_count() > 12


@pytest.mark.parametrize("mode", ["L", "CMYK", "RGB"])
def test_jpegs_of_every_mode_are_read(mode: str) -> None:
    assert pictures.inspect(encoded(Image.new(mode, (20, 20)), "JPEG"), MAX_PIXELS).problem is None


@pytest.mark.parametrize("kind", ["PNG", "WEBP"])
def test_a_picture_in_another_format_under_a_jpg_name_is_read(kind: str) -> None:
    assert pictures.inspect(encoded(Image.new("RGBA", (20, 20)), kind), MAX_PIXELS).problem is None


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"<html><body>404 Not Found</body></html>",
        jpeg()[:200],
        jpeg()[: len(jpeg()) // 2],
        b"\xff\xd8\xff",
        encoded(Image.new("RGB", (30, 30)), "PNG")[:60],
        png_that_claims(30, 30),
        encoded(Image.new("RGB", (8, 8)), "BMP"),
        b"\0" * 1000,
    ],
)
def test_what_is_no_whole_picture_is_unreadable_and_says_why(content: bytes) -> None:
    picture = pictures.inspect(content, MAX_PIXELS)
    assert picture.problem == "picture_unreadable"
    assert picture.detail
    assert picture.sha256 == hashlib.sha256(content).hexdigest()


@pytest.mark.parametrize(("width", "height"), [(1001, 1000), (30_000, 30_000), (2**31 - 1, 2)])
def test_a_decompression_bomb_is_refused_by_its_header(width: int, height: int) -> None:
    picture = pictures.inspect(png_that_claims(width, height), MAX_PIXELS)
    assert picture.problem == "picture_too_large"
    assert "pixels" in (picture.detail or "")


@pytest.mark.parametrize("position", range(0, 600, 7))
def test_damaged_bytes_never_raise(position: int) -> None:
    content = bytearray(jpeg(size=(60, 80)))
    content[position % len(content)] ^= 0xFF
    pictures.inspect(bytes(content), MAX_PIXELS)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_exif_orientation_is_applied(orientation: int) -> None:
    upright = Image.linear_gradient("L").resize((64, 48)).convert("RGB")
    stored = upright.transpose(STORED_AS[orientation]) if orientation > 1 else upright
    exif = Image.Exif()
    exif[0x0112] = orientation
    content = io.BytesIO()
    stored.save(content, "PNG", exif=exif)
    picture = pictures.inspect(content.getvalue(), MAX_PIXELS)
    plain = pictures.inspect(encoded(upright, "PNG"), MAX_PIXELS)
    assert (picture.width, picture.height, picture.phash) == (64, 48, plain.phash)
    assert (picture.format, picture.mode) == ("PNG", "RGB")


@pytest.mark.filterwarnings("ignore:Corrupt EXIF")
def test_damaged_exif_data_is_no_reason_to_reject_a_picture() -> None:
    content = io.BytesIO()
    Image.new("RGB", (20, 30)).save(content, "JPEG", exif=b"Exif\0\0MM\0*\xff\xff\xff\xff\xff")
    picture = pictures.inspect(content.getvalue(), MAX_PIXELS)
    assert (picture.problem, picture.width, picture.height) == (None, 20, 30)


STORED_AS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}


@pytest.mark.parametrize("seed", range(20))
def test_the_perceptual_hash_is_the_one_of_imagehash(seed: int) -> None:
    noise = np.random.default_rng(seed).integers(0, 256, (80 + seed, 60, 3), dtype=np.uint8)
    picture = Image.fromarray(noise).resize((300, 40 + 20 * seed), Image.Resampling.BICUBIC)
    assert pictures.phash(picture) == str(imagehash.phash(picture))
