"""InvokeEndpoint and InvokeEndpointAsync: requests carried to a container that serves, and its answers carried back."""

from __future__ import annotations

import asyncio
import json
import logging
import uuid

import httpx
from starlette.requests import Request
from starlette.responses import Response

from local_aws.errors import AwsError, unknown_operation
from local_aws.sagemaker.asynchronous import AsyncInvocations
from local_aws.sagemaker.calling import Call, Caller, told
from local_aws.sagemaker.capture import Event, Payload, is_sampled
from local_aws.sagemaker.fleet import LOG_GROUP, Fleet
from local_aws.sagemaker.hosting import Hosting
from local_aws.sagemaker.replica import Replica
from local_aws.settings import ACCOUNT, REGION

logger = logging.getLogger(__name__)

_ATTRIBUTES = "x-amzn-sagemaker-custom-attributes"
_INFERENCE_ID = "x-amzn-sagemaker-inference-id"
_TO_CONTAINER = ("content-type", "accept", _ATTRIBUTES, _INFERENCE_ID, "x-amzn-sagemaker-session-id")
_LARGEST_BODY = 6 * 1024 * 1024
# Copies to shadow variants beyond so many are left out rather than kept.
_MOST_COPIES = 100


class Runtime:
    """The data plane: what SageMaker Runtime answers."""

    def __init__(self, hosting: Hosting, caller: Caller, asynchronous: AsyncInvocations) -> None:
        self._hosting, self._caller, self._asynchronous = hosting, caller, asynchronous
        self._copies: set[asyncio.Task[None]] = set()

    async def handle(self, request: Request) -> Response:
        """Answer a request of SageMaker Runtime."""
        identity = {"x-amzn-RequestId": str(uuid.uuid4())}
        try:
            response = await self._invoke(request)
        except AwsError as error:
            body = {"Message": error.message, **error.members}
            headers = {**identity, "x-amzn-ErrorType": error.code}
            return Response(json.dumps(body), error.status, headers, "application/json")
        response.headers.update(identity)
        return response

    async def _invoke(self, request: Request) -> Response:
        _, kind, endpoint, *rest = [*request.url.path.split("/"), "", ""][:5]
        answer = {"invocations": self._answer_now, "async-invocations": self._answer_later}.get(rest[0])
        if request.method != "POST" or kind != "endpoints" or answer is None:
            raise unknown_operation(f"SageMaker Runtime {request.method} {request.url.path}")
        body = await _body(request)
        route = self._hosting.route(endpoint)
        if route is None:
            raise AwsError("ValidationError", f"Endpoint {endpoint} of account {ACCOUNT} not found.")
        fleet = route.choose()
        if (rest[0] == "invocations") == bool(fleet.asynchronous):
            raise AwsError("ValidationError", f"Endpoint {endpoint} of account {ACCOUNT} does not take {rest[0]}.")
        return await answer(request, body, fleet)

    async def _answer_later(self, request: Request, body: bytes, fleet: Fleet) -> Response:
        accepted = self._asynchronous.accept(fleet, request.headers)
        headers = {"X-Amzn-SageMaker-OutputLocation": accepted["output"]}
        if accepted["failure"]:
            headers["X-Amzn-SageMaker-FailureLocation"] = accepted["failure"]
        return Response(json.dumps({"InferenceId": accepted["inference_id"]}), 202, headers, "application/json")

    async def _answer_now(self, request: Request, body: bytes, fleet: Fleet) -> Response:
        variant = request.headers.get("x-amzn-sagemaker-target-variant")
        replica = fleet.choose(variant)
        if replica is None:
            raise AwsError("ValidationError", f"Endpoint {fleet.endpoint} has no variant of the name asked for.")
        call = _call(request, body, variant, fleet)
        self._copy_to_shadow(fleet, call)
        return await self._pass_on(fleet, replica, call)

    async def _pass_on(self, fleet: Fleet, replica: Replica, call: Call) -> Response:
        try:
            return _answer(await self._caller.ask(fleet, replica, call), fleet, replica)
        except httpx.TimeoutException as error:
            logger.warning("Endpoint %s, variant %s: %r", fleet.endpoint, replica.name, error)
            message = "Your invocation timed out while waiting for a response from container primary."
            raise _model_error(fleet, replica, 0, message, message) from error
        except httpx.ConnectError as error:
            replica.answers = False
            other = self._other(fleet, replica, call)
            if other is None:
                raise _unavailable(fleet, replica, error) from error
            return await self._pass_on(*other, call)
        except httpx.TransportError as error:
            raise _unavailable(fleet, replica, error) from error

    def _other(self, fleet: Fleet, replica: Replica, call: Call) -> tuple[Fleet, Replica] | None:
        """Return another instance that is up, for a call of which the first got nothing."""
        route = self._hosting.route(fleet.endpoint)
        other = route.serving.choose(call.variant, without=replica) if route else None
        return (route.serving, other) if route and other and other.is_ready() else None

    def _copy_to_shadow(self, fleet: Fleet, call: Call) -> None:
        shadow = fleet.choose_shadow() if len(self._copies) < _MOST_COPIES else None
        if shadow:
            copy = asyncio.create_task(self._ask_shadow(fleet, shadow, call))
            self._copies.add(copy)
            copy.add_done_callback(self._copies.discard)

    async def _ask_shadow(self, fleet: Fleet, shadow: Replica, call: Call) -> None:
        try:
            await self._caller.ask(fleet, shadow, call)
        except httpx.TransportError:
            return  # nobody waits for this answer; that there is none has been counted


async def _body(request: Request) -> bytes:
    body = await request.body()
    if len(body) > _LARGEST_BODY:
        raise AwsError("ValidationError", f"The request has {len(body)} bytes; an endpoint takes {_LARGEST_BODY}.")
    return body


def _call(request: Request, body: bytes, variant: str | None, fleet: Fleet) -> Call:
    asked = Payload(body, request.headers.get("content-type", ""))
    event = Event(asked, request.headers.get(_INFERENCE_ID))
    headers = {name: request.headers[name] for name in _TO_CONTAINER if name in request.headers}
    return Call(event, headers, is_sampled(fleet.capture), variant)


def _answer(answer: httpx.Response, fleet: Fleet, replica: Replica) -> Response:
    if not answer.is_success:
        raise _model_error(fleet, replica, answer.status_code, answer.text, told(answer))
    headers = {"x-Amzn-Invoked-Production-Variant": replica.name}
    if _ATTRIBUTES in answer.headers:
        headers["X-Amzn-SageMaker-Custom-Attributes"] = answer.headers[_ATTRIBUTES]
    return Response(answer.content, 200, headers, answer.headers.get("content-type"))


def _unavailable(fleet: Fleet, replica: Replica, error: httpx.TransportError) -> AwsError:
    message = f"Variant {replica.name} of endpoint {fleet.endpoint} does not answer: {error!r}"
    return AwsError("ServiceUnavailable", message, status=503)


def _model_error(fleet: Fleet, replica: Replica, status: int, original: str, message: str) -> AwsError:
    group = f"{LOG_GROUP}/{fleet.endpoint}"
    stream = f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:{group}:log-stream:{fleet.stream(replica)}"
    return AwsError(
        "ModelError",
        f"{message} See log group {group} for more information.",
        status=424,
        OriginalStatusCode=status,
        OriginalMessage=original[:4096],
        LogStreamArn=stream,
    )
