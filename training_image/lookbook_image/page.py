"""The report as a page for people: one HTML file that needs nothing beside itself, not even a script."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from lookbook_image.examples import Examples

TEMPLATE = "evaluation.html"
ORDER = ("challenger", "champion", "base", "majority", "blind")
"""The rows of the page's table."""


def render(report: Mapping[str, Any], examples: Examples) -> str:
    """Return the page of a report.

    Attributes, answers and names of pictures come from drops and are escaped; the template marks nothing as safe.

    Args:
        report: what ``evaluation.json`` states.
        examples: pictures to show.
    """
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"share": _share, "points": _points, "chance": _chance, "place": _place, "shade": _shade}
    models = [name for name in ORDER if name in report["models"]]
    return environment.get_template(TEMPLATE).render(report=report, names=models, examples=examples)


def _share(value: float | None) -> str:
    """Show a share of 1 with three decimals."""
    return "–" if value is None else f"{value:.3f}"


def _points(value: float) -> str:
    """Show a difference of shares in percentage points, with its sign."""
    return f"{100 * value:+.1f}".replace("-", "−")


def _chance(value: float) -> str:
    """Show a p-value."""
    return "< 0.001" if value < 0.001 else f"= {value:.3f}"


def _place(value: float) -> str:
    """Return where a share stands on an axis from 0 to 1, as SVG and CSS write it."""
    return f"{100 * min(max(value, 0), 1):.2f}%"


def _shade(count: int, total: int) -> str:
    """Return how dark a cell with ``count`` of its row's ``total`` is: at most so that its number can be read."""
    return f"{0.6 * count / total if total else 0:.2f}"
