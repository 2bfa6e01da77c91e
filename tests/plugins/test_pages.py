"""Lookbook's pages, as Airflow's own API server serves them to whoever is logged in, and to whoever is not."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pyarrow as pa
import pytest
from fastapi.routing import APIRoute
from starlette.testclient import TestClient
from tests.drops.small import DROP_ID
from tests.plugins.conftest import login

from lookbook import storage
from lookbook.catalog import tables
from lookbook.catalog.schemas import FINDINGS, PRODUCTS
from lookbook.serving import shadow, shadow_page
from lookbook_airflow.links import DataDocsLink, EvaluationLink, FindingsLink, HousekeepingLink, ShadowLink
from lookbook_airflow.pages import page_path
from lookbook_airflow.pages.app import create_app as create_pages

PAGE = f"/lookbook/data-docs/{DROP_ID}/validations/v1/f1/20261116T000000.1Z/drops-candidates.html"
DOCS = f"s3://lookbook/data-docs/{DROP_ID}/"


@pytest.fixture
def page(bucket: str) -> str:
    storage.write_bytes(f"{DOCS}index.html", b"<h1>Docs</h1>", "text/html")
    storage.write_bytes(PAGE.replace("/lookbook/", "s3://lookbook/"), b"<h1>Results</h1>", "text/html")
    storage.write_bytes(f"s3://lookbook/staging/{DROP_ID}/secret.html", b"secret")
    return PAGE


def test_a_viewer_reads_the_data_docs(api_server: TestClient, page: str) -> None:
    answer = api_server.get(page, headers=login())
    assert (answer.status_code, answer.text) == (200, "<h1>Results</h1>")
    assert answer.headers["content-type"] == "text/html; charset=utf-8"


def test_what_a_drop_says_can_run_nothing_and_load_nothing(api_server: TestClient, page: str) -> None:
    headers = api_server.get(page, headers=login()).headers
    policy = dict(rule.split(" ", 1) for rule in headers["content-security-policy"].split("; "))
    assert policy["default-src"] == "'none'" and "script-src" not in policy
    assert (headers["x-content-type-options"], headers["cache-control"]) == ("nosniff", "no-store")


def test_nobody_is_answered_who_is_not_logged_in(api_server: TestClient, page: str) -> None:
    assert api_server.get(page).status_code == 401
    assert api_server.get(page, headers={"Authorization": "Bearer made.up.token"}).status_code == 403
    assert api_server.get(page, headers={"Cookie": "_token=made.up.token"}).status_code == 403


def test_a_login_without_a_role_sees_nothing(api_server: TestClient, page: str) -> None:
    assert api_server.get(page, headers=login(role=None)).status_code == 403


def test_a_browser_is_sent_to_log_in_and_back(api_server: TestClient, page: str) -> None:
    answer = api_server.get(page, headers={"Accept": "text/html"})
    assert answer.status_code == 303
    assert answer.headers["location"] == f"/api/v2/auth/login?next={page.replace('/', '%2F')}"
    assert api_server.get(answer.headers["location"]).status_code == 307, "Airflow finds the way back safe"


def test_every_route_is_guarded() -> None:
    pages = create_pages()
    routes = [route for route in pages.routes if isinstance(route, APIRoute)]
    assert routes and len(routes) == len(pages.routes), "a route that FastAPI adds by itself would not be guarded"
    client = TestClient(pages)
    for route in routes:
        path = route.path_format.replace("{", "").replace("}", "")
        for method in route.methods:
            assert client.request(method, path).status_code == 401, path


@pytest.mark.parametrize(
    "path",
    [
        f"data-docs/{DROP_ID}/../../staging/{DROP_ID}/secret.html",
        f"data-docs/{DROP_ID}/..%2f..%2fstaging%2f{DROP_ID}%2fsecret.html",
        f"data-docs/{DROP_ID}/%2e%2e/%2e%2e/staging/{DROP_ID}/secret.html",
        f"data-docs/..%2fstaging%2f{DROP_ID}/secret.html",
        f"data-docs/..%2f{DROP_ID}/index.html",
        f"data-docs/{DROP_ID}/..%5cindex.html",
        f"data-docs/{DROP_ID}//index.html",
        f"data-docs/{DROP_ID}/index.html%00",
        f"data-docs/{DROP_ID}/index.html%0a",
        f"data-docs/{DROP_ID}/validations",
        f"data-docs/{DROP_ID}/",
        f"data-docs/{DROP_ID}%0a/index.html",
        "data-docs/２０２６-11-16/index.html",
        f"data-docs/{DROP_ID}/{'a/' * 300}index.html",
    ],
)
def test_no_path_leads_to_anything_else(api_server: TestClient, page: str, path: str) -> None:
    answer = api_server.get(f"/lookbook/{path}", headers=login())
    assert answer.status_code == 404
    assert "Docs</h1>" not in answer.text and "secret" not in answer.text.replace(path, "")


def test_a_drop_without_docs_is_said_to_have_none(api_server: TestClient, bucket: str) -> None:
    answer = api_server.get("/lookbook/data-docs/2026-11-23/index.html", headers=login())
    assert answer.status_code == 404
    assert answer.json()["detail"].startswith("Drop 2026-11-23 has no page index.html in its Data Docs")


def ended(partition_key: str | None, drop: str | None) -> Any:
    """A task instance that has ended, in a run of a drop."""
    context = {"dag_run": SimpleNamespace(partition_key=partition_key), "params": {"drop": drop}}
    return SimpleNamespace(get_template_context=lambda: context)


@pytest.mark.parametrize("run", [ended(DROP_ID, None), ended(None, DROP_ID)], ids=["partition key", "parameter"])
def test_the_link_leads_to_the_docs_of_the_drop_of_the_run(run: Any) -> None:
    assert DataDocsLink().get_link(None, ti_key=run) == f"/lookbook/data-docs/{DROP_ID}/index.html"


def test_a_link_holds_below_a_path_of_the_server(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__API__BASE_URL", "https://shop.example/airflow/")
    assert page_path("data-docs", "a/b") == "/airflow/lookbook/data-docs/a%2Fb"


def test_a_viewer_reads_the_page_of_an_evaluation_which_can_run_nothing(api_server: TestClient, bucket: str) -> None:
    storage.write_bytes("s3://lookbook/training/jobs/lookbook-evaluate-1/evaluation.html", b"<h1>Evaluation</h1>")
    answer = api_server.get("/lookbook/evaluations/lookbook-evaluate-1", headers=login())
    assert (answer.status_code, answer.text) == (200, "<h1>Evaluation</h1>")
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert answer.headers["content-security-policy"].startswith("default-src 'none'")
    assert api_server.get("/lookbook/evaluations/lookbook-evaluate-1").status_code == 401


@pytest.mark.parametrize("name", ["lookbook-evaluate-2", "lookbook-train-1", "..%2flookbook-evaluate-1", "%2e%2e"])
def test_what_is_no_evaluation_has_no_page(api_server: TestClient, bucket: str, name: str) -> None:
    storage.write_bytes("s3://lookbook/training/jobs/lookbook-train-1/evaluation.html", b"secret")
    answer = api_server.get(f"/lookbook/evaluations/{name}", headers=login())
    assert answer.status_code == 404 and "secret" not in answer.text


def test_the_link_of_a_gate_leads_to_the_page_of_the_job_that_it_judged() -> None:
    run = SimpleNamespace(xcom_pull=lambda task_ids: {"job_name": f"lookbook-{task_ids}-1"})
    assert EvaluationLink("evaluate").get_link(None, ti_key=run) == "/lookbook/evaluations/lookbook-evaluate-1"


def test_a_viewer_reads_what_housekeeping_planned(api_server: TestClient, bucket: str) -> None:
    storage.write_bytes("s3://lookbook/housekeeping/run-1/models/page.html", b"<h1>To go</h1>")
    storage.write_bytes("s3://lookbook/housekeeping/run-1/secret/page.html", b"secret")
    page = HousekeepingLink("models", "Plan").get_link(None, ti_key=SimpleNamespace(run_id="run-1"))
    answer = api_server.get(page, headers=login())
    assert (answer.status_code, answer.text) == (200, "<h1>To go</h1>")
    assert api_server.get(page).status_code == 401
    assert api_server.get(page.replace("models", "secret"), headers=login()).status_code == 404


FOUND = f"/lookbook/findings/{DROP_ID}"
HOSTILE = "<script>alert(1)</script>"


def finding(product_id: str, attribute: str = "Fabric", model_value: str = "Linen", **columns: Any) -> dict[str, Any]:
    row = {"drop_id": DROP_ID, "product_id": product_id, "attribute": attribute, "catalogue_value": "Cotton"}
    picture = f"s3://lookbook/drops/{DROP_ID}/images/{product_id}.jpg"
    seen = {"probability": 0.9, "threshold": 0.7, "picture_uri": picture, "first_seen_run": "run-1"}
    return {**row, **seen, "model_value": model_value, "article_type": "Shirts", **columns}


@pytest.fixture
def findings(bucket: str) -> None:
    """Findings of 61 products: of Fabric, and one of another attribute with a value that nobody should believe."""
    rows = [*(finding(str(number)) for number in range(60)), finding("60", HOSTILE, f'"{HOSTILE}')]
    other = finding("61", drop_id="2026-11-09")
    tables.replace("quality.findings", pa.Table.from_pylist([*rows, other], schema=FINDINGS), "drop_id is not null")
    columns = ("drop_id", "product_id", "picture_uri")
    products = [{name: row[name] for name in columns} for row in [*rows, other]]
    tables.replace("catalog.products", pa.Table.from_pylist(products, schema=PRODUCTS), "drop_id is not null")
    for number, content in (("60", b"\xff\xd8\xff picture"), ("1", b"<html>"), ("61", b"\xff\xd8\xff other")):
        storage.write_bytes(f"s3://lookbook/drops/{DROP_ID}/images/{number}.jpg", content)


def test_findings_are_counted_by_drop_by_attribute_and_by_pair_of_values(
    api_server: TestClient, findings: None
) -> None:
    overview = api_server.get("/lookbook/findings", headers=login())
    assert f'<a href="findings/{DROP_ID}">{DROP_ID}</a></td><td>61</td>' in overview.text
    page = api_server.get(FOUND, headers=login()).text
    assert "61 findings of 61 products" in page
    assert f'<a href="{DROP_ID}?attribute=Fabric&amp;page=1">Fabric</a></td><td>60</td>' in page
    assert "<td>Cotton</td><td>Linen</td><td>" in page


def test_the_products_of_one_attribute_come_page_by_page(api_server: TestClient, findings: None) -> None:
    first = api_server.get(f"{FOUND}?attribute=Fabric", headers=login()).text
    second = api_server.get(f"{FOUND}?attribute=Fabric&page=2", headers=login()).text
    assert (first.count("<img"), second.count("<img")) == (50, 10)
    assert "Page 1 of 2" in first and "attribute=Fabric&amp;page=2" in first
    assert api_server.get(f"{FOUND}?page=0", headers=login()).status_code == 422


def test_nothing_that_a_drop_says_is_markup_on_the_page_of_findings(api_server: TestClient, findings: None) -> None:
    answer = api_server.get(f"{FOUND}?attribute={HOSTILE}", headers=login())
    assert HOSTILE not in answer.text and "&lt;script&gt;alert(1)&lt;/script&gt;" in answer.text
    policy = dict(rule.split(" ", 1) for rule in answer.headers["content-security-policy"].split("; "))
    assert (policy["default-src"], policy["img-src"]) == ("'none'", "'self'") and "script-src" not in policy


def test_findings_are_downloaded_as_csv(api_server: TestClient, findings: None) -> None:
    answer = api_server.get(f"{FOUND}/findings.csv?attribute=Fabric", headers=login())
    assert len(answer.content.splitlines()) == 61
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert answer.headers["content-disposition"] == 'attachment; filename="findings.csv"'


def test_the_picture_of_a_published_product_is_shown_and_no_other_file(api_server: TestClient, findings: None) -> None:
    picture = f"/lookbook/pictures/{DROP_ID}"
    shown = api_server.get(f"{picture}/60", headers=login())
    assert (shown.status_code, shown.headers["content-type"]) == (200, "image/jpeg")
    assert shown.headers["content-security-policy"] == "default-src 'none'; sandbox"
    assert f'src="../pictures/{DROP_ID}/60"' in api_server.get(f"{FOUND}?attribute={HOSTILE}", headers=login()).text
    for other in ("1", "2", "61", "..%2f60", "60%2f..%2f61"):  # no picture, absent, of another drop
        assert api_server.get(f"{picture}/{other}", headers=login()).status_code == 404
    assert api_server.get(f"{picture}/60").status_code == 401


def test_findings_are_shown_to_nobody_who_is_not_logged_in(api_server: TestClient, findings: None) -> None:
    for path in ("/lookbook/findings", FOUND, f"{FOUND}/findings.csv"):
        assert api_server.get(path).status_code == 401
        assert api_server.get(path, headers=login(role=None)).status_code == 403


def test_a_drop_without_findings_says_so(api_server: TestClient, findings: None) -> None:
    for name in ("2020-01-06", "nonsense", "%3Cscript%3E"):
        answer = api_server.get(f"/lookbook/findings/{name}", headers=login())
        assert (answer.status_code, "<script>" in answer.text) == (200, False)
        assert "0 findings of 0 products" in answer.text


def test_the_link_to_findings_leads_to_those_of_the_drop() -> None:
    task = SimpleNamespace(task_id="report", xcom_pull=lambda task_ids: {"drop_id": DROP_ID} if task_ids else None)
    assert FindingsLink().get_link(None, ti_key=task) == FOUND
    failed = SimpleNamespace(task_id="report", xcom_pull=lambda task_ids: None)
    assert FindingsLink().get_link(None, ti_key=failed) == "/lookbook/findings"


def test_a_viewer_reads_how_a_challenger_compared(api_server: TestClient, bucket: str) -> None:
    run_id = "manual__2026-11-21T09:00:00+00:00"
    storage.write_bytes(shadow_page.uri(shadow.root_of(run_id)), b"<h1>v2 beside v1</h1>")
    path = ShadowLink().get_link(None, ti_key=SimpleNamespace(run_id=run_id))
    answer = api_server.get(path, headers=login())
    assert (answer.status_code, answer.text) == (200, "<h1>v2 beside v1</h1>")
    assert api_server.get(path).status_code == 401
    assert api_server.get("/lookbook/shadows/manual__2", headers=login()).status_code == 404
