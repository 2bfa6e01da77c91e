"""What all Lineage pages share: the frame around them, how values are written, and where links lead."""

from __future__ import annotations

import base64
import hashlib
from datetime import UTC, datetime, timedelta

import pytest
from selectolax.lexbor import LexborHTMLParser

from lookbook.lineage.pages import SCRIPT_SOURCE, Crumb, Links, layout, render
from lookbook.lineage.pages.layout import Section

HOSTILE = "<script>alert(1)</script>"
RUN = "scheduled__2026-11-16T00:00:00+00:00"


def missing(why: str = "gone", active: Section | None = "drops", crumbs: tuple[Crumb, ...] = ()) -> LexborHTMLParser:
    """The shortest of the pages."""
    links = Links("/airflow")
    return LexborHTMLParser(render("missing.html", title=why, active=active, links=links, crumbs=crumbs, why=why))


def test_a_page_needs_nothing_but_itself_and_runs_one_script_of_ours() -> None:
    page = missing()
    assert not page.css("img, iframe, link[rel=stylesheet], script[src], [onclick], [onload]")
    [script] = page.css("script")
    checksum = base64.b64encode(hashlib.sha256(script.text().encode()).digest()).decode()
    assert f"'sha256-{checksum}'" == SCRIPT_SOURCE, "else the browser would refuse it"
    [style] = page.css("style")
    assert "url(" not in style.text() and "@import" not in style.text()


def test_a_value_is_text_and_never_markup() -> None:
    page = missing(HOSTILE)
    assert page.css_first("main p").text() == page.css_first("h1").text(strip=True) == HOSTILE
    assert len(page.css("script")) == 1


def test_a_page_says_where_it_is() -> None:
    page = missing(crumbs=(Crumb("Drops", "/drops"), Crumb("2026-11-16")))
    [active] = page.css("header li a.active")
    assert (active.text(), active.attributes["aria-current"]) == ("Drops", "true")
    assert [(step.text(), step.attributes.get("href")) for step in page.css(".crumbs li > *")] == [
        ("Lineage", "/airflow/lookbook/lineage"),
        ("Drops", "/drops"),
        ("2026-11-16", None),
    ]


def test_the_keyboard_gets_past_the_navigation() -> None:
    page = missing()
    skip = page.css_first("body > a")
    assert page.css_first(skip.attributes["href"] or "").tag == "main"
    assert page.css_first("label[for=find]") and page.css_first("#find")


def test_a_tab_of_a_run_has_no_navigation_of_its_own() -> None:
    assert not missing(active=None).css("header, .crumbs")


def test_a_link_holds_below_any_path_and_for_any_id() -> None:
    links = Links("/airflow")
    assert links.run("ingest_drop", RUN).endswith("/runs/scheduled__2026-11-16T00%3A00%3A00%2B00%3A00")
    assert links.log("d", "r", "t", 3) == "/airflow/dags/d/runs/r/tasks/t/mapped/3"
    assert links.log("d", "r", "t") == "/airflow/dags/d/runs/r/tasks/t"
    assert links.product("1/2", "2026-11-16") == "/airflow/lookbook/lineage/products/1%2F2?drop=2026-11-16"
    assert links.product("1") == "/airflow/lookbook/lineage/products/1"
    assert Links().page("drops") == "/lookbook/lineage/drops"


@pytest.mark.parametrize(
    ("amount", "written"),
    [
        (None, "–"),
        (0.0, "$0.00"),
        (12.5, "$12.50"),
        (1234.5, "$1,234.50"),
        (0.5, "$0.50"),
        (0.000408, "$0.00041"),
        (2e-6, "$0.000002"),
    ],
)
def test_money_is_written_to_two_digits_that_say_something(amount: float | None, written: str) -> None:
    assert layout.usd(amount) == written


@pytest.mark.parametrize(
    ("duration", "written"),
    [
        (None, "–"),
        (timedelta(seconds=0.25), "0.2 s"),
        (timedelta(seconds=59.99), "60.0 s"),
        (timedelta(seconds=61), "1 min 1 s"),
        (timedelta(hours=3, minutes=20, seconds=31), "3 h 20 min"),
    ],
)
def test_a_duration_is_written_in_two_units(duration: timedelta | None, written: str) -> None:
    assert layout.took(duration) == written


def test_a_time_is_written_in_utc_with_the_exact_one_for_machines() -> None:
    moment = datetime.fromisoformat("2026-11-16T01:30:15+01:00")
    assert layout.when(moment) == layout.when("2026-11-16T00:30:15+00:00")
    assert ">2026-11-16 00:30 UTC</time>" in layout.when(moment) and layout.when(None) == "–"
    assert f'datetime="{moment.astimezone(UTC).isoformat()}"' in layout.when(moment)


def test_a_version_is_cut_and_its_title_has_all_of_it() -> None:
    arn = "arn:aws:sagemaker:us-east-1:000000000000:model-package/lookbook-attributes/7"
    assert layout.short(arn) == f'<code title="{arn}">model-package/lookbook-attr…</code>'
    assert layout.short(HOSTILE) == (
        '<code title="&lt;script&gt;alert(1)&lt;/script&gt;">&lt;script&gt;alert(1)&lt;/script&gt;</code>'
    )
    assert layout.short(None) == "–"
