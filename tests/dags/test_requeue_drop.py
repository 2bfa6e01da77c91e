"""``requeue_drop``, run from its first task to its last on a drop that was really ingested."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from airflow.dag_processing.dagbag import DagBag
from airflow.sdk import DAG
from airflow.sdk.exceptions import ParamValidationError
from tests.drops import small
from tests.drops.small import line

from lookbook.catalog import mending, publishing, tables
from lookbook.drops.lines import COLUMNS
from lookbook.quality import validating

DROP = small.DROP_ID
FILE = Path(__file__).resolve().parents[2] / "dags" / "requeue_drop.py"
RunDag = Callable[..., Any]  # the fixture of tests/plugins/conftest.py


@pytest.fixture
def dag() -> DAG:
    return DagBag(dag_folder=str(FILE)).dags["requeue_drop"]


@pytest.fixture
def ingested(aws_server: str, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A drop of twelve rows: line 12 has no name, line 13 is too short."""
    caplog.set_level(logging.WARNING)
    lines = [*(line(number) for number in range(1, 11)), line(11, name=""), "12,Men,Apparel"]
    candidates = small.read_directory(small.write_directory(tmp_path / "drop", *lines))
    publishing.publish(publishing.stage(candidates.uri, validating.validate(candidates.uri).uri))
    assert quarantine() == {12: ["missing_display_name"], 13: ["too_few_fields"]}


def quarantine() -> dict[int, list[str]]:
    return {row["line_number"]: row["reasons"] for row in tables.read("catalog.quarantine").to_pylist()}


def test_rows_of_a_reason_and_mended_rows_go_through_and_the_others_stay(
    ingested: None, dag: DAG, run_dag: RunDag
) -> None:
    mended = f"line_number,{','.join(COLUMNS)}\n13,{line(12)}\n".encode()
    rows = mending.upload(DROP, mended, "mended.csv").uri
    run = run_dag(dag, run_conf={"drop": DROP, "reason": "bad_year", "rows": rows})
    assert run.state == "success"
    assert quarantine() == {12: ["missing_display_name"]}
    [product] = tables.read("catalog.products", tables.equals("product_id", "12")).to_pylist()
    assert (product["raw_line"], product["mending"]["uri"]) == ("12,Men,Apparel", rows)
    [requeue] = tables.read("lineage.runs", tables.equals("task_id", "requeue")).to_pylist()
    assert dict(requeue["counts"]) == {"rows": 12, "requeued": 1, "mended": 1}
    assert rows in [entry["name"] for entry in requeue["inputs"]]


@pytest.mark.parametrize(
    "rows",
    [
        "s3://lookbook/drops/2026-11-16/styles.csv",
        "s3://lookbook/mended/2026-11-16/../a.csv",
        "s3://lookbook/mended/today/a.csv",
        "/tmp/a.csv",
    ],
)
def test_rows_name_a_file_among_the_mended_ones(dag: DAG, rows: str) -> None:
    param = dag.params.get_param("rows")
    with pytest.raises(ParamValidationError):
        param.resolve(rows)
    assert param.resolve(uri := f"s3://lookbook/mended/{DROP}/a.csv") == uri
