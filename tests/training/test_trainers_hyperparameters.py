"""What the request states is what the trainer in the image knows: the two meet nowhere else."""

from __future__ import annotations

from pathlib import Path

import pytest

from lookbook.settings import get_settings
from lookbook.training import requests

TRAINING_IMAGE = Path(__file__).resolve().parents[2] / "training_image"
DATASET = {"uri": "s3://lookbook/training/datasets/0123456789abcdef/", "dataset_id": "0123456789abcdef", "counts": {}}


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {
            "LOOKBOOK_TRAINING_QUANTIZATION": "4bit",
            "LOOKBOOK_TRAINING_GRADIENT_ACCUMULATION": "4",
            "LOOKBOOK_TRAINING_PATIENCE": "0",
            "LOOKBOOK_TRAINING_CHECKPOINT_MINUTES": "2.5",
            "LOOKBOOK_DATA_LICENSE": "MIT",
        },
    ],
)
def test_the_trainer_takes_the_hyperparameters_of_the_request(
    settings: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(TRAINING_IMAGE))
    from lookbook_image import hyperparameters

    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    get_settings.cache_clear()
    asked = requests.training_request(DATASET, "scheduled__2026-11-16")["HyperParameters"]
    parsed = hyperparameters.parse(asked)
    assert {name: str(getattr(parsed, name)) for name in asked} == asked
