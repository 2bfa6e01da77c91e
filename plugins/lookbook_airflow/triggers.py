"""Triggers: the stock SageMaker trigger, which here also stops what it waits for when a person kills the task."""

from __future__ import annotations

from airflow.providers.amazon.aws.triggers.sagemaker import SageMakerTrigger
from asgiref.sync import sync_to_async


class TrainingJobTrigger(SageMakerTrigger):
    """Wait for a training job; stop it when the task is marked failed or cleared by hand: nobody would use it."""

    async def on_kill(self) -> None:
        """Ask SageMaker to stop the job."""
        client = await sync_to_async(self.hook().get_conn)()
        await sync_to_async(client.stop_training_job)(TrainingJobName=self.job_name)
