"""What the endpoint is asked: bodies, checked before the model sees them."""

from __future__ import annotations

import base64
import binascii
import json
import unicodedata
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any

from PIL import Image

from lookbook_image.errors import BadPictureError
from lookbook_image.pictures import decode

JSON = "application/json"
PICTURES = ("application/x-image", "image/jpeg", "image/png")
"""Content types of a body that is the picture itself; what it really is, its first bytes tell."""
KEYS = ("image", "prompt", "questions")
MAX_BODY_BYTES = 25 * 1024 * 1024
"""What SageMaker's InvokeEndpoint lets through."""
MAX_QUESTIONS = 64
MAX_QUESTION_CHARACTERS = 500
MAX_JSON_VALUES = 100_000
"""A list of as many values as fit into a body would take a hundred times the body's memory."""


class RefusedError(Exception):
    """A request that gets ``status`` and a reason, no answer; ``passing`` if it may be sent again as it is."""

    def __init__(self, status: int, reason: str, *, passing: bool = False) -> None:
        super().__init__(reason)
        self.status = status
        self.passing = passing


@dataclass(frozen=True)
class Question:
    """A picture and what is asked about it; ``single`` if it came as ``prompt``."""

    picture: Image.Image
    questions: tuple[str, ...]
    single: bool


@dataclass(frozen=True)
class Reader:
    """Reads requests for one model."""

    at_least: int
    """The side in pixels that the model needs (see ``pictures.decode``)."""
    own_questions: tuple[str, ...] = ()
    """What a picture without questions is asked: those that the model was trained on."""
    reserved: Collection[str] = field(default_factory=frozenset)
    """Texts that no question may contain (see ``Family.reserved``)."""

    def read(self, media_type: str, body: bytes | bytearray) -> Question:
        """Return the request in ``body``.

        Args:
            media_type: ``application/json`` for ``{"image": base64, "prompt": …}`` or ``{"image": …, "questions":
                […]}``; one of ``PICTURES`` for a picture that is asked the model's own questions.
            body: JSON in UTF-8, or the picture file.

        Raises:
            RefusedError: 400 for anything malformed, 413 for a picture with too many pixels, 415 for another type.
        """
        self.check(media_type)
        return self._json(body) if media_type == JSON else self._picture(body)

    def check(self, media_type: str) -> None:
        """Refuse a content type, before its body is read.

        Raises:
            RefusedError: 415.
        """
        if media_type not in (JSON, *PICTURES):
            found = f"content type {media_type[:100]!r}" if media_type else "no content type"
            raise RefusedError(415, f"{found}; send {', '.join((JSON, *PICTURES))}")
        if media_type != JSON and not self.own_questions:
            raise RefusedError(415, f"this model's report.json names no questions to ask of a picture; send {JSON}")

    def _picture(self, body: bytes | bytearray) -> Question:
        return Question(_decoded(body, self.at_least, "the picture"), self.own_questions, single=False)

    def _json(self, body: bytes | bytearray) -> Question:
        request = _parsed(body)
        if unknown := sorted(request.keys() - set(KEYS)):
            named = ", ".join(unknown)[:200]
            raise RefusedError(400, f"unknown key {named}; a request has 'image' and 'prompt' or 'questions'")
        if ("prompt" in request) == ("questions" in request):
            raise RefusedError(400, "give either 'prompt' (one question) or 'questions' (a list), and not both")
        single = "prompt" in request
        # The questions first: they cost nothing to check, a picture does.
        questions = self._questions([request["prompt"]] if single else request["questions"])
        return Question(_decoded(_data(request.get("image")), self.at_least, "'image'"), questions, single)

    def _questions(self, questions: object) -> tuple[str, ...]:
        if not isinstance(questions, list) or not all(isinstance(one, str) and one.strip() for one in questions):
            raise RefusedError(400, "every question must be text that isn't empty")
        if not 1 <= len(questions) <= MAX_QUESTIONS:
            raise RefusedError(400, f"{len(questions)} questions; ask 1 to {MAX_QUESTIONS}")
        for question in questions:
            self._check_question(question)
        return tuple(questions)

    def _check_question(self, question: str) -> None:
        if len(question) > MAX_QUESTION_CHARACTERS:
            raise RefusedError(400, f"a question has more than {MAX_QUESTION_CHARACTERS} characters")
        if not _is_unicode(question):
            raise RefusedError(400, "a question has half a surrogate pair; send valid Unicode")
        # Tokenizers may normalise first, and so make the model's own token out of what only looks like it.
        plain = unicodedata.normalize("NFKC", question)
        if found := sorted(token for token in self.reserved if token in question or token in plain):
            raise RefusedError(400, f"a question contains {found[0]!r}, which has a meaning of its own to this model")


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _parsed(body: bytes | bytearray) -> dict[str, Any]:
    if sum(map(body.count, (b",", b"[", b"{"))) > MAX_JSON_VALUES:
        raise RefusedError(400, f"the body has more than {MAX_JSON_VALUES} values")
    try:
        request = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise RefusedError(400, f"the body isn't JSON: {error}") from error
    if not isinstance(request, dict):
        raise RefusedError(400, "the body isn't a JSON object")
    return request


def _data(image: object) -> bytes:
    if not isinstance(image, str) or not image:
        raise RefusedError(400, "'image' must be a picture file in base64")
    try:
        return base64.b64decode(image, validate=True)
    except (binascii.Error, ValueError) as error:
        raise RefusedError(400, f"'image' isn't base64: {error}") from error


def _decoded(data: bytes | bytearray, at_least: int, name: str) -> Image.Image:
    try:
        return decode(data, at_least=at_least)
    except BadPictureError as error:
        raise RefusedError(413 if error.too_large else 400, f"{name}: {error}") from error
