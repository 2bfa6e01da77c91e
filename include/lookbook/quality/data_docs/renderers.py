"""Renderers that put severity, reason code and meaning of an expectation beside what it found."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

from great_expectations.render import RenderedStringTemplateContent
from great_expectations.render.renderer.content_block import ValidationResultsTableContentBlockRenderer

SEVERITIES = {"reject_drop": "rejects the drop", "reject_row": "rejects the row", "warn": "warns"}
_COLUMNS = ["Severity", "Reason code", "Meaning"]


class ReasonsTableRenderer(ValidationResultsTableContentBlockRenderer):
    """The table of the results of one column, with what our expectations say of themselves after the status."""

    @classmethod
    def _process_content_block(cls, content_block: Any, has_failed_evr: bool, render_object: Any = None) -> None:
        super()._process_content_block(content_block, has_failed_evr, render_object)
        content_block.header_row[1:1] = _COLUMNS

    @classmethod
    def _get_content_block_fn(cls, expectation_type: str, expectation_config: Any = None) -> Callable[..., Any]:
        # It returns None only where it is overridden to: every expectation has at least a default renderer.
        rendered = cast("Callable[..., Any]", super()._get_content_block_fn(expectation_type, expectation_config))

        def with_reason(result: Any = None, **options: Any) -> list[list[Any]]:
            (row,) = rendered(result=result, **options)
            meta = result.expectation_config.meta
            row[1:1] = [_severity(meta["severity"]), reason(meta), meta["says"]]
            return [row]

        return with_reason


def reason(meta: dict[str, Any]) -> str:
    """Return the reason code that an expectation gives, or says that each value that fails it is one."""
    return str(meta["code"]) if "code" in meta else "the unexpected value"


def _severity(severity: str) -> RenderedStringTemplateContent:
    template = {"template": SEVERITIES[severity], "styling": {"classes": ["severity", severity]}}
    return RenderedStringTemplateContent(content_block_type="string_template", string_template=template)
