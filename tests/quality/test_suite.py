from __future__ import annotations

import re
from pathlib import Path

import pandas as pd
import pytest

from lookbook import drops
from lookbook.catalog.schemas import CANDIDATES
from lookbook.errors import PermanentError
from lookbook.quality import checkpoint, frame, validating
from lookbook.quality.data_docs import site
from lookbook.quality.suites import v1


def test_every_expectation_says_how_severe_it_is_and_what_it_means() -> None:
    for expectation in v1.expectations("2026-11-16", {"Shirts": 80, "Tops": 3}, {"gender": {"Men": 1.0}}):
        meta = expectation.meta or {}
        assert meta["severity"] in ("reject_drop", "reject_row", "warn")
        assert meta["says"]
        assert ("code" in meta) != ("code_from" in meta)


def test_codes_are_told_once() -> None:
    metas = [
        expectation.meta or {}
        for expectation in v1.expectations("2026-11-16", {"Shirts": 80, "Tops": 3}, {"gender": {"Men": 1.0}})
    ]
    # Low coverage is one reason, whichever attribute of whichever article type it is about.
    codes = [code for meta in metas if (code := meta.get("code") or meta["code_from"]) != "low_coverage"]
    assert len(set(codes)) == len(codes)


def test_the_suite_that_is_reported_is_the_suite_that_ran() -> None:
    assert validating.SUITE == v1.VERSION


def test_an_expectation_that_cannot_be_evaluated_is_an_error_not_a_pass(tmp_path: Path) -> None:
    with pytest.raises(PermanentError, match="could not be evaluated"):
        table = pd.DataFrame({"drop_id": ["2026-11-16"], "article_type": ["Shirts"]})
        checkpoint.run(table, "2026-11-16", "run", site.config(tmp_path, None), None)


def test_the_frame_has_every_column_that_the_suite_looks_at() -> None:
    table = frame.build(CANDIDATES.empty_table())
    every = {name: 1000 for name in v1.limits()["coverage"]["stated"]}
    shares = {column: {"Men": 1.0} for column in v1.limits()["drift"]["most"]}
    columns = {getattr(one, "column", "drop_id") for one in v1.expectations("2026-11-16", every, shares)}
    assert columns <= set(table.columns)


DOCS = Path(__file__).resolve().parents[2] / "docs"
SEVERITIES = {"reject_row": "**A row is rejected**", "reject_drop": "**The drop is refused**", "warn": "**A warning**"}
# The codes that the reader writes into the columns which hold them: it knows best why it could not read something.
READERS_CODES = {
    "row_problem": {"too_few_fields", "bad_product_id", "bad_year"},
    "picture_problem": {"picture_missing", "picture_unreadable", "picture_too_large"},
    "styles_problem": {"json_missing", "json_unreadable", "json_of_another_product", "json_too_large"},
}


def documented(severity: str) -> set[str]:
    """The codes that the data contract lists under a severity: the first column of the table that follows."""
    reasons = (DOCS / "data-contract.md").read_text().split("## Reasons")[1].split("\n## ")[0]
    table = reasons.split(SEVERITIES[severity])[1].split("\n\n")[1]
    rows = [line for line in table.splitlines() if line.startswith("| `")]
    return {code for row in rows for code in re.findall(r"`(\w+)`", row.split("|")[1])}


@pytest.mark.parametrize("severity", SEVERITIES)
def test_the_data_contract_lists_each_code_under_its_severity_and_no_other(severity: str) -> None:
    every = {name: 1000 for name in v1.limits()["coverage"]["stated"]}
    shares = {column: {"Men": 1.0} for column in v1.limits()["drift"]["most"]}
    metas = [one.meta or {} for one in v1.expectations("2026-11-16", every, shares)]
    codes: set[str] = set()
    for meta in (meta for meta in metas if meta["severity"] == severity):
        codes |= {meta["code"]} if "code" in meta else READERS_CODES[meta["code_from"]]
    assert documented(severity) == codes


def test_the_reader_has_no_other_codes() -> None:
    reader = Path(drops.__file__).parent
    lines = set(re.findall(r'"((?:too_few|bad)_\w+)"', (reader / "lines.py").read_text()))
    files = {code for path in reader.glob("*.py") for code in re.findall(r'problem="(\w+)"', path.read_text())}
    assert lines == READERS_CODES["row_problem"]
    assert files == READERS_CODES["picture_problem"] | READERS_CODES["styles_problem"]
