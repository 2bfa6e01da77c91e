"""CSV that is safe to open in a spreadsheet, whatever a drop or a model put into it."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

# What makes a spreadsheet take a cell for a formula, in the full width of East Asian input too.
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")


def as_csv(columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> bytes:
    """Return rows as CSV (RFC 4180, UTF-8, with a header); lists are one cell, an entry a line; null is empty.

    A spreadsheet must take no text for a formula: each cell is quoted, whatever separator its reader expects, and a
    text that begins as a formula does gets an apostrophe before it, as OWASP advises. Numbers stay what they are.
    """
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\r\n", quoting=csv.QUOTE_ALL)
    writer.writerow(columns)
    writer.writerows([_cell(row[name]) for name in columns] for row in rows)
    return text.getvalue().encode()


def _cell(value: object) -> object:
    text = "\n".join(value) if isinstance(value, list) else value
    return f"'{text}" if isinstance(text, str) and text.startswith(_FORMULA) else text
