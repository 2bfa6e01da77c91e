"""Read a drop into candidates: one row for every row of ``styles.csv``, usable or not."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from itertools import islice
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from lookbook import storage
from lookbook.catalog.schemas import CANDIDATES
from lookbook.drops import lines
from lookbook.drops.candidates import CandidateReader
from lookbook.drops.lines import Row
from lookbook.drops.workers import ReadingProcesses
from lookbook.lineage import records
from lookbook.progress import Progress
from lookbook.settings import get_settings

logger = logging.getLogger(__name__)

CHUNK_ROWS = 500  # rows that a process has in memory at a time, and in a row group of candidates.parquet
ROWS_A_PROCESS = 2000  # a process takes about as long to start as to read so many rows
_PROBLEMS = ("row_problem", "picture_problem", "styles_problem")


@dataclass(frozen=True)
class Candidates:
    """A drop as read: where, how many rows, how many mended and how many with each kind of problem."""

    uri: str
    manifest_uri: str
    drop_id: str
    rows: int
    vocabulary: str
    repairs: dict[str, int] = field(default_factory=dict)
    problems: dict[str, int] = field(default_factory=dict)
    shared_pictures: dict[str, int] = field(default_factory=dict)

    def reference(self) -> dict[str, Any]:
        """Return it as JSON values; ``Candidates(**reference)`` restores it."""
        return asdict(self)


def read(manifest_uri: str) -> Candidates:
    """Read the drop of a manifest into ``candidates.parquet`` beside it.

    Rows that cannot be used are read too and carry their problem's code. Memory is bounded by a chunk of rows.

    Raises:
        PermanentError: a file is not the one that the manifest names; take the fingerprint anew.
    """
    manifest = orjson.loads(records.read_object(manifest_uri))
    uri = f"{manifest_uri.rpartition('/')[0]}/candidates.parquet"
    counts = _Counts()
    buffer = pa.BufferOutputStream()
    settings = get_settings()
    with (
        CandidateReader(manifest, settings.read_concurrency) as reader,
        pq.ParquetWriter(buffer, CANDIDATES, compression="zstd") as writer,
    ):
        for table in _tables(manifest_uri, reader, manifest["rows"]):
            writer.write_table(table)
            counts.add(table)
    stored = storage.write_bytes(uri, buffer.getvalue().to_pybytes(), "application/vnd.apache.parquet")
    read = Candidates(
        uri,
        manifest_uri,
        manifest["drop_id"],
        manifest["rows"],
        reader.vocabulary.version,
        dict(sorted(counts.repairs.items())),
        dict(sorted(counts.problems.items())),
        counts.shared_pictures(),
    )
    _report(read, manifest, stored)
    return read


def _report(read: Candidates, manifest: dict[str, Any], stored: storage.StoredObject) -> None:
    records.reads("prefix", manifest["drop_uri"], manifest["fingerprint"])
    records.writes_object(stored)
    records.counts(rows=read.rows, repaired=sum(read.repairs.values()), **read.problems, **read.shared_pictures)
    records.details(vocabulary=read.vocabulary)
    logger.info(
        "read %d rows of drop %s; mended %s; problems %s; pictures that an earlier product has too: %s",
        *(read.rows, read.drop_id, read.repairs, read.problems, read.shared_pictures),
    )


def _tables(manifest_uri: str, reader: CandidateReader, rows: int) -> Iterator[pa.Table]:
    """Yield the candidates in the order of their rows, a chunk at a time; a large drop is read by several processes."""
    progress = Progress(logger, f"reading drop {reader.drop_id}", rows)
    chunks = _chunks(reader.files.styles_csv())
    processes = min(get_settings().read_processes, rows // ROWS_A_PROCESS)
    if processes < 2:
        tables: Iterator[pa.Table] = map(reader.table, chunks)
    else:
        tables = ReadingProcesses(manifest_uri, processes, get_settings().read_concurrency).tables(chunks)
    for table in tables:
        progress.advance(len(table))
        yield table


def _chunks(styles_csv: bytes) -> Iterator[list[Row]]:
    rows = lines.read_rows(styles_csv)
    while chunk := list(islice(rows, CHUNK_ROWS)):
        yield chunk


class _Counts:
    """Counts what was found while candidates pass by."""

    def __init__(self) -> None:
        self.repairs: Counter[str] = Counter()
        self.problems: Counter[str] = Counter()
        self._pictures: dict[str, set[str]] = {"picture_sha256": set(), "picture_phash": set()}
        self._with_picture: set[str] = set()

    def add(self, table: pa.Table) -> None:
        self.repairs.update(pc.list_flatten(table["repairs"]).to_pylist())
        for kind in _PROBLEMS:
            self.problems.update(table[kind].drop_null().to_pylist())
        usable = table.filter(pc.and_(table["picture_problem"].is_null(), table["picture_sha256"].is_valid()))
        self._with_picture.update(usable["product_id"].to_pylist())
        for column, seen in self._pictures.items():
            seen.update(usable[column].to_pylist())

    def shared_pictures(self) -> dict[str, int]:
        """Return how many products have a picture that an earlier one has, byte for byte and by perceptual hash."""
        names = {"picture_sha256": "same_picture", "picture_phash": "alike_picture"}
        return {names[column]: len(self._with_picture) - len(seen) for column, seen in self._pictures.items()}
