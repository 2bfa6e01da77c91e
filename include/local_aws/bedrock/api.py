"""Converse and InvokeModel: requests checked, carried out and counted, answered in each API's form."""

from __future__ import annotations

import json
import time
import uuid
from typing import Any, Protocol
from urllib.parse import unquote

from starlette.requests import Request
from starlette.responses import Response

from local_aws import shapes
from local_aws.bedrock import anthropic, converse
from local_aws.bedrock.caching import PromptCache
from local_aws.bedrock.calls import Calls
from local_aws.bedrock.conversation import Answer, Conversation
from local_aws.bedrock.counts import ANSWERED, FAILED, THROTTLED, Counts, Outcome
from local_aws.bedrock.guardrails import Guardrails
from local_aws.bedrock.models import Models
from local_aws.bedrock.places import Place
from local_aws.bedrock.remote import RemoteWriter
from local_aws.bedrock.writer import LocalWriter
from local_aws.errors import AwsError, unknown_operation
from local_aws.settings import Settings


class Form(Protocol):
    """How an API writes conversations and answers."""

    def read(self, model: str, body: Any) -> Conversation:
        """Return the conversation of a request's body."""

    def write(self, answer: Answer, model: str, milliseconds: int) -> dict[str, Any]:
        """Return the body of the response."""

    def headers(self, answer: Answer, milliseconds: int) -> dict[str, str]:
        """Return what the API tells beside the body."""


_FORMS: dict[str, Form] = {"converse": converse, "invoke": anthropic}


class Bedrock:
    """Bedrock Runtime."""

    def __init__(self, settings: Settings) -> None:
        self._allowed = settings.bedrock_models
        url, model = settings.llm_url, settings.llm_model
        writer = RemoteWriter(url, model) if url else LocalWriter()
        self._models = Models(writer, PromptCache(), Guardrails(settings.bedrock_guardrails))
        self._calls = Calls(self._models, settings)
        self.counts = Counts()

    async def handle(self, request: Request, region: str) -> Response:
        """Answer a request of Bedrock Runtime; anything else that is signed for Bedrock is unknown."""
        identity = {"x-amzn-RequestId": str(uuid.uuid4())}
        try:
            response = await self._dispatch(request, region)
        except AwsError as error:
            headers = {**identity, "x-amzn-ErrorType": error.code}
            return Response(json.dumps({"message": error.message}), error.status, headers, "application/json")
        response.headers.update(identity)
        return response

    async def _dispatch(self, request: Request, region: str) -> Response:
        # A model id may be an ARN, whose slashes are escaped: only the raw path tells them from the others.
        parts = request.scope["raw_path"].decode().split("?")[0].split("/")
        if request.method != "POST" or len(parts) != 4 or parts[1] != "model":
            raise unknown_operation(f"Bedrock {request.method} {request.url.path}")
        place, form = Place(unquote(parts[2]), region), _FORMS.get(parts[3])
        if form is None:
            raise unknown_operation(f"Bedrock Runtime {parts[3]}")
        return await self._counted(place, form, request)

    async def _counted(self, place: Place, form: Form, request: Request) -> Response:
        count, outcome, answer = self.counts.of(str(place)), FAILED, None
        count.begin()
        try:
            response, outcome, answer = await self._carry_out(place, form, request)
        except AwsError as error:
            outcome = THROTTLED if error.code == "ThrottlingException" else FAILED
            raise
        finally:
            count.end(outcome, answer)
        return response

    async def _carry_out(self, place: Place, form: Form, request: Request) -> tuple[Response, Outcome, Answer]:
        body = shapes.parse_json(await request.body())
        if self._allowed and place.model not in self._allowed:
            message = "You don't have access to the model with the specified model ID."
            raise AwsError("AccessDeniedException", message, status=403)
        conversation, started = form.read(place.model, body), time.perf_counter()
        faults = self._calls.faults(place)
        fault = faults.draw()
        answer = await self._calls.ask(place, conversation, fault, request)
        milliseconds = max(1, round((time.perf_counter() - started) * 1000))
        document = form.write(answer, place.model, milliseconds)
        text = json.dumps(document).encode()
        # What wrote the text is told beside it, never in it.
        headers = {"X-Local-AWS-Writer": answer.writer, **form.headers(answer, milliseconds)}
        if fault == "malformed":
            return Response(faults.spoilt(text, document), 200, headers, "application/json"), FAILED, answer
        return Response(text, 200, headers, "application/json"), ANSWERED, answer
