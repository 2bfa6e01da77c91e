"""Small reads of large tables: the rows that an ordinary read would give, from few bytes."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pyarrow as pa
import pytest
from pyiceberg.expressions import And, Or
from pyiceberg.table import TableProperties

from lookbook.catalog import files, tables
from lookbook.catalog.schemas import PREDICTED_ATTRIBUTES, RUNS, TABLES
from lookbook.catalog.views import View

NAME = "predictions.attributes"
EARLIER, LATER = "2026-11-09", "2026-11-16"

pytestmark = pytest.mark.usefixtures("aws_server")


def publish(drop_id: str, *product_ids: str, value: str = "Cotton") -> str:
    """Put an answer for each product in place of the drop's; return the table's version."""
    rows = [dict.fromkeys(PREDICTED_ATTRIBUTES.names) | {"attribute": "Fabric", "value": value} for _ in product_ids]
    for row, product_id in zip(rows, product_ids, strict=True):
        row |= {"drop_id": drop_id, "product_id": product_id}
    table = pa.Table.from_pylist(rows, schema=PREDICTED_ATTRIBUTES)
    return tables.replace(NAME, table, tables.equals("drop_id", drop_id))


def of(product_id: str, drop_id: str = LATER) -> And:
    return And(tables.equals("drop_id", drop_id), tables.equals("product_id", product_id))


def row_groups(view: View) -> list[int]:
    """The rows of each row group of each file."""
    found = [files.part(task.file, view._table.io)._fragment.metadata for task in view._table.scan().plan_files()]
    return [one.row_group(place).num_rows for one in found for place in range(one.num_row_groups)]


def test_a_view_gives_what_an_ordinary_read_gives() -> None:
    for drop_id in (EARLIER, LATER):
        publish(drop_id, "1", "2", "3")
    for row_filter in (of("2"), tables.equals("product_id", "2"), Or(of("1"), of("3", EARLIER))):
        expected = tables.read(NAME, row_filter).sort_by("drop_id").to_pylist()
        assert View(NAME).rows(row_filter).sort_by("drop_id").to_pylist() == expected
        assert expected


def test_only_the_columns_asked_for_come_in_the_tables_order() -> None:
    publish(LATER, "1")
    assert View(NAME).rows(of("1"), ("value", "product_id")).to_pydict() == {"product_id": ["1"], "value": ["Cotton"]}


def test_no_row_is_an_empty_table_with_its_columns() -> None:
    assert View(NAME).rows(of("1")).schema.names == PREDICTED_ATTRIBUTES.names


def test_an_earlier_version_can_be_read_and_the_view_stays_as_it_was() -> None:
    before, view = publish(LATER, "1"), View(NAME)
    after = publish(LATER, "1", value="Silk")
    assert view.rows(of("1"))["value"].to_pylist() == ["Cotton"]
    newer = View(NAME)
    assert newer.rows(of("1"))["value"].to_pylist() == ["Silk"]
    assert newer.rows(of("1"), snapshot=before)["value"].to_pylist() == ["Cotton"]
    assert (newer.knows(before), newer.knows(after), newer.knows("7")) == (True, True, False)


def test_the_drops_that_hold_a_product_are_found() -> None:
    publish(EARLIER, "1", "2")
    publish(LATER, "2", "3")
    view = View(NAME)
    found = {product_id: view.partitions_with("product_id", product_id) for product_id in ("1", "2", "3", "4")}
    assert found == {"1": [EARLIER], "2": [EARLIER, LATER], "3": [LATER], "4": []}


def test_rows_are_written_by_product_in_small_groups(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(tables._ROW_GROUPS, NAME, 2)
    publish(LATER, "5", "3", "1", "4", "2")
    view = View(NAME)
    assert view.rows(tables.equals("drop_id", LATER))["product_id"].to_pylist() == ["1", "2", "3", "4", "5"]
    assert row_groups(view) == [2, 2, 1]


def test_a_table_from_before_groups_were_small_is_read_and_written_in_small_ones_from_then_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(tables._ROW_GROUPS, NAME, 2)
    with monkeypatch.context() as before, tables.load(NAME).transaction() as change:
        before.setattr(tables, "_sorted", lambda rows: rows)
        change.remove_properties(TableProperties.PARQUET_ROW_GROUP_LIMIT)
    with monkeypatch.context() as before:
        before.setattr(tables, "_sorted", lambda rows: rows)
        before.setattr(tables, "_keep_groups_small", lambda table: None)
        publish(LATER, "5", "3", "1", "4")
    assert row_groups(View(NAME)) == [4]
    assert View(NAME).rows(of("3"))["product_id"].to_pylist() == ["3"]
    assert View(NAME).partitions_with("product_id", "4") == [LATER]

    publish(LATER, "5", "3", "1", "4")

    assert row_groups(View(NAME)) == [2, 2]


def test_a_file_of_one_product_is_not_read_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "_SMALL", 0)
    monkeypatch.setitem(tables._ROW_GROUPS, NAME, 2)
    publish(LATER, *map(str, range(10, 20)))
    [task] = View(NAME)._table.scan().plan_files()
    part = files.Part(task.file, View(NAME)._table.io)
    condition = View(NAME)._condition(of("12"))
    assert len(part._fragment.subset(filter=condition).row_groups) == 1
    assert part.read(["product_id"], condition, PREDICTED_ATTRIBUTES)["product_id"].to_pylist() == ["12"]


def test_a_column_that_a_file_lacks_is_null(monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as before:
        before.setitem(TABLES, NAME, PREDICTED_ATTRIBUTES.remove(PREDICTED_ATTRIBUTES.get_field_index("transform_job")))
        rows = [{"drop_id": LATER, "product_id": "1", "attribute": "Fabric"}]
        table = pa.Table.from_pylist(rows, schema=TABLES[NAME])
        tables.replace(NAME, table, tables.equals("drop_id", LATER))
    assert View(NAME).rows(of("1"), ("product_id", "transform_job")).to_pylist() == [
        {"product_id": "1", "transform_job": None}
    ]
    assert len(View(NAME).rows(And(of("1"), tables.equals("transform_job", "x")))) == 0


def test_lists_that_grew_fields_are_read_beside_older_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    older = pa.schema(
        [
            field if field.name != "inputs" else pa.field("inputs", pa.list_(pa.struct([("kind", pa.string())])))
            for field in RUNS
        ]
    )
    key: dict[str, Any] = {"dag_id": "d", "task_id": "t", "map_index": -1}
    with monkeypatch.context() as before:
        before.setitem(TABLES, "lineage.runs", older)
        rows = [key | {"run_id": "old", "inputs": [{"kind": "table"}]}]
        tables.replace("lineage.runs", pa.Table.from_pylist(rows, schema=older), tables.equals("run_id", "old"))
    dataset = {"kind": "table", "name": "n", "version": "1", "partition": "p", "checksum": None}
    rows = [key | {"run_id": "new", "inputs": [dataset]}]
    tables.replace("lineage.runs", pa.Table.from_pylist(rows, schema=RUNS), tables.equals("run_id", "new"))
    found = View("lineage.runs").rows(tables.equals("dag_id", "d"), ("run_id", "inputs")).sort_by("run_id").to_pylist()
    assert [row["inputs"][0]["kind"] for row in found] == ["table", "table"]
    assert found[0]["inputs"][0]["partition"] == "p"


def test_metadata_is_fetched_once_and_what_is_new_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    publish(LATER, "1")
    View(NAME).rows(of("1"))
    fetched: list[str] = []
    fetch = files._MetadataFile._fetched
    monkeypatch.setattr(files._MetadataFile, "_fetched", lambda file: fetched.append(file.location) or fetch(file))
    View(NAME).rows(of("1"))
    assert fetched == []
    publish(LATER, "2")
    assert View(NAME).rows(of("2"))["product_id"].to_pylist() == ["2"]
    assert fetched


def test_many_threads_may_read() -> None:
    publish(LATER, *map(str, range(50)))
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda one: View(NAME).rows(of(str(one)))["product_id"].to_pylist(), range(50)))
    assert found == [[str(one)] for one in range(50)]


def test_what_is_kept_stays_within_its_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "KEPT_BYTES", 10)
    kept: files._Kept[bytes] = files._Kept(len)
    made: list[str] = []

    def make(key: str, size: int) -> bytes:
        return kept.get(key, lambda: made.append(key) or bytes(size))  # type: ignore[func-returns-value]

    for key, size in (("a", 4), ("b", 4), ("a", 4), ("c", 4), ("a", 4), ("b", 4), ("large", 11), ("large", 11)):
        assert len(make(key, size)) == size
    assert made == ["a", "b", "c", "b", "large", "large"]
