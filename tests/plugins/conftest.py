"""An Airflow metadata database, and DAGs run in this process, for tests of what runs inside tasks."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import pytest
from airflow.sdk import DAG


@pytest.fixture(scope="session")
def airflow_db() -> None:
    """Create the tables of the metadata database in the tests' Airflow home (SQLite)."""
    from airflow.utils.db import initdb

    initdb()


@pytest.fixture
def run_dag(airflow_db: None) -> Callable[..., Any]:
    """A function that runs a DAG to its end, deferrals, mapping and retries included, and returns its run."""
    from airflow.dag_processing.bundles.manager import DagBundlesManager
    from airflow.dag_processing.dagbag import DagBag, sync_bag_to_db

    def run(dag: DAG, **arguments: Any) -> Any:
        DagBundlesManager().sync_bundles_to_db()
        bag = DagBag(dag_folder=os.devnull)
        bag.bag_dag(dag)
        sync_bag_to_db(bag, "dags-folder", None)
        return dag.test(**arguments)

    return run
