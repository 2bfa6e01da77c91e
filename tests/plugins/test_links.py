"""Where the buttons of tasks lead."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk import dag, task
from starlette.testclient import TestClient
from tests.lineage.catalogue import publish, ran
from tests.plugins.conftest import login

from lookbook.settings import get_settings
from lookbook_airflow.console_links import EndpointLink
from lookbook_airflow.labels import SHARD_LABEL, labelled
from lookbook_airflow.links import LineageLink, ModelLink, ProductLink
from lookbook_plugin import LookbookPlugin

Run = Callable[..., Any]  # the fixture of tests/plugins/conftest.py
DROP, RUN = "2026-11-16", "scheduled__2026-11-16T00:00:00+00:00"
KEY = SimpleNamespace(dag_id="describe_products", run_id=RUN, task_id="plan", map_index=-1)


def test_every_task_has_a_button_to_its_lineage() -> None:
    [link] = LookbookPlugin().global_operator_extra_links
    assert isinstance(link, LineageLink)


def test_the_lineage_of_a_task_is_where_its_button_leads(api_server: TestClient, bucket: str) -> None:
    ran(DROP, "describe_products", RUN, "plan")
    address = LineageLink().get_link(None, ti_key=KEY)
    assert address.endswith("/scheduled__2026-11-16T00%3A00%3A00%2B00%3A00/plan/-1")
    assert api_server.get(address, headers=login()).status_code == 200


def test_a_task_of_one_product_leads_to_the_products_page(run_dag: Run, api_server: TestClient, bucket: str) -> None:
    publish(DROP, ["38642"])

    @dag(schedule=None, params={"drop": DROP})
    def leading():
        @task(map_index_template=SHARD_LABEL)
        def describe(shard: dict) -> dict:
            return labelled(shard, {"published": 1, "withheld": 0, "failed": 0})

        describe.expand(shard=[{"label": "38642 Blue shirt"}, {"label": "shard 2 of 2 (98 products)"}])

    run = run_dag(leading())
    pushed = {
        ti.map_index: ti.xcom_pull(task_ids="describe", key=ProductLink().xcom_key, map_indexes=ti.map_index)
        for ti in run.get_task_instances()
    }
    assert pushed == {0: f"/lookbook/lineage/products/38642?drop={DROP}", 1: None}
    assert api_server.get(pushed[0], headers=login()).status_code == 200


def test_a_registered_package_leads_to_the_models_page() -> None:
    arn = "arn:aws:sagemaker:us-east-1:000000000000:model-package/lookbook-attributes/7"
    registered = SimpleNamespace(xcom_pull=lambda task_ids: {"register": arn}[task_ids])
    assert ModelLink("register").get_link(None, ti_key=registered) == "/lookbook/lineage/models/v7"


def test_the_endpoint_is_in_the_console_of_its_region_and_there_is_none_on_one_machine(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("LOOKBOOK_AWS_REGION", "eu-west-1")
    get_settings.cache_clear()
    address = EndpointLink().get_link(None, ti_key=None)
    assert address.endswith("/sagemaker/home?region=eu-west-1#/endpoints/lookbook-attributes")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:4566")
    get_settings.cache_clear()
    assert EndpointLink().get_link(None, ti_key=None) == ""
