"""Triggers: they wait for a SageMaker job, show its log and stop it when a person kills the task."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from airflow.providers.amazon.aws.hooks.base_aws import AwsBaseHook
from airflow.triggers.base import BaseTrigger, TriggerEvent
from asgiref.sync import sync_to_async

from lookbook_airflow.training_jobs import TrainingJobWatch
from lookbook_airflow.transform_jobs import TransformJobWatch


class TrainingJobTrigger(BaseTrigger):
    """Wait for a training job; what it logs meanwhile is in the task's log.

    Args:
        job_name: the job's name.
        poll_interval: seconds from one look at the job to the next.
        connection: arguments of the hooks: ``aws_conn_id``, ``region_name``, ``verify``.
    """

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
        """Ask SageMaker to stop the job when the task is marked failed or cleared by hand: nobody would use it."""
        client = await sync_to_async(self._client)("sagemaker")
        await sync_to_async(client.stop_training_job)(TrainingJobName=self.job_name)

    def _watch(self) -> TrainingJobWatch:
        return TrainingJobWatch(self.job_name, self._client("sagemaker"), self._client("logs"), self.log)

    def _client(self, service: str) -> Any:
        return AwsBaseHook(client_type=service, **self.connection).get_conn()


class TransformJobTrigger(TrainingJobTrigger):
    """Wait for a batch transform job; what it logs meanwhile, and how far it is, is in the task's log."""

    async def on_kill(self) -> None:
        """Ask SageMaker to stop the job when the task is marked failed or cleared by hand."""
        client = await sync_to_async(self._client)("sagemaker")
        await sync_to_async(client.stop_transform_job)(TransformJobName=self.job_name)

    def _watch(self) -> TransformJobWatch:
        return TransformJobWatch(self.job_name, self._client("sagemaker"), self._client("logs"), self.log)
