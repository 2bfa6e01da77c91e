from __future__ import annotations

import base64
import io
import json
from random import Random
from typing import Any

import pytest
from garments import draw
from PIL import Image
from test_pictures import png_header

from lookbook_image import requests
from lookbook_image.requests import JSON, MAX_JSON_VALUES, MAX_QUESTIONS, PICTURES, Question, Reader, RefusedError

IMAGE = base64.b64encode(draw("Red", "Sleeveless", Random(0))).decode()
QUESTION = "What is the fit?"


OWN = ("What is the fabric?", "What is the neck?")
READER = Reader(at_least=64, own_questions=OWN, reserved=frozenset({"<image>", "</s>"}))


def read(request: Any) -> Question:
    return READER.read(JSON, request if isinstance(request, bytes) else json.dumps(request).encode())


def refused(request: Any) -> RefusedError:
    with pytest.raises(RefusedError) as caught:
        read(request)
    return caught.value


def encoded(picture: Image.Image, kind: str, **options: Any) -> bytes:
    file = io.BytesIO()
    picture.save(file, kind, **options)
    return file.getvalue()


def test_a_prompt_is_one_question() -> None:
    asked = read({"image": IMAGE, "prompt": QUESTION})
    assert (asked.questions, asked.single) == ((QUESTION,), True)
    assert asked.picture.mode == "RGB"


def test_questions_are_kept_in_order() -> None:
    asked = read({"image": IMAGE, "questions": ["b?", "a?"]})
    assert (asked.questions, asked.single) == (("b?", "a?"), False)


@pytest.mark.parametrize(
    ("request_", "reason"),
    [
        (b"{", "the body isn't JSON"),
        (b"\xff\xfe", "the body isn't JSON"),
        (b"[" * 100_000, "the body isn't JSON"),
        ([], "the body isn't a JSON object"),
        ({"image": IMAGE}, "either 'prompt'"),
        ({"image": IMAGE, "prompt": QUESTION, "questions": [QUESTION]}, "either 'prompt'"),
        ({"image": IMAGE, "prompt": QUESTION, "picture": 1}, "unknown key picture"),
        ({"image": IMAGE, "prompt": " "}, "text that isn't empty"),
        ({"image": IMAGE, "prompt": 7}, "text that isn't empty"),
        ({"image": IMAGE, "questions": []}, "0 questions"),
        ({"image": IMAGE, "questions": "all"}, "text that isn't empty"),
        ({"image": IMAGE, "questions": [QUESTION] * (MAX_QUESTIONS + 1)}, "65 questions; ask 1 to 64"),
        ({"image": IMAGE, "questions": [QUESTION] * 1000}, "1000 questions; ask 1 to 64"),
        ({"image": IMAGE, "questions": [[]] * (MAX_JSON_VALUES + 1)}, "more than 100000 values"),
        ({"image": IMAGE, "prompt": "half a \ud83d"}, "half a surrogate pair"),
        ({"image": IMAGE, "prompt": "what of <image> this?"}, "contains '<image>', which has a meaning of its own"),
        ({"image": IMAGE, "prompt": "＜image＞"}, "contains '<image>', which has a meaning of its own"),
        (b'{"image": 1' + b"0" * 5000 + b"}", "the body isn't JSON"),
        ({"image": IMAGE, "prompt": "x" * 501}, "more than 500 characters"),
        ({"prompt": QUESTION}, "'image' must be a picture file in base64"),
        ({"image": 3, "prompt": QUESTION}, "'image' must be a picture file in base64"),
        ({"image": "§", "prompt": QUESTION}, "'image' isn't base64"),
        ({"image": "abc", "prompt": QUESTION}, "'image' isn't base64"),
        ({"image": "aGVsbG8=", "prompt": QUESTION}, "'image': not a readable picture"),
    ],
)
def test_a_malformed_request_gets_400_and_a_reason(request_: Any, reason: str) -> None:
    error = refused(request_)
    assert error.status == 400
    assert reason in str(error)


def test_a_picture_with_too_many_pixels_gets_413() -> None:
    image = base64.b64encode(png_header(60_000, 1_000)).decode()
    assert refused({"image": image, "prompt": QUESTION}).status == 413


def test_questions_are_refused_before_their_picture_is_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(requests, "decode", lambda *_, **__: pytest.fail("the picture was decoded"))
    assert refused({"image": IMAGE, "questions": [QUESTION] * 1000}).status == 400


@pytest.mark.parametrize("media_type", PICTURES)
def test_a_picture_itself_is_asked_the_models_own_questions(media_type: str) -> None:
    asked = READER.read(media_type, draw("Red", "Sleeveless", Random(0)))
    assert (asked.questions, asked.single) == (OWN, False)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_what_a_picture_is_its_first_bytes_tell_not_its_content_type(kind: str) -> None:
    asked = READER.read("image/jpeg", encoded(Image.new("RGB", (70, 80), (200, 0, 0)), kind))
    assert asked.picture.size == (70, 80)


def test_a_cmyk_jpeg_is_converted() -> None:
    picture = READER.read("image/jpeg", encoded(Image.new("CMYK", (70, 80), (0, 255, 255, 0)), "JPEG")).picture
    red, green, blue = picture.getpixel((35, 40))
    assert red > 200 and green < 60 and blue < 60


@pytest.mark.parametrize("kind", ["PNG", "WEBP"])
def test_of_an_animated_picture_the_first_frame_is_asked_about(kind: str) -> None:
    red, blue = Image.new("RGB", (70, 80), (200, 0, 0)), Image.new("RGB", (70, 80), (0, 0, 200))
    data = encoded(red, kind, save_all=True, append_images=[blue], duration=100, lossless=True)
    assert READER.read("application/x-image", data).picture.getpixel((35, 40)) == (200, 0, 0)


@pytest.mark.parametrize("kind", ["GIF", "TIFF", "EPS"])
def test_another_format_than_drops_hold_is_refused(kind: str) -> None:
    with pytest.raises(RefusedError, match="none of JPEG, PNG, WEBP") as caught:
        READER.read("application/x-image", encoded(Image.new("RGB", (70, 80)), kind))
    assert caught.value.status == 400


@pytest.mark.parametrize("body", [b"", b"hello", draw("Red", "Sleeveless", Random(0))[:700]])
def test_a_body_that_is_no_whole_picture_gets_400(body: bytes) -> None:
    with pytest.raises(RefusedError, match="the picture: not a readable picture") as caught:
        READER.read("application/x-image", body)
    assert caught.value.status == 400


@pytest.mark.parametrize("media_type", ["", "text/csv", "image/gif", "x" * 1000])
def test_another_content_type_gets_415(media_type: str) -> None:
    with pytest.raises(RefusedError, match="send application/json, application/x-image") as caught:
        READER.check(media_type)
    assert caught.value.status == 415
    assert len(str(caught.value)) < 300


def test_a_picture_alone_is_refused_by_a_model_that_brought_no_questions() -> None:
    with pytest.raises(RefusedError, match="names no questions") as caught:
        Reader(at_least=64).check("image/png")
    assert caught.value.status == 415
