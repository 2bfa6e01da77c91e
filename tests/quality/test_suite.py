from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from lookbook.errors import PermanentError
from lookbook.quality import checkpoint, validating
from lookbook.quality.suites import v1


def test_every_expectation_says_how_severe_it_is_and_what_it_means() -> None:
    for expectation in v1.expectations("2026-11-16"):
        meta = expectation.meta or {}
        assert meta["severity"] in ("reject_drop", "reject_row", "warn")
        assert meta["says"]
        assert ("code" in meta) != ("code_from" in meta)


def test_codes_are_told_once() -> None:
    metas = [expectation.meta or {} for expectation in v1.expectations("2026-11-16")]
    codes = [meta.get("code") or meta["code_from"] for meta in metas]
    assert len(set(codes)) == len(codes)


def test_the_suite_that_is_reported_is_the_suite_that_ran() -> None:
    assert validating.SUITE == v1.VERSION


def test_an_expectation_that_cannot_be_evaluated_is_an_error_not_a_pass(tmp_path: Path) -> None:
    with pytest.raises(PermanentError, match="could not be evaluated"):
        checkpoint.run(pd.DataFrame({"drop_id": ["2026-11-16"]}), "2026-11-16", "run", tmp_path)
