"""An Airflow metadata database, and DAGs run in this process, for tests of what runs inside tasks."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from airflow.sdk import DAG
from tests.local_aws.conftest import Account, LocalAws

from lookbook import aws
from lookbook.settings import get_settings


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


@pytest.fixture(scope="session")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalAws]:
    """Local AWS with the test image and the buckets that tests use."""
    gateway = LocalAws(tmp_path_factory.mktemp("local-aws") / "state").start()
    for name in ("data", "lookbook"):
        gateway.client("s3").create_bucket(Bucket=name)
    gateway.client("s3").put_object(Bucket="data", Key="train/a.csv", Body=b"1,2")
    yield gateway
    gateway.stop()


@pytest.fixture
def account(gateway: LocalAws, monkeypatch: pytest.MonkeyPatch) -> Account:
    """Local AWS's account, which hooks and library reach by the environment, as they would reach AWS."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", gateway.url)
    monkeypatch.setenv("AIRFLOW_CONN_AWS_DEFAULT", "aws://")
    monkeypatch.setenv("LOOKBOOK_POLL_INTERVAL_S", "1")
    get_settings.cache_clear()
    aws.client.cache_clear()
    return Account(gateway)
