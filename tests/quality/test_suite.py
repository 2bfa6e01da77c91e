from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

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
