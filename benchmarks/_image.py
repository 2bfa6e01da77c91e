"""The training image's code as processes of its own environment, one thread each: training, serving, scripts."""

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
from typing import Any
from urllib.error import URLError

from laptop.places import REPOSITORY
from laptop.ports import next_free

BASE = REPOSITORY / "training_image" / "base" / "tiny-blip2"
_PYTHON = str(REPOSITORY / ".venv-training" / "bin" / "python")
_READY_S = 180.0


def train(directory: Path, sides: Path, *, base: Path = BASE, **hyperparameters: str) -> dict[str, Any]:
    """Run a training job's entry point and return its report; the model is in ``directory / "model"``.

    Args:
        directory: becomes the container's ``/opt/ml``.
        sides: has ``train`` and ``validation``.
        base: the model that LoRA starts from.
        hyperparameters: as in a request.
    """
    (directory / "input" / "config").mkdir(parents=True)
    (directory / "input" / "config" / "hyperparameters.json").write_text(json.dumps(hyperparameters))
    for name, source in {"base": base, **{side: sides / side for side in ("train", "validation")}}.items():
        shutil.copytree(source, directory / "input" / "data" / name)
    run("-m", "lookbook_image", "train", SAGEMAKER_BASE_DIR=str(directory))
    report: dict[str, Any] = json.loads((directory / "model" / "report.json").read_text())
    return report


def script(path: Path, *arguments: object) -> dict[str, Any]:
    """Run a script in the image's environment and return what its last line says."""
    result: dict[str, Any] = json.loads(run(str(path), *map(str, arguments)).splitlines()[-1])
    return result


def run(*arguments: str, **variables: str) -> str:
    """Run Python in the image's environment with these arguments and return its output.

    Raises:
        SystemExit: it failed; with the end of its output.
    """
    command, environment = [_PYTHON, *arguments], _environment() | variables
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(arguments)} failed:\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}")
    return done.stdout


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
    environment = _environment() | {"SAGEMAKER_BASE_DIR": str(directory)} | place | variables
    command, log = [_PYTHON, "-m", "lookbook_image", "serve"], directory / "serve.log"
    with log.open("wb") as output:
        process = subprocess.Popen(command, env=environment, stdout=output, stderr=subprocess.STDOUT)
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


def _environment() -> dict[str, str]:
    path = {"PYTHONPATH": str(REPOSITORY / "training_image")}
    return {**os.environ, **path, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
