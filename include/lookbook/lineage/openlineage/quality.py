"""The facets of a validation: what Great Expectations found in the dataset that a task validated."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from openlineage.client.generated.base import InputDatasetFacet
from openlineage.client.generated.data_quality_assertions_dataset import Assertion, DataQualityAssertionsDatasetFacet
from openlineage.client.generated.data_quality_metrics_input_dataset import DataQualityMetricsInputDatasetFacet

from lookbook.lineage.openlineage.facets import producer
from lookbook.lineage.openlineage.lookups import Lookups, tried
from lookbook.lineage.openlineage.naming import Identity, file
from lookbook.lineage.records import Dataset

_VALIDATION, _CANDIDATES = "/validation.json", "/candidates.parquet"
# What fails a row or the drop stops it on its way; a warning doesn't.
_SEVERITY = {"reject_drop": "error", "reject_row": "error", "warn": "warn"}


@dataclass(frozen=True)
class Verdict:
    """What ``validation.json`` holds, and the dataset that it is about."""

    about: Identity
    content: dict[str, Any]


def verdict_of(outputs: Iterable[Dataset], look: Lookups) -> Verdict | None:
    """Return the verdict that a task wrote, ``None`` for a task that validated nothing."""
    for one in outputs:
        if one.kind == "object" and one.name.endswith(_VALIDATION):
            content = tried(look.validation, one.name)
            return Verdict(file(one.name.replace(_VALIDATION, _CANDIDATES)), content) if content else None
    return None


def facets(verdict: Verdict) -> dict[str, InputDatasetFacet]:
    """Return a verdict as OpenLineage has it: one assertion an expectation, and how many rows were looked at."""
    assertions = [_assertion(one) for one in verdict.content["expectations"]]
    return {
        "dataQualityAssertions": DataQualityAssertionsDatasetFacet(assertions, producer=producer()),
        "dataQualityMetrics": DataQualityMetricsInputDatasetFacet(
            columnMetrics={}, rowCount=verdict.content["rows"], producer=producer()
        ),
    }


def _assertion(expectation: dict[str, Any]) -> Assertion:
    return Assertion(
        assertion=expectation["expectation"],
        success=expectation["met"],
        column=expectation["column"],
        severity=_SEVERITY[expectation["severity"]],
        name=expectation["code"],
        description=expectation["says"],
        expected="0 rows",
        actual=f"{expectation['rows']} rows",
    )
