"""Triggers: they wait for a job, show how it is and stop it when a person kills the task."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any, ClassVar

from airflow.triggers.base import BaseTrigger, TriggerEvent
from asgiref.sync import sync_to_async

from lookbook_airflow.batch_jobs import BatchJobWatch
from lookbook_airflow.training_jobs import JobWatch, TrainingJobWatch
from lookbook_airflow.transform_jobs import TransformJobWatch


class JobTrigger(BaseTrigger):
    """Wait for a job; what its watch says meanwhile is in the task's log.

    Args:
        job_name: what AWS knows the job by: its name or ARN.
        poll_interval: seconds from one look at the job to the next.
        connection: arguments of the hooks: ``aws_conn_id``, ``region_name``, ``verify``.
    """

    watch: ClassVar[type[JobWatch]]

    def __init__(self, job_name: str, poll_interval: float, connection: dict[str, Any]) -> None:
        super().__init__()
        self.job_name, self.poll_interval, self.connection = job_name, poll_interval, connection

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return the path of this class and the arguments that make it anew."""
        arguments = {"job_name": self.job_name, "poll_interval": self.poll_interval, "connection": self.connection}
        return f"{type(self).__module__}.{type(self).__qualname__}", arguments

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Look at the job until it has ended, however it did."""
        look = sync_to_async((await sync_to_async(self._watch)()).look)
        while await look():  # noqa: ASYNC110 - nothing here could set an event for it
            await asyncio.sleep(self.poll_interval)
        yield TriggerEvent({"job_name": self.job_name})

    async def on_kill(self) -> None:
        """Stop the job when the task is marked failed or cleared by hand: nobody would use what it leaves."""
        await sync_to_async((await sync_to_async(self._watch)()).stop)()

    def _watch(self) -> JobWatch:
        return self.watch.connected(self.job_name, self.connection, self.log)


class TrainingJobTrigger(JobTrigger):
    """Wait for a training job; its log is in the task's log."""

    watch = TrainingJobWatch


class TransformJobTrigger(JobTrigger):
    """Wait for a batch transform job; its log, and how far it is, is in the task's log."""

    watch = TransformJobWatch


class BatchJobTrigger(JobTrigger):
    """Wait for a Bedrock batch job; how far it is, is in the task's log. A job that is late is stopped."""

    watch = BatchJobWatch
