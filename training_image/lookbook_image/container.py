"""The SageMaker container contract: where a job finds its input and leaves its output.

The base directory is ``/opt/ml``, as SageMaker mounts it, or ``SAGEMAKER_BASE_DIR``.
"""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from lookbook_image.errors import JobError

FAILURE_REASON_LIMIT = 1024
"""Characters of ``output/failure`` that SageMaker keeps as FailureReason."""


@dataclass(frozen=True)
class Container:
    """The directories of one job or endpoint, under ``base``."""

    base: Path

    @classmethod
    def from_environment(cls) -> Container:
        """Return the container of this process (``SAGEMAKER_BASE_DIR``, else ``/opt/ml``)."""
        return cls(Path(os.environ.get("SAGEMAKER_BASE_DIR", "/opt/ml")))

    @property
    def model(self) -> Path:
        """What is left here becomes ``model.tar.gz``; an endpoint finds the model here."""
        return self.base / "model"

    @property
    def output_data(self) -> Path:
        """What is left here becomes ``output.tar.gz``."""
        return self.base / "output" / "data"

    @property
    def checkpoints(self) -> Path:
        """Synchronised with S3 while the job runs, so that an interrupted job can go on."""
        return self.base / "checkpoints"

    @property
    def failure(self) -> Path:
        """The file whose text becomes the job's FailureReason."""
        return self.base / "output" / "failure"

    def hyperparameters(self) -> dict[str, str]:
        """Return the job's hyperparameters; none were given if their file isn't there.

        Raises:
            JobError: the file isn't a JSON object.
        """
        path = self.base / "input" / "config" / "hyperparameters.json"
        if not path.exists():
            return {}
        try:
            values = json.loads(path.read_text())
        except ValueError as error:
            raise JobError(f"{path}: not JSON ({error}). SageMaker writes an object of strings there.") from error
        if not isinstance(values, dict):
            raise JobError(f"{path}: expected a JSON object of strings, found {type(values).__name__}.")
        return {str(name): str(value) for name, value in values.items()}

    def channel(self, name: str) -> Path:
        """Return the directory of input channel ``name``.

        Raises:
            JobError: the channel is missing or empty; the message lists those that are there.
        """
        path = self.base / "input" / "data" / name
        if path.is_dir() and any(path.iterdir()):
            return path
        found = ", ".join(self._channels()) or "none"
        raise JobError(
            f"input channel '{name}': nothing at {path} (channels found: {found}). "
            f"Give the job's InputDataConfig a channel named '{name}' whose S3 prefix holds objects."
        )

    def has_channel(self, name: str) -> bool:
        """Tell whether the job was given channel ``name``."""
        return name in self._channels()

    def _channels(self) -> list[str]:
        data = self.base / "input" / "data"
        return sorted(path.name for path in data.iterdir() if path.is_dir()) if data.is_dir() else []

    def clear_model(self) -> None:
        """Empty the model directory: half a model must never become an artefact. The directory may be a mount."""
        for path in self.model.iterdir() if self.model.is_dir() else ():
            shutil.rmtree(path) if path.is_dir() else path.unlink()

    def write_failure(self, reason: str) -> None:
        """Leave ``reason`` where SageMaker looks for a failed job's reason."""
        self.failure.parent.mkdir(parents=True, exist_ok=True)
        self.failure.write_text(reason[:FAILURE_REASON_LIMIT])
