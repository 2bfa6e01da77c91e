"""Converse and InvokeModel: requests checked, counted against the quotas, answered in each API's form."""

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
from local_aws.bedrock.conversation import Answer, Conversation
from local_aws.bedrock.quota import Quotas
from local_aws.bedrock.remote import RemoteWriter
from local_aws.bedrock.writer import LocalWriter
from local_aws.errors import AwsError, unknown_operation, validation
from local_aws.settings import Settings

_DEFAULT_MAX_TOKENS = 4096


class Writer(Protocol):
    """Whatever answers conversations."""

    async def write(self, conversation: Conversation) -> Answer:
        """Answer a conversation."""


class Bedrock:
    """Bedrock Runtime."""

    def __init__(self, settings: Settings) -> None:
        self._allowed = settings.bedrock_models
        self._quotas = Quotas(settings.bedrock_quotas)
        url, model = settings.llm_url, settings.llm_model
        self._writer: Writer = RemoteWriter(url, model) if url else LocalWriter()

    async def handle(self, request: Request) -> Response:
        """Answer a request of Bedrock Runtime; anything else that is signed for Bedrock is unknown."""
        identity = {"x-amzn-RequestId": str(uuid.uuid4())}
        try:
            response = await self._dispatch(request)
        except AwsError as error:
            headers = {**identity, "x-amzn-ErrorType": error.code}
            return Response(json.dumps({"message": error.message}), error.status, headers, "application/json")
        response.headers.update(identity)
        return response

    async def _dispatch(self, request: Request) -> Response:
        # A model id may be an ARN, whose slashes are escaped: only the raw path tells them from the others.
        parts = request.scope["raw_path"].decode().split("?")[0].split("/")
        if request.method != "POST" or len(parts) != 4 or parts[1] != "model":
            raise unknown_operation(f"Bedrock {request.method} {request.url.path}")
        model, operation, body = unquote(parts[2]), parts[3], shapes.parse_json(await request.body())
        if self._allowed and model not in self._allowed:
            message = "You don't have access to the model with the specified model ID."
            raise AwsError("AccessDeniedException", message, status=403)
        if operation == "converse":
            return await self._converse(model, body)
        if operation == "invoke":
            return await self._invoke(model, body)
        raise unknown_operation(f"Bedrock Runtime {operation}")

    async def _converse(self, model: str, body: Any) -> Response:
        shape = shapes.operation("bedrock-runtime", "Converse").input_shape
        if not isinstance(body, dict):
            raise validation("The request body must be a JSON object.")
        conversation = converse.read(model, shapes.read(shape, {**body, "modelId": model}), _DEFAULT_MAX_TOKENS)
        answer, milliseconds = await self._answer(conversation)
        return _response(converse.write(answer, milliseconds), answer)

    async def _invoke(self, model: str, body: Any) -> Response:
        conversation = anthropic.read(model, body)
        answer, milliseconds = await self._answer(conversation)
        response = _response(anthropic.write(answer, model), answer)
        response.headers["X-Amzn-Bedrock-Input-Token-Count"] = str(answer.input_tokens)
        response.headers["X-Amzn-Bedrock-Output-Token-Count"] = str(answer.output_tokens)
        response.headers["X-Amzn-Bedrock-Invocation-Latency"] = str(milliseconds)
        return response

    async def _answer(self, conversation: Conversation) -> tuple[Answer, int]:
        reserved = conversation.input_tokens() + conversation.max_tokens
        self._quotas.reserve(conversation.model, reserved)
        used, started = 0, time.perf_counter()
        try:
            answer = await self._writer.write(conversation)
            used = answer.input_tokens + answer.output_tokens
        finally:
            self._quotas.give_back(conversation.model, max(0, reserved - used))
        return answer, max(1, round((time.perf_counter() - started) * 1000))


def _response(body: dict[str, Any], answer: Answer) -> Response:
    # What wrote the text is told beside it, never in it.
    return Response(json.dumps(body), 200, {"X-Local-AWS-Writer": answer.writer}, "application/json")
