"""The model registry: packages of trained models, which of them is approved, and which one is in service."""

from __future__ import annotations

import hashlib
import logging
import re
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

import orjson
from botocore.exceptions import ClientError

from lookbook.aws import client
from lookbook.errors import PermanentError, RetryableError
from lookbook.lineage import records, sagemaker_ml
from lookbook.settings import get_settings
from lookbook.training import gating

log = logging.getLogger(__name__)

# Every model that Lookbook deploys carries the ARN of its package, so that what serves leads back to the registry.
PACKAGE_VARIABLE = "LOOKBOOK_MODEL_PACKAGE_ARN"
VERSION_VARIABLE = "LOOKBOOK_MODEL_VERSION"

_VALUE_LIMIT = 256  # of CustomerMetadataProperties
_DESCRIPTION_LIMIT = 1024  # of ApprovalDescription
_SINCE, _CONFIG, _EXPIRED = "in_service_since", "endpoint_config", "artefact_expired"
_VERSION = re.compile(r"v[1-9][0-9]*")
_OF_GROUP, _OF_PACKAGE = ":model-package-group/", ":model-package/"  # in ARNs
_UNKNOWN = {"ValidationException", "ResourceNotFound"}  # the codes of what is not there
_COST = "training_cost_usd"
_SERVING = {"InService", "Updating", "SystemUpdating", "RollingBack"}


@dataclass(frozen=True)
class Champion:
    """The model in service."""

    version: str
    package_arn: str
    model_name: str
    model_data: str
    dataset_id: str
    endpoint_config: str
    training_job: str
    report_uri: str | None = None
    """Its evaluation's report; ``None`` for a package that is older than these reports."""
    products_snapshot: str | None = None
    """The version of ``catalog.products`` that it learned from; ``None`` for a package that does not tell."""
    approved: bool = True
    """Whether it was verified, and nobody has taken it back since."""
    shadowed: bool = False
    """Whether its endpoint config has a challenger beside it that gets copies of its requests."""

    def reference(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return asdict(self)


@dataclass(frozen=True)
class Approved:
    """A package that was approved, and its version."""

    package_arn: str
    version: str

    def reference(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return asdict(self)


@dataclass(frozen=True)
class Served:
    """A model that is or was in service: when it last came there (ISO 8601, UTC), and with which endpoint config.

    Both are ``None`` for a package that was approved before they were written down.
    """

    package_arn: str
    version: str
    approved: bool
    since: str | None = None
    endpoint_config: str | None = None
    expired: bool = False
    """Whether housekeeping deleted its artefact: it can't serve again."""


def package_request(dataset: dict[str, Any], training: dict[str, Any], evaluated: dict[str, Any]) -> dict[str, Any]:
    """Return the arguments of ``SageMakerRegisterModelVersionOperator`` for a challenger that passed the gate.

    Beside them, ``needs_approval`` and ``approval_body`` say whether a person must agree before it is deployed, and
    what to tell them.

    Args:
        dataset: reference of a :class:`lookbook.vqa.datasets.DatasetRef`.
        training: the training task's result: ``job_name``, ``job_arn``, ``image_uri``, ``model_data``, ``cost_usd``.
        evaluated: the evaluation task's result, of which the gate has kept report and decision.
    """
    settings = get_settings()
    decision = orjson.loads(records.read_object(gating.decision_uri(evaluated["model_data"])))
    return {
        "image_uri": training["image_uri"],
        "model_url": training["model_data"],
        "package_group_name": settings.model_package_group,
        "needs_approval": settings.require_approval,
        "approval_body": f"{decision['sentence']}\n\nThe evaluation's page is linked from the task `gate`.",
        "extras": {
            "ModelPackageDescription": f"BLIP-2 LoRA on data set {dataset['dataset_id']} ({training['job_name']})",
            "InferenceSpecification": _inference(training["image_uri"], training["model_data"]),
            "ModelMetrics": _metrics(decision["report_uri"]),
            "MetadataProperties": {"GeneratedBy": training["job_arn"]},
            "CustomerMetadataProperties": {
                "dataset_id": dataset["dataset_id"],
                "products_snapshot": dataset["products_snapshot"],
                "training_job": training["job_name"],
                "evaluation_job": evaluated["job_name"],
                "image": training["image_uri"],
                "code_version": settings.code_version,
                "training_code": decision["training_code"],
                **_cost(training, evaluated),
                **_judged(decision),
            },
            # The same artefact is the same package, however often it is registered.
            "ClientToken": hashlib.sha256(training["model_data"].encode()).hexdigest()[:32],
        },
    }


def describe(package_arn: str) -> dict[str, Any]:
    """Return a package as SageMaker describes it."""
    package: dict[str, Any] = client("sagemaker").describe_model_package(ModelPackageName=package_arn)
    return package


def approve(package_arn: str, endpoint_config: str, why: str | None = None) -> Approved:
    """Mark a package whose model was verified in service as approved: from here on it is the champion.

    When and with which endpoint config it came into service is kept in the package, for a rollback to find.

    Args:
        package_arn: the package.
        endpoint_config: the config that was verified.
        why: the approval's description; by default that it passed the gate, or who promoted it.
    """
    package = describe(package_arn)
    served = {_SINCE: datetime.now(UTC).isoformat(timespec="microseconds"), _CONFIG: endpoint_config}
    _judge(package, "Approved", why or _approval(package), served)
    records.details(approved=package_arn)
    if usd := package.get("CustomerMetadataProperties", {}).get(_COST):
        records.outputs_cost(float(usd))
    sagemaker_ml.record_deployment(package_arn, endpoint_config)
    records.reads("endpoint_config", get_settings().endpoint_name, endpoint_config)
    log.info("Model %s is approved (%s).", version_of(package_arn), package_arn)
    return Approved(package_arn, version_of(package_arn))


def mark_expired(package_arn: str) -> None:
    """Say of a package that its artefact is gone: it stays for what is traced to it, and can't be deployed again."""
    annotate(package_arn, {_EXPIRED: datetime.now(UTC).date().isoformat()})
    log.info("Model %s stays in the registry, without its artefact.", version_of(package_arn))


def annotate(package_arn: str, metadata: Mapping[str, str]) -> None:
    """Add to a package's metadata, and leave its approval status as it is."""
    package = describe(package_arn)
    client("sagemaker").update_model_package(
        ModelPackageArn=package_arn,
        ModelApprovalStatus=package["ModelApprovalStatus"],
        CustomerMetadataProperties=package.get("CustomerMetadataProperties", {}) | _as_metadata(metadata),
    )


def reject(package_arn: str, why: str) -> None:
    """Mark a package as rejected: its model must not serve.

    Args:
        package_arn: the package.
        why: for whoever meets it later; names the person, if a person decided.
    """
    _judge(describe(package_arn), "Rejected", why, {})
    records.details(rejected=version_of(package_arn), rejected_because=why)
    log.warning("Model %s is rejected: %s", version_of(package_arn), why)


def served() -> list[Served]:
    """Return every model that is or was in service, approved or rejected since; the latest there comes first."""
    found = [_served(describe(arn)) for arn, status in _packages() if status != "PendingManualApproval"]
    # One that was rejected before it served has no time; an approved one without is older than all that have one.
    models = [one for one in found if one.approved or one.since]
    return sorted(models, key=lambda one: (one.since or "", int(one.version[1:])), reverse=True)


def awaiting() -> list[str]:
    """Return the ARNs of the packages that nobody has decided about yet; the newest comes first."""
    found = [arn for arn, status in _packages() if status == "PendingManualApproval"]
    return sorted(found, key=_number, reverse=True)


def package_of(version: str) -> str | None:
    """Return the ARN of the package of that version (``v3``), or ``None`` where there is none."""
    found = package(version)
    return str(found["ModelPackageArn"]) if found else None


def package(version: str) -> dict[str, Any] | None:
    """Return the package of that version (``v3``), or ``None`` where there is none; the others are not walked."""
    if not _VERSION.fullmatch(version):
        return None
    try:
        found = client("sagemaker").describe_model_package_group(
            ModelPackageGroupName=get_settings().model_package_group
        )
        group: str = found["ModelPackageGroupArn"]
        return describe(f"{group.replace(_OF_GROUP, _OF_PACKAGE, 1)}/{version[1:]}")
    except ClientError as error:
        if error.response["Error"]["Code"] in _UNKNOWN:
            return None
        raise


def all_packages() -> list[str]:
    """Return the ARNs of all packages, whatever was decided about them, by version."""
    return sorted((arn for arn, _ in _packages()), key=_number)


def is_expired(package_arn: str) -> bool:
    """Return whether housekeeping deleted a package's artefact: it can't be deployed again."""
    return _EXPIRED in describe(package_arn).get("CustomerMetadataProperties", {})


def config_alone(champion: Champion) -> str:
    """Return the endpoint config that serves a champion without a challenger beside it."""
    if not champion.shadowed:
        return champion.endpoint_config
    verified = next((one.endpoint_config for one in served() if one.package_arn == champion.package_arn), None)
    if verified is None:
        raise PermanentError(
            f"Endpoint config {champion.endpoint_config} has a challenger beside model {champion.version}, and with "
            "which config that model was verified alone is not known. Run rollback_attribute_model."
        )
    return verified


def version_of(package_arn: str) -> str:
    """Return the version that people and the endpoint call a package by: ``v3``."""
    return f"v{package_arn.rpartition('/')[2]}"


def champion() -> Champion | None:
    """Return the model in service, which was verified; ``None`` where nothing serves.

    Where the endpoint lives only for the runs that ask it, that is the model it will be created with.

    Raises:
        PermanentError: the endpoint serves a model that Lookbook did not deploy.
        RetryableError: the endpoint serves a model that is not approved: it is being verified, or must be replaced.
    """
    found = in_service()
    if found and not found.approved:
        raise RetryableError(
            f"Endpoint {get_settings().endpoint_name} serves model {found.version}, which is not approved: it is being "
            "verified, or was rejected and could not be replaced. In that case run rollback_attribute_model."
        )
    return found or (_last_champion() if get_settings().endpoint_life == "run" else None)


def in_service() -> Champion | None:
    """Return the model in service, approved or not, followed from the endpoint to its package.

    Raises:
        PermanentError: the endpoint serves a model that Lookbook did not deploy.
    """
    endpoint = describe_endpoint(get_settings().endpoint_name)
    if endpoint is None or endpoint["EndpointStatus"] not in _SERVING:
        return None
    return _served_with(endpoint["EndpointConfigName"])


def _last_champion() -> Champion | None:
    """Return the approved model that last came into service, with the config that it was verified with."""
    config = next((one.endpoint_config for one in served() if one.approved), None)
    return _served_with(config) if config else None


def _served_with(endpoint_config: str) -> Champion:
    """Return the model that an endpoint config serves."""
    sagemaker = client("sagemaker")
    config = sagemaker.describe_endpoint_config(EndpointConfigName=endpoint_config)
    model = sagemaker.describe_model(ModelName=config["ProductionVariants"][0]["ModelName"])
    environment = model["PrimaryContainer"].get("Environment", {})
    if PACKAGE_VARIABLE not in environment:
        raise PermanentError(
            f"Endpoint config {endpoint_config} serves model {model['ModelName']}, which names no package in "
            f"{PACKAGE_VARIABLE}: Lookbook did not deploy it. Delete that endpoint or set LOOKBOOK_ENDPOINT_NAME."
        )
    package_arn = environment[PACKAGE_VARIABLE]
    package = describe(package_arn)
    return Champion(
        version=version_of(package_arn),
        package_arn=package_arn,
        model_name=model["ModelName"],
        model_data=model["PrimaryContainer"]["ModelDataUrl"],
        dataset_id=package["CustomerMetadataProperties"]["dataset_id"],
        endpoint_config=endpoint_config,
        training_job=package["CustomerMetadataProperties"]["training_job"],
        report_uri=package["CustomerMetadataProperties"].get("evaluation_report"),
        products_snapshot=package["CustomerMetadataProperties"].get("products_snapshot"),
        approved=package["ModelApprovalStatus"] == "Approved",
        shadowed=bool(config.get("ShadowProductionVariants")),
    )


def _judge(package: dict[str, Any], status: str, why: str, metadata: dict[str, str]) -> None:
    client("sagemaker").update_model_package(
        ModelPackageArn=package["ModelPackageArn"],
        ModelApprovalStatus=status,
        ApprovalDescription=" ".join(why.split())[:_DESCRIPTION_LIMIT],
        CustomerMetadataProperties=package.get("CustomerMetadataProperties", {}) | metadata,
    )
    records.writes("model_package", get_settings().model_package_group, package["ModelPackageArn"])


def _packages() -> Iterator[tuple[str, str]]:
    """Yield ARN and approval status of every version of the group."""
    pages = client("sagemaker").get_paginator("list_model_packages")
    for page in pages.paginate(ModelPackageGroupName=get_settings().model_package_group):
        for package in page["ModelPackageSummaryList"]:
            yield package["ModelPackageArn"], package["ModelApprovalStatus"]


def _number(package_arn: str) -> int:
    return int(version_of(package_arn)[1:])


def _served(package: dict[str, Any]) -> Served:
    metadata = package.get("CustomerMetadataProperties", {})
    return Served(
        package_arn=package["ModelPackageArn"],
        version=version_of(package["ModelPackageArn"]),
        approved=package["ModelApprovalStatus"] == "Approved",
        since=metadata.get(_SINCE),
        endpoint_config=metadata.get(_CONFIG),
        expired=_EXPIRED in metadata,
    )


def _inference(image_uri: str, model_data: str) -> dict[str, Any]:
    return {
        "Containers": [{"Image": image_uri, "ModelDataUrl": model_data}],
        "SupportedContentTypes": ["application/json"],
        "SupportedResponseMIMETypes": ["application/json"],
    }


def _cost(*jobs: Mapping[str, Any]) -> dict[str, str]:
    """Return what a model's jobs cost together as metadata; nothing where the price of one isn't known."""
    costs = [job.get("cost_usd") for job in jobs]
    known = [usd for usd in costs if usd is not None]
    return {_COST: f"{sum(known):.6f}"} if len(known) == len(costs) else {}


def _judged(decision: dict[str, Any]) -> dict[str, str]:
    """Return the gate's verdict and figures as metadata; a person who promoted against it is named."""
    kept = {
        "gate": decision["verdict"],
        "evaluation_report": decision["report_uri"],
        "evaluation_page": decision["page_uri"],
        **{name: f"{value:.4f}" for name, value in decision["figures"].items()},
    }
    if override := decision["override"]:
        kept |= {"promoted_by": override["by"], "promoted_because": override["reason"]}
    return _as_metadata(kept)


def _as_metadata(values: Mapping[str, str]) -> dict[str, str]:
    """Return values fit for a package's metadata: their alphabet is small, a name or a reason may hold anything."""
    return {name: re.sub(r"[^\w .:/=+@-]", "_", value, flags=re.ASCII)[:_VALUE_LIMIT] for name, value in values.items()}


def _approval(package: dict[str, Any]) -> str:
    promoter = package.get("CustomerMetadataProperties", {}).get("promoted_by")
    gate = f"Refused by the gate, promoted anyway by {promoter}" if promoter else "Passed the gate"
    return f"{gate}, is in service and answers with its own version."


def _metrics(report_uri: str) -> dict[str, Any]:
    return {"ModelQuality": {"Statistics": {"ContentType": "application/json", "S3Uri": report_uri}}}


def describe_endpoint(name: str) -> dict[str, Any] | None:
    """Return SageMaker's description of an endpoint, or ``None`` if there is none of that name."""
    try:
        endpoint: dict[str, Any] = client("sagemaker").describe_endpoint(EndpointName=name)
    except ClientError as error:
        if "Could not find endpoint" in error.response["Error"]["Message"]:
            return None
        raise
    return endpoint
