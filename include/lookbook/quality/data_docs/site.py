"""The site that Great Expectations builds for a drop: which pages, by which of our renderers and views."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from great_expectations.expectations.expectation import Expectation

from lookbook.quality.data_docs.renderers import SEVERITIES, reason

_PACKAGE = "lookbook.quality.data_docs"
_RESULTS = {
    "class_name": "ValidationResultsPageRenderer",
    "column_section_renderer": {
        "class_name": "ValidationResultsColumnSectionRenderer",
        "table_renderer": {"module_name": f"{_PACKAGE}.renderers", "class_name": "ReasonsTableRenderer"},
    },
}


def config(directory: Path, task_url: str | None) -> dict[str, Any]:
    """Return the configuration of a site of plain HTML files in ``directory``.

    ``task_url`` is the page of the task that validates, for the docs to link back to.
    """
    view = {"module_name": f"{_PACKAGE}.views", "class_name": "OfflinePageView", "task_url": task_url}
    return {
        "class_name": "SiteBuilder",
        "show_how_to_buttons": False,
        "store_backend": {"class_name": "TupleFilesystemStoreBackend", "base_directory": str(directory)},
        "site_index_builder": {"class_name": "DefaultSiteIndexBuilder", "view": view},
        "site_section_builders": {
            "expectations": {"view": view},
            "validations": {"view": view, "renderer": _RESULTS},
            "profiling": "None",  # the text is how Great Expectations is told to leave a section out
        },
    }


def noted(expectation: Expectation) -> Expectation:
    """Give an expectation the note that the page of the suite shows below it: severity, reason code and meaning."""
    meta: dict[str, Any] = expectation.meta or {}
    severity = SEVERITIES[meta["severity"]]
    expectation.notes = [f"Severity: {severity}. Reason code: {reason(meta)}. Meaning: {meta['says']}."]
    return expectation
