"""Transform jobs carried out: a model's containers are started, sent every object, and ended.

What a job has done stands in a file of its directory, a line an object. A gateway that is started again starts the
containers of an unfinished job anew and goes on behind the last line.
"""

from __future__ import annotations

import logging
import shutil
import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

from local_aws import process
from local_aws.objects import ObjectsError
from local_aws.sagemaker import names
from local_aws.sagemaker.building import Builder
from local_aws.sagemaker.replica import Replica, last_words, new_id
from local_aws.sagemaker.transform_input import inputs
from local_aws.sagemaker.transforming import Exchange, Progress
from local_aws.settings import Settings
from local_aws.state import Document, Store

LOG_GROUP = "/aws/sagemaker/TransformJobs"
DEFAULT_PAYLOAD_MB = 6
_UNFINISHED = ("InProgress", "Stopping")

logger = logging.getLogger(__name__)


class JobFailedError(Exception):
    """The job can't go on; the message is its FailureReason."""


class Transformer:
    """Runs transform jobs, as many at a time as the capacity allows; the others wait."""

    def __init__(self, store: Store, logs: Any, builder: Builder, settings: Settings) -> None:
        self._store, self._logs, self._builder, self._settings = store, logs, builder, settings
        self._root = settings.state / "transform-jobs"
        self._closing = threading.Event()
        self._lock = threading.Lock()
        self._waiting: dict[str, Future[None]] = {}
        self._pool = ThreadPoolExecutor(settings.transform_capacity, thread_name_prefix="transform")

    def start(self) -> None:
        """Take up the unfinished jobs of an earlier gateway, by age."""
        jobs = [job for job in self._store.all(names.TRANSFORM_JOB) if job["TransformJobStatus"] in _UNFINISHED]
        for job in sorted(jobs, key=lambda job: float(job["CreationTime"])):
            self.submit(job["TransformJobName"])

    def submit(self, name: str) -> None:
        """Queue a job that is written down; while the gateway ends, that is left to the next one."""
        with self._lock:
            if not self._closing.is_set():
                self._waiting[name] = self._pool.submit(self._work, name)

    def stop(self, name: str) -> None:
        """End a job that waits, at once; one that runs sees for itself that it is to end."""
        with self._lock:
            waiting = self._waiting.get(name)
        if waiting is not None and waiting.cancel():
            self._forget(name)
            self._finish(name, "Stopped")

    def close(self) -> None:
        """End every container; the next gateway goes on where the jobs were."""
        with self._lock:
            self._closing.set()
        self._pool.shutdown(cancel_futures=True)

    def _work(self, name: str) -> None:
        try:
            self._run(name, self._job(name))
        except (JobFailedError, ObjectsError) as error:
            self._finish(name, "Failed", str(error))
        except Exception as error:
            logger.exception("Transform job %s", name)
            self._finish(name, "Failed", f"InternalServerError: We encountered an internal error. {error!r}")
        finally:
            self._forget(name)

    def _run(self, name: str, job: Document) -> None:
        self._end(Replica.from_document(replica) for replica in job.get("_replicas", []))
        directory, identity = self._root / name, new_id()
        source = inputs(self._builder.objects, job["TransformInput"]["DataSource"]["S3DataSource"])
        replicas = self._replicas(job, directory / identity)
        progress = Progress(directory / "progress.jsonl", directory / identity / "data.log")
        exchange = Exchange(job, replicas, self._builder.objects, progress, DEFAULT_PAYLOAD_MB)
        try:
            if self._come_up(name, job, replicas):
                exchange.run(
                    source, lambda: self._look_after(name, identity, replicas, progress), lambda: self._end(replicas)
                )
        finally:
            exchange.close()
            self._end(replicas)
            self._ship(name, identity, replicas, progress, last=True)
        self._conclude(name, progress)

    def _conclude(self, name: str, progress: Progress) -> None:
        if self._is_stopping(name):
            self._finish(name, "Stopped")
        elif self._closing.is_set():
            return
        elif progress.failure:
            self._finish(name, "Failed", f"{progress.failure}: See job logs for more information")
        else:
            self._finish(name, "Completed")

    # --- containers

    def _replicas(self, job: Document, directory: Path) -> list[Replica]:
        count, variables = job["TransformResources"]["InstanceCount"], _variables(job)
        made = [
            self._builder.replica(
                job["_model"], directory / str(number), name="batch", weight=1.0, environment=variables
            )
            for number in range(1, count + 1)
        ]
        for replica in made:
            self._builder.prepare(replica, job["_model"])
        return made

    def _come_up(self, name: str, job: Document, replicas: list[Replica]) -> bool:
        """Start the containers and say whether all of them answer; not if the job is to end before."""
        for replica in replicas:
            _start(replica)
        started = job.get("TransformStartTime") or time.time()
        self._update(name, TransformStartTime=started, _replicas=[replica.document() for replica in replicas])
        return all(self._answers(name, replica) for replica in replicas)

    def _answers(self, name: str, replica: Replica) -> bool:
        deadline = time.monotonic() + replica.start_timeout
        while not replica.pings():
            if self._closing.wait(self._settings.poll) or self._is_stopping(name):
                return False
            if not replica.is_alive() or time.monotonic() > deadline:
                raise JobFailedError(
                    f"AlgorithmError: The container did not pass the ping health check. ({last_words(replica)})"
                )
        return True

    def _look_after(self, name: str, identity: str, replicas: list[Replica], progress: Progress) -> bool:
        """Send what was printed to CloudWatch Logs; say whether the job is to go on.

        Raises:
            JobFailedError: a container has ended.
        """
        self._ship(name, identity, replicas, progress)
        process.collect()
        dead = [replica for replica in replicas if not replica.is_alive()]
        if dead:
            raise JobFailedError(f"AlgorithmError: The container ended while the job ran. ({last_words(dead[0])})")
        return not self._closing.wait(self._settings.poll) and not self._is_stopping(name)

    def _ship(
        self, name: str, identity: str, replicas: list[Replica], progress: Progress, *, last: bool = False
    ) -> None:
        for replica in replicas:
            replica.ship_log(self._logs, LOG_GROUP, f"{name}/{identity}-{replica.directory.name}", last=last)
        progress.ship_log(self._logs, LOG_GROUP, f"{name}/{identity}/data-log")

    def _end(self, replicas: Any) -> None:
        for replica in replicas:
            if replica.process:
                replica.process.end(self._settings.stop_grace)

    # --- records

    def _job(self, name: str) -> Document:
        return names.find(self._store, names.TRANSFORM_JOB, name)

    def _is_stopping(self, name: str) -> bool:
        return bool(self._job(name)["TransformJobStatus"] == "Stopping")

    def _update(self, name: str, **fields: Any) -> None:
        self._store.update(names.TRANSFORM_JOB, name, LastModifiedTime=time.time(), **fields)

    def _finish(self, name: str, status: str, reason: str | None = None) -> None:
        logger.info("Transform job %s: %s %s", name, status, reason or "")
        told = reason[:1024] if reason else None
        fields = {"TransformEndTime": time.time(), "FailureReason": told, "_replicas": None}
        self._update(name, TransformJobStatus=status, **fields)
        shutil.rmtree(self._root / name, ignore_errors=True)

    def _forget(self, name: str) -> None:
        with self._lock:
            self._waiting.pop(name, None)


def _start(replica: Replica) -> None:
    try:
        replica.start()
    except OSError as error:
        raise JobFailedError(f"AlgorithmError: the container can't be started: {error}") from error


def _variables(job: Document) -> dict[str, str]:
    """Return what a container is told about the job that it serves, beside the request's own variables."""
    told = {
        "SAGEMAKER_BATCH": "true",
        "SAGEMAKER_MAX_PAYLOAD_IN_MB": str(job.get("MaxPayloadInMB", DEFAULT_PAYLOAD_MB)),
        "SAGEMAKER_BATCH_STRATEGY": "SINGLE_RECORD" if job.get("BatchStrategy") == "SingleRecord" else "MULTI_RECORD",
        "SAGEMAKER_MAX_CONCURRENT_TRANSFORMS": str(job.get("MaxConcurrentTransforms", 1)),
    }
    return {**told, **job.get("Environment", {})}
