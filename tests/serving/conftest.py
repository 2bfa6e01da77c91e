"""An account on local AWS, in which models are deployed and really answer."""

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
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import urlopen

import pytest
from tests.training.reports import GOLDEN, report

from lookbook import aws, storage
from lookbook.aws import client
from lookbook.serving import alarms
from lookbook.serving.requests import serving_requests
from lookbook.settings import get_settings
from lookbook.training import evaluation

HERE = Path(__file__).resolve().parent
IMAGE, LIAR, BROKEN = "lookbook-training:local", "liar:local", "broken:local"
DEAF, SLOW, RUBBISH, OTHER = "deaf:local", "slow:local", "rubbish:local", "other:local"
# What container.py is when the environment makes it a bad one.
BAD = {LIAR: {"CLAIMED_VERSION": "v99"}, DEAF: {"DEAF": "1"}, SLOW: {"DELAY_S": "0.3"}, RUBBISH: {"SAYS": "rubbish"}}
# It sees silk where the others see cotton, is sure of the fit, and not of the colour.
BAD[OTHER] = {"SEES": json.dumps({"Fabric": "Silk", "Fit": "Slim Fit", "baseColour": None})}


@dataclass(frozen=True)
class Gateway:
    url: str
    calls: Path


@pytest.fixture(scope="session")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """Local AWS in a process of its own, with images that serve what ``container.py`` does."""
    state = tmp_path_factory.mktemp("local-aws")
    calls, images, port = state / "calls.jsonl", state / "images.json", free_port()
    command = ["{python}", str(HERE / "container.py")]
    env = {"CALLS_FILE": str(calls)}
    known = {name: {"command": command, "env": env | faults} for name, faults in {IMAGE: {}, **BAD}.items()}
    known[BROKEN] = {"command": ["{python}", "-c", "raise SystemExit('no model')"]}
    images.write_text(json.dumps(known))
    arguments = ["--port", str(port), "--state", str(state / "state"), "--images", str(images)]
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(HERE.parents[1] / "include"), "LOCAL_AWS_POLL": "0.05"}
    environment["LOCAL_AWS_ENDPOINT_START_TIMEOUT"] = "4"  # of a config that states none
    process = subprocess.Popen(
        [sys.executable, "-m", "local_aws", *arguments], env=environment, stdout=subprocess.DEVNULL
    )
    started = Gateway(f"http://127.0.0.1:{port}", calls)
    wait_for(lambda: healthy(started.url), seconds=30)
    yield started
    process.send_signal(signal.SIGTERM)
    process.wait(timeout=30)


@dataclass
class Account:
    """A bucket, a model package group and an endpoint of one test."""

    gateway: Gateway
    name: str
    _deployed: set[str] = field(default_factory=set)

    @property
    def report_uri(self) -> str:
        """The report that every model is registered with."""
        return f"s3://{self.name}/training/jobs/lookbook-evaluate-1/evaluation.json"

    @property
    def golden_uri(self) -> str:
        """What a model must answer as it did when it was evaluated."""
        return evaluation.golden_uri(self.report_uri)

    def register(
        self,
        image: str = IMAGE,
        dataset_id: str = "d1",
        attributes: tuple[str, ...] = ("Fabric",),
        approval: str = "Approved",
    ) -> str:
        """Register a model that was trained on ``attributes``; return its package's ARN."""
        uri = f"s3://{self.name}/models/{time.monotonic_ns()}/model.tar.gz"
        storage.write_bytes(uri, archive())
        storage.write_json(self.report_uri, report(attributes=attributes))
        storage.write_json(self.golden_uri, [GOLDEN[0] | {"answer": "so"}])
        storage.write_json(f"s3://{self.name}/training/datasets/{dataset_id}/dataset.json", {"attributes": attributes})
        package = client("sagemaker").create_model_package(
            ModelPackageGroupName=self.name,
            ModelApprovalStatus=approval,
            InferenceSpecification={"Containers": [{"Image": image, "ModelDataUrl": uri}]},
            CustomerMetadataProperties={
                "dataset_id": dataset_id,
                "training_job": "lookbook-train-1",
                "evaluation_report": self.report_uri,
            },
        )
        arn: str = package["ModelPackageArn"]
        return arn

    def deploy(self, package_arn: str) -> str:
        """Put a package in service; return the name of its endpoint config."""
        alarms.put()
        sagemaker, asked = client("sagemaker"), serving_requests(package_arn)
        if package_arn not in self._deployed:
            sagemaker.create_model(**asked["model"])
            sagemaker.create_endpoint_config(**asked["endpoint_config"])
            self._deployed.add(package_arn)
        exists = sagemaker.list_endpoints(NameContains=self.name)["Endpoints"]
        (sagemaker.update_endpoint if exists else sagemaker.create_endpoint)(**asked["endpoint"])
        wait_for(lambda: self.endpoint()["EndpointStatus"] in ("InService", "Failed"))
        config: str = asked["endpoint_config"]["EndpointConfigName"]
        return config

    def endpoint(self) -> dict[str, Any]:
        described: dict[str, Any] = client("sagemaker").describe_endpoint(EndpointName=self.name)
        return described

    def calls(self) -> list[dict[str, Any]]:
        """Return what the containers were asked since the test began."""
        lines = self.gateway.calls.read_text().splitlines() if self.gateway.calls.exists() else []
        return [json.loads(line) for line in lines]


@pytest.fixture
def account(gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> Iterator[Account]:
    """An account of the test's own; every client of the library goes there."""
    name = f"lookbook-{time.monotonic_ns()}"
    monkeypatch.setenv("AWS_ENDPOINT_URL", gateway.url)
    for variable in ("BUCKET", "ENDPOINT_NAME", "MODEL_PACKAGE_GROUP"):
        monkeypatch.setenv(f"LOOKBOOK_{variable}", name)
    get_settings.cache_clear()
    aws.client.cache_clear()
    gateway.calls.unlink(missing_ok=True)
    client("s3").create_bucket(Bucket=name)
    client("sagemaker").create_model_package_group(ModelPackageGroupName=name)
    yield Account(gateway, name)
    # Deleting takes a moment; a test may have begun it.
    statuses = [found["EndpointStatus"] for found in client("sagemaker").list_endpoints(NameContains=name)["Endpoints"]]
    if statuses and statuses != ["Deleting"]:
        client("sagemaker").delete_endpoint(EndpointName=name)


def archive() -> bytes:
    sink = io.BytesIO()
    with tarfile.open(fileobj=sink, mode="w:gz") as tar:
        tar.addfile(tarfile.TarInfo("merged/config.json"))
    return sink.getvalue()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def healthy(url: str) -> bool:
    try:
        return bool(urlopen(f"{url}/_local/health").status == 200)
    except URLError:
        return False


def wait_for(look: Callable[[], bool], seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not look():
        assert time.monotonic() < deadline, "waited too long"
        time.sleep(0.03)
