"""Small reads of large tables: the few rows of one product, one run or one model, in milliseconds.

:func:`lookbook.catalog.tables.read` reads what a task works on, and reports it as the task's input. Who asks where
something came from reads a few rows of many tables, over and over, and is no task: that is what views are for.
PyIceberg says which files count (by partition, and by the least and greatest value of a column in a file); Arrow reads
them, of each only the row groups that may hold what is looked for.
"""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa
from pyiceberg.expressions import AlwaysTrue, BooleanExpression
from pyiceberg.expressions.visitors import bind
from pyiceberg.io.pyarrow import expression_to_pyarrow
from pyiceberg.utils.concurrent import ExecutorFactory

from lookbook.catalog import files, tables
from lookbook.catalog.schemas import TABLES


class View:
    """A table as it was when the view was opened, for any number of reads of any of its versions."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._table = tables.load(name)
        self.location = self._table.location()
        self.head = tables.main_snapshot(self._table)

    def knows(self, snapshot: str) -> bool:
        """Return whether a version is still there."""
        return any(str(one.snapshot_id) == snapshot for one in self._table.metadata.snapshots)

    def rows(
        self, row_filter: BooleanExpression, columns: Sequence[str] = ("*",), snapshot: str | None = None
    ) -> pa.Table:
        """Return the rows that match; texts may be Arrow's long ones.

        Args:
            row_filter: which rows.
            columns: which columns, in the table's order; one that a file lacks is null.
            snapshot: which version; none means the one at the head of ``main``.
        """
        schema = TABLES[self.name]
        wanted = [field for field in schema if "*" in columns or field.name in columns]
        names = [field.name for field in wanted]
        tasks = list(self._table.scan(row_filter, snapshot_id=int(snapshot or self.head)).plan_files())
        if any(task.delete_files for task in tasks):  # Lookbook writes none; PyIceberg applies those of others
            return tables.read(self.name, row_filter, columns, snapshot)
        condition = self._condition(row_filter)
        read = ExecutorFactory.get_or_create().map(
            lambda task: files.part(task.file, self._table.io).read(names, condition, schema), tasks
        )
        return pa.concat_tables([pa.schema(wanted).empty_table(), *read], promote_options="permissive")

    def partitions_with(self, column: str, value: str) -> list[str]:
        """Return the partitions (drops, of most tables) in which any row has a value."""
        tasks = self._table.scan(tables.equals(column, value), snapshot_id=int(self.head)).plan_files()
        parts = ExecutorFactory.get_or_create().map(lambda task: files.part(task.file, self._table.io), tasks)
        return sorted({one.partition for one in parts if one.holds(column, value)})

    def _condition(self, row_filter: BooleanExpression) -> object:
        schema = self._table.schema()
        if isinstance(row_filter, AlwaysTrue):
            return None
        return expression_to_pyarrow(bind(schema, row_filter, case_sensitive=True), schema)
