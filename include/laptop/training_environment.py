"""Install the training image's environment without CUDA: ``python -m laptop.training_environment <requirements.txt>``.

Run by the interpreter of the environment to fill; standard library only. Everything is installed as pinned. Only
torch is special: the registry's Linux wheel requires several GB of CUDA packages, so pip is first asked which file it
would take. A CPU build offered locally (``--find-links``, an extra index) is taken as it is; instead of a CUDA build
the same version comes from PyTorch's index of CPU builds.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

CPU_INDEX = "https://download.pytorch.org/whl/cpu"
# A pip that answers a dry run from metadata alone; before 23.3 it downloaded the whole wheel.
_PIP = "pip==26.3"
_CUDA = re.compile(r"^(nvidia|cuda|triton)\b", re.IGNORECASE)


class TrainingEnvironmentError(Exception):
    """The environment can't be made; the message says why and what to do."""


def pinned_torch(requirements: str) -> str:
    """Return the version of torch that requirements text pins.

    Raises:
        TrainingEnvironmentError: it doesn't pin one.
    """
    match = re.search(r"^torch==([^\s;+]+)", requirements, re.MULTILINE)
    if match is None:
        raise TrainingEnvironmentError(
            "The training image's requirements pin no torch. Expected a line torch==<version>."
        )
    return match[1]


def cuda_requirements(report: dict[str, Any]) -> list[str]:
    """Return which CUDA packages the torch in a pip installation report would pull in; none for a CPU build."""
    metadata = report["install"][0]["metadata"]
    return [line for line in metadata.get("requires_dist", []) if _CUDA.match(line) and "extra ==" not in line]


def torch_arguments(version: str, report: dict[str, Any]) -> list[str]:
    """Return pip's arguments that install this version of torch as a CPU build."""
    if not cuda_requirements(report):
        return [f"torch=={version}"]
    return ["--index-url", CPU_INDEX, f"torch=={version}+cpu"]


def install(requirements: Path) -> None:
    """Install everything the file pins into this interpreter's environment.

    Raises:
        TrainingEnvironmentError: pip failed, or no CPU build of torch can be had.
    """
    version = pinned_torch(requirements.read_text())
    _pip("install", _PIP)
    arguments = torch_arguments(version, _report(version))
    try:
        _pip("install", "--no-deps", *arguments)
    except TrainingEnvironmentError as error:
        raise TrainingEnvironmentError(
            f"No CPU build of torch {version} could be installed ({error}). Its CUDA build is not taken, being several "
            f"GB. Allow {CPU_INDEX}, or put a torch-{version}+cpu wheel into a directory and set PIP_FIND_LINKS to it."
        ) from error
    _pip("install", "--requirement", str(requirements))


def _report(version: str) -> dict[str, Any]:
    """Ask pip which torch it would take, without taking it."""
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "report.json"
        _pip("install", "--dry-run", "--no-deps", "--ignore-installed", "--report", str(path), f"torch=={version}")
        report: dict[str, Any] = json.loads(path.read_text())
        return report


def _pip(*arguments: str) -> None:
    command = [sys.executable, "-m", "pip", "-qq", "--disable-pip-version-check", *arguments]
    code = subprocess.run(command).returncode  # noqa: S603 - pip with our own arguments
    if code:
        raise TrainingEnvironmentError(f"pip {' '.join(arguments)} ended with {code}")


def main(arguments: list[str]) -> int:
    """Install from the requirements file named; return 0, or 1 with the reason on standard error."""
    try:
        install(Path(arguments[0]))
    except TrainingEnvironmentError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
