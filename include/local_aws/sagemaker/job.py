"""One training job as it is written down: its description, its stage, its directory."""

from __future__ import annotations

import json
import logging
import shutil
import time
from pathlib import Path
from typing import Any

from local_aws.process import Process
from local_aws.sagemaker import names
from local_aws.state import Document, Store

QUEUED, RUNNING, UPLOADING = "queued", "running", "uploading"
UNFINISHED = ("InProgress", "Stopping")

_MESSAGES = {
    "Starting": "Starting the training job",
    "Pending": "Waiting for capacity: other training jobs are running",
    "Downloading": "Downloading input data",
    "Training": "Training image started. Training in progress.",
    "Uploading": "Uploading generated training model",
    "Stopping": "Stopping the training job",
    "Stopped": "Training job stopped",
    "Completed": "Training job completed",
    "Failed": "Training job failed",
    "MaxRuntimeExceeded": "The training job ran longer than MaxRuntimeInSeconds",
    "MaxWaitTimeExceeded": "The training job waited and ran longer than MaxWaitTimeInSeconds",
}
# DescribeTrainingJob's limit.
_REASON_LIMIT = 1024

logger = logging.getLogger(__name__)


class Job:
    """A training job's record; fields that begin with an underscore are ours and are never sent."""

    def __init__(self, store: Store, root: Path, name: str) -> None:
        self._store = store
        self.name = name
        self.directory = root / name
        self.base = self.directory / "ml"
        self.log = self.directory / "output.log"

    @property
    def document(self) -> Document:
        """The record as it now is."""
        document = self._store.get(names.TRAINING_JOB, self.name)
        if document is None:
            raise KeyError(self.name)
        return document

    def update(self, **fields: Any) -> Document:
        """Set fields and the time of modification."""
        return self._store.update(names.TRAINING_JOB, self.name, LastModifiedTime=time.time(), **fields)

    def enter(self, status: str, **fields: Any) -> None:
        """Begin a secondary status; one that is being stopped shows nothing but its end."""
        with self._store.transaction():
            document = self.document
            stopping = document["TrainingJobStatus"] == "Stopping" and status in (
                "Downloading",
                "Training",
                "Uploading",
            )
            if not stopping:
                fields |= {"SecondaryStatus": status, "SecondaryStatusTransitions": transitions(document, status)}
            self.update(**fields)

    def finish(self, status: str, secondary: str, reason: str | None = None, **fields: Any) -> None:
        """Write the job's end and free its disk space; its log file stays."""
        with self._store.transaction():
            end, start = time.time(), self.document.get("TrainingStartTime")
            if start is not None:
                seconds = max(1, round(end - start))
                fields |= {"TrainingEndTime": end, "TrainingTimeInSeconds": seconds, "BillableTimeInSeconds": seconds}
            reason = reason[:_REASON_LIMIT] if reason else None
            self.enter(secondary, TrainingJobStatus=status, FailureReason=reason, _stage=None, **fields)
        logger.info("Training job %s: %s %s", self.name, secondary, reason or "")
        shutil.rmtree(self.base, ignore_errors=True)

    def process(self, which: str) -> Process | None:
        """Return the ``runner`` or ``container`` process, if it was started."""
        return Process.from_document(self._read("processes.json").get(which))

    def exit(self) -> Document | None:
        """Return what the runner wrote when the container ended, or None."""
        return self._read("exit.json") or None

    def failure(self) -> str:
        """Return what the container wrote to ``output/failure``."""
        path = self.base / "output" / "failure"
        return path.read_text(errors="replace").strip() if path.is_file() else ""

    def _read(self, name: str) -> Document:
        path = self.directory / name
        found: Document = json.loads(path.read_text()) if path.exists() else {}
        return found


def transitions(document: Document, status: str) -> list[Document]:
    """Return the job's transitions with the last one ended and ``status`` begun."""
    now, past = time.time(), document.get("SecondaryStatusTransitions", [])
    ended = [*past[:-1], {**past[-1], "EndTime": now}] if past else []
    return [*ended, {"Status": status, "StartTime": now, "StatusMessage": _MESSAGES[status]}]
