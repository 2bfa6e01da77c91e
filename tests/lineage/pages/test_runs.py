"""The tabs of runs and task instances: what their records say together and each by itself."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from selectolax.lexbor import LexborHTMLParser
from tests.lineage import catalogue
from tests.lineage.catalogue import text

from lookbook.catalog import tables
from lookbook.lineage import records, store
from lookbook.lineage.pages import Links, runs
from lookbook.lineage.records import LineageRecord, TaskKey

pytestmark = pytest.mark.usefixtures("aws_server")

DAG, RUN, DROP = "describe_products", "scheduled__2026-11-16T00:00:00+00:00", "2026-11-16"
LINKS = Links("/airflow")
HOSTILE = "<script>alert(1)</script>"
NOON = datetime(2026, 11, 16, 12, tzinfo=UTC)


def ran(task_id: str, map_index: int = -1, minute: int = 0, usd: float | None = None, **counts: int) -> LineageRecord:
    """Leave the record of a task that read one table, wrote one object and worked for a minute."""
    with records.recording(TaskKey(DAG, RUN, task_id, map_index, drop_id=DROP)) as record:
        records.reads("table", "catalog.products", "77", partition=DROP)
        records.writes("object", f"s3://lookbook/{task_id}/{map_index}.json", "etag")
        records.counts(**counts)
        records.costs(usd)
    record.started_at, record.finished_at = (NOON + timedelta(minutes=minute + passed) for passed in (0, 1))
    store.save(record)
    return record


@pytest.fixture
def run() -> None:
    """A run that has collected its records: a plan, and a mapped task of two instances."""
    ran("plan", products=3)
    ran("describe", 0, minute=1, usd=0.25, published=2)
    ran("describe", 1, minute=2, usd=0.5, published=1)
    store.collect(DAG, RUN)


def cells(page: LexborHTMLParser, label: str) -> list[list[str]]:
    return [
        [cell.text(strip=True) for cell in row.css("th, td")] for row in page.css(f"[aria-label='{label}'] tbody tr")
    ]


def test_a_run_is_told_task_by_task_with_mapped_instances_added_up(run: None) -> None:
    page = LexborHTMLParser(runs.render_run(LINKS, DAG, RUN))
    assert cells(page, "Tasks") == [
        ["plan", "1", "1 min 0 s", "1", "1", "–", "products3"],
        ["describe", "2", "2 min 0 s", "1", "2", "$0.75", "published3"],
    ]
    assert [figure.css_first("dd").text() for figure in page.css(".figure")] == ["2", "3", "3 min 0 s", "$0.75"]
    assert not page.css("header"), "the UI has its own navigation around a tab"


def test_what_several_tasks_read_is_listed_once_with_their_names(run: None) -> None:
    page = LexborHTMLParser(runs.render_run(LINKS, DAG, RUN))
    assert cells(page, "Read: table") == [["catalog.products", "77", DROP, "–", "plan, describe"]]
    assert len(cells(page, "Wrote: object")) == 3


def test_a_run_that_wrote_thousands_of_objects_lists_the_first(monkeypatch: pytest.MonkeyPatch) -> None:
    for index in range(4):
        ran("describe", index)
    monkeypatch.setattr(runs, "SHOWN", 3)
    found = runs.listed(runs.find(DAG, RUN).records, "outputs")
    assert [(one.kind, one.number, len(one.datasets)) for one in found] == [("object", 4, 3)]


def test_a_run_that_is_still_going_shows_the_tasks_that_have_ended() -> None:
    ran("plan", products=3)
    found = runs.find(DAG, RUN)
    assert (found.collected, found.drop_id, len(found.records)) == (False, DROP, 1)
    page = LexborHTMLParser(runs.render_run(LINKS, DAG, RUN))
    assert page.css_first("[role=status] .chip").text() == "in progress"
    assert cells(page, "Tasks")[0][0] == "plan"


def test_a_collected_record_says_what_the_stored_one_said() -> None:
    ran("plan", usd=0.5, products=3)
    stored = runs.find(DAG, RUN).records
    store.collect(DAG, RUN)
    assert runs.find(DAG, RUN).records == stored


def test_a_run_without_records_says_so() -> None:
    page = LexborHTMLParser(runs.render_run(LINKS, DAG, RUN))
    assert "No task of this run has left a lineage record yet" in page.css_first("[role=status]").text()


def test_a_task_instance_is_told_by_itself(run: None) -> None:
    page = LexborHTMLParser(runs.render_task(LINKS, DAG, RUN, "describe", 1))
    assert [figure.text(strip=True) for figure in page.css(".figure")] == [
        "1 min 0 sworked",
        "$0.50at list prices",
        "1published",
    ]
    assert cells(page, "Wrote: object") == [["s3://lookbook/describe/1.json", "etag", "–", "–"]]
    assert page.css_first("h1").text() == "What describe [1] read and wrote"


def test_a_mapped_task_as_a_whole_lists_its_instances(run: None) -> None:
    page = LexborHTMLParser(runs.render_task(LINKS, DAG, RUN, "describe"))
    assert [row[0] for row in cells(page, "Instances")] == ["describe [0]", "describe [1]"]


@pytest.mark.parametrize(("task_id", "map_index"), [("describe", 7), ("publish", -1)])
def test_a_task_instance_without_a_record_says_why_that_may_be(run: None, task_id: str, map_index: int) -> None:
    page = LexborHTMLParser(runs.render_task(LINKS, DAG, RUN, task_id, map_index))
    assert page.css_first("[role=status]").text().startswith("This task instance left no lineage record:")


def test_the_products_that_a_run_described_are_linked_by_task_instance(run: None) -> None:
    made_by: dict[str, Any] = {"dag_id": DAG, "run_id": RUN, "task_id": "describe"}
    texts = [
        text(DROP, "1", "published", **made_by, map_index=0),
        text(DROP, "2", "withheld", **made_by, map_index=1),
        text(DROP, "3", "published", **made_by | {"run_id": "another"}, map_index=0),
    ]
    catalogue.replace_texts(DROP, texts)
    assert runs.described(DAG, RUN).statuses == {"published": 1, "withheld": 1}
    [product] = runs.described(DAG, RUN, "describe", 1).products
    assert product.product_id == "2"
    page = LexborHTMLParser(runs.render_run(LINKS, DAG, RUN))
    links = {link.attributes["href"] for link in page.css("[aria-label='Products that it described'] a")}
    assert links == {f"/airflow/lookbook/lineage/products/{product_id}?drop={DROP}" for product_id in "12"}


def test_a_record_that_is_older_than_its_columns_is_shown(run: None) -> None:
    old = tables.read("lineage.runs").to_pylist()[0] | {"code_version": None, "settings_sha256": None}
    assert runs._record({**old, "cost_usd": None, "inputs": None}).inputs == ()


def test_nothing_that_a_record_holds_is_markup() -> None:
    with records.recording(TaskKey(DAG, RUN, "plan", drop_id=DROP)) as record:
        records.reads("object", HOSTILE, HOSTILE, checksum=HOSTILE)
        records.details(**{HOSTILE: HOSTILE})
        records.counts(**{HOSTILE: 1})
    store.save(record)
    for page in (runs.render_run(LINKS, DAG, RUN), runs.render_task(LINKS, DAG, RUN, "plan")):
        assert HOSTILE not in page and "&lt;script&gt;" in page
