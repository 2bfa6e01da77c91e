"""Buttons that lead from a task to AWS's console."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import quote, urlencode

from airflow.providers.amazon.aws.links.base_aws import BaseAwsLink
from airflow.sdk import BaseOperatorLink

from lookbook.aws import session
from lookbook.settings import get_settings
from lookbook.storage import split_uri
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


class EndpointLink(BaseOperatorLink):
    """To the endpoint in SageMaker's console."""

    name = "Endpoint"

    def get_link(self, operator: Any, *, ti_key: Any) -> str:
        """Return the page's address, or nothing on one machine."""
        settings = get_settings()
        partition = session(settings.aws_region).get_partition_for_region(settings.aws_region)
        arn = f"arn:{partition}:sagemaker:{settings.aws_region}::endpoint/{settings.endpoint_name}"
        return console_page(arn) or ""


# The console's page of each kind of resource that an ARN names; the registry's packages have none outside Studio.
_PAGES = {
    ("sagemaker", "training-job"): "/sagemaker/home?region={region}#/jobs/{name}",
    ("sagemaker", "transform-job"): "/sagemaker/home?region={region}#/transform-jobs/{name}",
    ("sagemaker", "endpoint-config"): "/sagemaker/home?region={region}#/endpointConfig/{name}",
    ("sagemaker", "endpoint"): "/sagemaker/home?region={region}#/endpoints/{name}",
    ("bedrock", "model-invocation-job"): "/bedrock/home?region={region}#/batch-inference",
}


def console_page(thing: str) -> str | None:
    """Return AWS's console page of what an ARN or an S3 URI names; ``None`` where it has none, as on one machine."""
    if get_settings().aws_endpoint_url:
        return None
    return _object_page(thing) if thing.startswith("s3://") else _resource_page(thing)


def _object_page(uri: str) -> str:
    region = get_settings().aws_region
    bucket, key = split_uri(uri)
    partition = session(region).get_partition_for_region(region)
    kind = "buckets" if uri.endswith("/") else "object"
    page = f"/s3/{kind}/{quote(bucket, safe='')}?{urlencode({'region': region, 'prefix': key}, quote_via=quote)}"
    return f"https://console.{BaseAwsLink.get_aws_domain(partition)}{page}"


def _resource_page(arn: str) -> str | None:
    parts = arn.split(":", 5)
    if len(parts) != 6 or parts[0] != "arn":
        return None
    _, partition, service, region, _, resource = parts
    kind, _, name = resource.partition("/")
    page, domain = _PAGES.get((service, kind)), BaseAwsLink.get_aws_domain(partition)
    if page is None or domain is None:
        return None
    return f"https://console.{domain}{page.format(region=quote(region), name=quote(name, safe=''))}"
