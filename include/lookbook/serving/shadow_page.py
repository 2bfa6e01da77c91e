"""The comparison of champion and challenger as a page."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from lookbook import storage
from lookbook.errors import PermanentError
from lookbook.housekeeping import pages

if TYPE_CHECKING:
    from lookbook.serving.shadow_report import AttributeComparison, Report

_DIFFERENCES = ("attribute", "champion says", "p", "challenger says", "p", "products or request")
_ATTRIBUTES = (
    "attribute",
    "questions",
    "same",
    "different",
    "agreement",
    "champion abstains",
    "challenger abstains",
    "both abstain",
)


class PageNotFoundError(PermanentError):
    """A run has no such page."""


def uri(root: str) -> str:
    """Return where the page of a run lies, of which ``root`` is the prefix."""
    return f"{root}/report.html"


def read(root: str) -> bytes:
    """Return a run's page.

    Raises:
        PageNotFoundError: there is none.
    """
    try:
        return storage.read_bytes(uri(root))
    except storage.ObjectNotFoundError as absent:
        raise PageNotFoundError(f"There is no page {uri(root)}: no challenger was compared there.") from absent


def render(report: Report) -> str:
    """Return the page."""
    parts = [
        pages.table("By attribute", _ATTRIBUTES, [*_attributes(report.attributes), _row("all", report.total)]),
        pages.note(
            "Agreement is the share of equal values where both named one. It says how much would change with the "
            "challenger, not who is right: that, the evaluation's benchmark says."
        ),
        pages.table("Requests", ("model", "requests", "refused", "failed", "mean latency, ms"), _measured(report)),
        pages.table(
            "Its own golden questions", ("asked", "captured", "answered as when it was evaluated"), _golden(report)
        ),
        pages.table("Where they differ", _DIFFERENCES, _differences(report)),
    ]
    return pages.page(f"{report.challenger} beside {report.champion}", _intro(report), parts)


def _intro(report: Report) -> str:
    unread = f" Captured lines that could not be read: {report.unread_lines}." if report.unread_lines else ""
    return (
        f"From {report.since[:16]} to {report.until[:16]} UTC model {report.challenger} got a copy of "
        f"{report.share:.0%} of the requests that {report.champion} answered; {report.subjects} pictures were "
        f"compared. It ended because {report.ended}.{unread}"
    )


def _attributes(attributes: Mapping[str, AttributeComparison]) -> list[tuple[object, ...]]:
    return [_row(attribute, compared) for attribute, compared in attributes.items()]


def _row(name: str, one: AttributeComparison) -> tuple[object, ...]:
    agreement = None if one.agreement is None else f"{one.agreement:.1%}"
    abstained = (one.champion_abstains, one.challenger_abstains, one.both_abstain)
    return (name, one.questions, one.same, one.differs, agreement, *abstained)


def _measured(report: Report) -> list[tuple[object, ...]]:
    versions = {"champion": report.champion, "challenger": report.challenger}
    return [
        (f"{versions[name]} ({name})", one.requests, one.refused, one.failed, one.latency_ms)
        for name, one in report.measured.items()
    ]


def _golden(report: Report) -> list[tuple[object, ...]]:
    return [(report.golden.asked, report.golden.captured, report.golden.as_evaluated)]


def _differences(report: Report) -> list[tuple[object, ...]]:
    return [
        (
            one.attribute,
            one.champion,
            one.champion_probability,
            one.challenger,
            one.challenger_probability,
            ", ".join(one.products) or one.subject,
        )
        for one in report.differences
    ]
