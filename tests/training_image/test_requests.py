from __future__ import annotations

import base64
import json
from random import Random
from typing import Any

import pytest
from garments import draw
from test_pictures import png_header

from lookbook_image.requests import MAX_QUESTIONS, BadRequestError, parse

IMAGE = base64.b64encode(draw("Red", "Sleeveless", Random(0))).decode()
QUESTION = "What is the fit?"


def refused(request: Any) -> BadRequestError:
    body = request if isinstance(request, bytes) else json.dumps(request).encode()
    with pytest.raises(BadRequestError) as caught:
        parse(body, at_least=64)
    return caught.value


def test_a_prompt_is_one_question() -> None:
    asked = parse(json.dumps({"image": IMAGE, "prompt": QUESTION}).encode(), at_least=64)
    assert (asked.questions, asked.single) == ((QUESTION,), True)
    assert asked.picture.mode == "RGB"


def test_questions_are_kept_in_order() -> None:
    asked = parse(json.dumps({"image": IMAGE, "questions": ["b?", "a?"]}).encode(), at_least=64)
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
