"""What is looked up to say more of a dataset than its name and version: a table's schema, a verdict, a package.

Lineage is told beside the work: where a look-up fails, the dataset is told without what it would have added.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from typing import Any, TypeVar

from lookbook import storage
from lookbook.catalog import tables
from lookbook.training import registry

log = logging.getLogger(__name__)

T = TypeVar("T")


@dataclass(frozen=True)
class TableVersion:
    """A version of an Iceberg table: its columns with their types in order, and its snapshot's own summary."""

    columns: dict[str, str]
    summary: dict[str, str] = field(default_factory=dict)

    def number(self, name: str) -> int | None:
        """Return a number of the summary, e.g. ``total-records``; ``None`` where the snapshot doesn't tell."""
        text = self.summary.get(name)
        return int(text) if text is not None else None


def table_version(name: str, snapshot: str) -> TableVersion:
    """Return a table as it was at a snapshot.

    Raises:
        LookupError: the snapshot has expired.
    """
    table = tables.load(name)
    found = table.snapshot_by_id(int(snapshot))
    if found is None:
        raise LookupError(f"{name} has no snapshot {snapshot}; it may have expired.")
    schema = table.schemas().get(found.schema_id) if found.schema_id is not None else None
    columns = {column.name: str(column.field_type) for column in (schema or table.schema()).fields}
    return TableVersion(columns, dict(found.summary.additional_properties) if found.summary else {})


@dataclass(frozen=True)
class Lookups:
    """Where the answers come from; the defaults ask the catalogue, S3 and SageMaker.

    Attributes:
        table: a table's name, without a branch, and a snapshot id, to that version of it.
        validation: the URI of a ``validation.json`` to its content.
        package: the ARN of a model package to what SageMaker says of it.
    """

    table: Callable[[str, str], TableVersion] = table_version
    validation: Callable[[str], dict[str, Any]] = storage.read_json
    package: Callable[[str], dict[str, Any]] = registry.describe

    def remembering(self) -> Lookups:
        """Return lookups that ask for the same thing once: a task reads and writes the same tables."""
        return Lookups(cache(self.table), cache(self.validation), cache(self.package))


def tried(lookup: Callable[..., T], *arguments: str) -> T | None:
    """Return what ``lookup`` finds, ``None`` where it fails, which is logged."""
    try:
        return lookup(*arguments)
    except Exception as error:
        # Whatever is wrong with a look-up, the rest is still worth telling.
        log.warning("OpenLineage events will say less of %s: %r", " ".join(arguments), error)
        return None
