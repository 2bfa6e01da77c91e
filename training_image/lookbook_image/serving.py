"""Entry point ``serve``: what SageMaker hosting and batch transform ask of a container, and ``GET /metrics``.

The model of ``model/merged`` is loaded, and has answered, before the port is opened. Requests go through three stages:
the event loop reads bodies and refuses what is too much (``intake``), a few threads check and decode (``requests``),
and one thread has the model (``batching``, ``answering``). SIGTERM closes the port; requests in hand are finished.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict
from typing import Any

import anyio
import anyio.to_thread
import uvicorn
from anyio import CapacityLimiter
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from lookbook_image import answering, loading, monitoring
from lookbook_image.abstaining import Thresholds
from lookbook_image.answering import Answer, Asked
from lookbook_image.batching import Batcher
from lookbook_image.container import Container
from lookbook_image.families.base import Family
from lookbook_image.intake import MAX_PADDED_CHARACTERS, Intake, Limits, until
from lookbook_image.monitoring import Monitor
from lookbook_image.requests import Reader, RefusedError

VERSION_HEADER = "X-Lookbook-Model-Version"
DRAIN_SECONDS = 60
"""How long requests in hand may take after SIGTERM; hosting kills later than that."""
DECODERS = 2
"""Threads that decode pictures. Each may hold one of ``pictures.MAX_PIXELS`` in memory, so it isn't one a request."""
BROKEN_AFTER = 3
"""Requests that the model failed at in a row, after which pings fail: hosting then replaces the container."""

TRANSFORM = {"MaxConcurrentTransforms": 16, "BatchStrategy": "SINGLE_RECORD", "MaxPayloadInMB": 6}
"""How a batch transform that doesn't say so itself should ask: enough at a time for batches. The product of the two
numbers may be 100 at most."""
GONE = 499
"""nginx's status for a caller that hung up before it had sent everything; only ``/metrics`` ever shows it."""


def run(container: Container) -> None:
    """Load the model and serve it until SIGTERM; docs/training-image.md lists what the environment says.

    Raises:
        JobError: there is no model that can be loaded and answers, or a setting is wrong.
    """
    thresholds, limits = Thresholds.from_environment(os.environ), Limits.from_environment(os.environ)
    questions = loading.own_questions(container.model)
    version = os.environ.get("LOOKBOOK_MODEL_VERSION", "unversioned")
    service = Service(loading.load(container.model), version, questions, thresholds, limits)
    config = uvicorn.Config(
        service.app(),
        host=os.environ.get("SAGEMAKER_BIND_HOST", "0.0.0.0"),  # noqa: S104 - a container's port is its platform's to guard
        port=int(os.environ.get("SAGEMAKER_BIND_TO_PORT", "8080")),
        headers=[(VERSION_HEADER, version)],
        timeout_graceful_shutdown=DRAIN_SECONDS,
        access_log=False,
    )
    uvicorn.Server(config).run()


class Service:
    """The HTTP side of one loaded model."""

    def __init__(
        self,
        family: Family,
        version: str,
        own_questions: tuple[str, ...] = (),
        thresholds: Thresholds | None = None,
        limits: Limits | None = None,
    ) -> None:
        """Start the model's thread.

        Args:
            family: the loaded model.
            version: what answers name as the model's version.
            own_questions: what a picture without questions is asked.
            thresholds: from which probability on values are told; all are by default.
            limits: how much is taken on.
        """
        self._family = family
        self._version = version
        self._thresholds = thresholds or Thresholds()
        self._limits = limits or Limits()
        self._reader = Reader(family.picture_size, own_questions, family.reserved)
        self._intake = Intake(self._limits)
        self._decoders = CapacityLimiter(DECODERS)
        self._model = Batcher(self._work, self._fits)
        self._monitor = Monitor(in_hand=lambda: self._intake.requests, queued=lambda: self.queued)

    @property
    def queued(self) -> int:
        """How many requests wait for the model to be done with a batch."""
        return len(self._model)

    def app(self) -> Starlette:
        """Return the ASGI application; its shutdown ends the model's thread."""
        routes = [
            Route("/ping", self._ping),
            Route("/metrics", self._metrics),
            Route("/execution-parameters", self._execution_parameters),
            Route("/invocations", self._invocations, methods=["POST"]),
        ]
        return Starlette(routes=routes, exception_handlers={500: _fail}, lifespan=self._lifespan)

    @asynccontextmanager
    async def _lifespan(self, app: Starlette) -> AsyncIterator[None]:
        yield
        await asyncio.to_thread(self.close)

    def close(self) -> None:
        """End the model's thread once everything that waits for it is done."""
        self._model.close()

    async def _ping(self, request: Request) -> Response:
        broken = self._model.failures >= BROKEN_AFTER
        return Response(status_code=503 if broken else 200)

    async def _metrics(self, request: Request) -> Response:
        return Response(self._monitor.text(), media_type=monitoring.CONTENT_TYPE)

    async def _execution_parameters(self, request: Request) -> Response:
        return JSONResponse(TRANSFORM)

    async def _invocations(self, request: Request) -> Response:
        with self._monitor.request() as outcome:
            try:
                response: Response = JSONResponse(await self._respond(request))
            except RefusedError as error:
                response = _refuse(error)
            except ClientDisconnect:
                response = Response(status_code=GONE)
            outcome.status = response.status_code
            return response

    async def _respond(self, request: Request) -> dict[str, Any]:
        deadline = anyio.current_time() + self._limits.seconds
        with self._intake.place():
            asked, single = await self._take(request, deadline)
            with until(deadline, self._late()):
                given = await asyncio.wrap_future(self._model.submit(asked))
        told = [self._thresholds.apply(answer) for answer in given]
        self._monitor.answered(given, [answer for answer in given if self._thresholds.abstains(answer)])
        return _single(told[0]) if single else self._all(told)

    async def _take(self, request: Request, deadline: float) -> tuple[Asked, bool]:
        """Read, check and decode a request; after this its body is gone from memory, and its picture is small."""
        media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        self._reader.check(media_type)
        async with self._intake.body(request, deadline) as body:
            with until(deadline, self._late()):
                return await anyio.to_thread.run_sync(self._prepare, media_type, body, limiter=self._decoders)

    def _late(self) -> RefusedError:
        return RefusedError(503, f"not answered within {self._limits.seconds} s; try again", passing=True)

    def _prepare(self, media_type: str, body: bytearray) -> tuple[Asked, bool]:
        question = self._reader.read(media_type, body)
        return Asked(self._family.pixels([question.picture]), question.questions), question.single

    def _fits(self, batch: Sequence[Asked]) -> bool:
        questions = [question for asked in batch for question in asked.questions]
        padded = len(questions) * max(map(len, questions))
        return len(questions) <= self._limits.batch_questions and padded <= MAX_PADDED_CHARACTERS

    def _work(self, batch: Sequence[Asked]) -> list[list[Answer]]:
        with self._monitor.batch(len(batch), sum(len(asked.questions) for asked in batch)):
            return answering.answer(self._family, batch)

    def _all(self, given: list[Answer]) -> dict[str, Any]:
        return {"answers": [asdict(one) for one in given], "model_version": self._version}


def _single(given: Answer) -> dict[str, Any]:
    """Return ``{attribute: value}``; an answer in another form is passed on as it is, under ``text``."""
    return {"text": given.text} if given.attribute is None else {given.attribute: given.value}


def _refuse(error: RefusedError) -> Response:
    headers = {"Retry-After": "1"} if error.passing else None
    return JSONResponse({"error": str(error)}, error.status, headers)


async def _fail(request: Request, error: Exception) -> Response:
    """Answer an unforeseen error; Starlette raises it again afterwards, so the log has its traceback."""
    return JSONResponse({"error": f"{type(error).__name__}; the endpoint's log has the traceback"}, status_code=500)
