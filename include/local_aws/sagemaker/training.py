"""Training jobs carried out: queued, fed, run, watched, stopped, and their results uploaded.

A worker thread takes a job through its stages and writes each down, so that a gateway that is started again takes up
every job where it was: one whose container still runs is adopted, one whose container ended meanwhile is finished, one
whose process is gone without a trace is Failed and says so.
"""

from __future__ import annotations

import logging
import re
import shutil
import signal
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from local_aws import process
from local_aws.images import Image
from local_aws.logs import LogStream, last_line
from local_aws.objects import Mirror, Objects, ObjectsError
from local_aws.runner import write
from local_aws.sagemaker import container, names
from local_aws.sagemaker.job import QUEUED, RUNNING, UNFINISHED, UPLOADING, Job
from local_aws.settings import Settings
from local_aws.state import Document, Store

LOG_GROUP = "/aws/sagemaker/TrainingJobs"
SHUTDOWN = "Shutdown"
# CloudWatch takes no NaN and no infinity; what isn't a number is no metric.
_NUMBER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?")
_INCLUDE = Path(__file__).resolve().parents[2]
_AWS_TROUBLE = "InternalServerError: We encountered an internal error."

logger = logging.getLogger(__name__)


class Trainer:
    """Runs training jobs, as many at a time as the capacity allows; the others wait."""

    def __init__(
        self, store: Store, objects: Objects, logs: Any, images: Mapping[str, Image], settings: Settings
    ) -> None:
        self._store, self._objects, self._logs = store, objects, logs
        self._images, self._settings = images, settings
        self._root = settings.state / "training-jobs"
        self._closing = threading.Event()
        self._lock = threading.Lock()
        self._waiting: dict[str, Future[None]] = {}
        self._pool = ThreadPoolExecutor(settings.training_capacity, thread_name_prefix="training")

    def start(self) -> None:
        """Take up the unfinished jobs of an earlier gateway: first those under way, then by age."""
        jobs = [job for job in self._store.all(names.TRAINING_JOB) if job["TrainingJobStatus"] in UNFINISHED]
        for job in sorted(jobs, key=lambda job: (job["_stage"] == QUEUED, job["CreationTime"])):
            self.submit(job["TrainingJobName"])

    def submit(self, name: str) -> None:
        """Queue a job that is written down; while the gateway ends, that is left to the next one."""
        with self._lock:
            if self._closing.is_set():
                return
            busy = len(self._waiting) >= self._settings.training_capacity
            if busy and self._job(name).document["_stage"] == QUEUED:
                self._job(name).enter("Pending")
            self._waiting[name] = self._pool.submit(self._work, name)

    def stop(self, name: str) -> None:
        """Stop a job that waits, at once, or let its worker stop it."""
        with self._lock:
            waiting = self._waiting.get(name)
        if waiting is not None and waiting.cancel():
            self._forget(name)
            self._job(name).finish("Stopped", "Stopped")

    def close(self) -> None:
        """Stop what runs and return when nothing does; jobs that wait are taken up by the next gateway."""
        with self._lock:
            self._closing.set()
        self._pool.shutdown(cancel_futures=True)

    def _job(self, name: str) -> Job:
        return Job(self._store, self._root, name)

    def _forget(self, name: str) -> None:
        with self._lock:
            self._waiting.pop(name, None)

    def _work(self, name: str) -> None:
        job = self._job(name)
        try:
            self._advance(job)
        except ObjectsError as error:
            job.finish("Failed", "Failed", str(error))
        except Exception as error:
            logger.exception("Training job %s", name)
            job.finish("Failed", "Failed", f"{_AWS_TROUBLE} {error!r}")
        finally:
            self._forget(name)

    def _advance(self, job: Job) -> None:
        stage = job.document["_stage"]
        if stage == QUEUED and not self._launch(job):
            return
        if stage in (QUEUED, RUNNING):
            Watch(job, self._objects, self._logs, self._settings, self._closing).to_the_end()
        self._conclude(job)

    def _launch(self, job: Job) -> bool:
        """Bring the data and start the container; say whether it was started."""
        job.enter("Downloading", TrainingStartTime=time.time())
        document = job.document
        # A gateway that was killed at the wrong moment may have started it already.
        if early := job.process("container"):
            early.end(0)
        shutil.rmtree(job.directory, ignore_errors=True)
        container.prepare(job.base, document)
        for download in self._downloads(job, document):
            if self._closing.is_set():
                return False
            if job.document["TrainingJobStatus"] == "Stopping":
                job.finish("Stopped", "Stopped")
                return False
            download()
        self._start_runner(job, document)
        return True

    def _downloads(self, job: Job, document: Document) -> Iterator[Any]:
        for channel in container.channels(document):
            yield lambda channel=channel: self._download_channel(job, channel)
        if "CheckpointConfig" in document:
            uri = document["CheckpointConfig"]["S3Uri"].rstrip("/") + "/"
            yield lambda: self._objects.download(uri, container.checkpoints(job.base, document))

    def _download_channel(self, job: Job, channel: Document) -> None:
        uri = channel["DataSource"]["S3DataSource"]["S3Uri"]
        directory = job.base / "input" / "data" / channel["ChannelName"]
        directory.mkdir(parents=True, exist_ok=True)
        if not self._objects.download(uri, directory):
            raise ObjectsError(
                f'ClientError: Data download failed: No S3 objects found under S3 URL "{uri}" given in input data '
                f"source. Please ensure that objects exist under that S3 prefix (channel {channel['ChannelName']})."
            )

    def _start_runner(self, job: Job, document: Document) -> None:
        image = self._images[document["AlgorithmSpecification"]["TrainingImage"]]
        order = {
            "argv": container.training_argv(image, document),
            "env": container.training_environment(image, document, job.base, self._settings.url),
            "cwd": str(image.cwd),
        }
        write(job.directory / "runner.json", order)
        argv = [sys.executable, "-m", "local_aws.runner", str(job.directory)]
        env = {**process.base_environment(), "PYTHONPATH": str(_INCLUDE)}
        runner = process.start(argv, env=env, cwd=_INCLUDE, log=job.directory / "runner.log")
        stream = f"{job.name}/algo-1-{int(time.time())}"
        job.enter("Training", _stage=RUNNING, _runner=runner.document(), _stream=stream)

    def _conclude(self, job: Job) -> None:
        """Upload what the container left and write the job's end."""
        document = job.document
        ending = document.get("_ending", {}).get("why")
        if ending == SHUTDOWN:
            job.finish("Failed", "Failed", f"{_AWS_TROUBLE} Local AWS was shut down while the job ran.")
            return
        status = job.exit() or {"code": 0}
        if status["code"] and not ending:
            self._upload_output(job, document)
            job.finish("Failed", "Failed", _algorithm_error(job, status))
            return
        job.enter("Uploading", _stage=UPLOADING)
        artifacts = {"S3ModelArtifacts": self._upload_model(job, document)}
        self._upload_output(job, document)
        job.finish("Stopped" if ending else "Completed", ending or "Completed", ModelArtifacts=artifacts)

    def _upload_model(self, job: Job, document: Document) -> str:
        prefix = _output_prefix(document)
        if document["OutputDataConfig"].get("CompressionType") == "NONE":
            Mirror(self._objects, job.base / "model", f"{prefix}/model").push()
            return f"{prefix}/model/"
        self._objects.upload_archive(job.base / "model", f"{prefix}/model.tar.gz")
        return f"{prefix}/model.tar.gz"

    def _upload_output(self, job: Job, document: Document) -> None:
        data = job.base / "output" / "data"
        if any(data.iterdir()):
            self._objects.upload_archive(data, f"{_output_prefix(document)}/output.tar.gz")


class Watch:
    """A container under way: its log and metrics, its checkpoints, its limits."""

    def __init__(self, job: Job, objects: Objects, logs: Any, settings: Settings, closing: threading.Event) -> None:
        self._job, self._settings, self._closing = job, settings, closing
        document = job.document
        self._stream = LogStream(logs, LOG_GROUP, document["_stream"], job.log, document.get("_log_offset", 0))
        self._metrics = _expressions(document)
        checkpoints = document.get("CheckpointConfig")
        directory = container.checkpoints(job.base, document)
        self._mirror = Mirror(objects, directory, checkpoints["S3Uri"]) if checkpoints else None
        self._pushed = 0.0

    def to_the_end(self) -> None:
        """Watch until the container has ended, whoever ended it.

        Raises:
            ObjectsError: its processes are gone and left no exit status.
        """
        while not self._ended():
            self._report()
            self._push_checkpoints(self._settings.checkpoint_interval)
            self._enforce()
            self._closing.wait(self._settings.poll)
            if self._closing.is_set():
                time.sleep(self._settings.poll)
        process.collect()
        self._report(last=True)
        self._push_checkpoints(0.0)

    def _ended(self) -> bool:
        runner = process.Process.from_document(self._job.document["_runner"])
        alive = runner is not None and runner.is_alive()
        if self._job.exit():
            return True
        if not alive:
            self._lost()
        return False

    def _lost(self) -> None:
        orphan = self._job.process("container")
        if orphan:
            orphan.end(0)
        self._report(last=True)
        self._push_checkpoints(0.0)
        raise ObjectsError(
            f"{_AWS_TROUBLE} The process that ran the job ended without leaving an exit status: it was killed from "
            f"outside, or the machine went down. Last line of its log: {last_line(self._job.log) or '(none)'}"
        )

    def _report(self, *, last: bool = False) -> None:
        try:
            lines = self._stream.ship(last=last)
        except (BotoCoreError, ClientError) as error:
            # The job doesn't depend on its log; the lines stay in the file and are sent with the next ones.
            logger.warning("The log of training job %s can't be sent now: %s", self._job.name, error)
            return
        if lines:
            metrics = _merge(self._job.document.get("FinalMetricDataList", []), _measured(self._metrics, lines))
            self._job.update(_log_offset=self._stream.offset, FinalMetricDataList=metrics or None)

    def _push_checkpoints(self, interval: float) -> None:
        if self._mirror and time.monotonic() - self._pushed >= interval:
            self._mirror.push()
            self._pushed = time.monotonic()

    def _enforce(self) -> None:
        document = self._job.document
        ending = document.get("_ending")
        target = self._job.process("container")
        if target is None:
            return
        if ending is None and (why := _reason_to_end(document, self._closing.is_set())):
            self._job.update(_ending={"why": why, "at": time.time()})
            target.signal_group(signal.SIGTERM)
        elif ending and time.time() - ending["at"] > self._settings.stop_grace:
            target.signal_group(signal.SIGKILL)


def _reason_to_end(document: Document, closing: bool) -> str | None:
    now, limits = time.time(), document["StoppingCondition"]
    if document["TrainingJobStatus"] == "Stopping":
        return "Stopped"
    if now - document["TrainingStartTime"] > limits.get("MaxRuntimeInSeconds", 86_400):
        return "MaxRuntimeExceeded"
    if now - document["CreationTime"] > limits.get("MaxWaitTimeInSeconds", float("inf")):
        return "MaxWaitTimeExceeded"
    return SHUTDOWN if closing else None


def _algorithm_error(job: Job, status: Mapping[str, Any]) -> str:
    told = job.failure() or status.get("error") or f"ExecuteUserScriptError: {last_line(job.log)}"
    return f"AlgorithmError: {told[:900]}, exit code: {status['code']}"


def _output_prefix(document: Document) -> str:
    return f"{document['OutputDataConfig']['S3OutputPath'].rstrip('/')}/{document['TrainingJobName']}/output"


def _expressions(document: Document) -> dict[str, re.Pattern[str]]:
    found = document["AlgorithmSpecification"].get("MetricDefinitions", [])
    return {metric["Name"]: re.compile(metric["Regex"]) for metric in found}


def _measured(expressions: Mapping[str, re.Pattern[str]], lines: list[str]) -> dict[str, float]:
    matches = ((name, expression.search(line)) for line in lines for name, expression in expressions.items())
    return {name: float(match.group(1)) for name, match in matches if match and _NUMBER.fullmatch(match.group(1))}


def _merge(known: list[Document], measured: Mapping[str, float]) -> list[Document]:
    values = {metric["MetricName"]: metric for metric in known}
    new = {name: {"MetricName": name, "Value": value, "Timestamp": time.time()} for name, value in measured.items()}
    return list({**values, **new}.values())
