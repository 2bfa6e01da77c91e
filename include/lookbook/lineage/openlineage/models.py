"""The facet of a model: what the registry says of its package."""

from __future__ import annotations

import math
from typing import Any

from lookbook.lineage.openlineage.facets import LookbookModelDatasetFacet, producer
from lookbook.training.registry import version_of

_GATE, _PROMOTED_BY, _REPORT = "gate", "promoted_by", "evaluation_report"
_KNOWN = {
    "dataSetId": "dataset_id",
    "productsSnapshot": "products_snapshot",
    "trainingJob": "training_job",
    "image": "image",
    "codeVersion": "code_version",
    "gate": _GATE,
    "promotedBy": _PROMOTED_BY,
    "evaluationReport": _REPORT,
}


def model_facet(package: dict[str, Any]) -> LookbookModelDatasetFacet:
    """Return the facet of a package as ``DescribeModelPackage`` answers; what its metadata doesn't tell is left out.

    Every number among the metadata, but for those with a name of their own, is a figure of the model: what the gate
    looked at, and what training cost.
    """
    stated: dict[str, str] = package.get("CustomerMetadataProperties", {})
    figures = {name: number(text) for name, text in stated.items() if name not in _KNOWN.values()}
    known: dict[str, Any] = {facet: stated[name] for facet, name in _KNOWN.items() if name in stated}
    return LookbookModelDatasetFacet(
        packageArn=package["ModelPackageArn"],
        version=version_of(package["ModelPackageArn"]),
        approvalStatus=package["ModelApprovalStatus"],
        metrics={name: figure for name, figure in figures.items() if figure is not None},
        producer=producer(),
        **known,
    )


def number(text: str) -> float | None:
    """Return the finite decimal number that a text is, ``None`` if it is none."""
    if not text.replace("-", "", 1).replace(".", "", 1).isdigit():
        return None
    figure = float(text)
    return figure if math.isfinite(figure) else None
