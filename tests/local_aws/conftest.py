"""A gateway for the tests to share, and gateways of their own for those that kill them."""

from __future__ import annotations

import io
import json
import os
import signal
import socket
import subprocess
import sys
import tarfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import urlopen

import boto3
import pytest
from botocore.config import Config
from PIL import Image

HERE = Path(__file__).resolve().parent
IMAGE = "tiny:1"
ROLE = "arn:aws:iam::000000000000:role/test"
SETTINGS = {
    "LOCAL_AWS_POLL": "0.05",
    "LOCAL_AWS_CHECKPOINT_INTERVAL": "0.1",
    "LOCAL_AWS_STOP_GRACE": "2",
    "LOCAL_AWS_ENDPOINT_START_TIMEOUT": "5",
    "LOCAL_AWS_ENDPOINT_UNHEALTHY": "4",
    "LOCAL_AWS_ENDPOINT_DRAIN": "5",
    "LOCAL_AWS_INVOCATION_TIMEOUT": "2",
    "LOCAL_AWS_BEDROCK_QUOTAS": json.dumps(
        {"anthropic.one-a-minute": {"rpm": 1, "retry_after": True}, "anthropic.few-tokens": {"tpm": 200}}
    ),
    "LOCAL_AWS_GUARDRAILS": json.dumps({"shopguard": {"words": ["fake", "cheap"], "message": "We don't say that."}}),
    "LOCAL_AWS_BEDROCK_FAULTS": json.dumps(
        {
            "anthropic.throttles": {"throttle": 1},
            "anthropic.fails": {"error": 1},
            "anthropic.fails-in-europe@eu-west-1": {"error": 1},
            "anthropic.talks-rubbish": {"malformed": 1},
            "anthropic.hangs": {"hang": 1},
            "anthropic.hangs-briefly": {"hang": 1, "hang_s": 0.1},
            "anthropic.refuses": {"refuse": 1},
            "anthropic.faulty-batch": {"error": 0.2, "malformed": 0.3, "refuse": 0.2, "throttle": 0.5},
        }
    ),
}


class LocalAws:
    """A gateway in a process of its own."""

    def __init__(self, state: Path, **settings: str) -> None:
        self.state, self.settings = state, {**SETTINGS, **settings}
        self.port = _free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.images = state.parent / f"{state.name}-images.json"
        self.images.write_text(json.dumps({IMAGE: {"command": ["{python}", str(HERE / "container.py")]}}))
        self.process: subprocess.Popen[str] | None = None

    def start(self) -> LocalAws:
        command = [sys.executable, "-m", "local_aws", "--port", str(self.port)]
        arguments = ["--state", str(self.state), "--images", str(self.images)]
        env = {"PATH": os.environ["PATH"], "PYTHONPATH": str(HERE.parents[1] / "include"), **self.settings}
        self.process = subprocess.Popen([*command, *arguments], env=env, stdout=subprocess.PIPE, text=True)
        try:
            wait_for(self._answers, seconds=60)
        except AssertionError:
            self.kill()
            raise
        return self

    def kill(self) -> None:
        """End the gateway as a crash would."""
        assert self.process
        self.process.kill()
        self.process.communicate()

    def stop(self) -> int:
        """End the gateway as Ctrl-C would; return its exit status."""
        assert self.process
        self.process.send_signal(signal.SIGTERM)
        self.process.communicate(timeout=60)
        return self.process.returncode

    def client(self, service: str, **config: Any) -> Any:
        return boto3.client(
            service,
            endpoint_url=self.url,
            region_name=config.pop("region_name", "us-east-1"),
            aws_access_key_id="local",
            aws_secret_access_key="local",
            config=Config(retries={"max_attempts": 0}, **config),
        )

    def _answers(self) -> bool:
        assert self.process and self.process.poll() is None, "the gateway ended"
        try:
            return bool(urlopen(f"{self.url}/_local/health").status == 200)
        except URLError:
            return False


class Account:
    """Short forms of the requests that the tests repeat."""

    def __init__(self, gateway: LocalAws) -> None:
        self.gateway = gateway
        self.sagemaker, self.s3 = gateway.client("sagemaker"), gateway.client("s3")
        self.runtime, self.logs = gateway.client("sagemaker-runtime"), gateway.client("logs")
        self.cloudwatch = gateway.client("cloudwatch")

    def train(self, name: str, hyperparameters: dict[str, str] | None = None, **request: Any) -> str:
        """Create a training job and return its name."""
        self.sagemaker.create_training_job(**{**training_request(name, hyperparameters or {}), **request})
        return name

    def job(self, name: str) -> dict[str, Any]:
        return dict(self.sagemaker.describe_training_job(TrainingJobName=name))

    def finished(self, name: str) -> dict[str, Any]:
        """Wait for a job's end and return it."""
        return wait_for(lambda: job if (job := self.job(name))["TrainingJobStatus"] not in UNFINISHED else None)

    def base(self, name: str) -> Path:
        """Return a running job's base directory."""
        return self.gateway.state / "training-jobs" / name / "ml"

    def waiting(self, name: str, **parameters: str) -> Path:
        """Create a job that waits; return its base directory once it runs."""
        checkpoints = {"S3Uri": f"s3://data/checkpoints/{name}/"}
        self.train(name, {"do": "wait", **parameters}, CheckpointConfig=checkpoints)
        wait_for(lambda: self.job(name)["SecondaryStatus"] == "Training")
        wait_for((self.base(name) / "checkpoints/progress").exists)
        return self.base(name)

    def transform(self, name: str, model: str, source: str = "", **request: Any) -> str:
        """Create a transform job over ``s3://data/<source>``, by default its name, and return its name."""
        place = {"S3DataType": "S3Prefix", "S3Uri": f"s3://data/{source or name + '/in/'}"}
        given = {
            "TransformInput": {"DataSource": {"S3DataSource": place}, "ContentType": "application/x-image"},
            "TransformOutput": {"S3OutputPath": f"s3://data/{name}/out", "Accept": "application/json"},
            "TransformResources": {"InstanceType": "ml.g5.xlarge", "InstanceCount": 1},
        }
        self.sagemaker.create_transform_job(TransformJobName=name, ModelName=model, **{**given, **request})
        return name

    def transformed(self, name: str) -> dict[str, Any]:
        """Wait for a transform job's end and return it."""

        def look() -> dict[str, Any] | None:
            job = self.sagemaker.describe_transform_job(TransformJobName=name)
            return job if job["TransformJobStatus"] not in UNFINISHED else None

        return dict(wait_for(look))

    def put(self, prefix: str, **objects: bytes) -> None:
        """Write objects below a prefix of the bucket."""
        for name, body in objects.items():
            self.s3.put_object(Bucket="data", Key=f"{prefix}{name}", Body=body)

    def objects(self, prefix: str) -> dict[str, bytes]:
        """Return the objects below a prefix of the bucket, by what follows it."""
        found = self.s3.list_objects_v2(Bucket="data", Prefix=prefix).get("Contents", [])
        keys = [item["Key"] for item in found]
        return {key.removeprefix(prefix): self.s3.get_object(Bucket="data", Key=key)["Body"].read() for key in keys}

    def archive(self, uri: str) -> dict[str, bytes]:
        """Return the files of a tar.gz object."""
        bucket, _, key = uri.removeprefix("s3://").partition("/")
        data = self.s3.get_object(Bucket=bucket, Key=key)["Body"].read()
        with tarfile.open(fileobj=io.BytesIO(data)) as archive:
            return {member.name: archive.extractfile(member).read() for member in archive if member.isfile()}

    def model(self, name: str, weights: str = "v1", *, instances: int = 1, **environment: str) -> str:
        """Create a model with its artefact, and an endpoint config of the same name."""
        self.bare_model(name, weights, **environment)
        self.config(name, [variant(name, InitialInstanceCount=instances)])
        return name

    def bare_model(self, name: str, weights: str, **environment: str) -> str:
        """Create a model with its artefact, and no endpoint config."""
        key = f"models/{name}.tar.gz"
        self.s3.put_object(Bucket="data", Key=key, Body=tar({"weights.txt": weights.encode()}))
        container = {"Image": IMAGE, "ModelDataUrl": f"s3://data/{key}", "Environment": environment}
        self.sagemaker.create_model(ModelName=name, PrimaryContainer=container, ExecutionRoleArn=ROLE)
        return name

    def config(self, name: str, variants: list[dict[str, Any]], **request: Any) -> str:
        """Create an endpoint config."""
        self.sagemaker.create_endpoint_config(EndpointConfigName=name, ProductionVariants=variants, **request)
        return name

    def endpoint(self, name: str, config: str) -> dict[str, Any]:
        """Create an endpoint and return it when it is settled."""
        self.sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=config)
        return self.settled(name)

    def update(self, name: str, config: str, **request: Any) -> dict[str, Any]:
        """Update an endpoint and return it when it is settled."""
        self.sagemaker.update_endpoint(EndpointName=name, EndpointConfigName=config, **request)
        return self.settled(name)

    def settled(self, name: str) -> dict[str, Any]:
        def look() -> dict[str, Any] | None:
            endpoint = self.sagemaker.describe_endpoint(EndpointName=name)
            return endpoint if endpoint["EndpointStatus"] in ("InService", "Failed") else None

        return wait_for(look)

    def ask(self, endpoint: str, body: bytes = b"{}", **request: Any) -> dict[str, Any]:
        """Invoke an endpoint and return what the container echoes."""
        response = self.runtime.invoke_endpoint(EndpointName=endpoint, Body=body, **request)
        return dict(json.loads(response["Body"].read()))


UNFINISHED = ("InProgress", "Stopping")


def variant(model: str, name: str = "AllTraffic", **members: Any) -> dict[str, Any]:
    """Return a production variant of one instance that serves a model."""
    return {
        "VariantName": name,
        "ModelName": model,
        "InstanceType": "ml.g5.xlarge",
        "InitialInstanceCount": 1,
        **members,
    }


def training_request(name: str, hyperparameters: dict[str, str]) -> dict[str, Any]:
    """Return a CreateTrainingJob request for the test image."""
    metrics = [{"Name": "train:loss", "Regex": r"train_loss=(\S+)"}]
    source = {"S3DataType": "S3Prefix", "S3Uri": "s3://data/train/", "S3DataDistributionType": "FullyReplicated"}
    return {
        "TrainingJobName": name,
        "RoleArn": ROLE,
        "AlgorithmSpecification": {"TrainingImage": IMAGE, "TrainingInputMode": "File", "MetricDefinitions": metrics},
        "HyperParameters": hyperparameters,
        "InputDataConfig": [{"ChannelName": "train", "DataSource": {"S3DataSource": source}}],
        "OutputDataConfig": {"S3OutputPath": "s3://data/jobs"},
        "ResourceConfig": {"InstanceType": "ml.g5.xlarge", "InstanceCount": 1, "VolumeSizeInGB": 10},
        "StoppingCondition": {"MaxRuntimeInSeconds": 60},
    }


def tar(files: dict[str, bytes]) -> bytes:
    """Return a tar.gz of files."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


def picture_of(width: int, height: int, form: str = "PNG") -> bytes:
    """Return a picture file."""
    buffer = io.BytesIO()
    Image.new("RGB", (width, height)).save(buffer, form)
    return buffer.getvalue()


def wait_for(look: Callable[[], Any], seconds: float = 60) -> Any:
    """Look until there is something to see, and return it."""
    deadline = time.monotonic() + seconds
    while not (seen := look()):
        assert time.monotonic() < deadline, "waited too long"
        time.sleep(0.03)
    return seen


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _with_data(gateway: LocalAws) -> LocalAws:
    s3 = gateway.client("s3")
    s3.create_bucket(Bucket="data")
    s3.put_object(Bucket="data", Key="train/a.csv", Body=b"1,2")
    s3.put_object(Bucket="data", Key="train/deep/b.csv", Body=b"3,4")
    return gateway


@pytest.fixture(scope="session")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalAws]:
    """The gateway that most tests share; it has a bucket ``data``."""
    gateway = _with_data(LocalAws(tmp_path_factory.mktemp("local-aws") / "state").start())
    yield gateway
    assert gateway.stop() == 0


@pytest.fixture
def own_gateway(tmp_path: Path) -> Iterator[LocalAws]:
    """A gateway that the test may kill and start again."""
    gateway = _with_data(LocalAws(tmp_path / "state").start())
    yield gateway
    if gateway.process and gateway.process.poll() is None:
        gateway.stop()


@pytest.fixture(scope="session")
def account(gateway: LocalAws) -> Account:
    """The shared gateway's account."""
    return Account(gateway)


@pytest.fixture
def own_account(own_gateway: LocalAws) -> Account:
    """The account of the test's own gateway."""
    return Account(own_gateway)
