"""``describe_products``, started by hand."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from airflow.dag_processing.dagbag import DagBag

FILE = Path(__file__).resolve().parents[2] / "dags" / "describe_products.py"


def test_a_run_without_a_partition_key_is_about_the_drop_of_its_parameter(
    aws_server: str, run_dag: Callable[..., Any], caplog: pytest.LogCaptureFixture
) -> None:
    run = run_dag(DagBag(dag_folder=str(FILE)).dags["describe_products"], run_conf={"drop": "2026-11-16"})
    assert run.state == "failed"
    assert "2026-11-16" in caplog.text and "ingest_drop" in caplog.text
    assert "KeyError" not in caplog.text
