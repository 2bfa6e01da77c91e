"""Entry point ``serve``: ``GET /ping`` and ``POST /invocations``, as SageMaker hosting asks.

The model of ``model/merged`` is loaded before the port is opened. One worker thread does all decoding and generating,
so a ping is answered while it works. SIGTERM lets the requests in hand finish.
"""

from __future__ import annotations

import os
from dataclasses import asdict
from typing import Any

import anyio.to_thread
import uvicorn
from anyio import CapacityLimiter
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from lookbook_image import families, requests
from lookbook_image.answering import Answer, answer
from lookbook_image.container import Container
from lookbook_image.families.base import Family
from lookbook_image.requests import MAX_BODY_BYTES, BadRequestError

VERSION_HEADER = "X-Lookbook-Model-Version"
DRAIN_SECONDS = 60
"""How long requests in hand may take after SIGTERM; hosting kills later than that."""


def run(container: Container) -> None:
    """Load the model and serve it until SIGTERM; host, port and model version come from the environment.

    Raises:
        JobError: there is no model that can be loaded.
    """
    family = families.load(container.model / "merged")
    version = os.environ.get("LOOKBOOK_MODEL_VERSION", "unversioned")
    config = uvicorn.Config(
        Service(family, version).app(),
        host=os.environ.get("SAGEMAKER_BIND_HOST", "0.0.0.0"),  # noqa: S104 - a container's port is its platform's to guard
        port=int(os.environ.get("SAGEMAKER_BIND_TO_PORT", "8080")),
        headers=[(VERSION_HEADER, version)],
        timeout_graceful_shutdown=DRAIN_SECONDS,
        access_log=False,
    )
    uvicorn.Server(config).run()


class Service:
    """The HTTP side of one loaded model."""

    def __init__(self, family: Family, version: str) -> None:
        self._family = family
        self._version = version
        self._one_at_a_time = CapacityLimiter(1)

    def app(self) -> Starlette:
        """Return the ASGI application."""
        routes = [Route("/ping", self._ping), Route("/invocations", self._invocations, methods=["POST"])]
        return Starlette(routes=routes, exception_handlers={BadRequestError: _refuse, 500: _fail})

    async def _ping(self, request: Request) -> Response:
        return Response(status_code=200)

    async def _invocations(self, request: Request) -> Response:
        media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if media_type != "application/json":
            raise BadRequestError(415, f"content type {media_type or 'missing'}; send application/json")
        body = await _body(request)
        return JSONResponse(await anyio.to_thread.run_sync(self._respond, body, limiter=self._one_at_a_time))

    def _respond(self, body: bytes) -> dict[str, Any]:
        asked = requests.parse(body, at_least=self._family.picture_size)
        given = answer(self._family, asked.picture, asked.questions)
        return _single(given[0]) if asked.single else self._all(given)

    def _all(self, given: list[Answer]) -> dict[str, Any]:
        return {"answers": [asdict(one) for one in given], "model_version": self._version}


def _single(given: Answer) -> dict[str, Any]:
    """Return ``{attribute: value}``; an answer in another form is passed on as it is, under ``text``."""
    return {"text": given.text} if given.attribute is None else {given.attribute: given.value}


async def _body(request: Request) -> bytes:
    """Read the body, at most MAX_BODY_BYTES of it."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_BODY_BYTES:
            raise BadRequestError(413, f"the body has more than {MAX_BODY_BYTES} bytes")
    return bytes(body)


async def _refuse(request: Request, error: Exception) -> Response:
    status = error.status if isinstance(error, BadRequestError) else 500
    return JSONResponse({"error": str(error)}, status_code=status)


async def _fail(request: Request, error: Exception) -> Response:
    """Answer an unforeseen error; Starlette raises it again afterwards, so the log has its traceback."""
    return JSONResponse({"error": f"{type(error).__name__}; the endpoint's log has the traceback"}, status_code=500)
