"""What a SageMaker container finds around itself: files under its base directory, and variables.

On AWS the base directory is ``/opt/ml``; here it is named by ``SAGEMAKER_BASE_DIR``, as SageMaker's own training
toolkit has it.
"""

from __future__ import annotations

import json
import os
import re
from pathlib import Path, PurePosixPath

from local_aws.images import Image
from local_aws.process import base_environment
from local_aws.settings import REGION
from local_aws.state import Document

_HOST = "algo-1"
_AWS_BASE = PurePosixPath("/opt/ml")


def prepare(base: Path, job: Document) -> None:
    """Make a training container's directories and ``input/config`` files."""
    for part in ("input/config", "input/data", "model", "output/data", "tmp"):
        (base / part).mkdir(parents=True, exist_ok=True)
    checkpoints(base, job).mkdir(parents=True, exist_ok=True)
    _write(base, "hyperparameters", job.get("HyperParameters", {}))
    _write(base, "inputdataconfig", {channel["ChannelName"]: _input(job, channel) for channel in channels(job)})
    _write(base, "resourceconfig", _resources(job))


def channels(job: Document) -> list[Document]:
    """Return the job's input channels."""
    found: list[Document] = job.get("InputDataConfig", [])
    return found


def checkpoints(base: Path, job: Document) -> Path:
    """Return the directory that stands for the job's ``CheckpointConfig.LocalPath``."""
    local = PurePosixPath(job.get("CheckpointConfig", {}).get("LocalPath", _AWS_BASE / "checkpoints"))
    return base / (local.relative_to(_AWS_BASE) if local.is_relative_to(_AWS_BASE) else "checkpoints")


def training_argv(image: Image, job: Document) -> list[str]:
    """Return the command line: the image's command and ``train``, unless the request replaces either."""
    algorithm = job["AlgorithmSpecification"]
    entrypoint, arguments = algorithm.get("ContainerEntrypoint"), algorithm.get("ContainerArguments")
    if entrypoint:
        return [*entrypoint, *(arguments or [])]
    return [*image.command, *(arguments or ["train"])]


def training_environment(image: Image, job: Document, base: Path, url: str) -> dict[str, str]:
    """Return a training container's variables: the image's, SageMaker's ``SM_…`` and the request's."""
    named = {"TRAINING_JOB_NAME": job["TrainingJobName"], "TRAINING_JOB_ARN": job["TrainingJobArn"]}
    return {**_common(image, base, url), **named, **_sm_variables(job, base), **job.get("Environment", {})}


def serving_environment(image: Image, container: Document, base: Path, url: str) -> dict[str, str]:
    """Return a serving container's variables but for ``SAGEMAKER_BIND_TO_PORT``, which is known when it is started."""
    bind = {"SAGEMAKER_BIND_HOST": "127.0.0.1"}
    return {**_common(image, base, url), **bind, **container.get("Environment", {})}


def _common(image: Image, base: Path, url: str) -> dict[str, str]:
    # The keys stand for those of the execution role: they open local AWS and nothing else.
    aws = {
        "AWS_ENDPOINT_URL": url,
        "AWS_REGION": REGION,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_ACCESS_KEY_ID": "local",
        "AWS_SECRET_ACCESS_KEY": "local",
    }
    own = {"HOME": str(base), "TMPDIR": str(base / "tmp"), "SAGEMAKER_BASE_DIR": str(base), "PYTHONUNBUFFERED": "1"}
    return {**base_environment(), **aws, **own, **image.env}


def _write(base: Path, name: str, content: Document) -> None:
    (base / "input" / "config" / f"{name}.json").write_text(json.dumps(content))


def _input(job: Document, channel: Document) -> Document:
    source = channel["DataSource"]["S3DataSource"]
    return {
        "TrainingInputMode": channel.get("InputMode") or job["AlgorithmSpecification"]["TrainingInputMode"],
        "S3DistributionType": source.get("S3DataDistributionType", "FullyReplicated"),
        "RecordWrapperType": channel.get("RecordWrapperType", "None"),
    }


def _resources(job: Document) -> Document:
    kind = job["ResourceConfig"]["InstanceType"]
    return {
        "current_host": _HOST,
        "current_instance_type": kind,
        "current_group_name": "homogeneousCluster",
        "hosts": [_HOST],
        "instance_groups": [{"instance_group_name": "homogeneousCluster", "instance_type": kind, "hosts": [_HOST]}],
        "network_interface_name": "lo",
    }


def _sm_variables(job: Document, base: Path) -> dict[str, str]:
    names = [channel["ChannelName"] for channel in channels(job)]
    parameters = job.get("HyperParameters", {})
    return {
        "SM_CHANNELS": json.dumps(names),
        **{f"SM_CHANNEL_{_upper(name)}": str(base / "input" / "data" / name) for name in names},
        "SM_HPS": json.dumps(parameters),
        **{f"SM_HP_{_upper(name)}": value for name, value in parameters.items()},
        "SM_INPUT_DIR": str(base / "input"),
        "SM_INPUT_CONFIG_DIR": str(base / "input" / "config"),
        "SM_MODEL_DIR": str(base / "model"),
        "SM_OUTPUT_DIR": str(base / "output"),
        "SM_OUTPUT_DATA_DIR": str(base / "output" / "data"),
        "SM_RESOURCE_CONFIG": json.dumps(_resources(job)),
        "SM_CURRENT_HOST": _HOST,
        "SM_HOSTS": json.dumps([_HOST]),
        "SM_CURRENT_INSTANCE_TYPE": job["ResourceConfig"]["InstanceType"],
        "SM_NUM_CPUS": str(os.cpu_count() or 1),
        "SM_NUM_GPUS": "0",
    }


def _upper(name: str) -> str:
    return re.sub(r"[^A-Z0-9]", "_", name.upper())
