"""An endpoint for benchmarks: the real container with the tiny base model, on a local AWS of the benchmark's own."""

from __future__ import annotations

import io
import tarfile
import time
from pathlib import Path
from typing import Any

import boto3
import psutil

from laptop.places import REPOSITORY

NAME = "lookbook-bench"
IMAGE = "lookbook-training:local"
VARIANT = "AllTraffic"
_BASE = REPOSITORY / "training_image" / "base" / "tiny-blip2"
_ROLE = "arn:aws:iam::000000000000:role/bench"
_SETTLED = ("InService", "Failed")
_PATIENCE_S = 600


class Endpoint:
    """The endpoint ``lookbook-bench`` of the account that the environment leads to."""

    def __init__(self) -> None:
        self._sagemaker, self._cloudwatch = boto3.client("sagemaker"), boto3.client("cloudwatch")
        self._s3 = boto3.client("s3")

    def config(self, version: str, *, whole: bool = True) -> str:
        """Create a model and an endpoint config named by version; without its weights unless ``whole``."""
        uri = f"s3://lookbook/models/{version}/model.tar.gz"
        bucket, _, key = uri.removeprefix("s3://").partition("/")
        self._s3.put_object(Bucket=bucket, Key=key, Body=_archive(whole=whole))
        variables = {"LOOKBOOK_MODEL_VERSION": version}
        container = {"Image": IMAGE, "ModelDataUrl": uri, "Environment": variables}
        self._sagemaker.create_model(ModelName=version, PrimaryContainer=container, ExecutionRoleArn=_ROLE)
        variant = {"VariantName": VARIANT, "ModelName": version, "InstanceType": "ml.g5.xlarge"}
        variants = [{**variant, "InitialInstanceCount": 1}]
        self._sagemaker.create_endpoint_config(EndpointConfigName=version, ProductionVariants=variants)
        return version

    def create(self, config: str) -> None:
        """Create the endpoint and wait until it serves."""
        self._sagemaker.create_endpoint(EndpointName=NAME, EndpointConfigName=config)
        described = self.settled()
        if described["EndpointStatus"] != "InService":
            raise SystemExit(f"The endpoint did not come up: {described.get('FailureReason')}")

    def update(self, config: str, deployment: dict[str, Any]) -> None:
        """Begin an update."""
        self._sagemaker.update_endpoint(EndpointName=NAME, EndpointConfigName=config, DeploymentConfig=deployment)

    def describe(self) -> dict[str, Any]:
        """Return the endpoint's description."""
        described: dict[str, Any] = self._sagemaker.describe_endpoint(EndpointName=NAME)
        return described

    def settled(self) -> dict[str, Any]:
        """Wait until nothing is under way and return the endpoint's description."""
        until = time.monotonic() + _PATIENCE_S
        while (described := self.describe())["EndpointStatus"] not in _SETTLED:
            if time.monotonic() > until:
                raise SystemExit(f"The endpoint is still {described['EndpointStatus']} after {_PATIENCE_S} s.")
            time.sleep(0.2)
        return described

    def alarm_on_requests(self, config: str, more_than: int) -> str:
        """Put an alarm that rings once the fleet of a config has had more than so many requests; return its name."""
        dimensions = {"EndpointName": NAME, "VariantName": VARIANT, "EndpointConfigName": config}
        self._cloudwatch.put_metric_alarm(
            AlarmName=f"requests-to-{config}",
            Namespace="AWS/SageMaker",
            MetricName="Invocations",
            Dimensions=[{"Name": name, "Value": value} for name, value in dimensions.items()],
            Statistic="Sum",
            Period=60,
            EvaluationPeriods=1,
            Threshold=more_than,
            ComparisonOperator="GreaterThanThreshold",
            TreatMissingData="notBreaching",
        )
        return f"requests-to-{config}"


def serving_processes(state: Path) -> list[psutil.Process]:
    """Return the processes that serve endpoints of a local AWS whose state directory is below ``state``."""
    return [process for process in psutil.process_iter() if _serves(process, state)]


def _serves(process: psutil.Process, state: Path) -> bool:
    try:
        return process.cmdline()[-1:] == ["serve"] and str(state) in process.environ().get("SAGEMAKER_BASE_DIR", "")
    except (psutil.NoSuchProcess, psutil.AccessDenied, psutil.ZombieProcess):
        return False


def _archive(*, whole: bool) -> bytes:
    sink = io.BytesIO()
    with tarfile.open(fileobj=sink, mode="w:gz", compresslevel=1) as archive:
        for path in sorted(_BASE.iterdir()):
            if whole or path.suffix != ".safetensors":
                archive.add(path, f"merged/{path.name}")
    return sink.getvalue()
