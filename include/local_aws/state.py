"""What local AWS must not forget: JSON documents by kind and name, in one SQLite file.

The file is in write-ahead mode: what a call has written is there after a ``kill -9``.
"""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

Document = dict[str, Any]

_SCHEMA = """
CREATE TABLE IF NOT EXISTS documents (
    kind TEXT NOT NULL, name TEXT NOT NULL, document TEXT NOT NULL, PRIMARY KEY (kind, name)
) WITHOUT ROWID
"""


class Store:
    """Documents by kind and name; safe to share between threads."""

    def __init__(self, path: Path) -> None:
        self._lock = threading.RLock()
        self._depth = 0
        self._connection = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        self._connection.execute("PRAGMA journal_mode=WAL")
        self._connection.execute("PRAGMA synchronous=NORMAL")
        self._connection.execute(_SCHEMA)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Make what happens inside all or nothing, and alone; may be nested."""
        with self._lock:
            if self._depth:
                yield
                return
            self._connection.execute("BEGIN IMMEDIATE")
            self._depth = 1
            try:
                yield
            except BaseException:
                self._connection.execute("ROLLBACK")
                raise
            else:
                self._connection.execute("COMMIT")
            finally:
                self._depth = 0

    def get(self, kind: str, name: str) -> Document | None:
        """Return a document, or None."""
        with self._lock:
            query = "SELECT document FROM documents WHERE kind = ? AND name = ?"
            row = self._connection.execute(query, (kind, name)).fetchone()
        return json.loads(row[0]) if row else None

    def put(self, kind: str, name: str, document: Document) -> None:
        """Write a document, new or in place of the old."""
        text = json.dumps(document)
        with self._lock:
            self._connection.execute("INSERT OR REPLACE INTO documents VALUES (?, ?, ?)", (kind, name, text))

    def update(self, kind: str, name: str, **fields: Any) -> Document:
        """Set top-level fields of a document (None removes one) and return it.

        Raises:
            KeyError: there is no such document.
        """
        with self.transaction():
            document = self.get(kind, name)
            if document is None:
                raise KeyError(f"{kind} {name}")
            document = {key: value for key, value in {**document, **fields}.items() if value is not None}
            self.put(kind, name, document)
        return document

    def delete(self, kind: str, name: str) -> None:
        """Remove a document, if it is there."""
        with self._lock:
            self._connection.execute("DELETE FROM documents WHERE kind = ? AND name = ?", (kind, name))

    def all(self, kind: str) -> list[Document]:
        """Return every document of a kind, by name."""
        with self._lock:
            query = "SELECT document FROM documents WHERE kind = ? ORDER BY name"
            rows = self._connection.execute(query, (kind,)).fetchall()
        return [json.loads(row[0]) for row in rows]

    def count(self, kind: str) -> int:
        """Return how many documents of a kind there are."""
        with self._lock:
            row = self._connection.execute("SELECT count(*) FROM documents WHERE kind = ?", (kind,)).fetchone()
        return int(row[0])

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._connection.close()
