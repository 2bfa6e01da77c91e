"""Update the endpoint under a steady load, kill its process too: how many requests fail, how many products go without?

The real container on local AWS. Each request is sent once and never again; across

- an update that goes well: a canary, then everything;
- an update that an alarm takes back while the canary answers;
- an update whose model doesn't load.

Then the serving process is killed (SIGKILL) twice while the platform's own client, which waits and asks again, asks
about products.
"""

from __future__ import annotations

import asyncio
import io
import os
import random
import signal
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from botocore.exceptions import BotoCoreError, ClientError

from benchmarks import Figure, account
from benchmarks._endpoint import NAME, Endpoint, serving_processes
from lookbook.aws import async_client
from lookbook.drops.sample.drawing import draw
from lookbook.drops.sample.garments import random_garment
from lookbook.errors import LookbookError
from lookbook.serving import endpoint as caller
from lookbook.serving.invocation import UnansweredError, read_answers, request_body

REQUESTS = 2_000
"""Across each update."""
PRODUCTS = 500
"""Asked about while the serving process is killed."""
RATE = 10.0
"""Requests a second."""
KILLS = 2
ATTRIBUTES = ("Fabric", "Pattern")
_CANARY_S, _LAST_WAIT_S = 10, 5
_RING_AFTER = 10
_PICTURES = 20
_CONNECTIONS = 64
_PATIENCE_S = 300.0


def run(data: Path | None) -> Figure:
    """Measure with drawn pictures; real ones would be no other load."""
    with account() as state:
        endpoint = Endpoint()
        endpoint.create(endpoint.config("v1"))
        updates = {
            "good": asyncio.run(_update(endpoint, endpoint.config("v2"), _policy())),
            "alarmed": asyncio.run(_update(endpoint, endpoint.config("v3"), _policy(_alarm(endpoint, "v3")))),
            "broken": asyncio.run(_update(endpoint, endpoint.config("v4", whole=False), _policy())),
        }
        killed = asyncio.run(_kill(state))
    failed = sum(update.failed for update in updates.values())
    configs = {name: update.config for name, update in updates.items()}
    as_meant = configs == {"good": "v2", "alarmed": "v2", "broken": "v2"}
    ok = not failed and not killed["without_answer"] and as_meant and killed["kills"] == KILLS
    detail = {name: update.as_dict() for name, update in updates.items()} | {"killed": killed}
    return Figure("update_under_load", failed, "failed requests", "0, and 0 products without an answer", ok, detail)


@dataclass
class Update:
    """What came of the requests sent across one update, and of the update."""

    answered_by: Counter[str] = field(default_factory=Counter)
    failures: Counter[str] = field(default_factory=Counter)
    milliseconds: list[float] = field(default_factory=list)
    config: str = ""
    reason: str = ""
    seconds: float = 0.0

    @property
    def failed(self) -> int:
        """How many requests got no answer."""
        return sum(self.failures.values())

    def as_dict(self) -> dict[str, Any]:
        """Return it for the figure's detail."""
        p50, p99 = (round(float(np.percentile(self.milliseconds, percent))) for percent in (50, 99))
        return {
            "requests": self.failed + sum(self.answered_by.values()),
            "failed": self.failed,
            "failures": dict(self.failures),
            "answered_by": dict(self.answered_by),
            "latency_ms": {"p50": p50, "p99": p99},
            "update_s": round(self.seconds, 1),
            "config_in_the_end": self.config,
            "reason": self.reason[:200],
        }


async def _update(endpoint: Endpoint, config: str, policy: dict[str, Any]) -> Update:
    """Send requests, begin the update when a tenth of them are sent, and see what becomes of both."""
    update, bodies = Update(), [request_body(picture, ATTRIBUTES) for picture in pictures()]
    async with async_client("sagemaker-runtime", connections=_CONNECTIONS, attempts=1) as runtime:

        async def one(number: int) -> None:
            await _ask_once(runtime, bodies[number % len(bodies)], update)

        asking = asyncio.create_task(_steadily(one, REQUESTS))
        await asyncio.sleep(REQUESTS / RATE / 10)
        began = time.monotonic()
        await asyncio.to_thread(endpoint.update, config, policy)
        settled = await asyncio.to_thread(endpoint.settled)
        update.seconds = time.monotonic() - began
        if asking.done():
            raise SystemExit(f"{REQUESTS} requests were over before the update was: nothing was measured.")
        await asking
    update.config, update.reason = settled["EndpointConfigName"], settled.get("FailureReason", "")
    print(config, update.as_dict(), flush=True)
    return update


async def _ask_once(runtime: Any, body: bytes, update: Update) -> None:
    began = time.monotonic()
    try:
        response = await runtime.invoke_endpoint(EndpointName=NAME, ContentType="application/json", Body=body)
        answers = read_answers(await response["Body"].read(), ATTRIBUTES)
    except (BotoCoreError, ClientError, LookbookError) as error:
        update.failures[str(error)[:200]] += 1
        return
    update.answered_by[answers.model_version] += 1
    update.milliseconds.append((time.monotonic() - began) * 1000)


async def _kill(state: Path) -> dict[str, Any]:
    """Ask about products at a steady rate, kill the serving process twice meanwhile, and count what has no answer."""
    drawn, attempts, without = pictures(), Counter[int](), Counter[str]()
    async with async_client("sagemaker-runtime", connections=_CONNECTIONS, attempts=1) as runtime:
        endpoint = caller.Endpoint(runtime, NAME, width=_CONNECTIONS, patience_s=_PATIENCE_S)

        async def one(number: int) -> None:
            try:
                answered = await endpoint.ask(drawn[number % len(drawn)], ATTRIBUTES)
            except UnansweredError as error:
                without[str(error)[:200]] += 1
                return
            attempts[answered.attempts] += 1

        began = time.monotonic()
        asking = asyncio.create_task(_steadily(one, PRODUCTS))
        kills = [process async for process in _killing(state, asking)]
        await asking
    found = {
        "products": PRODUCTS,
        "without_answer": sum(without.values()),
        "reasons": dict(without),
        "asked_more_than_once": sum(count for number, count in attempts.items() if number > 1),
        "kills": len(kills),
        "seconds": round(time.monotonic() - began, 1),
    }
    print("killed", found, flush=True)
    return found


async def _killing(state: Path, asking: asyncio.Task[None]) -> AsyncIterator[int]:
    """Kill the serving process at random moments in equal parts of the time; yield the process ids."""
    part = PRODUCTS / RATE / (KILLS + 1)
    for _ in range(KILLS):
        await asyncio.sleep(part * random.SystemRandom().uniform(0.5, 1.0))
        if asking.done():
            return
        for process in await asyncio.to_thread(serving_processes, state):
            os.kill(process.pid, signal.SIGKILL)
            yield process.pid


async def _steadily(one: Callable[[int], Coroutine[Any, Any, None]], number: int) -> None:
    """Begin ``one`` so many times at the rate, whether or not the earlier ones have ended, and wait for all."""
    began, begun = time.monotonic(), list[Awaitable[None]]()
    for index in range(number):
        await asyncio.sleep(max(0.0, began + index / RATE - time.monotonic()))
        begun.append(asyncio.create_task(one(index)))
    await asyncio.gather(*begun)


def pictures() -> list[bytes]:
    """Return drawn garments as JPEG files, the same each time."""
    rng, files = np.random.default_rng(7), []
    for _ in range(_PICTURES):
        sink = io.BytesIO()
        draw(random_garment(rng), rng).save(sink, "JPEG", quality=88)
        files.append(sink.getvalue())
    return files


def _policy(alarm: str = "") -> dict[str, Any]:
    size = {"Type": "CAPACITY_PERCENT", "Value": 25}
    canary = {"Type": "CANARY", "CanarySize": size, "WaitIntervalInSeconds": _CANARY_S}
    policy = {"TrafficRoutingConfiguration": canary, "TerminationWaitInSeconds": _LAST_WAIT_S}
    guard = {"AutoRollbackConfiguration": {"Alarms": [{"AlarmName": alarm}]}} if alarm else {}
    return {"BlueGreenUpdatePolicy": policy, **guard}


def _alarm(endpoint: Endpoint, config: str) -> str:
    return endpoint.alarm_on_requests(config, more_than=_RING_AFTER)
