"""What the endpoint is asked: JSON bodies, checked before the model sees them."""

from __future__ import annotations

import base64
import binascii
import json
from dataclasses import dataclass
from typing import Any

from PIL import Image

from lookbook_image.errors import BadPictureError
from lookbook_image.pictures import decode

KEYS = ("image", "prompt", "questions")
MAX_BODY_BYTES = 25 * 1024 * 1024
"""What SageMaker's InvokeEndpoint lets through."""
MAX_QUESTIONS = 64
MAX_QUESTION_CHARACTERS = 500


class BadRequestError(Exception):
    """A request that gets ``status`` (4xx) and a reason."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status


@dataclass(frozen=True)
class Question:
    """A picture and what is asked about it; ``single`` if it came as ``prompt``."""

    picture: Image.Image
    questions: tuple[str, ...]
    single: bool


def parse(body: bytes, *, at_least: int) -> Question:
    """Return the request in ``body``: ``{"image": base64, "prompt": …}`` or ``{"image": …, "questions": […]}``.

    Args:
        body: JSON, UTF-8.
        at_least: the side in pixels that the model needs (see ``pictures.decode``).

    Raises:
        BadRequestError: 400 for anything malformed, 413 for a picture with too many pixels.
    """
    request = _json(body)
    if unknown := sorted(request.keys() - set(KEYS)):
        raise BadRequestError(
            400, f"unknown key {', '.join(unknown)}; a request has 'image' and 'prompt' or 'questions'"
        )
    if ("prompt" in request) == ("questions" in request):
        raise BadRequestError(400, "give either 'prompt' (one question) or 'questions' (a list), and not both")
    single = "prompt" in request
    questions = [request["prompt"]] if single else request["questions"]
    return Question(_picture(request.get("image"), at_least), _questions(questions), single)


def _json(body: bytes) -> dict[str, Any]:
    try:
        request = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise BadRequestError(400, f"the body isn't JSON: {error}") from error
    if not isinstance(request, dict):
        raise BadRequestError(400, "the body isn't a JSON object")
    return request


def _questions(questions: object) -> tuple[str, ...]:
    if not isinstance(questions, list) or not all(isinstance(one, str) and one.strip() for one in questions):
        raise BadRequestError(400, "every question must be text that isn't empty")
    if not 1 <= len(questions) <= MAX_QUESTIONS:
        raise BadRequestError(400, f"{len(questions)} questions; ask 1 to {MAX_QUESTIONS}")
    if any(len(one) > MAX_QUESTION_CHARACTERS for one in questions):
        raise BadRequestError(400, f"a question has more than {MAX_QUESTION_CHARACTERS} characters")
    return tuple(questions)


def _picture(image: object, at_least: int) -> Image.Image:
    if not isinstance(image, str) or not image:
        raise BadRequestError(400, "'image' must be a picture file in base64")
    try:
        data = base64.b64decode(image, validate=True)
    except (binascii.Error, ValueError) as error:
        raise BadRequestError(400, f"'image' isn't base64: {error}") from error
    try:
        return decode(data, at_least=at_least)
    except BadPictureError as error:
        raise BadRequestError(413 if error.too_large else 400, f"'image': {error}") from error
