"""The Iceberg tables: open, create, read, replace rows.

Tables are named as in :data:`lookbook.catalog.schemas.TABLES` (``catalog.products``). Snapshot ids, which name a
table's versions in lineage, are text everywhere: they are larger than a JSON number safely holds.
"""

from __future__ import annotations

import logging
import os
import random
import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import TypeVar

import pyarrow as pa
from pyiceberg.catalog import Catalog, load_catalog
from pyiceberg.exceptions import (
    CommitFailedException,
    NoSuchTableError,
    TableAlreadyExistsError,
    ValidationException,
)
from pyiceberg.expressions import And, BooleanExpression, EqualTo, In, Reference
from pyiceberg.expressions.literals import literal
from pyiceberg.table import Table, TableProperties
from sqlalchemy.engine import make_url
from sqlalchemy.exc import OperationalError

from lookbook.aws import session
from lookbook.catalog.schemas import TABLES
from lookbook.errors import PermanentError, RetryableError
from lookbook.lineage import records
from lookbook.settings import Settings, get_settings

log = logging.getLogger(__name__)

T = TypeVar("T")

# A commit that another one overtook, or that found the SQL catalogue busy. PyIceberg tries commits of rows again by
# itself, but not those that only move or make branches.
CONFLICTS = (CommitFailedException, ValidationException, OperationalError)
_COMMIT_ATTEMPTS = 10
_FIRST_WAIT_S = 0.05
_LONGEST_WAIT_S = 2.0
# What PyIceberg 0.12 raises, as a ValueError, for a commit to one branch that a commit to another branch overtook.
_OVERTAKEN_ON_ANOTHER_BRANCH = "older than last sequence number"
_SQLITE_BUSY_TIMEOUT_S = 30
# Rows are written sorted by product, so many to a Parquet row group: who asks for one product reads one group of them
# (docs/decisions/0031-lineage-without-an-index.md). Of some tables a product has several rows.
_ROW_GROUP = 2000
_ROW_GROUPS = {"predictions.attributes": 8 * _ROW_GROUP, "training.vqa_pairs": 8 * _ROW_GROUP}


def open_catalog() -> Catalog:
    """Open the catalogue that the settings name: SQL (its SQLite file is made where missing) or AWS Glue."""
    settings = get_settings()
    kind = {"type": "glue"} if settings.catalog_type == "glue" else {"type": "sql", "uri": _sql_uri(settings)}
    common = {"warehouse": f"s3://{settings.bucket}/warehouse", "py-io-impl": "lookbook.catalog.files.TableFiles"}
    return _opened(os.getpid(), tuple(sorted((common | kind | _aws_properties(settings)).items())))


@lru_cache(maxsize=4)
def _opened(process: int, properties: tuple[tuple[str, str], ...]) -> Catalog:
    """Return the catalogue, opened once: credentials that were renewed open it anew, and so does a forked process."""
    return load_catalog("lookbook", **dict(properties))


def ensure_tables() -> list[str]:
    """Create the tables that are missing; return the names of all."""
    for name in TABLES:
        load(name)
    return list(TABLES)


def load(name: str) -> Table:
    """Return the table as it is now; its first use creates it.

    Raises:
        PermanentError: Lookbook has no table of that name.
    """
    if name not in TABLES:
        raise PermanentError(f"There is no table {name!r}. Lookbook's tables: {', '.join(TABLES)}.")
    catalog = open_catalog()
    try:
        return _with_every_column(catalog.load_table(name), TABLES[name])
    except NoSuchTableError:
        return _create(catalog, name)


def _with_every_column(table: Table, schema: pa.Schema) -> Table:
    """Return the table with the columns that Lookbook has learnt since it was created; they are null in older rows."""
    if set(_paths(schema)) - set(table.schema().column_names):
        with table.update_schema() as update:
            update.union_by_name(schema)
    return table


def _paths(fields: Iterable[pa.Field], above: str = "") -> Iterator[str]:
    """Yield the names of all fields as Iceberg has them, those inside structs, lists and maps too."""
    for field in fields:
        path = f"{above}{field.name}"
        yield path
        if pa.types.is_list(field.type):
            yield from _paths([field.type.value_field.with_name("element")], f"{path}.")
        elif pa.types.is_map(field.type):
            yield from _paths(
                [field.type.key_field.with_name("key"), field.type.item_field.with_name("value")], f"{path}."
            )
        elif pa.types.is_struct(field.type):
            yield from _paths(field.type, f"{path}.")


def equals(column: str, value: str) -> BooleanExpression:
    """Return the filter for the rows whose ``column`` is ``value``, whatever characters it holds."""
    return EqualTo(term=Reference(column), value=literal(value))


def one_of(column: str, values: Iterable[str]) -> BooleanExpression:
    """Return the filter for the rows whose ``column`` is one of ``values``; of no value, it matches no row."""
    return In(term=Reference(column), literals={literal(value) for value in values})


def current_snapshot(name: str) -> str:
    """Return the id of the snapshot that readers of the table's main line see."""
    return main_snapshot(load(name))


def main_snapshot(table: Table) -> str:
    """Return the id of the snapshot at the head of ``main``, as ``table`` was when it was loaded."""
    return str(table.metadata.refs["main"].snapshot_id)


def sequence_of(name: str, snapshot: str) -> int:
    """Return the place of a snapshot in the order in which the table was changed.

    Raises:
        PermanentError: the table has no such snapshot (any more).
    """
    found = load(name).snapshot_by_id(int(snapshot))
    if found is None or found.sequence_number is None:
        raise PermanentError(f"{name} has no snapshot {snapshot}. It may have expired; read the present one.")
    return found.sequence_number


def read(
    name: str,
    row_filter: str | BooleanExpression | None = None,
    columns: Sequence[str] = ("*",),
    snapshot: str | None = None,
) -> pa.Table:
    """Read rows and report the version read as an input of the current task.

    Args:
        name: the table.
        row_filter: which rows; none means all.
        columns: which columns, in the table's order; one that the version does not have yet is null in it.
        snapshot: which version; none means the one at the head of ``main`` now.
    """
    table = load(name)
    version = snapshot or main_snapshot(table)
    wanted = TABLES[name].names if "*" in columns else [one for one in TABLES[name].names if one in columns]
    known = set(_columns_at(table, version))
    scan = table.scan(selected_fields=tuple(one for one in wanted if one in known), snapshot_id=int(version))
    rows = (scan.filter(row_filter) if row_filter is not None else scan).to_arrow()
    for column in wanted:
        rows = _completed(rows, TABLES[name].field(column))
    records.reads("table", name, version, partition=_partition(name, row_filter))
    return rows.select(wanted)


def _completed(rows: pa.Table, field: pa.Field) -> pa.Table:
    """Return rows with whatever Lookbook has learnt of a column since their version was made, as null."""
    if field.name not in rows.column_names:
        return rows.append_column(field.name, pa.nulls(len(rows), field.type))
    if set(_paths([field])) == set(_paths([rows.field(field.name)])):
        return rows
    known = pa.array(rows.column(field.name).to_pylist(), field.type)
    return rows.set_column(rows.column_names.index(field.name), field, known)


def _partition(name: str, row_filter: str | BooleanExpression | None) -> str | None:
    """Return the one partition that a filter confines to, ``None`` where it may be several or none."""
    if isinstance(row_filter, And):
        return _partition(name, row_filter.left) or _partition(name, row_filter.right)
    if not isinstance(row_filter, EqualTo) or row_filter.term != Reference(TABLES[name].names[0]):
        return None
    return str(row_filter.literal.value)


def _columns_at(table: Table, version: str) -> list[str]:
    """Return the columns that a table had when a snapshot of it was made."""
    snapshot = table.snapshot_by_id(int(version))
    known = table.schemas().get(snapshot.schema_id) if snapshot and snapshot.schema_id is not None else None
    return (known or table.schema()).column_names


def replace(name: str, rows: pa.Table, row_filter: str | BooleanExpression) -> str:
    """Replace the rows that match ``row_filter`` by ``rows`` in one commit on ``main``; return its snapshot id.

    Done twice, it leaves what once leaves. The commit is reported as an output of the current task.

    Raises:
        PermanentError: ``rows`` do not have the table's columns and types.
        RetryableError: other writers were faster several times in a row.
    """
    typed = conform(name, rows)

    def overwrite() -> str:
        table = load(name)
        overwrite_rows(table, typed, row_filter)
        return main_snapshot(table)

    version = committed(f"replace rows of {name}", overwrite)
    records.writes("table", name, version, partition=_partition(name, row_filter))
    return version


def rewrite(name: str, row_filter: BooleanExpression) -> str:
    """Write the rows that match anew, into as few files as hold them, in one commit; return its snapshot id.

    No row changes. A row that somebody else commits meanwhile is among them: the commit is then begun again.

    Raises:
        RetryableError: other writers were faster several times in a row.
    """

    def overwrite() -> str:
        table = load(name)
        overwrite_rows(table, conform(name, _rows_of(table, name, row_filter)), row_filter)
        return main_snapshot(table)

    version = committed(f"rewrite rows of {name}", overwrite)
    records.writes("table", name, version, partition=_partition(name, row_filter))
    return version


def _rows_of(table: Table, name: str, row_filter: BooleanExpression) -> pa.Table:
    """Return rows of the head of ``main`` as ``table`` knows it, with every column that Lookbook has learnt since."""
    rows = table.scan(row_filter, snapshot_id=int(main_snapshot(table))).to_arrow()
    for field in TABLES[name]:
        rows = _completed(rows, field)
    return rows


def conform(name: str, rows: pa.Table) -> pa.Table:
    """Return ``rows`` with exactly the table's columns, order and types.

    Raises:
        PermanentError: a column is missing, or holds what the table cannot.
    """
    schema = TABLES[name]
    if missing := [column for column in schema.names if column not in rows.column_names]:
        raise PermanentError(f"Rows for {name} lack columns {missing}. See docs/data-contract.md.")
    empty = [f.name for f in schema if not f.nullable and rows.column(f.name).null_count]
    if empty:
        raise PermanentError(f"Rows for {name} lack a value in {empty}, which every row must have.")
    try:
        return rows.select(schema.names).cast(schema)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise PermanentError(f"Rows for {name} do not have its types: {error}") from error


def overwrite_rows(
    table: Table,
    rows: pa.Table,
    row_filter: str | BooleanExpression,
    branch: str = "main",
    properties: dict[str, str] | None = None,
) -> None:
    """Replace rows on a branch in one commit; ``properties`` go into the summary of its snapshots.

    Raises:
        CommitFailedException: another commit came first; what was written is not part of the table.
    """
    try:
        with warnings.catch_warnings():
            # The first write of a drop replaces nothing, which is no news.
            warnings.filterwarnings("ignore", message="Delete operation did not match any records")
            _keep_groups_small(table)
            table.overwrite(_sorted(rows), row_filter, branch=branch, snapshot_properties=properties or {})
    except ValueError as error:
        if _OVERTAKEN_ON_ANOTHER_BRANCH not in str(error):
            raise
        raise CommitFailedException(str(error)) from error


def _sorted(rows: pa.Table) -> pa.Table:
    return rows.sort_by("product_id") if "product_id" in rows.column_names else rows


def _keep_groups_small(table: Table) -> None:
    """Give a table that was created before row groups were kept small the property that does."""
    wanted = _row_groups(".".join(table.name()))
    if not wanted.items() <= table.properties.items():
        with table.transaction() as change:
            change.set_properties(wanted)


def _row_groups(name: str) -> dict[str, str]:
    return {TableProperties.PARQUET_ROW_GROUP_LIMIT: str(_ROW_GROUPS.get(name, _ROW_GROUP))}


def committed(what: str, commit: Callable[[], T]) -> T:
    """Call ``commit``, which must begin from the table's present state, until no other writer overtakes it.

    Raises:
        RetryableError: it was overtaken every time.
    """
    for attempt in range(1, _COMMIT_ATTEMPTS + 1):
        try:
            return commit()
        except CONFLICTS as error:
            log.info("Could not %s (attempt %d of %d): %s", what, attempt, _COMMIT_ATTEMPTS, error)
            conflict = error
        longest = min(_FIRST_WAIT_S * 2**attempt, _LONGEST_WAIT_S)
        time.sleep(random.uniform(longest / 2, longest))  # noqa: S311 - spreads writers, hides nothing
    raise RetryableError(f"Could not {what}: other commits came first {_COMMIT_ATTEMPTS} times.") from conflict


def _create(catalog: Catalog, name: str) -> Table:
    """Create the table, partitioned by its first column, which is what its rows are replaced by.

    It gets an empty first snapshot, since a branch needs one to be cut from.
    """
    schema, properties = TABLES[name], _row_groups(name)
    catalog.create_namespace_if_not_exists(name.partition(".")[0])
    try:
        with (
            catalog.create_table_transaction(name, schema, properties=properties) as creation,
            creation.update_spec() as spec,
        ):
            spec.add_identity(schema.names[0])
    except (CommitFailedException, TableAlreadyExistsError):
        log.info("Table %s was created by somebody else meanwhile.", name)
    table = catalog.load_table(name)
    if table.current_snapshot() is None:
        table.append(schema.empty_table())
    return table


def _sql_uri(settings: Settings) -> str:
    url = make_url(settings.catalog_uri)
    if url.get_backend_name() != "sqlite" or not url.database:
        return settings.catalog_uri
    Path(url.database).parent.mkdir(parents=True, exist_ok=True)
    waiting = url.update_query_dict({"timeout": str(_SQLITE_BUSY_TIMEOUT_S)})
    return waiting.render_as_string(hide_password=False)


def _aws_properties(settings: Settings) -> dict[str, str]:
    properties = {"s3.region": settings.aws_region, "glue.region": settings.aws_region}
    if settings.aws_endpoint_url:
        properties |= {"s3.endpoint": settings.aws_endpoint_url, "glue.endpoint": settings.aws_endpoint_url}
    if credentials := session(settings.aws_region).get_credentials():
        frozen = credentials.get_frozen_credentials()
        properties |= {"s3.access-key-id": frozen.access_key, "s3.secret-access-key": frozen.secret_key}
        properties |= {"s3.session-token": frozen.token} if frozen.token else {}
    return properties
