"""InvokeEndpoint: a request carried to the process that serves, and its answer carried back."""

from __future__ import annotations

import json
import uuid

import httpx
from starlette.requests import Request
from starlette.responses import Response

from local_aws.errors import AwsError, unknown_operation
from local_aws.sagemaker.fleet import LOG_GROUP, Fleet
from local_aws.sagemaker.hosting import Hosting
from local_aws.sagemaker.replica import Replica
from local_aws.settings import ACCOUNT, REGION, Settings

_ATTRIBUTES = "x-amzn-sagemaker-custom-attributes"
_TO_CONTAINER = (
    "content-type",
    "accept",
    _ATTRIBUTES,
    "x-amzn-sagemaker-inference-id",
    "x-amzn-sagemaker-session-id",
)
_LARGEST_BODY = 6 * 1024 * 1024


class Runtime:
    """The data plane: what SageMaker Runtime answers."""

    def __init__(self, hosting: Hosting, settings: Settings) -> None:
        self._hosting, self._settings = hosting, settings
        self._client = httpx.AsyncClient(
            timeout=httpx.Timeout(settings.invocation_timeout, connect=5.0),
            limits=httpx.Limits(max_connections=200, max_keepalive_connections=50),
            trust_env=False,
        )

    async def close(self) -> None:
        """Close the connections to the containers."""
        await self._client.aclose()

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
        if request.method != "POST" or kind != "endpoints" or rest[0] != "invocations":
            raise unknown_operation(f"SageMaker Runtime {request.method} {request.url.path}")
        fleet = self._hosting.route(endpoint)
        if fleet is None:
            raise AwsError("ValidationError", f"Endpoint {endpoint} of account {ACCOUNT} not found.")
        replica = fleet.choose(request.headers.get("x-amzn-sagemaker-target-variant"))
        if replica is None:
            raise AwsError("ValidationError", f"Endpoint {endpoint} has no variant of the name asked for.")
        return await self._pass_on(request, fleet, replica)

    async def _pass_on(self, request: Request, fleet: Fleet, replica: Replica) -> Response:
        fleet.enter()
        try:
            body = await _body(request)
            headers = {name: request.headers[name] for name in _TO_CONTAINER if name in request.headers}
            answer = await self._client.post(f"{replica.url}/invocations", content=body, headers=headers)
        except httpx.TimeoutException as error:
            message = "Your invocation timed out while waiting for a response from container primary."
            raise _model_error(fleet, replica, 0, message, message) from error
        except httpx.TransportError as error:
            message = f"Variant {replica.name} of endpoint {fleet.endpoint} does not answer: {error!r}"
            raise AwsError("ServiceUnavailable", message, status=503) from error
        finally:
            fleet.leave()
        return _answer(answer, fleet, replica)


async def _body(request: Request) -> bytes:
    body = await request.body()
    if len(body) > _LARGEST_BODY:
        raise AwsError("ValidationError", f"The request has {len(body)} bytes; an endpoint takes {_LARGEST_BODY}.")
    return body


def _answer(answer: httpx.Response, fleet: Fleet, replica: Replica) -> Response:
    if not answer.is_success:
        side = "client" if answer.status_code < 500 else "server"
        told = f'Received {side} error ({answer.status_code}) from primary with message "{answer.text}".'
        raise _model_error(fleet, replica, answer.status_code, answer.text, told)
    headers = {"x-Amzn-Invoked-Production-Variant": replica.name}
    if _ATTRIBUTES in answer.headers:
        headers["X-Amzn-SageMaker-Custom-Attributes"] = answer.headers[_ATTRIBUTES]
    return Response(answer.content, 200, headers, answer.headers.get("content-type"))


def _model_error(fleet: Fleet, replica: Replica, status: int, original: str, message: str) -> AwsError:
    group = f"{LOG_GROUP}/{fleet.endpoint}"
    stream = f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:{group}:log-stream:{replica.name}/{fleet.id}"
    return AwsError(
        "ModelError",
        f"{message} See log group {group} for more information.",
        status=424,
        OriginalStatusCode=status,
        OriginalMessage=original[:4096],
        LogStreamArn=stream,
    )
