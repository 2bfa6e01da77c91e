"""The file in which quarantined rows go to whoever mends them, and come back.

It is proper CSV, whatever ``styles.csv`` was: ``line_number``, the ten columns of a drop, and comments (``reasons``,
``detail``, ``raw_line``), which are for reading and are ignored on the way back. What a drop holds is not to be trusted
by the spreadsheet that opens the file: a cell that a spreadsheet would take for a formula gets an apostrophe before it
(https://owasp.org/www-community/attacks/CSV_Injection), which is taken away again.
"""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from lookbook.drops.lines import COLUMNS
from lookbook.errors import PermanentError

LINE_NUMBER = "line_number"
HEADER = (LINE_NUMBER, *COLUMNS, "reasons", "detail", "raw_line")

_REQUIRED = (LINE_NUMBER, *COLUMNS)
_LINE_NUMBER = re.compile(r"[0-9]{1,9}")
_FORMULA = re.compile(r"'*[\s=+\-@＝＋－＠]")
_MOST_RAW_CHARACTERS = 1000  # of a comment; the whole line is in catalog.quarantine


@dataclass(frozen=True)
class QuarantinedRow:
    """A row in quarantine: its line, its fields as far as they can be told, and why it was rejected."""

    line_number: int
    fields: Mapping[str, str]
    reasons: tuple[str, ...]
    detail: str | None
    raw_line: str


def write(rows: Iterable[QuarantinedRow]) -> str:
    """Return the file with these rows, in their order."""
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(HEADER)
    for row in rows:
        comments = ("; ".join(row.reasons), row.detail or "", row.raw_line[:_MOST_RAW_CHARACTERS])
        table.writerow([row.line_number, *(cell(text) for text in (*row.fields.values(), *comments))])
    return text.getvalue()


def cell(text: str) -> str:
    """Return a text as the file has it: no formula, and nothing that a terminal would obey."""
    shown = "".join(char if char.isprintable() else "�" for char in text)
    return f"'{shown}" if _FORMULA.match(shown) else shown


def text_of(cell: str) -> str:
    """Return the text that a cell stands for."""
    return cell[1:] if cell.startswith("'") and _FORMULA.match(cell) else cell


def parse(content: bytes, name: str) -> dict[int, dict[str, str]]:
    """Return the cells of the ten columns by line number.

    Args:
        content: UTF-8, with or without byte order mark, or Windows-1252, which spreadsheets write too.
        name: the file as an error message should call it.

    Raises:
        PermanentError: it is no CSV, lacks a column, or names a line twice; the message says where.
    """
    table = csv.reader(io.StringIO(_decode(content, name), newline=""), strict=True)
    found: dict[int, dict[str, str]] = {}
    try:
        header = _header(next(table, []), name)
        for cells in table:
            if any(cells):
                number, fields = _row(header, cells, f"{name}, line {table.line_num}")
                if number in found:
                    raise PermanentError(f"{name} has line_number {number} twice (again in line {table.line_num}).")
                found[number] = fields
    except csv.Error as error:
        raise PermanentError(f"{name}, line {table.line_num} is no CSV: {error}.") from error
    return found


def _decode(content: bytes, name: str) -> str:
    for encoding in ("utf-8-sig", "cp1252"):
        try:
            return content.decode(encoding)
        except UnicodeDecodeError:
            continue
    raise PermanentError(f"{name} is neither UTF-8 nor Windows-1252. Save it as CSV in UTF-8.")


def _header(cells: list[str], name: str) -> list[str]:
    header = [cell.strip() for cell in cells]
    missing = [column for column in _REQUIRED if column not in header]
    repeated = [column for column, number in Counter(header).items() if number > 1 and column in _REQUIRED]
    if missing or repeated:
        found = ", ".join(column if column.isprintable() else ascii(column) for column in header)[:400] or "nothing"
        raise PermanentError(
            f"{name} has not the columns of a mended file: {', '.join(missing or repeated)} "
            f"{'is missing' if missing else 'is there twice'}; found {found}. Begin with the file that "
            "`make quarantine` writes, and save it as CSV with commas."
        )
    return header


def _row(header: list[str], cells: list[str], place: str) -> tuple[int, dict[str, str]]:
    if len(cells) != len(header):
        raise PermanentError(f"{place} has {len(cells)} cells, expected {len(header)} as in the header.")
    row = dict(zip(header, cells, strict=True))
    number = row[LINE_NUMBER].strip()
    if not _LINE_NUMBER.fullmatch(number):
        raise PermanentError(
            f"{place} has line_number {number[:40]!r}, expected the number that `make quarantine` gave."
        )
    return int(number), {column: row[column] for column in COLUMNS}
