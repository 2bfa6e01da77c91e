"""The Lineage pages of drops, models and cost behind Airflow's login."""

from __future__ import annotations

import pytest
from starlette.testclient import TestClient
from tests.lineage.catalogue import describe, publish, quarantine
from tests.plugins.conftest import login

DROP = "2026-11-16"
PATHS = ("drops", f"drops/{DROP}", f"drops/{DROP}/depends", "models", "cost")


@pytest.fixture
def described(aws_server: str) -> None:
    publish(DROP, ["1", "2"])
    quarantine(DROP)
    describe(DROP, {"1": "published"})


@pytest.mark.parametrize("path", PATHS)
def test_an_overview_is_shown_to_a_viewer_and_to_nobody_else(
    api_server: TestClient, described: None, path: str
) -> None:
    answer = api_server.get(f"/lookbook/lineage/{path}", headers=login())
    assert answer.status_code == 200 and "</html>" in answer.text
    assert api_server.get(f"/lookbook/lineage/{path}").status_code == 401
    assert api_server.get(f"/lookbook/lineage/{path}", headers=login(role=None)).status_code == 403


def test_the_query_chooses_the_products_of_a_drop(api_server: TestClient, described: None) -> None:
    page = api_server.get(f"/lookbook/lineage/drops/{DROP}?q=shirt&status=none", headers=login()).text
    assert "1 of 2 products." in page and "/products/2?" in page and "/products/1?" not in page


@pytest.mark.parametrize("query", ["page=0", "page=x", "status=odd", f"q={'x' * 201}"])
def test_a_query_that_nobody_meant_is_refused(api_server: TestClient, described: None, query: str) -> None:
    assert api_server.get(f"/lookbook/lineage/drops/{DROP}?{query}", headers=login()).status_code == 422


@pytest.mark.parametrize("path", ["drops/2020-01-06", "drops/2020-01-06/depends", "models/v9", "models/v9/depends"])
def test_what_is_not_there_is_a_page_that_says_so(api_server: TestClient, described: None, path: str) -> None:
    answer = api_server.get(f"/lookbook/lineage/{path}", headers=login())
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "text/html; charset=utf-8" and "</html>" in answer.text
