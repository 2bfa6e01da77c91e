"""How much the endpoint takes on: requests in hand, bytes of their bodies, time. What is more is refused at once."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Self

import anyio
from starlette.requests import Request

from lookbook_image.errors import JobError
from lookbook_image.requests import MAX_BODY_BYTES, MAX_QUESTION_CHARACTERS, MAX_QUESTIONS, RefusedError

MAX_PADDED_CHARACTERS = MAX_QUESTIONS * MAX_QUESTION_CHARACTERS
"""Of a batch, each question counted as long as the longest: no batch is larger than one request may be."""


@dataclass(frozen=True)
class Limits:
    """What one serving process takes on; LOOKBOOK_MAX_… in the model's environment."""

    batch_questions: int = 128
    """Answered in one generate; a request with more of them is a batch of its own. 1: no request shares a batch."""
    requests: int = 128
    """In hand, from the first byte to the answer."""
    body_megabytes: int = 256
    """Of all bodies in memory together (MiB)."""
    seconds: float = 30
    """From a request's first byte to its answer; hosting gives up after 60."""

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Self:
        """Read LOOKBOOK_MAX_BATCH_QUESTIONS, …_REQUESTS, …_BODY_MEGABYTES and …_SECONDS.

        Raises:
            JobError: one of them isn't a whole number of at least 1.
        """
        names = {f"LOOKBOOK_MAX_{name.upper()}": name for name in cls.__dataclass_fields__}
        return cls(**{names[key]: _positive(key, environment[key]) for key in names if key in environment})


def _positive(name: str, text: str) -> int:
    if not text.isascii() or not text.isdigit() or int(text) < 1:
        raise JobError(f"{name}={text!r}: expected a whole number of at least 1.")
    return int(text)


class Intake:
    """Counts what is in hand. Used by the event loop's thread alone."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self.requests = 0
        self._bytes = 0

    @contextmanager
    def place(self) -> Iterator[None]:
        """Hold the place of one request.

        Raises:
            RefusedError: 429, there is none left.
        """
        if self.requests >= self._limits.requests:
            raise RefusedError(429, f"{self.requests} requests are in hand, as many as fit; try again", passing=True)
        self.requests += 1
        try:
            yield
        finally:
            self.requests -= 1

    @asynccontextmanager
    async def body(self, request: Request, deadline: float) -> AsyncIterator[bytearray]:
        """Read a request's body, which counts as in memory within the context.

        Raises:
            RefusedError: 413 for more than MAX_BODY_BYTES, by the header if it tells; 429 if memory is taken; 408 if
                it isn't there by ``deadline`` (of ``anyio.current_time``).
        """
        if int(request.headers.get("content-length", 0)) > MAX_BODY_BYTES:
            raise _too_large()
        body = bytearray()
        try:
            with until(deadline, RefusedError(408, f"the body did not come within {self._limits.seconds} s")):
                async for chunk in request.stream():
                    self._bytes += len(chunk)
                    body += chunk
                    self._check(len(body))
            yield body
        finally:
            self._bytes -= len(body)

    def _check(self, size: int) -> None:
        if size > MAX_BODY_BYTES:
            raise _too_large()
        if self._bytes > self._limits.body_megabytes * 2**20:
            raise RefusedError(429, "the bodies in hand take all memory there is for them; try again", passing=True)


def _too_large() -> RefusedError:
    return RefusedError(413, f"the body has more than {MAX_BODY_BYTES} bytes")


@contextmanager
def until(deadline: float, error: RefusedError) -> Iterator[None]:
    """Raise ``error`` if what is awaited inside isn't done by ``deadline`` (of ``anyio.current_time``)."""
    try:
        with anyio.fail_after(deadline - anyio.current_time()):
            yield
    except TimeoutError:
        raise error from None
