"""Requests for a challenger to get copies of, where none come by themselves: pictures of the newest drop.

They are sent to the endpoint as any caller's are, and the champion's answers are thrown away: what was predicted about
these products was stored when their drop was described.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

import orjson

from lookbook import storage
from lookbook.aws import async_client
from lookbook.catalog import tables
from lookbook.descriptions.plans import Plan, PlannedProduct
from lookbook.errors import RetryableError
from lookbook.lineage import records
from lookbook.serving import verification
from lookbook.serving.endpoint import Endpoint
from lookbook.serving.inputs import Input, inputs_of
from lookbook.serving.invocation import RefusedError, UnansweredError
from lookbook.serving.models import taught
from lookbook.serving.shadow import Shadow
from lookbook.settings import get_settings
from lookbook.training import registry

log = logging.getLogger(__name__)

_COLUMNS = ("drop_id", "product_id", "article_type", "picture_uri", "picture_sha256")


@dataclass(frozen=True)
class Replay:
    """What a run sent itself, and when it began to.

    Args:
        uri: where this is stored.
        since: ISO 8601, UTC.
        pictures: how many the endpoint answered about, of those that were to be asked about.
        refused: how many it refused, of those.
        golden: the answers that the challenger gave to its golden questions when it was evaluated, by inference id.
    """

    uri: str
    since: str
    pictures: int
    refused: int
    golden: dict[str, str]

    def reference(self) -> dict[str, Any]:
        """Return what the next tasks need to find it."""
        return {"uri": self.uri, "since": self.since, "pictures": self.pictures, "refused": self.refused}

    @property
    def requests(self) -> int:
        """How many requests there were an answer to, of the champion."""
        return self.pictures + len(self.golden)


def read(uri: str) -> Replay:
    """Return what was sent."""
    return Replay(**orjson.loads(records.read_object(uri)))


async def replay(shadow: Shadow, pictures: int) -> Replay:
    """Ask the endpoint the challenger's golden questions, and about some pictures of the newest drop.

    The challenger's copies of its golden questions tell whether it would be verified, were it deployed.

    Args:
        shadow: of :func:`lookbook.serving.shadow.choose`; it is on.
        pictures: how many at most; the same ones each time. None of them: real requests are waited for.

    Raises:
        RetryableError: there was no answer about a picture for as long as one waits for it.
    """
    since = datetime.now(UTC).isoformat()
    golden = await asyncio.to_thread(verification.ask_golden, shadow.challenger_arn)
    inputs = await asyncio.to_thread(_inputs, shadow, pictures)
    numbers = await _ask_all(inputs)
    sent = Replay(f"{shadow.root}/replay.json", since, numbers["answered"], numbers["refused"], golden)
    records.writes_object(await asyncio.to_thread(storage.write_json, sent.uri, asdict(sent)))
    records.counts(golden_questions=len(golden), **numbers)
    log.info("Asked %d golden questions and about %d pictures: %s", len(golden), len(inputs), dict(numbers))
    return sent


def _inputs(shadow: Shadow, pictures: int) -> list[Input]:
    """Return what is asked about the newest drop's first pictures in the order of their checksums, as good as chance.

    Of what both models were taught, that is.
    """
    snapshot = tables.current_snapshot("catalog.products")
    rows = tables.read("catalog.products", columns=_COLUMNS, snapshot=snapshot).to_pylist()
    with_picture = [row for row in rows if row["picture_sha256"]]
    if not pictures or not with_picture:
        return []
    newest = max(row["drop_id"] for row in with_picture)
    products = tuple(
        PlannedProduct(**{name: row[name] for name in _COLUMNS[1:]}) for row in with_picture if row["drop_id"] == newest
    )
    records.reads("table", "catalog.products", snapshot, partition=newest)
    plan = Plan(f"{shadow.root}/plan.json", newest, shadow.root, snapshot, products)
    inputs = set(inputs_of(plan, _taught_to_both(shadow)).values())
    return sorted(inputs, key=lambda one: (one.picture_sha256, one.attributes))[:pictures]


def _taught_to_both(shadow: Shadow) -> tuple[str, ...]:
    champions, challengers = (
        taught(registry.describe(arn)["CustomerMetadataProperties"]["dataset_id"])
        for arn in (shadow.champion_arn, shadow.challenger_arn)
    )
    return tuple(attribute for attribute in champions if attribute in challengers)


async def _ask_all(inputs: list[Input]) -> Counter[str]:
    """Ask about all pictures; return how many were answered and how many refused."""
    settings = get_settings()
    width = settings.endpoint_concurrency
    async with AsyncExitStack() as opened:
        s3 = await opened.enter_async_context(async_client("s3", connections=width))
        runtime = await opened.enter_async_context(async_client("sagemaker-runtime", connections=width, attempts=1))
        endpoint = Endpoint(runtime, settings.endpoint_name, width=width, patience_s=settings.endpoint_patience_s)
        room = asyncio.Semaphore(width)  # for pictures in memory

        async def one(asked: Input) -> str:
            async with room:
                return await _ask(endpoint, lambda: _picture(s3, asked.picture_uri), asked)

        return Counter(await asyncio.gather(*map(one, inputs)))


async def _ask(endpoint: Endpoint, picture: Callable[[], Awaitable[bytes]], asked: Input) -> str:
    content = await picture()
    if hashlib.sha256(content).hexdigest() != asked.picture_sha256:
        log.warning("%s is no longer the picture that was published: it is left out.", asked.picture_uri)
        return "changed"
    try:
        await endpoint.ask(content, asked.attributes)
    except RefusedError as error:
        log.warning("%s is refused: %s", asked.picture_uri, error)
        return "refused"
    except UnansweredError as error:
        raise RetryableError(f"There is no answer about {asked.picture_uri}: {error}") from error
    return "answered"


async def _picture(s3: Any, uri: str) -> bytes:
    bucket, key = storage.split_uri(uri)
    response = await s3.get_object(Bucket=bucket, Key=key)
    content: bytes = await response["Body"].read()
    return content
