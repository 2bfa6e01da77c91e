from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pyiceberg.exceptions import CommitFailedException
from pyiceberg.expressions import And, Or

from lookbook.catalog import tables
from lookbook.catalog.schemas import DATASET, PREDICTED_ATTRIBUTES, TABLES
from lookbook.errors import PermanentError, RetryableError
from lookbook.lineage.records import Dataset, TaskKey, recording
from lookbook.settings import get_settings

PREDICTIONS = "predictions.attributes"


def predictions(drop_id: str, *product_ids: str, value: str = "Cotton") -> pa.Table:
    rows = [
        {"drop_id": drop_id, "product_id": product_id, "attribute": "Fabric", "value": value}
        for product_id in product_ids
    ]
    return pa.Table.from_pylist(rows, schema=PREDICTED_ATTRIBUTES)


def stored() -> list[tuple[str, str, str]]:
    rows = tables.read(PREDICTIONS, columns=["drop_id", "product_id", "value"]).to_pylist()
    return sorted((row["drop_id"], row["product_id"], row["value"]) for row in rows)


@pytest.mark.usefixtures("tables_created_anew")
class TestOnASqlCatalogue:
    def test_the_first_use_of_a_table_creates_it(self) -> None:
        assert len(tables.read("catalog.products")) == 0
        assert tables.open_catalog().table_exists("catalog.products")

    def test_creating_the_tables_again_keeps_what_they_hold(self) -> None:
        tables.replace(PREDICTIONS, predictions("2026-11-16", "1"), tables.equals("drop_id", "2026-11-16"))
        assert tables.ensure_tables() == list(TABLES)
        assert stored() == [("2026-11-16", "1", "Cotton")]

    def test_the_catalogue_file_gets_its_directory(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("LOOKBOOK_CATALOG_URI", f"sqlite:///{tmp_path}/not/there/catalog.db")
        get_settings.cache_clear()
        tables.open_catalog()
        assert (tmp_path / "not/there/catalog.db").exists()

    def test_replacing_leaves_other_drops_alone(self) -> None:
        for drop_id in ("2026-11-16", "2026-11-23"):
            tables.replace(PREDICTIONS, predictions(drop_id, "1", "2"), tables.equals("drop_id", drop_id))
        tables.replace(
            PREDICTIONS, predictions("2026-11-16", "3", value="Silk"), tables.equals("drop_id", "2026-11-16")
        )
        assert stored() == [
            ("2026-11-16", "3", "Silk"),
            ("2026-11-23", "1", "Cotton"),
            ("2026-11-23", "2", "Cotton"),
        ]

    def test_replacing_twice_leaves_what_once_leaves(self) -> None:
        for _ in range(2):
            tables.replace(PREDICTIONS, predictions("2026-11-16", "1"), tables.equals("drop_id", "2026-11-16"))
        assert stored() == [("2026-11-16", "1", "Cotton")]

    def test_an_older_snapshot_can_be_read(self) -> None:
        by_drop = tables.equals("drop_id", "2026-11-16")
        first = tables.replace(PREDICTIONS, predictions("2026-11-16", "1"), by_drop)
        tables.replace(PREDICTIONS, predictions("2026-11-16", "1", value="Silk"), by_drop)
        assert tables.read(PREDICTIONS, snapshot=first)["value"].to_pylist() == ["Cotton"]
        assert tables.current_snapshot(PREDICTIONS) != first

    def test_filters_take_any_characters(self) -> None:
        hostile = "x' or 'a' == 'a"
        tables.replace(PREDICTIONS, predictions("2026-11-16", "1", hostile), tables.equals("drop_id", "2026-11-16"))
        found = tables.read(PREDICTIONS, tables.equals("product_id", hostile))
        assert found["product_id"].to_pylist() == [hostile]

    @pytest.mark.parametrize(("wanted", "found"), [(["1", "3"], ["1", "3"]), (["2"], ["2"]), ([], [])])
    def test_rows_can_be_asked_for_by_a_set_of_values(self, wanted: list[str], found: list[str]) -> None:
        tables.replace(PREDICTIONS, predictions("2026-11-16", "1", "2", "3"), tables.equals("drop_id", "2026-11-16"))
        rows = tables.read(PREDICTIONS, tables.one_of("product_id", wanted))
        assert sorted(rows["product_id"].to_pylist()) == found

    def test_writers_of_different_drops_at_once_all_land(self) -> None:
        tables.ensure_tables()
        drops = [f"2026-11-{day:02d}" for day in (2, 9, 16)]

        def write(drop_id: str) -> str:
            return tables.replace(PREDICTIONS, predictions(drop_id, "1"), tables.equals("drop_id", drop_id))

        with ThreadPoolExecutor(len(drops)) as pool:
            assert len(set(pool.map(write, drops))) == len(drops)
        assert [drop_id for drop_id, _, _ in stored()] == drops

    def test_reads_and_writes_are_lineage(self) -> None:
        with recording(TaskKey("d", "r", "t")) as record:
            version = tables.replace(
                PREDICTIONS, predictions("2026-11-16", "1"), tables.equals("drop_id", "2026-11-16")
            )
            tables.read(PREDICTIONS)
        assert record.outputs == [Dataset("table", PREDICTIONS, version, partition="2026-11-16")]
        assert record.inputs == [Dataset("table", PREDICTIONS, version)]

    @pytest.mark.parametrize(
        ("row_filter", "partition"),
        [
            (tables.equals("drop_id", "2026-11-16"), "2026-11-16"),
            (And(tables.equals("product_id", "1"), tables.equals("drop_id", "2026-11-16")), "2026-11-16"),
            (Or(tables.equals("product_id", "1"), tables.equals("drop_id", "2026-11-16")), None),
            (tables.equals("product_id", "1"), None),
            ("product_id = '1'", None),
        ],
    )
    def test_a_read_of_one_drop_is_lineage_of_that_partition(self, row_filter: Any, partition: str | None) -> None:
        with recording(TaskKey("d", "r", "t")) as record:
            tables.read(PREDICTIONS, row_filter)
        assert [dataset.partition for dataset in record.inputs] == [partition]

    def test_rows_without_a_column_are_refused_by_its_name(self) -> None:
        with pytest.raises(PermanentError, match=r"lack columns \['attribute'\]"):
            tables.replace(PREDICTIONS, predictions("d", "1").drop_columns("attribute"), tables.equals("drop_id", "d"))

    def test_rows_without_a_required_value_are_refused(self) -> None:
        rows = predictions("d", "1").set_column(1, "product_id", pa.array([None], pa.string()))
        with pytest.raises(PermanentError, match=r"lack a value in \['product_id'\]"):
            tables.replace(PREDICTIONS, rows, tables.equals("drop_id", "d"))

    def test_rows_of_the_wrong_type_are_refused(self) -> None:
        rows = predictions("d", "1").set_column(4, "probability", pa.array(["high"]))
        with pytest.raises(PermanentError, match="do not have its types"):
            tables.replace(PREDICTIONS, rows, tables.equals("drop_id", "d"))


def test_an_unknown_table_is_named() -> None:
    with pytest.raises(PermanentError, match=r"no table 'catalog.shoes'.*catalog.products"):
        tables.read("catalog.shoes")


def test_a_commit_that_is_overtaken_begins_anew() -> None:
    attempts: list[int] = []

    def commit() -> str:
        attempts.append(1)
        if len(attempts) == 1:
            raise CommitFailedException("overtaken")
        return "done"

    assert tables.committed("write", commit) == "done"


def test_a_commit_that_is_always_overtaken_can_be_retried_later(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables, "_LONGEST_WAIT_S", 0.0)

    def commit() -> str:
        raise CommitFailedException("overtaken")

    with pytest.raises(RetryableError, match="Could not write t: other commits came first 10 times"):
        tables.committed("write t", commit)


@pytest.mark.usefixtures("tables_created_anew")
def test_glue_holds_the_tables_by_a_setting_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOOKBOOK_CATALOG_TYPE", "glue")
    get_settings.cache_clear()
    tables.replace(PREDICTIONS, predictions("2026-11-16", "1"), tables.equals("drop_id", "2026-11-16"))
    assert stored() == [("2026-11-16", "1", "Cotton")]


def test_a_table_of_an_older_lookbook_gets_the_new_columns(aws_server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    name, whole = "training.vqa_pairs", tables.TABLES["training.vqa_pairs"]
    older = whole.remove(whole.get_field_index("side"))
    old_row = pa.Table.from_pylist([dict.fromkeys(older.names, "a")], schema=older)
    newer = whole.append(pa.field("note", pa.string()))
    monkeypatch.setitem(tables.TABLES, name, older)
    tables.replace(name, old_row, tables.equals("dataset_id", "a"))
    monkeypatch.setitem(tables.TABLES, name, newer.set(newer.get_field_index("side"), pa.field("side", pa.string())))
    new_row = pa.Table.from_pylist([dict.fromkeys(newer.names, "b")], schema=tables.TABLES[name])
    tables.replace(name, new_row, tables.equals("dataset_id", "b"))
    found = {row["dataset_id"]: (row["side"], row["note"]) for row in tables.read(name).to_pylist()}
    assert found == {"a": (None, None), "b": ("b", "b")}


def test_a_version_that_is_older_than_a_column_has_it_null(aws_server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    name, older = "training.vqa_pairs", tables.TABLES["training.vqa_pairs"]
    row = pa.Table.from_pylist([dict.fromkeys(older.names, "a")], schema=older)
    version = tables.replace(name, row, tables.equals("dataset_id", "a"))
    monkeypatch.setitem(tables.TABLES, name, older.append(pa.field("note", pa.string())))
    [found] = tables.read(name, columns=("note", "dataset_id"), snapshot=version).to_pylist()
    assert found == {"dataset_id": "a", "note": None}
    assert tables.read(name, snapshot=version).column_names == [*older.names, "note"]


def test_what_is_in_a_tables_lists_grows_as_its_columns_do(aws_server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    name, whole = "lineage.runs", tables.TABLES["lineage.runs"]
    entries = pa.list_(pa.struct([field for field in DATASET if field.name != "checksum"]))
    older = pa.schema([pa.field(field.name, entries) if field.name == "inputs" else field for field in whole])
    known = {"kind": "table", "name": "catalog.products", "version": "1", "partition": None}

    def replace(run_id: str, entry: dict[str, str | None]) -> str:
        keys = {"dag_id": "d", "run_id": run_id, "task_id": "t", "map_index": -1, "inputs": [entry]}
        rows = pa.Table.from_pylist([keys], schema=tables.TABLES[name])
        return tables.replace(name, rows, tables.equals("run_id", run_id))

    def found(snapshot: str | None = None) -> list[dict[str, str | None]]:
        read = tables.read(name, columns=("inputs",), snapshot=snapshot)
        return sorted((row["inputs"][0] for row in read.to_pylist()), key=lambda entry: str(entry["checksum"]))

    monkeypatch.setitem(tables.TABLES, name, older)
    before = replace("old", known)
    monkeypatch.setitem(tables.TABLES, name, whole)
    assert found() == [known | {"checksum": None}], "the head is of the older schema"
    replace("new", known | {"checksum": "ab12"})
    assert found() == [known | {"checksum": None}, known | {"checksum": "ab12"}]
    assert found(before) == [known | {"checksum": None}]


def test_predictions_of_an_older_lookbook_are_read_and_added_to(
    aws_server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    new = ("text", "abstained", "threshold", "latency_ms", "attempts", "transform_job")
    older = pa.schema([field for field in PREDICTED_ATTRIBUTES if field.name not in new])
    with monkeypatch.context() as before:
        before.setitem(tables.TABLES, PREDICTIONS, older)
        rows = predictions("2026-11-09", "1").select(older.names)
        tables.replace(PREDICTIONS, rows, tables.equals("drop_id", "2026-11-09"))
    rows = predictions("2026-11-16", "1").set_column(11, "abstained", pa.array([True]))
    tables.replace(PREDICTIONS, rows, tables.equals("drop_id", "2026-11-16"))
    found = {row["drop_id"]: row for row in tables.read(PREDICTIONS).to_pylist()}
    assert {name: found["2026-11-09"][name] for name in new} == dict.fromkeys(new)
    assert (found["2026-11-09"]["value"], found["2026-11-16"]["abstained"]) == ("Cotton", True)
