"""InvokeEndpointAsync: requests that lie in S3 are answered when there is room for them, and the answers put there.

A request is written down before it is acknowledged and forgotten when its answer is in S3; the next gateway carries out
what is left. An endpoint may have no instance meanwhile: its requests wait.
"""

from __future__ import annotations

import asyncio
import logging
import time
import uuid
from collections import Counter
from typing import Any

import httpx
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers

from local_aws.cloudwatch import CloudWatch
from local_aws.errors import AwsError
from local_aws.objects import Objects, ObjectsError
from local_aws.sagemaker import names
from local_aws.sagemaker.calling import Call, Caller, told
from local_aws.sagemaker.capture import Event, Payload, is_sampled
from local_aws.sagemaker.fleet import Fleet
from local_aws.sagemaker.hosting import Hosting
from local_aws.sagemaker.measuring import NAMESPACE
from local_aws.state import Document, Store

_PREFIX = "x-amzn-sagemaker-"
_KEEP_S, _TIMEOUT_S = 21_600, 900
_CONCURRENCY = 4
_ATTEMPTS = 3
_LOOK_EVERY_S, _MEASURE_EVERY_S = 0.1, 2.0

logger = logging.getLogger(__name__)


class AsyncInvocations:
    """The requests that wait for an answer; to be used from the event loop only."""

    def __init__(
        self, store: Store, objects: Objects, hosting: Hosting, caller: Caller, cloudwatch: CloudWatch
    ) -> None:
        self._store, self._objects, self._hosting = store, objects, hosting
        self._caller, self._cloudwatch = caller, cloudwatch
        kept = store.all(names.ASYNC_INVOCATION)
        self._waiting = {request["id"]: request for request in sorted(kept, key=lambda one: float(one["at"]))}
        self._under_way: dict[str, asyncio.Task[None]] = {}
        self._busy: Counter[str] = Counter()
        self._measured = 0.0

    def accept(self, fleet: Fleet, headers: Headers) -> Document:
        """Write a request down and return it: where its input, its answer or its failure are.

        Raises:
            AwsError: the request names no input.
        """
        given = {name.removeprefix(_PREFIX): value for name, value in headers.items() if name.startswith(_PREFIX)}
        if not given.get("inputlocation", "").startswith("s3://"):
            raise AwsError("ValidationError", "InputLocation must be the S3 URI of the request's body.")
        identity, output = str(uuid.uuid4()), (fleet.asynchronous or {})["OutputConfig"]
        failures = output.get("S3FailurePath")
        request = {
            "id": identity,
            "endpoint": fleet.endpoint,
            "at": time.time(),
            "given": given,
            "inference_id": given.get("inference-id", identity),
            "output": f"{output['S3OutputPath'].rstrip('/')}/{identity}.out",
            "failure": f"{failures.rstrip('/')}/{identity}-error.out" if failures else None,
            "attempts": 0,
        }
        self._store.put(names.ASYNC_INVOCATION, identity, request)
        self._waiting[identity] = request
        return request

    async def run(self) -> None:
        """Have requests answered, oldest first, until cancelled; what is under way then is left to the next gateway."""
        try:
            while True:
                for request in list(self._waiting.values()):
                    self._begin(request)
                self._measure()
                await asyncio.sleep(_LOOK_EVERY_S)
        finally:
            for task in self._under_way.values():
                task.cancel()
            await asyncio.gather(*self._under_way.values(), return_exceptions=True)

    def _begin(self, request: Document) -> None:
        fleet = self._room(request["endpoint"])
        if fleet is None and time.time() - request["at"] < float(request["given"].get("requestttlseconds", _KEEP_S)):
            return
        del self._waiting[request["id"]]
        self._busy[request["endpoint"]] += 1
        self._under_way[request["id"]] = asyncio.create_task(self._carry_out(request, fleet))

    def _room(self, endpoint: str) -> Fleet | None:
        """Return the fleet that a request can be sent to now."""
        route = self._hosting.route(endpoint)
        fleet = route.choose() if route else None
        if fleet is None or fleet.asynchronous is None:
            return None
        client = fleet.asynchronous.get("ClientConfig", {})
        ready = sum(replica.is_ready() for replica in fleet.replicas if not replica.shadow)
        room = ready * client.get("MaxConcurrentInvocationsPerInstance", _CONCURRENCY)
        return fleet if self._busy[endpoint] < room else None

    async def _carry_out(self, request: Document, fleet: Fleet | None) -> None:
        try:
            await self._answer(request, fleet)
        except ObjectsError as error:
            await self._fail(request, str(error))
        except httpx.TimeoutException:
            await self._fail(request, "Your invocation timed out while waiting for a response from container primary.")
        except httpx.TransportError as error:
            await self._again(request, f"The container does not answer: {error!r}")
        except Exception as error:
            logger.exception("Asynchronous invocation %s", request["id"])
            await self._fail(request, f"InternalServerError: {error!r}")
        finally:
            self._busy[request["endpoint"]] -= 1
            self._under_way.pop(request["id"], None)

    async def _answer(self, request: Document, fleet: Fleet | None) -> None:
        if fleet is None:
            await self._fail(request, "The request waited for longer than RequestTTLSeconds.")
            return
        body = await run_in_threadpool(self._objects.read, request["given"]["inputlocation"])
        replica = fleet.choose()
        if replica is None:
            await self._again(request, "The endpoint has no instance.")
            return
        answer = await self._caller.ask(fleet, replica, _call(request, body, fleet))
        if answer.is_success:
            await self._finish(request, request["output"], answer.content)
        else:
            await self._fail(request, told(answer))

    async def _again(self, request: Document, reason: str) -> None:
        if request["attempts"] + 1 >= _ATTEMPTS:
            await self._fail(request, reason)
            return
        request = {**request, "attempts": request["attempts"] + 1}
        self._store.put(names.ASYNC_INVOCATION, request["id"], request)
        self._waiting[request["id"]] = request

    async def _fail(self, request: Document, reason: str) -> None:
        await self._finish(request, request["failure"], reason.encode())

    async def _finish(self, request: Document, uri: str | None, content: bytes) -> None:
        if uri:
            await run_in_threadpool(self._objects.write, uri, content)
        self._store.delete(names.ASYNC_INVOCATION, request["id"])

    def _measure(self) -> None:
        """Tell CloudWatch how many requests of each endpoint wait or are under way."""
        if time.monotonic() - self._measured < _MEASURE_EVERY_S:
            return
        self._measured = time.monotonic()
        backlog: Counter[str] = Counter(request["endpoint"] for request in self._waiting.values())
        for endpoint, count in (backlog + self._busy).items():
            values: dict[str, tuple[float, str]] = {"ApproximateBacklogSize": (float(count), "Count")}
            self._cloudwatch.record(NAMESPACE, {"EndpointName": endpoint}, values)


def _call(request: Document, body: bytes, fleet: Fleet) -> Call:
    given: dict[str, Any] = request["given"]
    passed = {
        "content-type": given.get("content-type"),
        "accept": given.get("accept"),
        f"{_PREFIX}custom-attributes": given.get("custom-attributes"),
        f"{_PREFIX}inference-id": request["inference_id"],
    }
    event = Event(Payload(body, given.get("content-type", "")), request["inference_id"])
    headers = {name: value for name, value in passed.items() if value}
    seconds = float(given.get("invocationtimeoutseconds", _TIMEOUT_S))
    return Call(event, headers, is_sampled(fleet.capture), seconds=seconds)
