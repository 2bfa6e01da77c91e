"""``describe_products`` through to publishing: on demand, and by Bedrock batch jobs with what they leave."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from airflow.dag_processing.dagbag import DagBag
from tests.descriptions.conftest import DROP, product, publish_products
from tests.local_aws.conftest import Account

from lookbook.catalog import tables
from lookbook.descriptions import batch_requests

FILE = Path(__file__).resolve().parents[2] / "dags" / "describe_products.py"


def described(run_dag: Callable[..., Any], ids: range, **params: Any) -> tuple[Any, list[dict[str, Any]]]:
    """Publish a drop of products, describe it, and return the run and the rows."""
    publish_products(*(product(str(number)) for number in ids))
    dag = DagBag(dag_folder=str(FILE)).dags["describe_products"]
    run = run_dag(dag, run_conf={"drop": DROP, **params})
    return run, tables.read("descriptions.descriptions", tables.equals("drop_id", DROP)).to_pylist()


def states(run: Any, *task_ids: str) -> dict[str, str]:
    return {ti.task_id: str(ti.state) for ti in run.get_task_instances() if ti.task_id in task_ids}


def test_a_drop_described_on_demand_starts_no_batch_job(account: Account, run_dag: Callable[..., Any]) -> None:
    run, rows = described(run_dag, range(1000, 1003), mode="sharded")
    assert run.state == "success"
    assert Counter((row["status"], row["mode"]) for row in rows) == {("published", "sharded"): 3}
    assert states(run, "batch_jobs", "batch_rest") == {"batch_jobs": "skipped", "batch_rest": "skipped"}


def test_history_is_described_by_batch_jobs_at_half_the_price(account: Account, run_dag: Callable[..., Any]) -> None:
    run, rows = described(run_dag, range(2000, 2101), mode="batch")
    assert run.state == "success"
    assert Counter((row["status"], row["mode"], row["calls"]) for row in rows) == {("published", "batch", 1): 101}
    row = rows[0]
    assert row["cost_usd"] == pytest.approx((row["input_tokens"] * 0.8 + row["output_tokens"] * 4) / 1e6 / 2)
    asked = ("describe", "run_batch", "collect_batch", "batch_rest", "describe_rest")
    assert states(run, *asked) == {
        "describe": "skipped",
        "run_batch": "success",
        "collect_batch": "success",
        "batch_rest": "success",
        "describe_rest": "skipped",
    }


def test_history_too_long_for_one_job_goes_in_several_and_the_end_on_demand(
    account: Account, run_dag: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batch_requests, "Limits", partial(batch_requests.Limits, max_records=110))
    run, rows = described(run_dag, range(3000, 3250), mode="batch")
    assert run.state == "success"
    by_mode = Counter((row["status"], row["mode"]) for row in rows)
    assert by_mode == {("published", "batch"): 220, ("published", "sharded"): 30}
    assert len({row["product_id"] for row in rows}) == 250
    jobs = [ti for ti in run.get_task_instances() if ti.task_id == "run_batch"]
    assert {str(ti.state) for ti in jobs} == {"success"}
    assert len({ti.rendered_map_index for ti in jobs}) == len(jobs) == 2
    assert states(run, "describe", "describe_rest") == {"describe": "skipped", "describe_rest": "success"}
