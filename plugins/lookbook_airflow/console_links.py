"""Buttons that lead from a task to AWS's console."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import quote

from airflow.providers.amazon.aws.links.base_aws import BaseAwsLink
from airflow.sdk import BaseOperatorLink

from lookbook.settings import get_settings
from lookbook_airflow.training_jobs import LOG_GROUP
from lookbook_airflow.transform_jobs import LOG_GROUP as TRANSFORM_LOG_GROUP

if TYPE_CHECKING:
    from airflow.providers.amazon.aws.hooks.sagemaker import SageMakerHook


class TrainingJobLink(BaseOperatorLink):
    """To a training job in SageMaker's console; there is none for local AWS."""

    name = "Training job"
    path: ClassVar[str] = "/sagemaker/home?region={region}#/jobs/{job}"
    key: ClassVar[str] = "TrainingJobName"
    log_group: ClassVar[str] = LOG_GROUP

    def get_link(self, operator: Any, *, ti_key: Any) -> str:
        """Return the page's address, or nothing on one machine; called when a task ends or begins to wait."""
        if get_settings().aws_endpoint_url:
            return ""
        hook: SageMakerHook = operator.hook
        job, group = quote(operator.config[self.key], safe=""), quote(quote(self.log_group, safe=""), safe="")
        # Behind the #, CloudWatch's console takes $ for %.
        page = self.path.format(region=hook.conn_region_name, job=job, group=group.replace("%", "$"))
        return f"https://console.{BaseAwsLink.get_aws_domain(hook.conn_partition)}{page}"


class TrainingLogLink(TrainingJobLink):
    """To the job's log in CloudWatch's console."""

    name = "Training log"
    path = "/cloudwatch/home?region={region}#logsV2:log-groups/log-group/{group}$3FlogStreamNameFilter$3D{job}"


class TransformJobLink(TrainingJobLink):
    """To a batch transform job in SageMaker's console."""

    name = "Transform job"
    path = "/sagemaker/home?region={region}#/transform-jobs/{job}"
    key = "TransformJobName"
    log_group = TRANSFORM_LOG_GROUP


class TransformLogLink(TransformJobLink):
    """To the log of a batch transform job in CloudWatch's console."""

    name = "Transform log"
    path = TrainingLogLink.path


class BatchJobLink(TrainingJobLink):
    """To the batch jobs in Bedrock's console, where the job is found by its name."""

    name = "Batch jobs"
    path = "/bedrock/home?region={region}#/batch-inference"
    key = "jobName"
