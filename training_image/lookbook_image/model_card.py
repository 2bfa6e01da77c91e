"""What a model is, for people: the ``README.md`` beside it, with the head that Hugging Face's model cards have."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from huggingface_hub import ModelCard, ModelCardData

from lookbook_image.progress import say

FILE = "README.md"
UNKNOWN = "unknown"


def write(model: Path, report: Mapping[str, Any], base: Path) -> None:
    """Write the card of the model whose ``report.json`` says ``report``.

    Args:
        model: the directory with ``merged/`` and ``adapter/``.
        report: see ``training_report``.
        base: the base's directory; its licence and name are taken from its own card.
    """
    head = _base_head(base)
    card = ModelCardData(
        license=head.license or UNKNOWN,
        license_name=head.get("license_name"),
        license_link=head.get("license_link"),
        base_model=head.get("model_name") or base.name,
        library_name="transformers",
        pipeline_tag="visual-question-answering",
        language="en",
        metrics=["exact_match"],
        tags=["lora", "fashion"],
    )
    (model / FILE).write_text(f"---\n{card.to_yaml()}\n---\n{_body(report, head.license or UNKNOWN)}")


def _base_head(base: Path) -> ModelCardData:
    """Return the head of the base's card; an empty one if it has no card or one that can't be read."""
    path = base / FILE
    text = path.read_text(encoding="utf-8") if path.exists() else ""
    if not text.startswith("---"):
        return ModelCardData()
    try:
        return ModelCard(text, ignore_metadata_errors=True).data
    except (ValueError, yaml.YAMLError) as error:
        say(f"{path}: its head can't be read ({error}); the model card states the base's licence as {UNKNOWN}")
        return ModelCardData()


def _body(report: Mapping[str, Any], base_license: str) -> str:
    best, sides, settings = report["best"], report["sides"], report["hyperparameters"]
    return f"""# Clothing attributes from pictures

Answers questions about one garment's picture as "<attribute>: <value>". LoRA on a frozen base, merged in float32.

| | |
|---|---|
| data set | {report["dataset_id"] or UNKNOWN} |
| training side | {sides["train"]["pairs"]} pairs of {sides["train"]["pictures"]} pictures |
| validation side | {sides["validation"]["pairs"]} pairs of {sides["validation"]["pictures"]} other pictures |
| exact match on the validation side | {best["validation_exact_match"]:.4f} (loss {best["validation_loss"]:.4f}) |
| epoch kept | {best["epoch"]} of {len(report["epochs"])}{", stopped early" if report["stopped_early"] else ""} |
| trained on | {report["device"]}, autocast {report["precision"]}, base {settings["quantization"]} quantised |
| code | {report["code"]} |
| licence of the base | {base_license} |
| licence of pictures and labels | {settings["data_license"] or UNKNOWN} |

The epoch was chosen by the validation side, so its figure flatters. What it is worth – benchmark, majority answer,
blind control, the model in service – is in the evaluation's report.

## What it was taught

| attribute | question | values |
|---|---|---|
{_taught(report)}

## Limits

It answers any question about any picture in this form, also about other attributes, pictures without a garment and
values that it never saw: such answers mean nothing. A rare value is rarely given. It learnt one catalogue's way of
photographing and naming; on another's pictures measure before you trust. It says nothing about people.

## Files

`merged/` is the whole model with its processor (`from_pretrained`), `adapter/` the LoRA weights alone, `report.json`
the figures of every epoch.

## Training

{", ".join(f"{name} {value}" for name, value in settings.items() if value != "")}
"""


def _taught(report: Mapping[str, Any]) -> str:
    return "\n".join(
        f"| {_cell(attribute)} | {_cell(question)} | {_cell(', '.join(report['vocabulary'].get(attribute, [])))} |"
        for attribute, question in report["questions"].items()
    )


def _cell(text: str) -> str:
    """Keep a seller's word from ending a table's cell."""
    return text.replace("|", r"\|").replace("\n", " ")
