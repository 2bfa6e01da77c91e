"""The pages that Great Expectations makes of a validation, as they lie in S3 and as a browser shows them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote

import pyarrow as pa
import pytest
from selectolax.lexbor import LexborHTMLParser
from tests import browsing
from tests.quality.test_validating import DOCS, DROP_ID, candidate, validate

from lookbook import storage
from lookbook.catalog.schemas import CANDIDATES
from lookbook.errors import PermanentError
from lookbook.quality import checkpoint, frame
from lookbook.quality.data_docs import site, store
from lookbook.quality.suites import v1

TASK = "http://localhost:8080/dags/ingest_drop/runs/a%2Bb/tasks/validate?try_number=1"
HOSTILE = "<img src='https://evil.example/x.png' onerror='document.title=\"owned\"'>"
ARTICLE_TYPES = {"Shirts": 67}
EARLIER = {"gender": {"Men": 0.5, "Women": 0.5}}


@pytest.fixture(scope="module")
def docs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The pages of a drop in which every kind of expectation fails, and whose values mean harm."""
    bad = [
        {"picture_problem": "picture_missing"},
        {"row_problem": "too_few_fields"},
        {"display_name": None},
        {"drop_id": "2026-11-09"},
        {"article_type": HOSTILE},
        {"season": "</td></tr></table><script>document.title='owned'</script>"},
        {"styles_problem": "json_missing"},
    ]
    rows = [candidate(n, **fields) for n, fields in enumerate(bad)] + [candidate(n) for n in range(10, 70)]
    directory = tmp_path_factory.mktemp("docs")
    table = frame.build(pa.Table.from_pylist(rows, schema=CANDIDATES))
    checkpoint.run(table, DROP_ID, "0123456789abcdef", site.config(directory, TASK), EARLIER)
    return directory


@pytest.fixture(scope="module")
def results(docs: Path) -> LexborHTMLParser:
    (page,) = docs.glob("validations/**/*.html")
    return LexborHTMLParser(page.read_text())


def rows_of(page: LexborHTMLParser) -> list[tuple[str, ...]]:
    """Status, severity, reason code and meaning of each expectation, as the page of results shows them."""
    rows = page.css("table.table[data-toggle=table] > tbody > tr:has(.severity)")
    return [tuple(cell.text(strip=True) for cell in row.css("td")[:4]) for row in rows]


def test_each_expectation_is_shown_with_its_severity_its_reason_and_what_it_means(results: LexborHTMLParser) -> None:
    words = {"reject_drop": "rejects the drop", "reject_row": "rejects the row", "warn": "warns"}
    metas = [one.meta or {} for one in v1.expectations(DROP_ID, ARTICLE_TYPES, EARLIER)]
    expected = [(words[meta["severity"]], meta.get("code", "the unexpected value"), meta["says"]) for meta in metas]
    assert sorted(row[1:] for row in rows_of(results)) == sorted(expected)


def test_what_is_not_met_is_told_from_what_is(results: LexborHTMLParser) -> None:
    failed = {row.css("td")[2].text(strip=True) for row in results.css("tr:has(> td .fa-times)")}
    assert {"other_drop", "missing_display_name", "unknown_article_type", "drift_gender", "low_coverage"} <= failed
    assert not {"no_rows", "duplicate_id", "unknown_usage"} & failed


def test_the_codes_that_a_column_holds_are_counted(results: LexborHTMLParser) -> None:
    cells = [[cell.text(strip=True) for cell in row.css("td")] for row in results.css("td table tr")]
    assert ["picture_missing", "1", "0"] in cells
    assert ["too_few_fields", "1", "1"] in cells


def test_drift_is_drawn_without_a_script(results: LexborHTMLParser) -> None:
    bars = {bar.css_first("th").text(): bar.css_first("meter") for bar in results.css(".bars tr")}
    assert {"Men", "Women"} <= set(bars)
    assert float(bars["Women"].attributes["value"] or "nan") <= 0.5


def test_the_page_of_the_suite_says_the_same_of_each_expectation(docs: Path) -> None:
    page = LexborHTMLParser((docs / "expectations" / "v1.html").read_text())
    notes = {note.text(strip=True) for note in page.css(".note p")}
    assert "Severity: rejects the drop. Reason code: no_rows. Meaning: the drop has no rows." in notes
    assert "Severity: rejects the row. Reason code: the unexpected value. Meaning: the picture cannot be used." in notes


def test_the_pages_need_nothing_but_themselves(docs: Path) -> None:
    pages = sorted(docs.rglob("*.html"))
    assert len(pages) == 3
    for path in pages:
        page = LexborHTMLParser(path.read_text())
        assert not page.css("script, img, iframe, object, embed, [onclick], [onerror], link[rel=stylesheet]")
        assert "@import" not in path.read_text() and "url(" not in path.read_text()
        for link in page.css("[href]"):
            target = unquote(link.attributes["href"] or "")
            assert target in (unquote(TASK), "data:,") or leads_to_a_page(target, path, docs), target


def leads_to_a_page(target: str, page: Path, docs: Path) -> bool:
    """Whether a link leads to a page of the same docs, and to something on it."""
    name, _, anchor = target.partition("#")
    found = (page.parent / name).resolve() if name else page
    if not found.is_relative_to(docs.resolve()) or not found.is_file():
        return False
    return not anchor or LexborHTMLParser(found.read_text()).css_first(f"#{anchor}") is not None


def test_a_value_of_the_drop_is_text_and_never_markup(results: LexborHTMLParser) -> None:
    shown = {cell.text(strip=True) for cell in results.css("td td")}
    assert HOSTILE in shown
    assert "</td></tr></table><script>document.title='owned'</script>" in shown


def test_the_pages_lead_back_to_the_task(results: LexborHTMLParser) -> None:
    assert [link.attributes["href"] for link in results.css("header a")] == ["../../../../index.html", TASK]


def test_a_page_does_not_grow_with_the_rows_that_fail(bucket: str) -> None:
    odd = {"styles_problem": "json_missing", "season": "Monsoon"}
    sizes = []
    for rows in (50, 1500):
        validate(*[odd] * rows, good=0)
        sizes.append(sum(stored.size for stored in storage.list_objects(DOCS)))
    assert abs(sizes[1] - sizes[0]) < 500


def test_a_page_that_could_not_be_made_is_an_error(tmp_path: Path, bucket: str) -> None:
    (tmp_path / "index.html").write_text("<html></html>")
    with pytest.raises(PermanentError, match="made no expectations, validations in the Data Docs of drop 2026-11-16"):
        store.publish(tmp_path, DROP_ID)
    assert list(storage.list_objects(DOCS)) == []


@pytest.mark.parametrize("drop", ["2026-11-16/..", "..", "", "2026-11-16\n", "２０２６-11-16"])
def test_a_page_is_read_for_a_drop_alone(bucket: str, drop: str) -> None:
    with pytest.raises(store.PageNotFoundError, match="asked for by a drop's Monday"):
        store.page(drop, "index.html")


@pytest.mark.parametrize(
    "name", ["../x.html", "a/../../x.html", ".x.html", "/x.html", "a//x.html", "x.css", "x.html\n"]
)
def test_a_page_is_read_from_its_own_folder_alone(bucket: str, name: str) -> None:
    with pytest.raises(store.PageNotFoundError, match="asked for by a drop's Monday"):
        store.page(DROP_ID, name)


@pytest.fixture(scope="module")
def browser() -> Iterator[object]:
    with browsing.browser() as browser:
        yield browser


def test_a_browser_shows_it_styled_and_asks_for_nothing_else(docs: Path, browser: object) -> None:
    (path,) = docs.glob("validations/**/*.html")
    page = browser.new_page()  # type: ignore[attr-defined]
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(path.as_uri(), wait_until="networkidle")
    assert asked == [path.as_uri()]
    assert page.title() != "owned"
    assert page.locator("img").count() == 0
    severity = page.locator(".severity.reject_row").first
    assert severity.evaluate("it => getComputedStyle(it).fontWeight") == "600"
    assert page.locator("header").evaluate("it => getComputedStyle(it).position") == "sticky"
    page.close()


def test_what_is_met_can_be_folded_away_without_a_script(docs: Path, browser: object) -> None:
    (path,) = docs.glob("validations/**/*.html")
    page = browser.new_context(java_script_enabled=False).new_page()  # type: ignore[attr-defined]
    page.goto(path.as_uri())
    met, failed = page.get_by_text("duplicate_id"), page.get_by_text("missing_display_name")
    assert met.is_visible() and failed.is_visible()
    page.check("#failed-only")
    assert not met.is_visible() and failed.is_visible()
    page.context.close()
