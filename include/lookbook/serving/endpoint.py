"""The endpoint as many askers see it: a bounded number at a time, fewer when it is full, patient while it restarts."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import random
import time
from dataclasses import dataclass
from typing import Any

from aiohttp import ClientPayloadError

from lookbook.serving.invocation import (
    CALL_ERRORS,
    Answers,
    CallError,
    RefusedError,
    Trouble,
    UnansweredError,
    read_answers,
    request_body,
    trouble,
)

log = logging.getLogger(__name__)

_FIRST_WAIT_S = 0.5
_LONGEST_WAIT_S = 20.0
_SHORTEST_ATTEMPT_S = 1.0
# A container that answers, and fails at the same picture so often, will again.
_FAULTS_OF_A_PICTURE = 5
# A picture without an answer so often, while others had theirs in between, may be what the container dies of. An
# endpoint that loses one of two instances gives an answer to all but one picture in a thousand before.
_TIMES_PASSED_OVER = 10


class SilentEndpointError(UnansweredError):
    """The endpoint answered nobody, not only this picture's asker, for as long as one waits for it."""


@dataclass(frozen=True)
class Answered:
    """The answers about a picture, how long the attempt that brought them took, and which one it was."""

    answers: Answers
    latency_ms: int
    attempts: int


class Endpoint:
    """Asks one endpoint, on behalf of many at once.

    Three kinds of failure are told apart. A refusal is final. A container that answers with a fault of its own is asked
    about that picture a few times more. One that is full, restarting or away is waited for: nothing is given up before
    ``patience_s`` has passed, which is longer than a container takes to start.
    """

    def __init__(self, runtime: Any, name: str, *, width: int, patience_s: float) -> None:
        """Ask with ``runtime``, an open aiobotocore client of ``sagemaker-runtime`` that does not retry by itself."""
        self._runtime, self._name, self._patience_s = runtime, name, patience_s
        self._pace = Pace(width)
        self._heard_at = time.monotonic()

    async def ask(self, picture: bytes, attributes: tuple[str, ...]) -> Answered:
        """Ask about a picture, again with growing waits while the reason for failing can pass.

        The request's inference id is the picture's SHA-256, so that captured data can be followed to its product.

        Raises:
            RefusedError: this request never gets an answer (the container's 4xx, a picture too large).
            UnansweredError: there was no answer about this picture, while others had theirs.
            SilentEndpointError: nobody had an answer meanwhile.
            PermanentError: the endpoint is not there, or answers in another form.
        """
        request = {"Body": request_body(picture, attributes), "InferenceId": hashlib.sha256(picture).hexdigest()}
        began = failed_at = time.monotonic()
        faults = passed_over = attempts = 0
        while True:
            attempts += 1
            try:
                return await self._attempt(request, attributes, attempts, began + self._patience_s)
            except (*CALL_ERRORS, ClientPayloadError, TimeoutError) as error:
                met = self._met(error)
            faults += met.of_picture
            passed_over += self._heard_at > failed_at and not met.full
            failed_at, wait = time.monotonic(), _wait(attempts, met)
            hopeless = faults >= _FAULTS_OF_A_PICTURE or passed_over >= _TIMES_PASSED_OVER
            if hopeless or failed_at + wait > began + self._patience_s:
                raise self._giving_up(f"{met.reason} (after {attempts} attempts)", began)
            log.debug("Attempt %d: %s; again in %.1f s", attempts, met.reason, wait)
            await asyncio.sleep(wait)

    async def _attempt(
        self, request: dict[str, Any], attributes: tuple[str, ...], number: int, deadline: float
    ) -> Answered:
        async with self._pace:
            began = time.monotonic()
            content = await self._invoke(request, max(_SHORTEST_ATTEMPT_S, deadline - began))
        self._heard_at = time.monotonic()
        self._pace.faster()
        return Answered(read_answers(content, attributes), round((self._heard_at - began) * 1000), number)

    async def _invoke(self, request: dict[str, Any], within_s: float) -> bytes:
        async with asyncio.timeout(within_s):
            response = await self._runtime.invoke_endpoint(
                EndpointName=self._name, ContentType="application/json", Accept="application/json", **request
            )
            content: bytes = await response["Body"].read()
        return content

    def _met(self, error: CallError | ClientPayloadError | TimeoutError) -> Trouble:
        if isinstance(error, TimeoutError | ClientPayloadError):
            return Trouble(str(error) or f"no answer within {self._patience_s:g} s")
        try:
            met = trouble(error)
        except RefusedError:
            self._heard_at = time.monotonic()
            raise
        if met.of_picture:
            self._heard_at = time.monotonic()
        if met.full:
            self._pace.slower()
        return met

    def _giving_up(self, reason: str, began: float) -> UnansweredError:
        return UnansweredError(reason) if self._heard_at > began else SilentEndpointError(reason)


class Pace:
    """How many requests may be in flight: one fewer for each that was one too many, one more for each full round."""

    def __init__(self, most: int) -> None:
        self._most, self._allowed = most, float(most)
        self._in_flight = 0
        self._changed = asyncio.Condition()

    @property
    def allowed(self) -> int:
        """How many may be in flight now, at least one."""
        return int(self._allowed)

    async def __aenter__(self) -> None:
        async with self._changed:
            await self._changed.wait_for(lambda: self._in_flight < self.allowed)
            self._in_flight += 1

    async def __aexit__(self, *_: object) -> None:
        async with self._changed:
            self._in_flight -= 1
            self._changed.notify_all()

    def slower(self) -> None:
        """Let one fewer be in flight."""
        self._allowed = max(1.0, self._allowed - 1)

    def faster(self) -> None:
        """Count an answer: as many of them as may be in flight make room for one more."""
        self._allowed = min(float(self._most), self._allowed + 1 / self._allowed)


def _wait(attempts: int, met: Trouble) -> float:
    """Return the seconds until the next attempt: what the endpoint asks for, else growing ones, spread apart."""
    grown: float = _FIRST_WAIT_S * 2 ** min(attempts - 1, 16)
    wait = max(grown, met.retry_after_s or 0.0)
    return min(wait, _LONGEST_WAIT_S) * random.uniform(1.0, 1.5)  # noqa: S311 - spreads, hides nothing
