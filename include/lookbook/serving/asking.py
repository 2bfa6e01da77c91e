"""Many pictures, one model: asks a bounded number at a time and keeps each result as an object of its own."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import orjson
from botocore.exceptions import ClientError

from lookbook import storage
from lookbook.aws import async_client
from lookbook.errors import RetryableError
from lookbook.progress import Progress
from lookbook.serving import invocation
from lookbook.serving.invocation import RefusedError, UnansweredError
from lookbook.settings import get_settings
from lookbook.training.registry import Champion

log = logging.getLogger(__name__)

Status = Literal["answered", "refused", "unanswered"]
# More than this share without an answer is not bad luck with a few products: the endpoint is down.
_MAX_UNANSWERED_SHARE = 0.5


@dataclass(frozen=True)
class Input:
    """A picture and what is asked about it; products with the same picture and type share one."""

    picture_uri: str
    picture_sha256: str
    attributes: tuple[str, ...]


@dataclass(frozen=True)
class Result:
    """What the model said about a picture, or why it said nothing; stored once, at ``uri``."""

    uri: str
    status: Status
    picture_sha256: str
    model_version: str
    answers: tuple[dict[str, Any], ...] = ()
    reason: str | None = None
    latency_ms: int | None = None


def input_hash(picture_sha256: str, attributes: Sequence[str], model_name: str) -> str:
    """Return the name of a result: a function of the picture, the attributes asked about and the model."""
    return hashlib.sha256(orjson.dumps([picture_sha256, list(attributes), model_name])).hexdigest()


class Asking:
    """Asks one model about many pictures, a bounded number at a time."""

    def __init__(self, drop_id: str, champion: Champion) -> None:
        self._settings = get_settings()
        self._champion = champion
        self._prefix = f"s3://{self._settings.bucket}/predictions/{drop_id}/"
        self._known: set[str] = set()
        self._results: dict[Input, Result] = {}

    async def all(self, inputs: set[Input]) -> dict[Input, Result]:
        """Return the result of every input.

        Raises:
            RetryableError: more than half got no answer.
        """
        self._known = {stored.uri for stored in await asyncio.to_thread(list, storage.list_objects(self._prefix))}
        width = self._settings.endpoint_concurrency
        async with async_client("s3", connections=width) as self._s3, self._runtime(width) as self._endpoint:
            progress = Progress(log, f"Pictures asked about (model {self._champion.version})", len(inputs))
            await _together(self._work(iter(inputs), progress, width))
        self._check_answered()
        return self._results

    def _runtime(self, width: int) -> Any:
        return async_client("sagemaker-runtime", connections=width, attempts=1)

    def _work(self, inputs: Iterator[Input], progress: Progress, width: int) -> list[Any]:
        async def worker() -> None:
            for asked in inputs:  # shared: each takes the next
                self._results[asked] = await self._result(asked)
                progress.advance()

        return [worker() for _ in range(width)]

    async def _result(self, asked: Input) -> Result:
        name = input_hash(asked.picture_sha256, asked.attributes, self._champion.model_name)
        uri = f"{self._prefix}{name}.json"
        if uri in self._known:
            return await self._stored(uri)
        result = await self._ask(uri, asked)
        # What had no answer is not stored: the next run asks again.
        return result if result.status == "unanswered" else await self._store(result)

    async def _ask(self, uri: str, asked: Input) -> Result:
        sha256, version = asked.picture_sha256, self._champion.version
        began = time.monotonic()
        try:
            picture = await self._picture(asked)
            given = await invocation.ask(self._endpoint, self._settings.endpoint_name, picture, asked.attributes)
        except RefusedError as error:
            log.warning("%s: refused: %s", asked.picture_uri, error)
            return Result(uri, "refused", sha256, version, reason=str(error))
        except UnansweredError as error:
            log.warning("%s: no answer: %s", asked.picture_uri, error)
            return Result(uri, "unanswered", sha256, version, reason=str(error))
        self._check_version(given.model_version)
        latency_ms = round((time.monotonic() - began) * 1000)
        return Result(uri, "answered", sha256, version, tuple(map(asdict, given.answers)), latency_ms=latency_ms)

    async def _picture(self, asked: Input) -> bytes:
        try:
            content = await self._get(asked.picture_uri)
        except ClientError as error:
            raise UnansweredError(f"the picture cannot be read: {error}") from error
        if hashlib.sha256(content).hexdigest() != asked.picture_sha256:
            raise UnansweredError("the picture is no longer the one that was published; ingest its drop again")
        return content

    async def _get(self, uri: str) -> bytes:
        bucket, key = storage.split_uri(uri)
        response = await self._s3.get_object(Bucket=bucket, Key=key)
        content: bytes = await response["Body"].read()
        return content

    async def _stored(self, uri: str) -> Result:
        document = orjson.loads(await self._get(uri))
        return Result(uri=uri, **document | {"answers": tuple(document["answers"])})

    async def _store(self, result: Result) -> Result:
        """Store a result unless somebody was first, and return what is stored."""
        bucket, key = storage.split_uri(result.uri)
        document = {name: value for name, value in asdict(result).items() if name != "uri"}
        body = orjson.dumps(document, option=orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS)
        try:
            await self._s3.put_object(
                Bucket=bucket, Key=key, Body=body, ContentType="application/json", IfNoneMatch="*"
            )
        except ClientError as error:
            if error.response["Error"]["Code"] not in ("PreconditionFailed", "412"):
                raise
            return await self._stored(result.uri)
        return result

    def _check_version(self, answering: str) -> None:
        if answering != self._champion.version:
            raise RetryableError(
                f"Model {answering} answers where {self._champion.version} was in service when asking began: the "
                "endpoint was updated meanwhile. What was answered is kept; the next try asks the new model."
            )

    def _check_answered(self) -> None:
        silent = [result for result in self._results.values() if result.status == "unanswered"]
        if len(silent) > _MAX_UNANSWERED_SHARE * len(self._results):
            raise RetryableError(
                f"Endpoint {self._settings.endpoint_name} gave no answer about {len(silent)} of {len(self._results)} "
                f"pictures; the last reason: {silent[-1].reason}. What was answered is kept."
            )


async def _together(workers: Sequence[Any]) -> None:
    """Run coroutines together; the first exception ends them all and is raised as it is."""
    tasks = [asyncio.create_task(worker) for worker in workers]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
