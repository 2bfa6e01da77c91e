"""Converse, InvokeModel and batch jobs: requests checked, carried out and counted, answered in each API's form."""

from __future__ import annotations

import asyncio
import time
import uuid
from functools import lru_cache
from urllib.parse import unquote

import orjson
from starlette.requests import Request
from starlette.responses import Response

from local_aws import shapes
from local_aws.bedrock.batch import Batches
from local_aws.bedrock.batch_jobs import BatchJobs
from local_aws.bedrock.caching import PromptCache
from local_aws.bedrock.calls import Calls
from local_aws.bedrock.control import ControlPlane
from local_aws.bedrock.conversation import Answer
from local_aws.bedrock.counts import Counts
from local_aws.bedrock.forms import FORMS, Form
from local_aws.bedrock.guardrails import Guardrails
from local_aws.bedrock.metering import Meter
from local_aws.bedrock.models import Models
from local_aws.bedrock.places import Place, check_access
from local_aws.bedrock.remote import RemoteWriter
from local_aws.bedrock.writer import LocalWriter
from local_aws.cloudwatch import CloudWatch
from local_aws.errors import AwsError, unknown_operation
from local_aws.objects import Objects
from local_aws.settings import Settings
from local_aws.state import Store

_FORMS = {"converse": FORMS["Converse"], "invoke": FORMS["InvokeModel"]}
_REMEMBERED = 256


class Bedrock:
    """Bedrock Runtime, and the batch jobs of Bedrock."""

    def __init__(self, store: Store, objects: Objects, cloudwatch: CloudWatch, settings: Settings) -> None:
        self._allowed = settings.bedrock_models
        url, model = settings.llm_url, settings.llm_model
        writer = RemoteWriter(url, model) if url else LocalWriter()
        models = Models(writer, PromptCache(), Guardrails(settings.bedrock_guardrails))
        self._calls = Calls(models, settings)
        self._batches = Batches(store, objects, models, settings)
        self._control = ControlPlane(BatchJobs(store, self._batches, settings))
        self.counts = Counts()
        self._meter = Meter(self.counts, cloudwatch)
        self._metering: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Take up the batch jobs of an earlier gateway, and begin to tell CloudWatch."""
        self._metering = asyncio.create_task(self._meter.run())
        self._batches.start()

    async def close(self) -> None:
        """Leave batch jobs to the next gateway, and tell CloudWatch the last."""
        await self._batches.close()
        if self._metering:
            self._metering.cancel()
            await asyncio.gather(self._metering, return_exceptions=True)

    async def handle(self, request: Request, region: str) -> Response:
        """Answer a request; anything else that is signed for Bedrock is unknown."""
        identity = {"x-amzn-RequestId": str(uuid.uuid4())}
        try:
            response = await self._dispatch(request, region)
        except AwsError as error:
            headers = {**identity, "x-amzn-ErrorType": error.code}
            if wait := error.members.get("retry_after"):
                headers["Retry-After"] = wait
            return Response(orjson.dumps({"message": error.message}), error.status, headers, "application/json")
        response.headers.update(identity)
        return response

    async def _dispatch(self, request: Request, region: str) -> Response:
        if not request.scope["path"].startswith("/model/"):
            if response := await self._control.handle(request, region):
                return response
            raise unknown_operation(f"Bedrock {request.method} {request.scope['path']}")
        place, form = _called(request.method, request.scope["raw_path"], region)
        return await self._counted(place, form, request)

    async def _counted(self, place: Place, form: Form, request: Request) -> Response:
        count, status, answer = self.counts.of(place), 500, None
        count.begin()
        try:
            response, status, answer = await self._carry_out(place, form, request)
        except AwsError as error:
            status = error.status
            raise
        finally:
            count.end(status, answer)
        return response

    async def _carry_out(self, place: Place, form: Form, request: Request) -> tuple[Response, int, Answer]:
        """Answer a call; return the response, as what status it counts, and what it took."""
        body = shapes.parse_json(await request.body())
        check_access(place, self._allowed)
        conversation, started = form.read(place.model, body), time.perf_counter()
        faults = self._calls.faults(place)
        fault = faults.draw()
        answer = await self._calls.ask(place, conversation, fault, request)
        milliseconds = max(1, round((time.perf_counter() - started) * 1000))
        self.counts.latencies[place, milliseconds] += 1
        document = form.write(answer, place.model, milliseconds)
        text = orjson.dumps(document)
        # What wrote the text is told beside it, never in it.
        headers = {"X-Local-AWS-Writer": answer.writer, **form.headers(answer, milliseconds)}
        if fault == "malformed":
            return Response(faults.spoilt(text, document), 200, headers, "application/json"), 500, answer
        return Response(text, 200, headers, "application/json"), 200, answer


@lru_cache(_REMEMBERED)
def _called(method: str, raw_path: bytes, region: str) -> tuple[Place, Form]:
    """Return which model is called, and in which form.

    Raises:
        AwsError: UnknownOperationException.
    """
    # A model id may be an ARN, whose slashes are escaped: only the raw path tells them from the others.
    parts = raw_path.decode().split("?")[0].split("/")
    if method != "POST" or len(parts) != 4 or parts[3] not in _FORMS:
        raise unknown_operation(f"Bedrock Runtime {method} {'/'.join(parts)}")
    return Place(unquote(parts[2]), region), _FORMS[parts[3]]
