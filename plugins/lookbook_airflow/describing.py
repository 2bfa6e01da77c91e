"""What `describe_products` does beside descriptions: it reports findings, and hands the shop its files."""

from __future__ import annotations

from typing import Any

from lookbook_airflow.defaults import Pool
from lookbook_airflow.lineage import traced_task
from lookbook_airflow.links import FindingsLink, linked


def findings_reported(plan: Any, predictions: Any) -> Any:
    """Add the task that reports where the model contradicts the catalogue; return its result.

    Args:
        plan: the plan's reference, another task's result.
        predictions: the reference of what the model answered, another task's result.
    """
    return linked(report_findings(plan, predictions), FindingsLink())


@traced_task(pool=Pool.PUBLISH)
def report_findings(plan: dict, predictions: dict) -> dict:
    """Tell of each product where the model is sure of another value than the catalogue states (button *Findings*)."""
    from lookbook.descriptions import findings

    return findings.report(plan["uri"], predictions).reference()


@traced_task(pool=Pool.PUBLISH)
def export(publication: dict) -> dict:
    """Write the drop's published descriptions as JSON Lines and CSV, and point to them once they are all there."""
    from lookbook.descriptions import exporting

    return exporting.export(publication["drop_id"]).reference()
