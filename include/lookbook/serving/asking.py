"""Many pictures, one model: asks a bounded number at a time and keeps each result as an object of its own."""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

import orjson
from botocore.exceptions import ClientError

from lookbook import storage
from lookbook.aws import async_client
from lookbook.errors import LookbookError, PermanentError, RetryableError
from lookbook.progress import Progress
from lookbook.serving.endpoint import Answered, Endpoint, SilentEndpointError
from lookbook.serving.inputs import Input, result_uri, results_prefix
from lookbook.serving.invocation import Answers, MalformedResponseError, RefusedError, UnansweredError, read_answers
from lookbook.serving.models import AskedModel
from lookbook.settings import get_settings

log = logging.getLogger(__name__)

Status = Literal["answered", "refused", "unanswered"]
# More than this share without an answer is not bad luck with a few products: the endpoint is down. Before the end it
# is judged only once so many had none.
_MAX_UNANSWERED_SHARE = 0.5
_JUDGED_FROM = 20
# One picture may be what the container dies of. So many in a row, with no answer between them, are not.
_MOST_SILENCES = 3


class ModelChangedError(RetryableError):
    """The endpoint was updated while it was being asked: another version answers than the one that was to be asked."""


@dataclass(frozen=True)
class Result:
    """What the model said about a picture, or why it said nothing; stored once, at ``uri``.

    ``latency_ms`` and ``attempts`` are those of the endpoint; ``transform_job`` is the job that answered in its place.
    """

    uri: str
    status: Status
    picture_sha256: str
    model_version: str
    answers: tuple[dict[str, Any], ...] = ()
    reason: str | None = None
    latency_ms: int | None = None
    attempts: int | None = None
    transform_job: str | None = None


@dataclass(frozen=True)
class Outputs:
    """What a transform job left: its name, and by the picture's URI the object that holds the answers."""

    job_name: str | None = None
    by_picture: Mapping[str, str] = field(default_factory=dict)


class Asking:
    """Asks one model about many pictures, a bounded number at a time."""

    def __init__(self, drop_id: str, model: AskedModel, outputs: Outputs = Outputs()) -> None:
        self._settings = get_settings()
        self._drop_id, self._model, self._outputs = drop_id, model, outputs
        self._known: set[str] = set()
        self._results: dict[Input, Result] = {}
        self._unanswered: list[Result] = []
        self._malformed: list[MalformedResponseError] = []
        self._silences = 0

    async def all(self, inputs: set[Input]) -> dict[Input, Result]:
        """Return the result of every input.

        Raises:
            RetryableError: more than half got no answer, or for minutes nobody did.
            ModelChangedError: another version answers.
            PermanentError: the endpoint serves something else.
        """
        prefix, width = results_prefix(self._drop_id), self._settings.endpoint_concurrency
        self._known = {stored.uri for stored in await asyncio.to_thread(list, storage.list_objects(prefix))}
        async with AsyncExitStack() as opened:
            self._s3 = await opened.enter_async_context(async_client("s3", connections=width))
            self._endpoint = await self._open_endpoint(opened, width)
            progress = Progress(log, f"Pictures asked about (model {self._model.version})", len(inputs))
            await _together(self._work(iter(sorted(inputs, key=_place)), progress, width))
        self._check_answered(at_least=1)
        return self._results

    async def _open_endpoint(self, opened: AsyncExitStack, width: int) -> Endpoint | None:
        if self._model.endpoint_config is None:
            return None
        runtime = await opened.enter_async_context(async_client("sagemaker-runtime", connections=width, attempts=1))
        patience_s = self._settings.endpoint_patience_s
        return Endpoint(runtime, self._settings.endpoint_name, width=width, patience_s=patience_s)

    def _work(self, inputs: Iterator[Input], progress: Progress, width: int) -> list[Any]:
        async def worker() -> None:
            for asked in inputs:  # shared: each takes the next
                self._results[asked] = result = await self._result(asked)
                if result.status == "unanswered":
                    self._unanswered.append(result)
                    if self._endpoint:
                        self._check_answered(at_least=_JUDGED_FROM)
                progress.advance()

        return [worker() for _ in range(width)]

    async def _result(self, asked: Input) -> Result:
        uri = result_uri(self._drop_id, asked, self._model.model_name)
        if uri in self._known:
            return await self._stored(uri)
        result = await self._of_job(uri, asked) or await self._of_endpoint(uri, asked)
        # What had no answer is not stored: the next run asks again.
        return result if result.status == "unanswered" else await self._store(result)

    async def _of_job(self, uri: str, asked: Input) -> Result | None:
        """Return the transform job's result; ``None`` where it left none that can be read."""
        output = self._outputs.by_picture.get(asked.picture_uri)
        if output is None:
            return None
        try:
            answers = read_answers(await self._get(output), asked.attributes)
        except MalformedResponseError as error:
            log.warning("%s: %s", output, error)
            return None
        return self._answered(uri, asked, answers, transform_job=self._outputs.job_name)

    async def _of_endpoint(self, uri: str, asked: Input) -> Result:
        try:
            given = await self._ask(asked)
        except RefusedError as error:
            return self._without_answer(uri, asked, "refused", str(error))
        except UnansweredError as error:
            self._silences += isinstance(error, SilentEndpointError)
            return self._without_answer(uri, asked, "unanswered", str(error))
        except MalformedResponseError as error:
            self._malformed.append(error)
            return self._without_answer(uri, asked, "unanswered", str(error))
        self._silences = 0
        return self._answered(uri, asked, given.answers, latency_ms=given.latency_ms, attempts=given.attempts)

    async def _ask(self, asked: Input) -> Answered:
        if self._endpoint is None:
            raise UnansweredError(f"transform job {self._outputs.job_name} left no answer, and no endpoint serves")
        return await self._endpoint.ask(await self._picture(asked), asked.attributes)

    def _answered(self, uri: str, asked: Input, answers: Answers, **measured: Any) -> Result:
        if answers.model_version != self._model.version:
            raise ModelChangedError(
                f"Model {answers.model_version} answers where {self._model.version} was in service when asking began: "
                "the endpoint was updated meanwhile. What was answered is kept; the next try asks the new model."
            )
        said = tuple(map(asdict, answers.answers))
        return Result(uri, "answered", asked.picture_sha256, self._model.version, said, **measured)

    def _without_answer(self, uri: str, asked: Input, status: Status, reason: str) -> Result:
        log.warning("%s: %s: %s", asked.picture_uri, status, reason)
        return Result(uri, status, asked.picture_sha256, self._model.version, reason=reason)

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

    def _check_answered(self, *, at_least: int) -> None:
        without = len(self._unanswered)
        too_many = without >= at_least and without > _MAX_UNANSWERED_SHARE * len(self._results)
        if too_many or self._silences > _MOST_SILENCES:
            raise self._failure()

    def _failure(self) -> LookbookError:
        if len(self._malformed) > len(self._unanswered) / 2:
            return PermanentError(str(self._malformed[-1]))
        return RetryableError(
            f"There was no answer about {len(self._unanswered)} of {len(self._results)} pictures asked about; the last "
            f"reason: {self._unanswered[-1].reason}. What was answered is kept. Look at the endpoint's log."
        )


def _place(asked: Input) -> tuple[str, tuple[str, ...]]:
    return asked.picture_uri, asked.attributes


async def _together(workers: Sequence[Any]) -> None:
    """Run coroutines together; the first exception ends them all and is raised as it is."""
    tasks = [asyncio.create_task(worker) for worker in workers]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
