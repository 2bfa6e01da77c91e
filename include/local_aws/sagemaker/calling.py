"""One request to one container: sent, counted, captured. What comes of it is the caller's to tell."""

from __future__ import annotations

import time
from dataclasses import dataclass

import httpx

from local_aws.cloudwatch import CloudWatch
from local_aws.sagemaker.capture import Capture, Event, Payload
from local_aws.sagemaker.fleet import Fleet
from local_aws.sagemaker.measuring import measure
from local_aws.sagemaker.replica import Replica


@dataclass(frozen=True)
class Call:
    """A request on its way.

    ``event`` and ``headers`` are what the container gets, ``variant`` is the one that the request names, and
    ``seconds`` is how long the container has to answer, by default as long as any.
    """

    event: Event
    headers: dict[str, str]
    captured: bool
    variant: str | None = None
    seconds: float | None = None


class Caller:
    """Sends requests to containers."""

    def __init__(self, capture: Capture, cloudwatch: CloudWatch, timeout: float) -> None:
        self._capture, self._cloudwatch = capture, cloudwatch
        self._client = httpx.AsyncClient(
            # To connect too: on this machine that takes long only when everything does.
            timeout=timeout,
            # Idle connections are given up well before a container's server closes them (uvicorn: after 5 s).
            limits=httpx.Limits(max_connections=200, max_keepalive_connections=50, keepalive_expiry=2.0),
            trust_env=False,
        )

    async def close(self) -> None:
        """Close the connections to the containers."""
        await self._client.aclose()

    async def ask(self, fleet: Fleet, replica: Replica, call: Call) -> httpx.Response:
        """Return a container's answer, whatever its status.

        Raises:
            httpx.TransportError: there is none, or not in time.
        """
        started, answer = time.monotonic(), None
        replica.in_flight += 1
        try:
            answer = await self._post(replica, call)
        finally:
            replica.in_flight -= 1
            seconds = time.monotonic() - started if answer else None
            measure(self._cloudwatch, fleet, replica, answer.status_code if answer else 503, seconds)
        if call.captured and answer.is_success:
            answered = Payload(answer.content, answer.headers.get("content-type", ""))
            self._capture.note(fleet, replica, call.event, answered)
        return answer

    async def _post(self, replica: Replica, call: Call) -> httpx.Response:
        limit = httpx.USE_CLIENT_DEFAULT if call.seconds is None else httpx.Timeout(call.seconds)
        url, body = f"{replica.url}/invocations", call.event.asked.body
        return await self._client.post(url, content=body, headers=call.headers, timeout=limit)


def told(answer: httpx.Response) -> str:
    """Return SageMaker's sentence for a container's answer that is no success."""
    side = "client" if answer.status_code < 500 else "server"
    return f'Received {side} error ({answer.status_code}) from primary with message "{answer.text}".'
