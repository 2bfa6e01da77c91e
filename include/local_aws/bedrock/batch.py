"""Batch jobs carried out: their input is checked, their turn comes, their records are answered, their output is put.

What a job has answered is kept in files of its directory. A gateway that is started again goes on behind it.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import shutil
import time
from collections.abc import Iterator

from starlette.concurrency import run_in_threadpool

from local_aws.bedrock.batch_files import Files, InputError, Line, count
from local_aws.bedrock.batch_records import Records
from local_aws.bedrock.models import Models
from local_aws.bedrock.places import Place
from local_aws.objects import Objects
from local_aws.settings import FaultShares, Settings
from local_aws.state import Document, Store

KIND = "model-invocation-job"
UNFINISHED = ("Submitted", "Validating", "Scheduled", "InProgress", "Stopping")
# So many records are answered between two looks at the job; a real model behind the gateway gets them at once.
_AT_ONCE = 20
_TOLD_EVERY = 1_000

logger = logging.getLogger(__name__)


class _EndedError(Exception):
    """The job ends with this status before its turn has come."""

    def __init__(self, status: str) -> None:
        super().__init__(status)
        self.status = status


class Batches:
    """Runs batch jobs, as many at a time as the capacity allows; to be used from the event loop only."""

    def __init__(self, store: Store, objects: Objects, models: Models, settings: Settings) -> None:
        self._store, self._objects, self._models, self._settings = store, objects, models, settings
        self._root = settings.state / "batch-jobs"
        self._room = asyncio.Semaphore(settings.batch_capacity)
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._stopped: dict[str, asyncio.Event] = {}

    def start(self) -> None:
        """Take up the unfinished jobs of an earlier gateway, by age; needs the gateway's address to answer."""
        jobs = [job for job in self._store.all(KIND) if job["status"] in UNFINISHED]
        for job in sorted(jobs, key=lambda job: float(job["submitTime"])):
            self.submit(job["_id"])
            if job["status"] == "Stopping":
                self.stop(job["_id"])

    async def close(self) -> None:
        """Leave what is unfinished to the next gateway."""
        for task in self._tasks.values():
            task.cancel()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)

    def submit(self, identity: str) -> None:
        """Begin with a job that is written down."""
        self._stopped[identity] = asyncio.Event()
        self._tasks[identity] = asyncio.create_task(self._work(identity))

    def stop(self, identity: str) -> None:
        """Have a job end behind the records that are being answered."""
        self._stopped[identity].set()

    async def _work(self, identity: str) -> None:
        job, directory = self._job(identity), self._root / identity
        files = Files(self._objects, directory, job["inputDataConfig"]["s3InputDataConfig"]["s3Uri"])
        try:
            await self._carry_out(job, files)
        except InputError as error:
            self._set(identity, "Failed", message=str(error), endTime=time.time())
        except Exception as error:
            logger.exception("Batch job %s", identity)
            self._set(identity, "Failed", message=f"InternalServerError: {error!r}", endTime=time.time())
        finally:
            self._tasks.pop(identity, None)
            self._stopped.pop(identity, None)
        await run_in_threadpool(shutil.rmtree, directory, ignore_errors=True)

    async def _carry_out(self, job: Document, files: Files) -> None:
        identity = job["_id"]
        if job["status"] in ("Submitted", "Validating"):
            self._set(identity, "Validating")
            self._set(identity, "Scheduled", totalRecordCount=await run_in_threadpool(files.fetch))
        try:
            await self._turn(job)
        except _EndedError as ended:
            await self._finish(self._job(identity), files, ended.status)
            return
        try:
            status = await self._answer(self._job(identity), files)
        finally:
            self._room.release()
        await self._finish(self._job(identity), files, status)

    async def _turn(self, job: Document) -> None:
        """Wait until there is room for the job, and take it.

        Raises:
            _EndedError: it was stopped or expired first.
        """
        stopped = asyncio.create_task(self._stopped[job["_id"]].wait())
        room = asyncio.create_task(self._room.acquire())
        left = max(0.0, job["jobExpirationTime"] - time.time())
        try:
            await asyncio.wait({stopped, room}, timeout=left, return_when=asyncio.FIRST_COMPLETED)
        finally:
            stopped.cancel()
            if not room.done():
                room.cancel()
        if room.done() and not room.cancelled() and not self._stopped[job["_id"]].is_set():
            return
        if room.done() and not room.cancelled():
            self._room.release()
        raise _EndedError("Stopped" if self._stopped[job["_id"]].is_set() else "Expired")

    async def _answer(self, job: Document, files: Files) -> str:
        """Answer the job's records; return the status that it ends with."""
        identity, place = job["_id"], Place(job["modelId"], job["_region"])
        self._set(identity, "InProgress")
        shares = place.find(self._settings.bedrock_faults) or FaultShares()
        records = Records(self._models, place, job["modelInvocationType"], shares, identity)
        counts = await run_in_threadpool(files.counts)
        for lines in _chunks(files.unanswered()):
            if self._stopped[identity].is_set():
                return "Stopped"
            if time.time() >= job["jobExpirationTime"]:
                return "PartiallyCompleted"
            written = await asyncio.gather(*(records.answer(line.text, line.number) for line in lines))
            # AWS promises no order either: who matches results by their place finds out here.
            files.keep(lines[0].file, written[::-1])
            for one in written:
                count(counts, one)
            self._tell(job, counts, len(lines))
            await self._pause(len(lines))
        return "Completed"

    async def _pause(self, answered: int) -> None:
        """Let others go on, for as long as the rate asks for."""
        rate = self._settings.batch_rate
        await asyncio.sleep(answered / rate if rate else 0)

    def _tell(self, job: Document, counts: dict[str, int], answered: int) -> None:
        done = counts["processed"]
        self._store.update(KIND, job["_id"], **_counted(counts))
        if done // _TOLD_EVERY != (done - answered) // _TOLD_EVERY:
            logger.info("Batch job %s (%s): %d of %d", job["_id"], job["jobName"], done, job["totalRecordCount"])

    async def _finish(self, job: Document, files: Files, status: str) -> None:
        counts = await run_in_threadpool(files.counts)
        location = job["outputDataConfig"]["s3OutputDataConfig"]["s3Uri"]
        manifest = {
            "totalRecordCount": job.get("totalRecordCount", 0),
            **_counted(counts),
            "inputTokenCount": counts["input"],
            "outputTokenCount": counts["output"],
        }
        if counts["processed"]:
            await run_in_threadpool(files.publish, f"{location.rstrip('/')}/{job['_id']}", manifest)
        self._set(job["_id"], status, **_counted(counts), endTime=time.time())

    def _job(self, identity: str) -> Document:
        job = self._store.get(KIND, identity)
        if job is None:
            raise KeyError(identity)
        return job

    def _set(self, identity: str, status: str, **fields: object) -> None:
        """Write a job's status down; one that is being stopped goes to its end only."""
        with self._store.transaction():
            if self._job(identity)["status"] == "Stopping" and status in UNFINISHED:
                status = "Stopping"
            job = self._store.update(KIND, identity, status=status, lastModifiedTime=time.time(), **fields)
        logger.info("Batch job %s (%s): %s %s", identity, job["jobName"], status, job.get("message", ""))


def _counted(counts: dict[str, int]) -> dict[str, int]:
    return {f"{name}RecordCount": counts[name] for name in ("processed", "success", "error")}


def _chunks(lines: Iterator[Line]) -> Iterator[list[Line]]:
    """Return lines in groups, each of one file."""
    for _, of_file in itertools.groupby(lines, key=lambda line: line.file):
        while group := list(itertools.islice(of_file, _AT_ONCE)):
            yield group
