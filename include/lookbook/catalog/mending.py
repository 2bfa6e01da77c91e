"""Rows of a drop that were mended by hand: out of quarantine as a file, and back in place of what was read.

A row is told by its line number, since its id may be what was wrong with it. Its picture and its JSON are read where
the mended id points; nothing else of the drop is read again.
"""

from __future__ import annotations

import csv
import hashlib
import io
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pyarrow as pa

from lookbook import storage
from lookbook.catalog import mended_files
from lookbook.catalog.mended_files import QuarantinedRow
from lookbook.catalog.schemas import CANDIDATES, MENDING
from lookbook.drops import lines
from lookbook.drops.candidates import CandidateReader
from lookbook.drops.discovery import drop_uri
from lookbook.drops.lines import COLUMNS, Row
from lookbook.errors import PermanentError
from lookbook.settings import get_settings

MAX_FILE_BYTES = 50_000_000
MENDED = "mended"  # in the repairs of a row
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,199}\.csv")
_MOST_NAMED = 10  # lines that an error message names


@dataclass(frozen=True)
class MendedFile:
    """A file of mended rows as it was read: which, in which version, and its cells by line number."""

    uri: str
    etag: str
    sha256: str
    cells: dict[int, dict[str, str]]


@dataclass(frozen=True)
class MendedRows:
    """A drop's candidates with the mended rows in their places, and which places those are."""

    candidates: pa.Table
    positions: tuple[int, ...]


def prefix(drop_id: str) -> str:
    """Return where the mended files of a drop lie: not within the drop, which they would change.

    Raises:
        PermanentError: ``drop_id`` names no drop.
    """
    drop_uri(drop_id)
    return f"s3://{get_settings().bucket}/mended/{drop_id}/"


def upload(drop_id: str, content: bytes, name: str) -> storage.StoredObject:
    """Store a file of mended rows under a name made from its checksum, for a requeue to read.

    Raises:
        PermanentError: it is no such file; ``name`` is what the message calls it.
    """
    mended_files.parse(content, name)
    checksum = hashlib.sha256(content).hexdigest()
    return storage.write_bytes(f"{prefix(drop_id)}{checksum[:16]}.csv", content, "text/csv")


def read(uri: str, drop_id: str) -> MendedFile:
    """Return a file of mended rows of a drop.

    Raises:
        PermanentError: it does not lie under :func:`prefix`, is not there, is too large or no such file.
    """
    place = prefix(drop_id)
    if not uri.startswith(place) or not _NAME.fullmatch(uri.removeprefix(place)):
        raise PermanentError(f"{uri[:300]!r} is no file of mended rows of drop {drop_id}. Expected {place}<name>.csv.")
    known = storage.find(uri)
    if known and known.size > MAX_FILE_BYTES:
        raise PermanentError(f"{uri} has {known.size} bytes; a file of mended rows has at most {MAX_FILE_BYTES}.")
    found = storage.read_version(uri)
    if found is None:
        raise PermanentError(f"{uri} does not exist. Upload the mended rows there, or use make requeue … ROWS=<file>.")
    content, etag = found
    return MendedFile(uri, etag, hashlib.sha256(content).hexdigest(), mended_files.parse(content, uri))


def quarantined(candidates: pa.Table, rejected: Sequence[dict[str, Any]]) -> list[QuarantinedRow]:
    """Return the rows of a drop that its verdict rejects, in the order of their lines, as far as they can be told."""
    chosen = candidates.take(pa.array([verdict["position"] for verdict in rejected], pa.int64())).to_pylist()
    rows = [
        QuarantinedRow(
            row["line_number"], _fields(row), tuple(verdict["reasons"]), verdict.get("detail"), row["raw_line"]
        )
        for row, verdict in zip(chosen, rejected, strict=True)
    ]
    return sorted(rows, key=lambda row: row.line_number)


def mend(
    candidates: pa.Table, rejected: Sequence[dict[str, Any]], file: MendedFile, manifest: dict[str, Any]
) -> MendedRows:
    """Put mended rows in place of what was read, with their pictures and JSON; every other row stays.

    A row of the file that nobody touched, or that says what it was mended to before, changes nothing. A mended row
    never drives out a published one: if that has its id, the mended one is a duplicate, wherever its line is.

    Args:
        candidates: the drop as it was published last.
        rejected: its verdict on them. Rows that it rejects can be mended, and rows that were mended before.
        file: what was handed in.
        manifest: of the drop, as it was read.

    Raises:
        PermanentError: the file names a line that cannot be mended, or changes nothing; or a picture or JSON that a
            mended row needs is not the one that the manifest names.
    """
    known = _mendable(candidates, rejected)
    _check_lines(file, known.keys(), candidates)
    changed = {
        position: (row, fields)
        for position, row in (known[number] for number in sorted(file.cells))
        if (fields := _changed(row, file.cells[row["line_number"]])) is not None
    }
    if not changed:
        raise PermanentError(
            f"{file.uri} changes nothing: each of its {len(file.cells)} rows is as drop {manifest['drop_id']} has it "
            "already. Mend it and hand it in again, or leave Rows empty to have all rows judged anew."
        )
    published = _published_ids(candidates, rejected, changed)
    rows = [_row(position, *what, published) for position, what in changed.items()]
    with CandidateReader(manifest, get_settings().read_concurrency) as reader:
        mended = reader.table(rows)
    mendings = [_mending(row, fields, file) for row, fields in changed.values()]
    at = mended.schema.get_field_index("mending")
    mended = mended.set_column(at, mended.schema.field(at), pa.array(mendings, MENDING))
    return MendedRows(_replaced(candidates, list(changed), mended), tuple(changed))


def with_every_column(candidates: pa.Table) -> pa.Table:
    """Return candidates that an older Lookbook read with the columns that it did not know yet, null."""
    for column in CANDIDATES:
        if column.name not in candidates.column_names:
            candidates = candidates.append_column(column, pa.nulls(len(candidates), column.type))
    return candidates.select(CANDIDATES.names)


def _mendable(candidates: pa.Table, rejected: Sequence[dict[str, Any]]) -> dict[int, tuple[int, dict[str, Any]]]:
    """Return position and candidate, by line number, of each row in quarantine and each that was mended before."""
    mended = (at for at, mending in enumerate(candidates["mending"].to_pylist()) if mending)
    positions = sorted({verdict["position"] for verdict in rejected}.union(mended))
    rows = candidates.take(pa.array(positions, pa.int64())).to_pylist()
    return {row["line_number"]: (position, row) for position, row in zip(positions, rows, strict=True)}


def _check_lines(file: MendedFile, mendable: Iterable[int], candidates: pa.Table) -> None:
    if others := sorted(file.cells.keys() - set(mendable)):
        unknown = sorted(set(others) - set(candidates["line_number"].to_pylist()))
        problem = (
            "no row of the drop begins there" if unknown else "the row is published as it was read, not in quarantine"
        )
        raise PermanentError(
            f"{file.uri} names lines that cannot be mended: {_listing(unknown or others)} ({problem}). Take them out, "
            "or begin anew with what `make quarantine` writes. A published row is changed by a changed drop."
        )


def _listing(numbers: list[int]) -> str:
    more = f" and {len(numbers) - _MOST_NAMED} more" if len(numbers) > _MOST_NAMED else ""
    return ", ".join(map(str, numbers[:_MOST_NAMED])) + more


def _fields(row: dict[str, Any]) -> dict[str, str]:
    """Return what a row says: as it was mended last, else as its line says."""
    if row["mending"] is None:
        return lines.fields_of(row["raw_line"])
    return dict(zip(COLUMNS, next(csv.reader([row["mending"]["line"]])), strict=True))


def _changed(row: dict[str, Any], cells: dict[str, str]) -> dict[str, str] | None:
    """Return the fields that a row of the file gives; ``None`` if nobody touched it, or it says what is known."""
    read_before, now = lines.fields_of(row["raw_line"]), _fields(row)
    if _merged(read_before, cells) == read_before:
        return None  # to hand in an untouched row is not to take back what was mended since
    fields = _merged(now, cells)
    return fields if fields != now else None


def _merged(fields: dict[str, str], cells: dict[str, str]) -> dict[str, str]:
    """Return the fields with those replaced whose cell is not as it was given out."""
    given = {
        column: text if cells[column] == mended_files.cell(text) else mended_files.text_of(cells[column])
        for column, text in fields.items()
    }
    return {column: lines.normalise_space(text) for column, text in given.items()}


def _published_ids(candidates: pa.Table, rejected: Sequence[dict[str, Any]], mended: Iterable[int]) -> dict[str, int]:
    """Return the position of each published row, other than the mended ones, by its id."""
    others = {verdict["position"] for verdict in rejected}.union(mended)
    ids = candidates["product_id"].to_pylist()
    return {product_id: position for position, product_id in enumerate(ids) if position not in others}


def _row(position: int, row: dict[str, Any], fields: dict[str, str], published: dict[str, int]) -> Row:
    raw_line: str = row["raw_line"]
    mended = lines.row_of(fields, row["line_number"], raw_line.count("\n") + 1, raw_line)
    mended = replace(mended, repairs=tuple(dict.fromkeys([*(row["repairs"] or ()), *mended.repairs, MENDED])))
    # An earlier row of the id keeps it by the suite's own rule, under which a later one would lose it.
    if not mended.problem and published.get(mended.fields["id"], -1) > position:
        taken = {"id": mended.fields["id"]}
        return replace(mended, fields=taken, problem="duplicate_id", detail="a later row, published before, has the id")
    return mended


def _mending(row: dict[str, Any], fields: dict[str, str], file: MendedFile) -> dict[str, Any]:
    line = io.StringIO()
    csv.writer(line, lineterminator="").writerow(fields.values())
    read_before = lines.fields_of(row["raw_line"])
    differing = [column for column in COLUMNS if fields[column] != read_before[column]]
    return {"uri": file.uri, "sha256": file.sha256, "line": line.getvalue(), "fields": differing}


def _replaced(candidates: pa.Table, positions: list[int], mended: pa.Table) -> pa.Table:
    order = list(range(len(candidates)))
    for number, position in enumerate(positions):
        order[position] = len(candidates) + number
    return pa.concat_tables([candidates, mended.cast(candidates.schema)]).take(pa.array(order, pa.int64()))
