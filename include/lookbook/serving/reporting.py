"""What was made in SageMaker to put a model in service or to ask it, for the records of the tasks that made it.

All take what SageMaker describes: it knows the ARNs, and which image it found under a tag. An endpoint config is named
after the endpoint that it is for, whose version it is.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lookbook import storage
from lookbook.lineage import records
from lookbook.serving import transform_jobs
from lookbook.settings import get_settings
from lookbook.training import cost
from lookbook.training.registry import PACKAGE_VARIABLE


def report_package(package: Mapping[str, Any]) -> None:
    """Report a model package that was registered: its artefact and image, and itself."""
    for container in package["InferenceSpecification"]["Containers"]:
        _report_container(container)
    records.writes("model_package", package["ModelPackageGroupName"], package["ModelPackageArn"])


def report_model(model: Mapping[str, Any]) -> None:
    """Report a model that was created from a package: the package, its artefact and image; its own ARN is a detail."""
    container = model["PrimaryContainer"]
    if package_arn := container.get("Environment", {}).get(PACKAGE_VARIABLE):
        records.reads("model_package", get_settings().model_package_group, package_arn)
    _report_container(container)
    records.details(model_arn=model["ModelArn"])


def report_endpoint_config(config: Mapping[str, Any]) -> None:
    """Report an endpoint config that was created; its ARN is a detail."""
    records.details(endpoint_config_arn=config["EndpointConfigArn"])
    records.writes("endpoint_config", get_settings().endpoint_name, config["EndpointConfigName"])


def report_endpoint(endpoint: Mapping[str, Any]) -> None:
    """Report that an endpoint serves a config, with the images that SageMaker found when it pulled them."""
    report_images(endpoint)
    records.details(endpoint_arn=endpoint["EndpointArn"])
    records.writes("endpoint_config", endpoint["EndpointName"], endpoint["EndpointConfigName"])


def report_images(endpoint: Mapping[str, Any]) -> None:
    """Report the images that an endpoint runs."""
    variants = [*endpoint["ProductionVariants"], *endpoint.get("ShadowProductionVariants", ())]
    for image in (image for variant in variants for image in variant.get("DeployedImages", ())):
        records.reads_image(image["SpecifiedImage"], image.get("ResolvedImage"))


def report_transform(job: Mapping[str, Any], model: Mapping[str, Any]) -> None:
    """Report a transform job that left something: its manifest and image, itself, what it left, its list price.

    SageMaker tells no billed time of transform jobs: the price is that of the time from its start to its end.

    Args:
        job: as DescribeTransformJob tells it.
        model: of the job, as DescribeModel tells it.
    """
    told = transform_jobs.reference(job)
    if manifest := storage.find(told["manifest_uri"]):
        records.reads_object(manifest)
    records.reads_image(model["PrimaryContainer"]["Image"])
    records.writes("transform_job", told["job_name"], told["job_arn"])
    records.writes("prefix", told["output_uri"], told["job_arn"])
    records.counts(results=transform_jobs.count_results(told))
    began, ended, kind = job.get("TransformStartTime"), job.get("TransformEndTime"), job["TransformResources"]
    if began and ended:
        records.costs(cost.usd_of(kind["InstanceType"], (ended - began).total_seconds(), kind["InstanceCount"]))


def _report_container(container: Mapping[str, Any]) -> None:
    records.reads_image(container["Image"])
    if stored := storage.find(container["ModelDataUrl"]):
        records.reads("model_artifact", stored.uri, stored.etag)
