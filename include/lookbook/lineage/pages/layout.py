"""The frame of every Lineage page, and how values are written in it."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from importlib import resources
from typing import Any, Literal

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from lookbook.errors import PermanentError
from lookbook.lineage.pages.links import Links

Section = Literal["search", "drops", "models", "cost"]

_SECTIONS: dict[Section, tuple[str, tuple[str, ...]]] = {
    "search": ("Search", ()),
    "drops": ("Drops", ("drops",)),
    "models": ("Models", ("models",)),
    "cost": ("Cost", ("cost",)),
}
_TEMPLATES = "templates"
_SHORT = 28  # characters of a version that are shown; all of it is in the title


class PageNotFoundError(PermanentError):
    """There is nothing that the page asked for would show; the message says what is missing."""


@dataclass(frozen=True)
class Crumb:
    """One step of the way to a page; the last has no ``href``: it is the page itself."""

    text: str
    href: str | None = None


def render(
    template: str, *, title: str, active: Section | None, links: Links, crumbs: Sequence[Crumb] = (), **values: Any
) -> str:
    """Return a page as HTML.

    Args:
        template: file in ``templates/`` that extends ``layout.html``.
        title: of the page, as its heading and in the browser's tab.
        active: which entry of the navigation is marked; ``None`` for a tab of a run, which has no navigation.
        links: where links lead.
        crumbs: the way to this page below "Lineage"; none on the start page and in tabs.
        values: what the template lays out; it fails on a name that isn't there.
    """
    sections = [(name, text, links.page(*path)) for name, (text, path) in _SECTIONS.items()]
    frame = {"title": title, "active": active, "sections": sections, "links": links, "crumbs": crumbs}
    return _environment().get_template(template).render(**frame, **values)


def number(value: float | None) -> str:
    """Return a count with its thousands apart; a dash where there is none."""
    return "–" if value is None else f"{value:,.0f}"


def usd(value: float | None) -> str:
    """Return an amount of money: to the cent, small ones to two digits that say something."""
    if value is None:
        return "–"
    if value == 0 or value >= 0.1:
        return f"${value:,.2f}"
    return f"${value:.2g}" if value >= 0.0001 else f"${value:.6f}"


def share(value: float | None) -> str:
    """Return a fraction of one in per cent."""
    return "–" if value is None else f"{value:.1%}"


def when(value: datetime | str | None) -> str | Markup:
    """Return a time in UTC as people read it, with the exact one for machines."""
    if value is None:
        return "–"
    moment = (datetime.fromisoformat(value) if isinstance(value, str) else value).astimezone(UTC)
    exact, readable = moment.isoformat(), f"{moment:%Y-%m-%d %H:%M} UTC"
    return Markup('<time datetime="{}" title="{}">{}</time>').format(exact, exact, readable)


def took(value: timedelta | None) -> str:
    """Return how long something took, in the two units that matter."""
    if value is None:
        return "–"
    seconds = value.total_seconds()
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, seconds = divmod(round(seconds), 60)
    return f"{minutes // 60} h {minutes % 60} min" if minutes >= 60 else f"{minutes} min {seconds} s"


def short(value: str | None) -> str | Markup:
    """Return a version so that it fits a table: an ARN's last part, a checksum's beginning; its title has all of it."""
    if value is None:
        return "–"
    shown = value.rpartition(":")[2] if value.startswith("arn:") else value
    shown = shown if len(shown) <= _SHORT else f"{shown[: _SHORT - 1]}…"
    return Markup('<code title="{}">{}</code>').format(value, shown)


@cache
def _environment() -> Environment:
    loader = PackageLoader("lookbook.lineage.pages", _TEMPLATES)
    made = Environment(loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    made.filters |= {filter_.__name__: filter_ for filter_ in (number, usd, share, when, took, short)}
    # Ours, not a drop's: the only text that is put into a page as it is.
    made.globals |= {"style": Markup(_file("layout.css") + _file("overviews.css")), "script": Markup(_SCRIPT)}  # noqa: S704
    return made


def _file(name: str) -> str:
    return (resources.files("lookbook.lineage.pages") / _TEMPLATES / name).read_text()


_SCRIPT = _file("layout.js")
SCRIPT_SOURCE = f"'sha256-{base64.b64encode(hashlib.sha256(_SCRIPT.encode()).digest()).decode()}'"
"""What a Content-Security-Policy must name in ``script-src`` for the layout's script, and it alone, to run."""
