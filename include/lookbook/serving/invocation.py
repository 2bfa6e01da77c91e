"""Questions about a picture, asked of the endpoint: the request, its answer, and what of its failures can pass."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import orjson
from botocore.exceptions import ClientError, HTTPClientError, IncompleteReadError
from botocore.exceptions import ConnectionError as NoConnectionError

from lookbook.errors import PermanentError
from lookbook.vqa.questions import QUESTIONS, WORDINGS

# Everything that can come instead of a response; the last three say that nobody answered.
CALL_ERRORS = (ClientError, HTTPClientError, NoConnectionError, IncompleteReadError)
CallError: TypeAlias = ClientError | HTTPClientError | NoConnectionError | IncompleteReadError

# What InvokeEndpoint takes as a body.
MAX_BODY_BYTES = 6 * 2**20
_PASSING = {
    "InternalDependencyException",
    "InternalFailure",
    "ModelNotReadyException",
    "ServiceUnavailable",
    "ThrottlingException",
    "TooManyRequestsException",
}
_FULL = {"ThrottlingException", "TooManyRequestsException"}
_FULL_STATUS = {429, 503}
# 4xx of the container that are no word about the picture.
_PASSING_STATUS = {408, 429}
# The process that would have answered is gone or late: 0 is what SageMaker says then, the others a proxy before it.
_ABSENT_STATUS = {0, 408, 429, 502, 503, 504}


class RefusedError(Exception):
    """The endpoint refuses this request and always will; the text is its reason."""


class UnansweredError(Exception):
    """The endpoint gave no answer, each time for a reason that may pass; the text is the last."""


class MalformedResponseError(PermanentError):
    """What came is no answer: something else is deployed there."""


@dataclass(frozen=True)
class Answer:
    """What the model says of one attribute.

    ``value`` is ``None`` when the model is not sure enough (``abstained``), and when its answer was in no known form;
    ``text`` is what it said in either case.
    """

    attribute: str
    question: str
    value: str | None
    probability: float
    text: str = ""
    abstained: bool = False


@dataclass(frozen=True)
class Answers:
    """The answers about one picture and the version of the model that gave them."""

    model_version: str
    answers: tuple[Answer, ...]


@dataclass(frozen=True)
class Trouble:
    """Why there was no answer this time.

    ``of_picture``: the container answered, and failed at this very request; otherwise it is full, restarting or away.
    ``full``: there is an endpoint, with too much to do. ``retry_after_s``: when it wants to be asked again.
    """

    reason: str
    of_picture: bool = False
    full: bool = False
    retry_after_s: float | None = None


def request_body(picture: bytes, attributes: tuple[str, ...]) -> bytes:
    """Return the request that asks about each of ``attributes`` at once.

    Raises:
        RefusedError: the picture is too large for a request to an endpoint.
    """
    questions = [QUESTIONS[attribute] for attribute in attributes]
    body = orjson.dumps({"image": base64.b64encode(picture).decode(), "questions": questions})
    if len(body) > MAX_BODY_BYTES:
        raise RefusedError(f"the picture has {len(picture)} bytes; a request to an endpoint takes {MAX_BODY_BYTES}")
    return body


def read_answers(body: bytes, attributes: tuple[str, ...]) -> Answers:
    """Read the answers about ``attributes`` out of the container's response, in that order.

    A picture that was sent as such is asked everything that the model knows, in any of the words that it was taught;
    answers to other questions are left out.

    Raises:
        MalformedResponseError: the response has another form, or lacks an answer.
    """
    try:
        response = orjson.loads(body)
        given = {answer["question"]: answer for answer in response["answers"]}
        answers = tuple(_answer(attribute, given[_asked(attribute, given)]) for attribute in attributes)
        return Answers(_text(response["model_version"]), answers)
    except (orjson.JSONDecodeError, KeyError, TypeError, ValueError) as error:
        raise MalformedResponseError(
            f"The container answered {body[:200]!r}, expected {{'answers': [one for each of {len(attributes)} "
            "questions], 'model_version': …}. Is another image deployed there?"
        ) from error


def trouble(error: CallError) -> Trouble:
    """Return why the endpoint did not answer, if that can pass.

    Raises:
        RefusedError: the container refuses this request.
        PermanentError: the call itself is wrong, such as an endpoint that is not there.
    """
    if not isinstance(error, ClientError):
        return Trouble(str(error))
    code, message = error.response["Error"]["Code"], error.response["Error"]["Message"]
    if code == "ModelError":
        return _container_trouble(error.response, message)
    if code not in _PASSING:
        raise PermanentError(f"The endpoint cannot be asked: {code}: {message}") from error
    return Trouble(f"{code}: {message}", full=code in _FULL, retry_after_s=_retry_after(error.response))


def passing_reason(error: CallError) -> str:
    """Return the reason of :func:`trouble`, with its exceptions."""
    return trouble(error).reason


def _container_trouble(response: dict[str, Any], message: str) -> Trouble:
    status = response.get("OriginalStatusCode", 500)
    if 400 <= status < 500 and status not in _PASSING_STATUS:
        raise RefusedError(response.get("OriginalMessage") or message)
    return Trouble(message, status not in _ABSENT_STATUS, status in _FULL_STATUS, _retry_after(response))


def _retry_after(response: dict[str, Any]) -> float | None:
    """Return the seconds that a ``Retry-After`` header asks for; a date or nonsense asks for nothing."""
    asked = response.get("ResponseMetadata", {}).get("HTTPHeaders", {}).get("retry-after", "")
    return float(asked) if asked.isdecimal() else None


def _asked(attribute: str, given: Mapping[str, Any]) -> str:
    """Return the words in which an attribute was asked for: those of service, if it was asked in several."""
    return next((words for words in WORDINGS[attribute] if words in given), QUESTIONS[attribute])


def _answer(attribute: str, given: dict[str, Any]) -> Answer:
    # An answer about another attribute than the question's says nothing about it.
    known = given["attribute"] == attribute
    value = _text(given["value"]) if known and given["value"] is not None else None
    probability = float(given["probability"])
    if not 0 <= probability <= 1:
        raise ValueError(f"a probability of {probability}")
    return Answer(attribute, given["question"], value, probability, _text(given["text"]), known and value is None)


def _text(given: object) -> str:
    if not isinstance(given, str):
        raise TypeError(f"{given!r} where a text should be")
    return given
