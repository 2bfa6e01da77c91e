"""DAGs of one task, for the tests of operators."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from airflow.sdk import DAG

from lookbook_airflow.defaults import DEFAULT_ARGS

Run = Callable[..., Any]

_SOON = {"retry_delay": timedelta(seconds=1), "max_retry_delay": timedelta(seconds=1)}


def ours_and(our: Any, stock: Any, fault: str) -> pytest.MarkDecorator:
    """Run a test with our ``operator``, and with the stock one to see that it has this fault.

    When a strict xfail begins to pass, the provider has mended it, and docs/decisions/0001 wants to know.
    """
    fails = pytest.mark.xfail(strict=True, reason=f"the provider's operator {fault}")
    return pytest.mark.parametrize(
        "operator", [pytest.param(our, id="ours"), pytest.param(stock, id="stock", marks=fails)]
    )


def unique(name: str) -> str:
    """Return a name that no other test has."""
    return f"{name}-{uuid4().hex[:8]}"


def one_task(operator: type, **arguments: Any) -> DAG:
    """Return a DAG of one task of ``operator``, with the arguments that all our tasks have; its retries come soon."""
    with DAG(unique("operators"), schedule=None, catchup=False, default_args=DEFAULT_ARGS | _SOON) as dag:
        operator(task_id="task", **arguments)
    return dag


def result(dag_run: Any) -> Any:
    """Return what the run's only task returned."""
    (ti,) = dag_run.get_task_instances()
    return ti.xcom_pull(task_ids="task")
