"""An Airflow metadata database, DAGs run in this process, and Airflow's API server with Lookbook's plugin."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import DAG
from starlette.testclient import TestClient
from tests.local_aws.conftest import Account, LocalAws

from lookbook import aws
from lookbook.settings import get_settings

PLUGINS = Path(__file__).resolve().parents[2] / "plugins"


@pytest.fixture(scope="session")
def airflow_db() -> None:
    """Create the tables of the metadata database in the tests' Airflow home (SQLite)."""
    from airflow.utils.db import initdb

    initdb()


@pytest.fixture(scope="module")
def api_server(airflow_db: None) -> Iterator[TestClient]:
    """Airflow's API server with Lookbook's plugin folder, as it stands after its start."""
    from airflow import plugins_manager, settings
    from airflow.api_fastapi.app import create_app

    cached = (plugins_manager._get_plugins, plugins_manager.get_fastapi_plugins, plugins_manager._get_ui_plugins)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(settings, "PLUGINS_FOLDER", str(PLUGINS))
        for found in cached:
            found.cache_clear()
        yield TestClient(create_app(apps="core"), follow_redirects=False)
    for found in cached:
        found.cache_clear()


def login(role: str | None = "viewer") -> dict[str, str]:
    """The header of somebody who is logged in with a role of Airflow's."""
    from airflow.api_fastapi.app import get_auth_manager
    from airflow.api_fastapi.auth.managers.simple.user import SimpleAuthManagerUser

    token = get_auth_manager().generate_jwt(SimpleAuthManagerUser(username="ada", role=role))
    return {"Authorization": f"Bearer {token}"}


@pytest.fixture
def run_dag(airflow_db: None) -> Callable[..., Any]:
    """A function that runs a DAG to its end, deferrals, mapping and retries included, and returns its run."""
    from airflow.dag_processing.bundles.manager import DagBundlesManager
    from airflow.dag_processing.dagbag import DagBag, sync_bag_to_db

    def run(dag: DAG, **arguments: Any) -> Any:
        dag.deadline = None  # `dag.test()` of 3.3.2 fails over one when a run ends well
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
