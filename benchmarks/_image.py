"""The training image's entry points as processes of its environment, for benchmarks that need a model in service."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from urllib.error import URLError

from laptop.places import REPOSITORY
from laptop.ports import next_free

BASE = REPOSITORY / "training_image" / "base" / "tiny-blip2"
_READY_S = 180.0


def train(directory: Path, sides: Path, **hyperparameters: str) -> Path:
    """Train the tiny base on ``train`` and ``validation`` below ``sides`` and return the model's directory."""
    (directory / "input" / "config").mkdir(parents=True)
    (directory / "input" / "config" / "hyperparameters.json").write_text(json.dumps(hyperparameters))
    for name, source in {"base": BASE, **{side: sides / side for side in ("train", "validation")}}.items():
        shutil.copytree(source, directory / "input" / "data" / name)
    done = subprocess.run(_command("train"), env=_environment(directory), capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"The training job failed:\n{done.stderr[-4000:]}")
    return directory / "model"


@contextlib.contextmanager
def serving(directory: Path, model: Path, first_port: int, **variables: str) -> Iterator[int]:
    """Yield the port on the loopback address at which ``model`` answers, in a process that is ended afterwards.

    Args:
        directory: the container's, not there yet.
        model: what a training job left.
        first_port: this one or the next free one is taken.
        variables: of the container's environment.
    """
    shutil.copytree(model, directory / "model")
    port = next_free(first_port)
    place = {"SAGEMAKER_BIND_HOST": "127.0.0.1", "SAGEMAKER_BIND_TO_PORT": str(port)}
    log = directory / "serve.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            _command("serve"), env=_environment(directory) | place | variables, stdout=output, stderr=subprocess.STDOUT
        )
    try:
        _wait_for(process, port, log)
        yield port
    finally:
        process.terminate()
        process.wait()


def _wait_for(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    until = time.monotonic() + _READY_S
    while process.poll() is None and time.monotonic() < until:
        with contextlib.suppress(URLError), urllib.request.urlopen(f"http://127.0.0.1:{port}/ping"):
            return
        time.sleep(0.1)
    raise SystemExit(f"The endpoint does not answer:\n{log.read_text()[-4000:]}")


def _command(entry_point: str) -> list[str]:
    return [str(REPOSITORY / ".venv-training" / "bin" / "python"), "-m", "lookbook_image", entry_point]


def _environment(directory: Path) -> dict[str, str]:
    path = {"PYTHONPATH": str(REPOSITORY / "training_image"), "SAGEMAKER_BASE_DIR": str(directory)}
    return {**os.environ, **path, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
