"""Read ``styles.csv`` line by line, mending what can be mended and losing nothing.

The file is no proper CSV: names hold unquoted commas and unescaped quotes. Nine of the ten columns never hold a
comma, so the first nine commas of a line separate its fields and the rest is the name; a line that *is* properly
quoted is read as CSV. What was mended is counted, what cannot be read keeps its raw line and a reason code.
"""

from __future__ import annotations

import codecs
import csv
import re
from collections.abc import Iterator
from dataclasses import dataclass

import ftfy

from lookbook.errors import PermanentError

COLUMNS = (
    "id",
    "gender",
    "masterCategory",
    "subCategory",
    "articleType",
    "baseColour",
    "season",
    "year",
    "usage",
    "productDisplayName",
)
# Everything about a product that is a path or a key comes from its id, so an id is digits and nothing else.
PRODUCT_ID = re.compile(r"[0-9]{1,12}")

_FIELD = r'(?:"(?:[^"]|"")*"|[^",]*)'
_PROPER_LINE = re.compile(rf"{_FIELD}(?:,{_FIELD})*")
_OPEN_LINE = re.compile(rf'(?:{_FIELD},)*"(?:[^"]|"")*')
_ROW_START = re.compile(r'\s*"?[0-9]+"?,(?:[^,]*,){8}')
_YEAR = re.compile(r"[0-9]{4}")
_MOST_LINES_A_ROW = 20


@dataclass(frozen=True)
class Row:
    """One row of ``styles.csv``: its fields by column, or the reason code why they cannot be told."""

    line_number: int  # of its first line, the header being 1
    line_count: int
    raw_line: str
    fields: dict[str, str]  # whitespace normalised; at most the id when there is a problem
    problem: str | None = None
    detail: str | None = None
    repairs: tuple[str, ...] = ()


def check_header(content: bytes, name: str) -> None:
    """Check that ``content`` begins with the ten columns of a drop.

    Args:
        content: the beginning of the file, at least its first line.
        name: the file as an error message should call it.

    Raises:
        PermanentError: other columns, or another order.
    """
    found = tuple(field.strip() for field in _split(_decode(split_lines(content)[0])[0])[0])
    if found != COLUMNS:
        raise PermanentError(
            f"{name} has other columns than a drop: found {_listing(found)}; expected {_listing(COLUMNS)}, in this "
            "order (docs/data-contract.md)."
        )


def _listing(columns: tuple[str, ...]) -> str:
    return ", ".join(column if column.isprintable() else ascii(column) for column in columns)[:400] or "nothing"


def split_lines(content: bytes) -> list[bytes]:
    r"""Return the file's lines without their ends (``\n``, ``\r\n`` or ``\r``) and without a byte order mark."""
    content = content.removeprefix(codecs.BOM_UTF8)
    if b"\n" not in content:
        content = content.replace(b"\r", b"\n")
    return [line.removesuffix(b"\r") for line in content.split(b"\n")]


def read_rows(content: bytes) -> Iterator[Row]:
    """Yield the rows of a whole ``styles.csv`` in order; blank lines are no rows."""
    lines = split_lines(content)
    at = 1
    while at < len(lines):
        text, encoding_repairs = _decode(lines[at])
        if not text.strip():
            at += 1
            continue
        text, count = _with_continuation(text, lines, at)
        yield _row(text, at + 1, count, encoding_repairs)
        at += count


def row_of(
    fields: dict[str, str], line_number: int, line_count: int, raw_line: str, repairs: tuple[str, ...] = ()
) -> Row:
    """Return the row that ten fields make: cleaned, and with the reason code if they cannot be trusted.

    Args:
        fields: by column, all ten.
        line_number: of the row's first line, the header being 1.
        line_count: how many lines it has.
        raw_line: its text in the file.
        repairs: what was mended before; what is mended here is added.
    """
    clean, mended = _clean(fields)
    problem, detail = _problem(clean)
    told = _id_alone(clean["id"]) if problem else clean
    return Row(line_number, line_count, raw_line, told, problem, detail, (*repairs, *mended))


def fields_of(raw_line: str) -> dict[str, str]:
    """Return the ten fields of a line as far as they can be told; those that it lacks are empty."""
    parts = _split(raw_line)[0]
    return _clean(dict(zip(COLUMNS, [*parts, *[""] * len(COLUMNS)], strict=False)))[0]


def _decode(line: bytes) -> tuple[str, tuple[str, ...]]:
    try:
        return line.decode("utf-8"), ()
    except UnicodeDecodeError:
        pass  # Sellers' spreadsheets write Windows-1252, whose letters are those of Latin-1.
    try:
        return line.decode("cp1252"), ("latin_1",)
    except UnicodeDecodeError:
        return line.decode("latin-1"), ("latin_1",)


def _with_continuation(text: str, lines: list[bytes], at: int) -> tuple[str, int]:
    """Join a properly quoted field that spans lines; a lone stray quote does not swallow the rows after it."""
    if '"' not in text or not _OPEN_LINE.fullmatch(text):
        return text, 1
    joined = text
    for count, line in enumerate(lines[at + 1 : at + _MOST_LINES_A_ROW], start=2):
        following = _decode(line)[0]
        if _ROW_START.match(following):
            break
        joined = f"{joined}\n{following}"
        if _PROPER_LINE.fullmatch(joined):
            return joined, count
    return text, 1


def _split(text: str) -> tuple[list[str], list[str]]:
    """Return a line's fields, at most ten, and what had to be mended."""
    repairs: list[str] = []
    if '"' not in text:
        fields = text.split(",")
    elif _PROPER_LINE.fullmatch(text) and len(text) < csv.field_size_limit():
        fields = next(csv.reader([text]))
    else:
        fields, repairs = text.split(","), ["stray_quote"]
    if len(fields) > len(COLUMNS):
        repairs.append("stray_comma")
        fields = [*fields[:9], ",".join(fields[9:])]
    return fields, repairs


def _row(text: str, line_number: int, line_count: int, encoding_repairs: tuple[str, ...]) -> Row:
    parts, repairs = _split(text)
    if len(parts) < len(COLUMNS):
        found = f"{len(parts)} of {len(COLUMNS)} fields"
        return Row(line_number, line_count, text, _id_alone(parts[0].strip()), "too_few_fields", found)
    fields = dict(zip(COLUMNS, parts, strict=True))
    return row_of(fields, line_number, line_count, text, (*encoding_repairs, *repairs))


def _id_alone(product_id: str) -> dict[str, str]:
    return {"id": product_id} if PRODUCT_ID.fullmatch(product_id) else {}


def _clean(fields: dict[str, str]) -> tuple[dict[str, str], list[str]]:
    """Mend the name's mojibake and everybody's whitespace."""
    repairs = []
    name = fields["productDisplayName"]
    mended = name if name.isascii() else ftfy.fix_encoding(name)
    if mended != name:
        repairs.append("mojibake")
    spaced = fields | {"productDisplayName": mended}
    clean = {column: normalise_space(value) for column, value in spaced.items()}
    if clean != spaced:
        repairs.append("whitespace")
    return clean, repairs


def normalise_space(text: str) -> str:
    """Return text with each run of whitespace (NUL counts) as one space, and none around it."""
    return " ".join(text.replace("\0", " ").split())


def _problem(fields: dict[str, str]) -> tuple[str | None, str | None]:
    """Return why the fields cannot be trusted: no id, or a year that shows that the columns have shifted."""
    if not PRODUCT_ID.fullmatch(fields["id"]):
        return "bad_product_id", f"id {fields['id'][:40]!r}, expected 1 to 12 digits"
    if fields["year"] not in ("", "NA") and not _YEAR.fullmatch(fields["year"]):
        return "bad_year", f"year {fields['year'][:40]!r}, expected four digits"
    return None, None
