"""Runs the training image's code as processes of its own environment, one thread each: for benchmarks of training."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from laptop.places import REPOSITORY

BASE = REPOSITORY / "training_image" / "base" / "tiny-blip2"


def train(job: Path, base: Path, sides: Path, hyperparameters: Mapping[str, str]) -> dict[str, Any]:
    """Run the training job's own entry point and return its report.

    Args:
        job: becomes the container's ``/opt/ml``.
        base: the model that LoRA starts from.
        sides: has ``train`` and ``validation``.
        hyperparameters: as in a request.
    """
    (job / "input" / "config").mkdir(parents=True)
    (job / "input" / "config" / "hyperparameters.json").write_text(json.dumps(dict(hyperparameters)))
    for name, source in {"base": base, "train": sides / "train", "validation": sides / "validation"}.items():
        shutil.copytree(source, job / "input" / "data" / name)
    run("-m", "lookbook_image", "train", SAGEMAKER_BASE_DIR=str(job))
    report: dict[str, Any] = json.loads((job / "model" / "report.json").read_text())
    return report


def script(path: Path, *arguments: object) -> dict[str, Any]:
    """Run a script and return what its last line says."""
    result: dict[str, Any] = json.loads(run(str(path), *map(str, arguments)).splitlines()[-1])
    return result


def run(*arguments: str, **environment: str) -> str:
    """Run Python with these arguments and return its output.

    Raises:
        SystemExit: it failed; with the end of its output.
    """
    path = {"PYTHONPATH": str(REPOSITORY / "training_image"), "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
    done = subprocess.run(
        [str(REPOSITORY / ".venv-training" / "bin" / "python"), *arguments],
        env={**os.environ, **path, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise SystemExit(f"{' '.join(arguments)} failed:\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}")
    return done.stdout
