"""The image as SageMaker runs it: processes, files, exit codes, signals; with the base that the repository holds."""

from __future__ import annotations

import base64
import json
import re
import resource
import shutil
import signal
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from random import Random

import httpx
import pytest
from conftest import BASE
from endpoints import TIMEOUT, Endpoint, command, environment, serving
from garments import QUESTIONS, draw, row, write_hyperparameters, write_pairs, write_pictures, write_side

from lookbook_image import checkpoints

IMAGE = base64.b64encode(draw("Blue", "Long Sleeves", Random(9))).decode()


def run(entry_point: str, base: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(entry_point), env=environment(base), capture_output=True, text=True, timeout=TIMEOUT, check=False
    )


@dataclass
class Trained:
    """A finished training and evaluation job."""

    log: str
    model: Path
    evaluation: dict


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    train, evaluate = tmp_path_factory.mktemp("train"), tmp_path_factory.mktemp("evaluate")
    for side, garments, seed in (("train", 60, 1), ("validation", 12, 2)):
        write_side(train / "input" / "data" / side, garments, seed)
    shutil.copytree(BASE, train / "input" / "data" / "base")
    write_hyperparameters(train, epochs="6", batch_size="16", learning_rate="0.003")
    job = run("train", train)
    assert job.returncode == 0, job.stderr

    write_side(evaluate / "input" / "data" / "benchmark", garments=30, seed=3)
    write_side(evaluate / "input" / "data" / "validation", garments=12, seed=2)
    shutil.copytree(BASE, evaluate / "input" / "data" / "base")
    challenger = evaluate / "input" / "data" / "challenger"
    challenger.mkdir()
    with tarfile.open(challenger / "model.tar.gz", "w:gz") as tar:
        tar.add(train / "model", ".")
    scoring = run("evaluate", evaluate)
    assert scoring.returncode == 0, scoring.stderr
    return Trained(job.stdout, train / "model", json.loads((evaluate / "model" / "evaluation.json").read_text()))


def test_lora_teaches_the_base_the_platforms_questions(trained: Trained) -> None:
    models, leads = trained.evaluation["models"], trained.evaluation["comparisons"]
    assert models["base"]["exact_match"] < 0.25
    assert models["challenger"]["exact_match"] >= 0.85
    for rival in ("majority", "blind"):
        assert leads[rival]["interval"][0] > 0.2
        assert leads[rival]["p_value"] < 0.001


def test_the_log_reports_every_epoch(trained: Trained) -> None:
    assert re.findall(r"^epoch=(\d) validation_loss=", trained.log, re.MULTILINE) == list("123456")


@pytest.fixture(scope="module")
def endpoint(trained: Trained, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Endpoint]:
    base = tmp_path_factory.mktemp("serve")
    shutil.copytree(trained.model, base / "model")
    version = "arn:aws:sagemaker:us-east-1:000000000000:model-package/lookbook-attributes/3"
    with serving(base, LOOKBOOK_MODEL_VERSION=version, LOOKBOOK_THRESHOLDS='{"baseColour": null}') as served:
        yield served


def test_a_prompt_gets_the_references_answer(endpoint: Endpoint) -> None:
    response = endpoint.post(json.dumps({"image": IMAGE, "prompt": QUESTIONS["Sleeve Length"]}).encode())
    assert response.json() == {"Sleeve Length": "Long Sleeves"}


def test_a_picture_is_asked_what_the_model_was_trained_on_and_thresholds_hold(endpoint: Endpoint) -> None:
    response = endpoint.post(base64.b64decode(IMAGE), "application/x-image").json()
    assert [(one["attribute"], one["value"], one["text"]) for one in response["answers"]] == [
        ("Sleeve Length", "Long Sleeves", "Sleeve Length: Long Sleeves"),
        ("baseColour", None, "baseColour: Blue"),
    ]
    assert all(0.5 < one["probability"] <= 1 for one in response["answers"])
    assert response["model_version"].endswith("lookbook-attributes/3")


@pytest.mark.parametrize("path", ["ping", "nowhere"])
def test_every_answer_names_the_models_version(endpoint: Endpoint, path: str) -> None:
    version = httpx.get(f"{endpoint.address}/{path}").headers["X-Lookbook-Model-Version"]
    assert version.endswith("lookbook-attributes/3")


def test_a_failed_job_leaves_its_reason(tmp_path: Path) -> None:
    job = run("train", tmp_path)
    assert job.returncode == 1
    assert "input channel 'base'" in (tmp_path / "output" / "failure").read_text()
    assert "Traceback" not in job.stderr


def test_a_wrong_hyperparameter_is_the_reason_for_failing(tmp_path: Path) -> None:
    write_hyperparameters(tmp_path, epochs="many")
    job = run("train", tmp_path)
    assert job.returncode == 1
    assert "hyperparameter epochs='many'" in (tmp_path / "output" / "failure").read_text()


def test_an_endpoint_without_a_model_says_so(tmp_path: Path) -> None:
    job = run("serve", tmp_path)
    assert job.returncode == 1
    assert "config.json: not there" in job.stderr


def write_job(base: Path, **hyperparameters: str) -> None:
    """Write the channels and hyperparameters of a small training job."""
    for side, seed in (("train", 1), ("validation", 2)):
        write_side(base / "input" / "data" / side, garments=16, seed=seed)
    shutil.copytree(BASE, base / "input" / "data" / "base")
    write_hyperparameters(base, **hyperparameters)


def stopped_at(base: Path, line_start: str) -> int:
    """Train until the log has a line that begins so, send SIGTERM and return the exit code."""
    with subprocess.Popen(command("train"), env=environment(base), stdout=subprocess.PIPE, text=True) as job:
        assert job.stdout is not None
        for line in job.stdout:
            if line.startswith(line_start):
                job.send_signal(signal.SIGTERM)
                break
        job.stdout.read()
        return job.wait(TIMEOUT)


def test_a_job_that_is_stopped_says_so_and_can_go_on(tmp_path: Path) -> None:
    write_job(tmp_path)
    write_hyperparameters(tmp_path, epochs="1000", patience="0", batch_size="8")
    assert stopped_at(tmp_path, "epoch=2 validation_loss") == 128 + signal.SIGTERM
    assert "stopped by SIGTERM" in (tmp_path / "output" / "failure").read_text()
    assert not (tmp_path / "model").exists()
    assert stopped_at(tmp_path, "going on after step") == 128 + signal.SIGTERM


def test_a_job_that_is_stopped_before_its_first_step_ends_at_once(tmp_path: Path) -> None:
    write_job(tmp_path, epochs="1000")
    assert stopped_at(tmp_path, "encoding") == 128 + signal.SIGTERM
    assert "stopped by SIGTERM" in (tmp_path / "output" / "failure").read_text()


def test_a_disk_that_gets_full_is_the_reason_for_failing(tmp_path: Path) -> None:
    write_job(tmp_path, epochs="1")
    limit = 2**20  # bytes a file; the merged model takes nine of them
    job = subprocess.run(
        command("train"),
        env=environment(tmp_path),
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)),
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
        check=False,
    )
    assert job.returncode == 1
    reason = (tmp_path / "output" / "failure").read_text()
    assert "the disk is full" in reason and "VolumeSizeInGB" in reason
    assert "Traceback" not in job.stderr
    assert list((tmp_path / "model").iterdir()) == []
    assert (tmp_path / "checkpoints" / checkpoints.FILE).exists()


def test_a_full_disk_under_checkpoints_is_the_reason_for_failing(tmp_path: Path) -> None:
    write_job(tmp_path, epochs="1")
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints" / checkpoints.PARTIAL).symlink_to("/dev/full")
    job = run("train", tmp_path)
    assert job.returncode == 1
    assert "the disk is full: [Errno 28]" in (tmp_path / "output" / "failure").read_text()
    assert not (tmp_path / "model").exists()


def test_an_undecodable_picture_is_the_reason_for_failing(tmp_path: Path) -> None:
    write_job(tmp_path, epochs="1")
    side = tmp_path / "input" / "data" / "train"
    write_pairs(side, [row("1", "cut.jpg", "baseColour", "Red"), row("2", "cut.jpg", "baseColour", "Blue")])
    whole = draw("Red", "Sleeveless", Random(0))
    write_pictures(side, {"cut.jpg": whole[: len(whole) // 2]})
    job = run("train", tmp_path)
    assert job.returncode == 1
    reason = (tmp_path / "output" / "failure").read_text()
    assert "picture cut.jpg: not a readable picture" in reason and "Build the data set without it" in reason


@pytest.mark.parametrize("arguments", [[], ["fly"], ["train", "now"]])
def test_anything_but_the_three_entry_points_gets_the_usage(arguments: list[str], tmp_path: Path) -> None:
    job = subprocess.run(
        [sys.executable, "-m", "lookbook_image", *arguments],
        env=environment(tmp_path),
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
        check=False,
    )
    assert job.returncode == 2
    assert "train|evaluate|serve" in job.stderr
