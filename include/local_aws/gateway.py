"""The one address: which request is whose."""

from __future__ import annotations

import asyncio
import json
import re
import uuid
from collections.abc import Mapping

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from local_aws.bedrock.api import Bedrock
from local_aws.errors import unknown_operation
from local_aws.images import Image
from local_aws.objects import Objects, client
from local_aws.sagemaker.api import TARGET, SageMaker
from local_aws.sagemaker.asynchronous import AsyncInvocations
from local_aws.sagemaker.calling import Caller
from local_aws.sagemaker.runtime import Runtime
from local_aws.settings import REGION, Settings
from local_aws.small_services import SERVICES, Receive, Scope, Send, SmallServices
from local_aws.state import Store

HEALTH = "/_local/health"
BEDROCK_COUNTS = "/_local-aws/bedrock"
_SIGNED_FOR = re.compile(r"Credential=[^/,]+/\d{8}/([^/,]+)/([^/,]+)/aws4_request")
_MODEL_PATH = re.compile(r"^/model/.+/(converse|invoke)$")


class Gateway:
    """The ASGI application: SageMaker and Bedrock are ours, the rest is ministack's."""

    def __init__(self, settings: Settings, images: Mapping[str, Image]) -> None:
        self._settings = settings
        self._store = Store(settings.state / "state.sqlite")
        self._small = SmallServices(settings.state)
        objects, logs = Objects(client("s3", settings.url)), client("logs", settings.url)
        cloudwatch = client("cloudwatch", settings.url)
        self.sagemaker = SageMaker(self._store, objects, logs, cloudwatch, images, settings)
        hosting, metrics = self.sagemaker.hosting, self._small.cloudwatch
        self._caller = Caller(self.sagemaker.capture, metrics, settings.invocation_timeout)
        self._asynchronous = AsyncInvocations(self._store, objects, hosting, self._caller, metrics)
        self._runtime = Runtime(hosting, self._caller, self._asynchronous)
        self._bedrock = Bedrock(self._store, objects, metrics, settings)

    def start(self) -> None:
        """Take up what an earlier gateway left; needs the gateway's address to answer, and the event loop to run."""
        self.sagemaker.start()
        self._bedrock.start()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] == "lifespan":
            await self._lifespan(receive, send)
        elif scope["type"] == "http" and (response := await self._own(Request(scope, receive))):
            await response(scope, receive, send)
        else:
            await self._small(scope, receive, send)

    async def _own(self, request: Request) -> Response | None:
        """Answer what is ours, and refuse what is nobody's; None is ministack's."""
        path, (region, service) = request.scope["path"], _signed_for(request)
        if path == HEALTH:
            return JSONResponse({"status": "ok", "url": self._settings.url, "state": str(self._settings.state)})
        if path == BEDROCK_COUNTS and request.method == "GET":
            return JSONResponse(self._bedrock.counts.document())
        if request.headers.get("x-amz-target", "").startswith(TARGET):
            return await self.sagemaker.handle(request)
        if service == "sagemaker":
            return await self._runtime.handle(request)
        if service == "bedrock" or (not service and request.method == "POST" and _MODEL_PATH.match(path)):
            return await self._bedrock.handle(request, region)
        if service and service not in SERVICES:
            return _refusal(request, service)
        return None

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        await receive()
        await self._small.start()
        answering = asyncio.create_task(self._asynchronous.run())
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await self._bedrock.close()
        answering.cancel()
        await asyncio.gather(answering, return_exceptions=True)
        await self._caller.close()
        await self._small.close()
        self._store.close()
        await send({"type": "lifespan.shutdown.complete"})


def _signed_for(request: Request) -> tuple[str, str]:
    """Return the region and the service a request is signed for, in its header or, presigned, in its query."""
    signature = request.headers.get("authorization")
    if not signature:
        signature = f"Credential={request.query_params.get('X-Amz-Credential', '')}"
    found = _SIGNED_FOR.search(signature)
    return (found.group(1), found.group(2)) if found else (REGION, "")


def _refusal(request: Request, service: str) -> Response:
    """Refuse a service that isn't here, in the form its clients read: the query protocol's is XML."""
    error, identity = unknown_operation(f"the service {service!r}"), str(uuid.uuid4())
    headers = {"x-amzn-RequestId": identity, "x-amzn-ErrorType": error.code}
    if request.headers.get("content-type", "").startswith("application/x-www-form-urlencoded"):
        told = f"<Error><Type>Sender</Type><Code>{error.code}</Code><Message>{error.message}</Message></Error>"
        xml = f"<ErrorResponse>{told}<RequestId>{identity}</RequestId></ErrorResponse>"
        return Response(xml, error.status, headers, "text/xml")
    body = json.dumps({"__type": error.code, "message": error.message})
    return Response(body, error.status, headers, "application/json")
