"""Questions about a picture, asked of the endpoint: the request, its answer, and what of its failures can pass."""

from __future__ import annotations

import asyncio
import base64
import logging
import random
from dataclasses import dataclass
from typing import Any

import orjson
from botocore.exceptions import ClientError, HTTPClientError

from lookbook.errors import PermanentError
from lookbook.vqa.questions import QUESTIONS

log = logging.getLogger(__name__)

# What InvokeEndpoint takes as a body.
MAX_BODY_BYTES = 6 * 2**20
_ATTEMPTS = 5
_FIRST_WAIT_S = 0.5
_PASSING = {
    "InternalDependencyException",
    "InternalFailure",
    "ModelNotReadyException",
    "ServiceUnavailable",
    "ThrottlingException",
    "TooManyRequestsException",
}
_PASSING_STATUS = {408, 429}


class RefusedError(Exception):
    """The endpoint refuses this request and always will; the text is its reason."""


class UnansweredError(Exception):
    """The endpoint gave no answer, each time for a reason that may pass; the text is the last."""


@dataclass(frozen=True)
class Answer:
    """What the model says of one attribute; ``value`` is ``None`` when its answer was in no known form."""

    attribute: str
    question: str
    value: str | None
    probability: float


@dataclass(frozen=True)
class Answers:
    """The answers about one picture and the version of the model that gave them."""

    model_version: str
    answers: tuple[Answer, ...]


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
    """Read the endpoint's response to a request about ``attributes``, one answer each, in that order.

    Raises:
        PermanentError: the response has another form: the endpoint serves something else.
    """
    try:
        response = orjson.loads(body)
        given = response["answers"]
        answers = tuple(_answer(*pair) for pair in zip(attributes, given, strict=True))
        return Answers(response["model_version"], answers)
    except (orjson.JSONDecodeError, KeyError, TypeError, ValueError) as error:
        raise PermanentError(
            f"The endpoint answered {body[:200]!r}, expected {{'answers': [one for each of {len(attributes)} "
            "questions], 'model_version': …}. Is another image deployed there?"
        ) from error


async def ask(runtime: Any, endpoint: str, picture: bytes, attributes: tuple[str, ...]) -> Answers:
    """Ask the endpoint about a picture, again with growing waits while the reason for failing can pass.

    Args:
        runtime: an open aiobotocore client of ``sagemaker-runtime`` that does not retry by itself.
        endpoint: the endpoint's name.
        picture: the picture file.
        attributes: which attributes to ask about, at least one.

    Raises:
        RefusedError: this request never gets an answer (the container's 4xx, a picture too large).
        UnansweredError: no attempt got an answer.
        PermanentError: the endpoint is not there, or answers in another form.
    """
    body = request_body(picture, attributes)
    for attempt in range(_ATTEMPTS):
        try:
            response = await runtime.invoke_endpoint(
                EndpointName=endpoint, ContentType="application/json", Accept="application/json", Body=body
            )
            return read_answers(await response["Body"].read(), attributes)
        except (ClientError, HTTPClientError) as error:
            reason = passing_reason(error)
        log.debug("Attempt %d of %d: %s", attempt + 1, _ATTEMPTS, reason)
        await asyncio.sleep(_FIRST_WAIT_S * 2**attempt * random.uniform(0.5, 1.5))  # noqa: S311 - spreads, hides nothing
    raise UnansweredError(reason)


def passing_reason(error: ClientError | HTTPClientError) -> str:
    """Return why the endpoint did not answer, if that can pass.

    Raises:
        RefusedError: the container refuses this request.
        PermanentError: the call itself is wrong, such as an endpoint that is not there.
    """
    if isinstance(error, HTTPClientError):
        return str(error)
    code, message = error.response["Error"]["Code"], error.response["Error"]["Message"]
    if code == "ModelError":
        return _container_reason(error.response, message)
    if code not in _PASSING:
        raise PermanentError(f"The endpoint cannot be asked: {code}: {message}") from error
    return f"{code}: {message}"


def _container_reason(response: dict[str, Any], message: str) -> str:
    status = response.get("OriginalStatusCode", 500)
    if 400 <= status < 500 and status not in _PASSING_STATUS:
        raise RefusedError(response.get("OriginalMessage") or message)
    return message


def _answer(attribute: str, given: dict[str, Any]) -> Answer:
    # An answer about another attribute than the question's says nothing about it.
    value = given["value"] if given["attribute"] == attribute else None
    return Answer(attribute, QUESTIONS[attribute], value, float(given["probability"]))
