"""The files that tables are made of. None of them ever changes, so what was read of them is kept in memory.

Iceberg writes each version of its metadata, each manifest and each data file under a name of its own; which of them
count now is only known to the catalogue, which is asked every time. What is kept is bounded (:data:`KEPT_BYTES` of
metadata, of data files' footers, of columns), and what was not used for longest goes first.
"""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Hashable, Sequence
from functools import lru_cache
from threading import Lock
from typing import Any, Generic, TypeVar

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
from cachetools import LRUCache
from pyiceberg.io import FileIO, InputFile, InputStream
from pyiceberg.io.pyarrow import PyArrowFile, PyArrowFileIO
from pyiceberg.manifest import DataFile
from pyiceberg.typedef import EMPTY_DICT, Properties

KEPT_BYTES = 64 * 2**20

V = TypeVar("V")

_METADATA = (".avro", ".metadata.json")
_SMALL = 256 * 2**10  # data files up to this size are kept whole; of larger ones, the footer is
_GROWTH = 4  # of a footer in memory, about
_PIECE = 2**20  # from S3 a mebibyte takes as long as a request: pieces that lie closer are fetched in one go
_FORMAT = ds.ParquetFileFormat(
    default_fragment_scan_options=ds.ParquetFragmentScanOptions(
        pre_buffer=True, cache_options=pa.CacheOptions(hole_size_limit=_PIECE, range_size_limit=32 * _PIECE)
    )
)


class _Kept(Generic[V]):
    """Values by key, in at most :data:`KEPT_BYTES`; for any number of threads."""

    def __init__(self, weigh: Callable[[V], int]) -> None:
        self._values: LRUCache[Hashable, V] = LRUCache(KEPT_BYTES, getsizeof=weigh)
        self._weigh = weigh
        self._lock = Lock()

    def get(self, key: Hashable, make: Callable[[], V]) -> V:
        """Return the value of a key, made anew if it isn't kept; one that is too large isn't."""
        with self._lock:
            if key in self._values:
                return self._values[key]
        made = make()  # without the lock: two threads may make it, and the same comes of it
        with self._lock:
            if self._weigh(made) <= KEPT_BYTES:
                self._values[key] = made
        return made


class TableFiles(PyArrowFileIO):
    """PyIceberg's access to files, with the connections of one process shared, and metadata kept in memory."""

    def __init__(self, properties: Properties = EMPTY_DICT) -> None:
        super().__init__(properties)
        access = {name: value for name, value in properties.items() if name.startswith(("s3.", "client."))}
        self.fs_by_scheme = _file_systems(os.getpid(), tuple(sorted(access.items())))

    def new_input(self, location: str) -> PyArrowFile:
        """Return the file at a location; one of metadata is fetched once."""
        file = super().new_input(location)
        return _MetadataFile(file) if location.endswith(_METADATA) else file  # type: ignore[return-value]


class _MetadataFile(InputFile):
    """A file of metadata, as PyIceberg reads it."""

    def __init__(self, file: PyArrowFile) -> None:
        super().__init__(file.location)
        self._file = file

    def __len__(self) -> int:
        return len(self._content())

    def exists(self) -> bool:
        return self._file.exists()

    def open(self, seekable: bool = True) -> InputStream:
        return io.BytesIO(self._content())

    def _content(self) -> bytes:
        return _metadata.get(self.location, self._fetched)

    def _fetched(self) -> bytes:
        with self._file.open() as stream:
            return bytes(stream.read())


class Part:
    """One Parquet file of a table, of which the footer is known, and all of a small one."""

    def __init__(self, file: DataFile, files: TableFiles) -> None:
        scheme, netloc, path = files.parse_location(file.file_path, files.properties)
        system, size = files.fs_by_scheme(scheme, netloc), file.file_size_in_bytes
        whole = system.open_input_file(path).read_buffer(size) if size <= _SMALL else None
        source = {"file": path, "filesystem": system, "file_size": size} if whole is None else {"file": whole}
        self.location = file.file_path
        self.partition: Any = file.partition[0]  # the value of the column that the table is partitioned by
        self._fragment = _FORMAT.make_fragment(**source)
        self._fragment.ensure_complete_metadata()
        self.weight = self._fragment.metadata.serialized_size * _GROWTH + (size if whole else 0)

    def read(self, columns: Sequence[str], condition: ds.Expression | None, schema: pa.Schema) -> pa.Table:
        """Return the rows that meet a condition, from those row groups that may hold any.

        Args:
            columns: which.
            condition: on any columns of ``schema``; none means all rows.
            schema: of the table: a column of it that the file lacks is null.
        """
        known = self._fragment.physical_schema
        fields = [known.field(field.name) if field.name in known.names else field for field in schema]
        return self._fragment.to_table(schema=pa.schema(fields), columns=list(columns), filter=condition)

    def holds(self, column: str, value: str) -> bool:
        """Return whether any row has ``value`` in a column of texts, which is kept in memory."""
        values = _columns.get((self.location, column), lambda: self._fragment.to_table(columns=[column])[column])
        return bool(pc.index(values, pa.scalar(value, values.type)).as_py() >= 0)


def part(file: DataFile, files: FileIO) -> Part:
    """Return a data file of a table; files that were used lately are known already."""
    if not isinstance(files, TableFiles):
        raise TypeError(f"{file.file_path} is to be read through {type(files).__name__}, expected TableFiles")
    return _parts.get((os.getpid(), file.file_path), lambda: Part(file, files))


@lru_cache(maxsize=8)
def _file_systems(process: int, access: tuple[tuple[str, Any], ...]) -> Callable[[str, str | None], Any]:
    """Return the file systems of a process; one that was forked must not use those of its parent."""
    return PyArrowFileIO(dict(access)).fs_by_scheme


_metadata: _Kept[bytes] = _Kept(len)
_parts: _Kept[Part] = _Kept(lambda one: one.weight)
_columns: _Kept[pa.ChunkedArray] = _Kept(lambda column: column.nbytes)
