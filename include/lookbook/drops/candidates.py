"""Make candidates of rows: each with its JSON and its picture, several at once."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from types import TracebackType
from typing import Any

import pyarrow as pa

from lookbook.catalog.schemas import CANDIDATES
from lookbook.drops import pictures, styles, vocabulary
from lookbook.drops.files import DropFiles
from lookbook.drops.lines import Row
from lookbook.drops.pictures import Picture
from lookbook.drops.styles import Styles
from lookbook.drops.vocabulary import BASE_COLOUR
from lookbook.settings import get_settings

MAX_JSON_BYTES = 5_000_000
MAX_PICTURE_BYTES = 50_000_000
# Rows that a thread fetches in one go: handing over single ones costs a quarter of the reading.
_ROWS_A_FETCH = 8


@dataclass(frozen=True)
class _Contents:
    """The bytes of a row's files; ``None`` for one that is missing or too large to be read."""

    styles: bytes | None = None
    picture: bytes | None = None


class CandidateReader:
    """Reads the files of one drop's rows, ``threads`` at a time; to be opened with ``with``.

    Threads only fetch. What was fetched is taken apart by the caller's thread alone: that is Python's work, at which
    threads would but wait for each other.
    """

    def __init__(self, manifest: dict[str, Any], threads: int) -> None:
        self.drop_id: str = manifest["drop_id"]
        self.files = DropFiles(manifest)
        self.vocabulary = vocabulary.load()
        self._max_pixels = get_settings().max_picture_pixels
        self._threads = threads
        self._pool = ThreadPoolExecutor(threads)

    def __enter__(self) -> CandidateReader:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._pool.shutdown(cancel_futures=True)

    def table(self, rows: Sequence[Row]) -> pa.Table:
        """Return the rows' candidates in their order.

        Raises:
            PermanentError: a file is not the one that the manifest names.
            RetryableError: a file could not be fetched.
        """
        candidates = [self._candidate(row, contents) for row, contents in self._fetched(rows)]
        return pa.Table.from_pylist(candidates, schema=CANDIDATES)

    def _fetched(self, rows: Iterable[Row]) -> Iterator[tuple[Row, _Contents]]:
        """Yield the rows with their files; no more are in memory than the threads fetch at a time, twice."""
        ahead: deque[Future[list[tuple[Row, _Contents]]]] = deque()
        remaining = iter(rows)
        while group := list(islice(remaining, _ROWS_A_FETCH)):
            ahead.append(self._pool.submit(self._fetch_group, group))
            if len(ahead) > self._threads:
                yield from ahead.popleft().result()
        for fetched in ahead:
            yield from fetched.result()

    def _fetch_group(self, rows: list[Row]) -> list[tuple[Row, _Contents]]:
        return [(row, self._fetch(row)) for row in rows]

    def _fetch(self, row: Row) -> _Contents:
        if row.problem:
            return _Contents()
        picture_name, styles_name = _names(row.fields["id"])
        return _Contents(self._content(styles_name, MAX_JSON_BYTES), self._content(picture_name, MAX_PICTURE_BYTES))

    def _content(self, name: str, most: int) -> bytes | None:
        return self.files.read(name) if name in self.files and self.files.size(name) <= most else None

    def _candidate(self, row: Row, contents: _Contents) -> dict[str, Any]:
        candidate: dict[str, Any] = {
            "drop_id": self.drop_id,
            "product_id": row.fields.get("id"),
            "line_number": row.line_number,
            "raw_line": row.raw_line,
            "row_problem": row.problem,
            "problem_detail": row.detail,
            "repairs": list(row.repairs),
        }
        unusable = {"picture_problem": None, "styles_problem": None}
        return candidate | (unusable if row.problem else self._product(row.fields, contents))

    def _product(self, fields: dict[str, str], contents: _Contents) -> dict[str, Any]:
        picture_name, styles_name = _names(fields["id"])
        stated = self._styles(fields["id"], contents.styles)
        picture = self._picture(picture_name, contents.picture)
        attributes = self.vocabulary.normalise(stated.attributes | {BASE_COLOUR: fields["baseColour"]})
        details = (text for text in (picture.detail, stated.detail) if text)
        return {
            **_columns(fields),
            "brand": stated.brand,
            "age_group": stated.age_group,
            "attributes": list(attributes.items()),
            "raw_attributes": list(stated.attributes.items()),
            "descriptors": list(stated.descriptors.items()),
            "picture_uri": f"{self.files.uri}{picture_name}",
            "picture_etag": self.files.etag(picture_name),
            "picture_sha256": picture.sha256,
            "picture_phash": picture.phash,
            "picture_width": picture.width,
            "picture_height": picture.height,
            "picture_format": picture.format,
            "picture_mode": picture.mode,
            "picture_problem": picture.problem,
            "styles_json_uri": f"{self.files.uri}{styles_name}" if styles_name in self.files else None,
            "styles_json_sha256": stated.sha256,
            "styles_problem": stated.problem,
            "problem_detail": "; ".join(details) or None,
        }

    def _styles(self, product_id: str, content: bytes | None) -> Styles:
        if content is not None:
            return styles.parse(content, product_id)
        name = _names(product_id)[1]
        if name not in self.files:
            return Styles(problem="json_missing")
        return Styles(problem="json_too_large", detail=_too_large(self.files.size(name), MAX_JSON_BYTES))

    def _picture(self, name: str, content: bytes | None) -> Picture:
        if content is not None:
            return pictures.inspect(content, self._max_pixels)
        if name not in self.files:
            return Picture(problem="picture_missing", detail=f"{name} is not in the drop")
        return Picture(problem="picture_too_large", detail=_too_large(self.files.size(name), MAX_PICTURE_BYTES))


def _names(product_id: str) -> tuple[str, str]:
    """Return the names of a product's picture and JSON in a drop."""
    return f"images/{product_id}.jpg", f"styles/{product_id}.json"


def _too_large(size: int, most: int) -> str:
    return f"{size} bytes, at most {most} are read"


def _columns(fields: dict[str, str]) -> dict[str, Any]:
    """Return the columns of ``styles.csv`` as the catalogue has them: empty is null, ``NA`` is a value."""
    year = fields["year"]
    return {
        "display_name": fields["productDisplayName"] or None,
        "gender": fields["gender"] or None,
        "master_category": fields["masterCategory"] or None,
        "sub_category": fields["subCategory"] or None,
        "article_type": fields["articleType"] or None,
        "base_colour": fields["baseColour"] or None,
        "season": fields["season"] or None,
        "year": int(year) if year.isdigit() else None,
        "usage": fields["usage"] or None,
    }
