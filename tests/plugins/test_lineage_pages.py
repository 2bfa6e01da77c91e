"""The Lineage pages as Airflow's own API server serves them, and where its UI shows them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from airflow.api_fastapi.app import get_auth_manager
from selectolax.lexbor import LexborHTMLParser
from starlette.testclient import TestClient
from tests.lineage.catalogue import describe, publish, ran
from tests.plugins.conftest import login

from lookbook import storage
from lookbook.lineage.pages import SCRIPT_SOURCE
from lookbook.settings import get_settings
from lookbook_airflow.console_links import console_page
from lookbook_airflow.pages import views

DROP, DAG = "2026-11-16", "describe_products"
RUN = "scheduled__2026-11-16T00%3A00%3A00%2B00%3A00"
HOSTILE = "<script>alert(1)</script>"
PAGES = (
    "/lookbook/lineage",
    "/lookbook/lineage?q=shirt",
    "/lookbook/lineage/products/1",
    "/lookbook/lineage/products/1/depends",
    f"/lookbook/lineage/runs/{DAG}/{RUN}",
    f"/lookbook/lineage/tasks/{DAG}/{RUN}/plan/-1",
)


@pytest.fixture
def catalogue(bucket: str) -> None:
    """Two products, one of them with a name that nobody should believe, and the run that published them."""
    publish(DROP, ["1", "2"], display_name=HOSTILE)
    ran(DROP, DAG, "scheduled__2026-11-16T00:00:00+00:00", "plan", "publish")


@pytest.mark.parametrize("path", PAGES)
def test_a_page_is_for_whoever_may_see_the_runs(api_server: TestClient, catalogue: None, path: str) -> None:
    assert api_server.get(path).status_code == 401
    assert api_server.get(path, headers=login(role=None)).status_code == 403
    answer = api_server.get(path, headers=login())
    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/html; charset=utf-8")


@pytest.mark.parametrize("path", PAGES)
def test_a_page_can_do_no_more_than_it_needs(api_server: TestClient, catalogue: None, path: str) -> None:
    answer = api_server.get(path, headers=login())
    policy = dict(rule.split(" ", 1) for rule in answer.headers["content-security-policy"].split("; "))
    assert policy == {
        "default-src": "'none'",
        "style-src": "'unsafe-inline'",
        "img-src": "'self' data:",
        "base-uri": "'none'",
        "form-action": "'self'",
        "frame-ancestors": "'self'",
        "script-src": SCRIPT_SOURCE,
    }
    assert HOSTILE not in answer.text and len(LexborHTMLParser(answer.text).css("script")) == 1


def test_a_browser_that_must_log_in_comes_back_to_the_page(api_server: TestClient, bucket: str) -> None:
    answer = api_server.get("/lookbook/lineage/products/1", headers={"Accept": "text/html"})
    assert answer.headers["location"] == "/api/v2/auth/login?next=%2Flookbook%2Flineage%2Fproducts%2F1"


def test_an_id_leads_to_its_product_at_once(api_server: TestClient, catalogue: None) -> None:
    answer = api_server.get("/lookbook/lineage?q=%202%20", headers=login())
    assert (answer.status_code, answer.headers["location"]) == (303, "/lookbook/lineage/products/2")


def test_a_product_that_is_not_there_is_said_to_be_missing_on_a_page(api_server: TestClient, catalogue: None) -> None:
    for path in ("products/3", "products/1?drop=2020-01-06"):
        answer = api_server.get(f"/lookbook/lineage/{path}", headers=login())
        assert answer.status_code == 404
        assert "no product" in LexborHTMLParser(answer.text).css_first("main [role=status]").text()


@pytest.mark.parametrize(
    "path",
    [
        "products/1x",
        "products/1234567890123",
        "products/%D9%A1",
        "products/..%2f1",
        "products/1?drop=../x",
        f"tasks/{DAG}/{RUN}/plan/x",
        f"tasks/{DAG}/{RUN}/plan/%7BOTHER%7D",
        f"?q={'a' * 201}",
    ],
)
def test_what_is_no_id_is_refused(api_server: TestClient, catalogue: None, path: str) -> None:
    assert api_server.get(f"/lookbook/lineage/{path}", headers=login()).status_code in (404, 422, 307)


def test_the_tab_of_a_task_without_map_index_is_the_tasks_own(api_server: TestClient, catalogue: None) -> None:
    answer = api_server.get(f"/lookbook/lineage/tasks/{DAG}/{RUN}/plan/%7BMAP_INDEX%7D", headers=login())
    assert LexborHTMLParser(answer.text).css_first("h1").text() == "What plan read and wrote"


def test_a_tab_asks_for_access_to_the_dag_that_it_tells_of(
    api_server: TestClient, catalogue: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    def only_ingest(*_: Any, details: Any, **__: Any) -> bool:
        return bool(details.id == "ingest_drop")

    monkeypatch.setattr(type(get_auth_manager()), "is_authorized_dag", only_ingest)
    for dag_id, code in (("ingest_drop", 200), (DAG, 403)):
        for path in (f"runs/{dag_id}/r", f"tasks/{dag_id}/r/t/-1"):
            assert api_server.get(f"/lookbook/lineage/{path}", headers=login()).status_code == code, path


def test_the_ui_is_told_where_to_show_the_pages(api_server: TestClient) -> None:
    [plugin] = [
        plugin
        for plugin in api_server.get("/api/v2/plugins", headers=login("admin")).json()["plugins"]
        if plugin["name"] == "lookbook"
    ]
    shown = {view["destination"]: (view["name"], view["href"]) for view in plugin["external_views"]}
    assert shown == {
        "nav": ("Lineage", "/lookbook/lineage"),
        "dag_run": ("Lineage", "/lookbook/lineage/runs/{DAG_ID}/{RUN_ID}"),
        "task_instance": ("Lineage", "/lookbook/lineage/tasks/{DAG_ID}/{RUN_ID}/{TASK_ID}/{MAP_INDEX}"),
    }
    assert len({view["url_route"] for view in plugin["external_views"]}) == 3, "the UI knows them apart by it"


def test_the_pages_lie_below_a_path_of_the_server(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__API__BASE_URL", "https://shop.example/airflow/")
    assert all(view["href"].startswith("/airflow/lookbook/lineage") for view in views())


def test_every_link_of_a_page_leads_somewhere_below_the_servers_path(
    api_server: TestClient, catalogue: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    describe(DROP, {"2": "failed"}, facts=[], differences=[], reasons=[], dag_id=DAG, run_id="r", task_id="t")
    monkeypatch.setenv("AIRFLOW__API__BASE_URL", "https://shop.example/airflow/")
    for path in PAGES:
        page = LexborHTMLParser(api_server.get(path, headers=login()).text)
        hrefs = [node.attributes["href"] or "" for node in page.css("a")]
        sources = [node.attributes["src"] or "" for node in page.css("img")]
        assert all(address.startswith(("/airflow/", "#")) for address in hrefs + sources), path


@pytest.fixture
def on_aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    get_settings.cache_clear()
    yield
    get_settings.cache_clear()


@pytest.mark.parametrize(
    ("thing", "page"),
    [
        (
            "arn:aws:sagemaker:eu-west-1:000000000000:training-job/a b",
            "https://console.aws.amazon.com/sagemaker/home?region=eu-west-1#/jobs/a%20b",
        ),
        (
            "arn:aws-cn:sagemaker:cn-north-1:000000000000:endpoint-config/c",
            "https://console.amazonaws.cn/sagemaker/home?region=cn-north-1#/endpointConfig/c",
        ),
        ("s3://b/k e", "https://console.aws.amazon.com/s3/object/b?region=us-east-1&prefix=k%20e"),
        ("s3://b/k/", "https://console.aws.amazon.com/s3/buckets/b?region=us-east-1&prefix=k%2F"),
        ("arn:aws:sagemaker:eu-west-1:000000000000:model-package/a/1", None),
        ("arn:nowhere:sagemaker:eu-west-1:000000000000:training-job/a", None),
        ("javascript:alert(1)", None),
        ("", None),
    ],
)
def test_what_aws_knows_has_a_page_in_its_console(on_aws: None, thing: str, page: str | None) -> None:
    assert console_page(thing) == page


def test_on_one_machine_there_is_no_console(aws_server: str) -> None:
    assert console_page("arn:aws:sagemaker:eu-west-1:000000000000:training-job/a") is None
    assert console_page("s3://b/k") is None


def test_a_picture_on_the_page_of_a_product_is_served_to_whoever_sees_the_page(
    api_server: TestClient, catalogue: None
) -> None:
    storage.write_bytes(f"s3://lookbook/drops/{DROP}/images/1.jpg", b"\xff\xd8\xff picture")
    page = LexborHTMLParser(api_server.get("/lookbook/lineage/products/1", headers=login()).text)
    answer = api_server.get(page.css_first(".picture img").attributes["src"] or "", headers=login())
    assert (answer.status_code, answer.headers["content-type"]) == (200, "image/jpeg")


def test_the_templates_say_nothing_that_is_not_escaped() -> None:
    templates = Path(__file__).resolve().parents[2] / "include/lookbook/lineage/pages/templates"
    for template in templates.glob("*.html"):
        assert "|safe" not in template.read_text() and "autoescape" not in template.read_text(), template.name
