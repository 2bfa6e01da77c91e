"""The files of a drop, each in the version that the drop's manifest names."""

from __future__ import annotations

import hashlib
from typing import Any

import obstore
from obstore.exceptions import BaseError, PreconditionError

from lookbook.aws import object_store
from lookbook.errors import PermanentError, RetryableError


class DropFiles:
    """Reads the files that a manifest names; may be used by several threads at once."""

    def __init__(self, manifest: dict[str, Any]) -> None:
        self.uri: str = manifest["drop_uri"]
        self._manifest = manifest
        self._files: dict[str, list[Any]] = manifest["files"]
        self._store = object_store(self.uri)

    def __contains__(self, name: str) -> bool:
        return name in self._files

    def size(self, name: str) -> int:
        """Return how many bytes a file of the manifest has."""
        size: int = self._files[name][0]
        return size

    def etag(self, name: str) -> str | None:
        """Return the version of a file that the manifest names, ``None`` when it names no such file."""
        return self._files[name][1] if name in self._files else None

    def read(self, name: str) -> bytes:
        """Return the content of a file of the manifest.

        Raises:
            PermanentError: the file is no longer the one that the manifest names.
            RetryableError: it could not be fetched, after several attempts.
        """
        try:
            answer = obstore.get(self._store, name, options={"if_match": f'"{self._files[name][1]}"'})
            return bytes(answer.bytes())
        except (FileNotFoundError, PreconditionError) as error:
            raise self._changed(name) from error
        except BaseError as error:
            raise RetryableError(f"{self.uri}{name} could not be read: {error}") from error

    def styles_csv(self) -> bytes:
        """Return the drop's ``styles.csv``, which the manifest names by its checksum too.

        Raises:
            PermanentError: it is no longer the one that the manifest names.
        """
        content = self.read("styles.csv")
        if hashlib.sha256(content).hexdigest() != self._manifest["styles_csv_sha256"]:
            raise self._changed("styles.csv")
        return content

    def _changed(self, name: str) -> PermanentError:
        return PermanentError(
            f"{self.uri}{name} is not the file that manifest {self._manifest['fingerprint']} names: the drop has "
            "changed since. Ingest it anew: clear the run of ingest_drop from its fingerprint task on, or start one."
        )
