"""Kill training by SIGKILL at five random points: does the model that comes out in the end score as an undisturbed one?

Through local AWS's training jobs: each kill makes the job Failed, and the next one goes on from its checkpoints in S3.
The two models are then scored by an evaluation job on the same benchmark.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
import random
import re
import signal
import tarfile
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import urlopen

import boto3
import psutil
from botocore.config import Config

from benchmarks import Figure, installation, start
from benchmarks._sides import write_sides
from laptop.places import REPOSITORY, Places
from lookbook.drops.sample.layout import write_drop

KILLS = 5
GOAL = 0.02
PRODUCTS = 240
SHARES = {"train": 0.5, "validation": 0.1, "benchmark": 0.4}
HYPERPARAMETERS = {"epochs": "4", "batch_size": "16", "patience": "0", "checkpoint_minutes": "0.05"}
LINES = 16
"""Lines on steps in the log of a whole training: four an epoch."""
BUCKET = "lookbook"
IMAGE = "lookbook-training:local"
_STEP = re.compile(r"^step (\d+) of (\d+) ", re.MULTILINE)
_RESUMED = re.compile(r"^going on after step (\d+),", re.MULTILINE)
_POLL_S = 0.1
_PATIENCE_S = 1800


def run(data: Path | None) -> Figure:
    """Train once undisturbed and once killed five times, on drawn products or on some of ``data``, and compare."""
    with installation() as (here, laptop), tempfile.TemporaryDirectory(prefix="lookbook-sides-") as scratch:
        drop = data or _draw(Path(scratch) / "drop")
        products = write_sides(drop, Path(scratch) / "sides", SHARES, limit=PRODUCTS)
        with _local_aws(here, laptop) as url, _Watch(here) as watch:
            account = _Account(here, url)
            account.upload(Path(scratch) / "sides")
            undisturbed = account.trained("undisturbed", "undisturbed")
            began = time.monotonic()
            kills, killed = _killed_training(account, undisturbed.steps)
            seconds = time.monotonic() - began
            scores = account.scores(challenger=killed.model, champion=undisturbed.model)
            jobs_at_a_time = max(watch.most, account.most_jobs_at_a_time())
    difference = abs(scores["challenger"] - scores["champion"])
    detail = {
        "exact_match": {"undisturbed": scores["champion"], "killed": scores["challenger"]},
        "same_weights_bit_for_bit": killed.weights == undisturbed.weights,
        "steps": undisturbed.steps,
        "kills": kills,
        "jobs_at_a_time": jobs_at_a_time,
        "seconds": {"undisturbed": round(undisturbed.seconds, 1), "killed": round(seconds, 1)},
        "products": products,
    }
    ok = difference <= GOAL and len(kills) == KILLS and jobs_at_a_time == 1
    goal = f"<= {GOAL}, {KILLS} kills, one job at a time"
    return Figure("train_resume", round(difference, 4), "exact match apart", goal, ok, detail)


@dataclass(frozen=True)
class _Trained:
    model: str
    weights: str
    """SHA-256 of the merged model's weights."""
    steps: int
    seconds: float


def _draw(directory: Path) -> Path:
    write_drop(directory, date(2026, 11, 16), PRODUCTS, seed=21, plain=True)
    return directory


def _killed_training(account: _Account, steps: int) -> tuple[list[dict[str, int]], _Trained]:
    """Kill a training job at each of five random steps and start another one on its checkpoints; then let one finish.

    Returns:
        For each kill the step at which it was meant, the last one in the killed job's log, and the one after which the
        next job went on (0: it began anew); and what came out in the end.
    """
    points = sorted(random.SystemRandom().sample(range(1, steps), KILLS))
    names = [f"start-{number}" for number in range(1, KILLS + 2)]
    last: list[int] = []
    for name, step in zip(names[:-1], points, strict=True):
        account.start_training(name, "killed")
        last.append(account.kill_after(name, step))
        print(f"{name} killed after step {last[-1]} of {steps}", flush=True)
    trained = account.trained(names[-1], "killed")
    kills = [
        {"meant_at": step, "logged": logged, "went_on_after": account.resumed_at(name)}
        for step, logged, name in zip(points, last, names[1:], strict=True)
    ]
    return kills, trained


class _Account:
    """What the benchmark asks of local AWS."""

    def __init__(self, here: Places, url: str) -> None:
        self._jobs = here.aws_state / "training-jobs"
        keys = {"aws_access_key_id": "local", "aws_secret_access_key": "local", "region_name": "us-east-1"}
        config = Config(retries={"max_attempts": 5})
        self._s3, self._sagemaker = (
            boto3.client(service, endpoint_url=url, config=config, **keys) for service in ("s3", "sagemaker")
        )

    def upload(self, sides: Path) -> None:
        """Put the base and the sides into S3."""
        self._s3.create_bucket(Bucket=BUCKET)
        sources = {"base": REPOSITORY / "training_image" / "base" / "tiny-blip2"}
        sources |= {name: sides / name for name in SHARES}
        for prefix, directory in sources.items():
            for path in directory.iterdir():
                self._s3.upload_file(str(path), BUCKET, f"{prefix}/{path.name}")

    def trained(self, name: str, checkpoints: str) -> _Trained:
        """Train to the end and return what came of it."""
        began = time.monotonic()
        self.start_training(name, checkpoints)
        model = self._finished(name)
        steps = int(_STEP.findall(self._log(name))[-1][1])
        with self._archive(model) as tar:
            weights = hashlib.sha256(_member(tar, "merged/model.safetensors")).hexdigest()
        return _Trained(model, weights, steps, time.monotonic() - began)

    def start_training(self, name: str, checkpoints: str) -> None:
        """Create a training job whose checkpoints are kept under ``checkpoints``."""
        request = _request(name, "train", {side: f"s3://{BUCKET}/{side}/" for side in ("base", "train", "validation")})
        where = {"CheckpointConfig": {"S3Uri": f"s3://{BUCKET}/checkpoints/{checkpoints}/"}}
        self._sagemaker.create_training_job(**request, **where, HyperParameters=HYPERPARAMETERS)

    def kill_after(self, name: str, step: int) -> int:
        """Kill the job's container a random moment after its log says ``step``; return the log's last step."""
        lines: list[float] = []

        def reached() -> bool:
            found = _STEP.findall(self._log(name))
            lines.extend([time.monotonic()] * (len(found) - len(lines)))
            # Lines come every few steps: the one before the step is the last that is waited for.
            return bool(found) and int(found[-1][0]) + int(found[-1][1]) // LINES > step

        _wait_for(reached, lambda: self._alive(name))
        time.sleep(random.SystemRandom().uniform(0, (lines[-1] - lines[0]) / max(len(lines) - 1, 1)))
        processes = json.loads((self._jobs / name / "processes.json").read_text())
        os.killpg(processes["container"]["pid"], signal.SIGKILL)
        _wait_for(lambda: self._describe(name)["TrainingJobStatus"] == "Failed", lambda: True)
        return int(_STEP.findall(self._log(name))[-1][0])

    def resumed_at(self, name: str) -> int:
        """Return the step after which a job went on; 0 if it began anew."""
        found = _RESUMED.search(self._log(name))
        return int(found[1]) if found else 0

    def scores(self, challenger: str, champion: str) -> dict[str, float]:
        """Score two models on the benchmark in one evaluation job; return the exact match of each."""
        channels = {side: f"s3://{BUCKET}/{side}/" for side in ("benchmark", "validation", "base")}
        request = _request("evaluate", "evaluate", channels | {"challenger": challenger, "champion": champion})
        self._sagemaker.create_training_job(**request)
        with self._archive(self._finished("evaluate")) as tar:
            models = json.loads(_member(tar, "evaluation.json"))["models"]
        return {name: models[name]["exact_match"] for name in ("challenger", "champion")}

    def most_jobs_at_a_time(self) -> int:
        """Return how many jobs' times of training overlap at most, as the service recorded them."""
        found = self._sagemaker.list_training_jobs(MaxResults=100)["TrainingJobSummaries"]
        jobs = [self._describe(job["TrainingJobName"]) for job in found]
        spans = [(job["TrainingStartTime"], job["TrainingEndTime"]) for job in jobs]
        most: int = max(sum(begin <= moment < end for begin, end in spans) for moment, _ in spans)
        return most

    def _finished(self, name: str) -> str:
        """Wait until a job has completed and return where its model is."""
        _wait_for(lambda: self._describe(name)["TrainingJobStatus"] == "Completed", lambda: self._alive(name))
        return str(self._describe(name)["ModelArtifacts"]["S3ModelArtifacts"])

    def _alive(self, name: str) -> bool:
        job = self._describe(name)
        if job["TrainingJobStatus"] in ("Failed", "Stopped"):
            raise SystemExit(f"Job {name} ended by itself: {job.get('FailureReason')}")
        return True

    def _describe(self, name: str) -> dict[str, Any]:
        return dict(self._sagemaker.describe_training_job(TrainingJobName=name))

    def _log(self, name: str) -> str:
        path = self._jobs / name / "output.log"
        return path.read_text(errors="replace") if path.exists() else ""

    @contextlib.contextmanager
    def _archive(self, uri: str) -> Iterator[tarfile.TarFile]:
        body = self._s3.get_object(Bucket=BUCKET, Key=uri.removeprefix(f"s3://{BUCKET}/"))["Body"].read()
        with tarfile.open(fileobj=io.BytesIO(body)) as tar:
            yield tar


def _member(tar: tarfile.TarFile, name: str) -> bytes:
    file = tar.extractfile(name)
    if file is None:
        raise SystemExit(f"{name} is no file of the job's artefact.")
    return file.read()


def _request(name: str, entry_point: str, channels: dict[str, str]) -> dict[str, Any]:
    return {
        "TrainingJobName": name,
        "AlgorithmSpecification": {
            "TrainingImage": IMAGE,
            "TrainingInputMode": "File",
            "ContainerArguments": [entry_point],
        },
        "RoleArn": "arn:aws:iam::000000000000:role/lookbook-sagemaker",
        "InputDataConfig": [
            {
                "ChannelName": channel,
                "DataSource": {
                    "S3DataSource": {
                        "S3DataType": "S3Prefix",
                        "S3Uri": uri,
                        "S3DataDistributionType": "FullyReplicated",
                    }
                },
            }
            for channel, uri in channels.items()
        ],
        "OutputDataConfig": {"S3OutputPath": f"s3://{BUCKET}/jobs"},
        "ResourceConfig": {"InstanceType": "ml.g5.2xlarge", "InstanceCount": 1, "VolumeSizeInGB": 30},
        "StoppingCondition": {"MaxRuntimeInSeconds": _PATIENCE_S},
    }


class _Watch:
    """Counts the containers of local AWS that run at the same moment, all the while."""

    def __init__(self, here: Places) -> None:
        self.most = 0
        self._mark = str(here.aws_state / "training-jobs")
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._look)

    def __enter__(self) -> _Watch:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._ended.wait(_POLL_S):
            self.most = max(self.most, sum(self._is_container(process) for process in psutil.process_iter()))

    def _is_container(self, process: psutil.Process) -> bool:
        try:
            return (
                "lookbook_image" in process.cmdline()
                and process.status() != psutil.STATUS_ZOMBIE
                and process.environ().get("SAGEMAKER_BASE_DIR", "").startswith(self._mark)
            )
        except psutil.Error:  # it ended meanwhile
            return False


@contextlib.contextmanager
def _local_aws(here: Places, laptop: list[str]) -> Iterator[str]:
    """Run local AWS alone and yield its address."""
    url = f"http://127.0.0.1:{laptop[laptop.index('--aws-port') + 1]}"
    here.state.mkdir(parents=True, exist_ok=True)
    process = start([*laptop, "local-aws"], here.state / "local-aws-output.log")

    def alive() -> bool:
        if process.poll() is not None:
            raise SystemExit(f"Local AWS ended:\n{(here.state / 'local-aws-output.log').read_text()}")
        return True

    try:
        _wait_for(lambda: _answers(url), alive)
        yield url
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait()


def _answers(url: str) -> bool:
    try:
        with urlopen(f"{url}/_local/health") as response:  # noqa: S310 - our own loopback address
            return bool(response.status == 200)
    except URLError:
        return False


def _wait_for(condition: Callable[[], bool], alive: Callable[[], bool]) -> None:
    """Wait until ``condition`` holds; ``alive`` ends the benchmark if it never can."""
    deadline = time.monotonic() + _PATIENCE_S
    while not condition():
        alive()
        if time.monotonic() > deadline:
            raise SystemExit(f"Nothing happened for {_PATIENCE_S} s.")
        time.sleep(_POLL_S)
