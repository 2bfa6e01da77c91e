"""A batch transform job that is waited for: its state, its log and how many results there are."""

from __future__ import annotations

from typing import Any

from lookbook.progress import Progress
from lookbook.serving import transform_jobs
from lookbook_airflow.training_jobs import RUNNING, TrainingJobWatch

LOG_GROUP = "/aws/sagemaker/TransformJobs"


class TransformJobWatch(TrainingJobWatch):
    """Follows one batch transform job; every look logs what is new, and n of N pictures."""

    log_group = LOG_GROUP
    _progress: Progress | None = None
    _counted = 0

    def stop(self) -> None:
        """Ask SageMaker to stop the job."""
        self._sagemaker.stop_transform_job(TransformJobName=self._name)

    def look(self) -> bool:
        """Log what is new and return whether the job still runs."""
        job = self._sagemaker.describe_transform_job(TransformJobName=self._name)
        status: str = job["TransformJobStatus"]
        if self._before is None or self._before["TransformJobStatus"] != status:
            self._log.info("Job %s is %s.", self._name, status)
        self._before = job
        for line in self._new_lines():
            self._log.info("%s", line)
        self._count(job)
        return status in RUNNING

    def _count(self, job: dict[str, Any]) -> None:
        reference = transform_jobs.reference(job)
        if self._progress is None:
            pictures = transform_jobs.count_pictures(reference)
            self._progress = Progress(self._log, f"Pictures of transform job {self._name}", pictures)
        done = transform_jobs.count_results(reference)
        self._progress.advance(done - self._counted)
        self._counted = done
