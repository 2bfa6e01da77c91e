"""Put a local directory in Kaggle's layout into S3 as a drop."""

from __future__ import annotations

import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import obstore
from obstore.store import ObjectStore

from lookbook import storage
from lookbook.aws import object_store
from lookbook.drops import lines
from lookbook.drops.discovery import drop_uri
from lookbook.drops.lines import Row
from lookbook.errors import PermanentError
from lookbook.settings import get_settings

logger = logging.getLogger(__name__)

_TYPES = {".csv": "text/csv", ".json": "application/json", ".jpg": "image/jpeg"}


@dataclass(frozen=True)
class Uploaded:
    """An uploaded drop: where, how many rows of ``styles.csv``, how many files and bytes."""

    drop_id: str
    uri: str
    rows: int
    files: int
    bytes: int

    def reference(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return asdict(self)


def upload(
    directory: Path, drop_id: str, limit: int | None = None, progress: Callable[[int, int], None] | None = None
) -> Uploaded:
    """Upload ``directory`` as the drop ``drop_id``, replacing what lies there; ``_SUCCESS`` comes last.

    Only files that ``styles.csv`` names go along. Lines stay as they are, whatever is odd about them.

    Args:
        directory: holds ``styles.csv``, ``images/<id>.jpg`` and ``styles/<id>.json``.
        drop_id: the Monday of the drop's week, e.g. 2026-11-16.
        limit: upload the first ``limit`` rows alone.
        progress: called with the number of files uploaded and to upload.

    Raises:
        PermanentError: the directory is not there, is no drop, or has no rows.
    """
    uri = drop_uri(drop_id)
    table, rows = _first_rows(styles_csv(directory), directory / "styles.csv", limit)
    contents: dict[str, bytes | Path] = {"styles.csv": table, **files_of(directory, rows)}
    if (directory / "images.csv").is_file():
        _check_is_no_link_out(directory, directory / "images.csv")
        contents["images.csv"] = _links(directory / "images.csv", rows, whole=limit is None)
    storage.delete(f"{uri}_SUCCESS")
    size = _put_all(uri, contents, progress)
    storage.delete_others(uri, contents)
    storage.write_bytes(f"{uri}_SUCCESS", b"")
    logger.info("uploaded %d files (%d bytes) of %d rows to %s", len(contents), size, len(rows), uri)
    return Uploaded(drop_id, uri, len(rows), len(contents), size)


def styles_csv(directory: Path) -> bytes:
    """Return the content of a directory's ``styles.csv``.

    Raises:
        PermanentError: the directory is not there, or its ``styles.csv`` is missing, a link out, or has other columns.
    """
    if not directory.is_dir():
        raise PermanentError(f"{directory} is no directory; expected one with styles.csv, images/ and styles/.")
    path = directory / "styles.csv"
    if not path.is_file():
        raise PermanentError(f"{directory} is no drop: it has no styles.csv.")
    _check_is_no_link_out(directory, path)
    content = path.read_bytes()
    lines.check_header(content, str(path))
    return content


def _first_rows(content: bytes, path: Path, limit: int | None) -> tuple[bytes, list[Row]]:
    """Return the file up to and with its first ``limit`` rows, byte for byte, and those rows."""
    rows = list(islice(lines.read_rows(content), limit))
    if not rows:
        raise PermanentError(f"{path} has no rows: found the header alone, expected at least one product below it.")
    if limit is None:
        return content, rows
    last_line = rows[-1].line_number + rows[-1].line_count - 1
    separator = b"\n" if b"\n" in content else b"\r"
    return separator.join(content.split(separator)[:last_line]) + separator, rows


def files_of(directory: Path, rows: list[Row]) -> dict[str, Path]:
    """Return the picture and the JSON of each row that lie in the directory itself, not behind a link out of it."""
    root = directory.resolve()
    ids = dict.fromkeys(row.fields["id"] for row in rows if "id" in row.fields)
    names = [name for product_id in ids for name in (f"images/{product_id}.jpg", f"styles/{product_id}.json")]
    return {name: root / name for name in names if _lies_in(root, root / name)}


def _lies_in(root: Path, path: Path) -> bool:
    """Return whether a file is there, and not behind a link that leads out of ``root``."""
    return path.is_file() and path.resolve().is_relative_to(root)


def _check_is_no_link_out(directory: Path, path: Path) -> None:
    if path.is_file() and not _lies_in(directory.resolve(), path):
        raise PermanentError(f"{path} is a link out of the drop, to {path.resolve()}; put the file itself there.")


def _links(path: Path, rows: list[Row], *, whole: bool) -> bytes:
    """Return ``images.csv``, or of it the header and the rows' lines."""
    content = path.read_bytes()
    if whole:
        return content
    names = {f"{row.fields['id']}.jpg".encode() for row in rows if "id" in row.fields}
    links = content.splitlines(keepends=True)
    return b"".join([*links[:1], *(link for link in links[1:] if link.partition(b",")[0] in names)])


def _put_all(uri: str, contents: dict[str, bytes | Path], progress: Callable[[int, int], None] | None) -> int:
    """Upload everything, several files at once; return the bytes uploaded."""
    size, store = 0, object_store(uri)
    with ThreadPoolExecutor(get_settings().read_concurrency) as pool:
        waiting = [pool.submit(_put, store, name, content) for name, content in contents.items()]
        try:
            for done, uploaded in enumerate(as_completed(waiting), start=1):
                size += uploaded.result()
                if progress:
                    progress(done, len(waiting))
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    return size


def _put(store: ObjectStore, name: str, content: bytes | Path) -> int:
    data = content.read_bytes() if isinstance(content, Path) else content
    obstore.put(store, name, data, attributes={"Content-Type": _TYPES[Path(name).suffix]}, use_multipart=False)
    return len(data)
