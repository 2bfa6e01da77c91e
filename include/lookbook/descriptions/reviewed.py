"""What a person decided about a description stands until another text is written."""

from __future__ import annotations

import pyarrow as pa
from pyiceberg.expressions import And, NotNull, Reference

from lookbook.catalog import tables

TABLE = "descriptions.descriptions"
_TEXT = ["product_id", "input_hash", "request_id"]


def keep(drop_id: str, rows: pa.Table) -> pa.Table:
    """Return a drop's new rows, with those that a person decided about as that person left them.

    A decision is about one text: the one that a certain request to the model brought for a certain input. Whoever
    publishes that very text again, a cleared task or a later run, changes nothing about the decision. What a
    rollback made stale since is decided anew.
    """
    decided = _decided(drop_id)
    new, old = _texts(rows), _texts(decided)
    standing = set(new) & set(old)
    return pa.concat_tables(
        [_only(rows, [text not in standing for text in new]), _only(decided, [text in standing for text in old])]
    )


def _decided(drop_id: str) -> pa.Table:
    by_a_person = NotNull(term=Reference("reviewed_by"))
    standing = tables.one_of("status", ["published", "withheld"])
    rows = tables.read(TABLE, And(tables.equals("drop_id", drop_id), by_a_person, standing))
    return tables.conform(TABLE, rows)


def _texts(rows: pa.Table) -> list[tuple[str, ...]]:
    return [tuple(row.values()) for row in rows.select(_TEXT).to_pylist()]


def _only(rows: pa.Table, chosen: list[bool]) -> pa.Table:
    return rows.filter(pa.array(chosen, pa.bool_()))
