"""Pages of tables that need nothing but themselves: no script, no font, no picture from elsewhere."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

_ROWS = 500  # what is beyond is in the JSON beside the page
_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 70rem; padding: 0 1rem; color: #1c2430; }
table { border-collapse: collapse; width: 100%; margin: .5rem 0 2rem; }
th, td { text-align: left; padding: .3rem .7rem .3rem 0; border-bottom: 1px solid #d9dee6; overflow-wrap: anywhere; }
th { font-weight: 600; } td.number, th.number { text-align: right; font-variant-numeric: tabular-nums; }
p.note { color: #5a6675; }
@media (prefers-color-scheme: dark) {
  body { background: #12161c; color: #dfe5ee; } th, td { border-color: #313a47; } p.note { color: #9aa6b5; } }
"""


def page(title: str, intro: str, parts: Iterable[str]) -> str:
    """Return an HTML page; ``parts`` are what :func:`table` and :func:`note` return."""
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>'
        f'<meta name="viewport" content="width=device-width"><style>{_STYLE}</style></head>'
        f"<body><h1>{escape(title)}</h1><p>{escape(intro)}</p>{''.join(parts)}</body></html>"
    )


def table(title: str, header: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Return a titled table; numbers stand right-aligned, everything is text."""
    head = "".join(f'<th scope="col">{escape(name)}</th>' for name in header)
    body = "".join(f"<tr>{''.join(_cell(value) for value in row)}</tr>" for row in rows[:_ROWS])
    more = note(f"and {len(rows) - _ROWS} more, which the JSON beside this page has") if len(rows) > _ROWS else ""
    empty = note("nothing") if not rows else ""
    return f"<h2>{escape(title)}</h2><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>{more}{empty}"


def note(text: str) -> str:
    """Return a paragraph that explains."""
    return f'<p class="note">{escape(text)}</p>'


def amount(size: float) -> str:
    """Return a number of bytes as people write it."""
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} TB"


def _cell(value: object) -> str:
    number = isinstance(value, int | float)
    return f"<td{' class=number' if number else ''}>{escape(_shown(value))}</td>"


def _shown(value: object) -> str:
    if value is None:
        return "–"
    if not isinstance(value, float):
        return str(value)
    return f"{value:.4f}" if 0 < abs(value) < 1 else f"{value:,.2f}"
