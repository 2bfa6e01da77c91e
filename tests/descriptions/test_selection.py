"""What lies in several drops is described by a run for each."""

from __future__ import annotations

from typing import Any

import pytest
from tests.descriptions.conftest import DROP, describe_all, planned_items, product, publish_products

from lookbook.descriptions import planning, selection
from lookbook.descriptions.selection import Asked
from lookbook.errors import PermanentError

pytestmark = pytest.mark.usefixtures("aws_server")

BEFORE = "2026-11-09"


@pytest.fixture
def two_drops(aws_server: str) -> None:
    publish_products(product("1", BEFORE), product("2", BEFORE), drop_id=BEFORE)
    publish_products(product("2"), product("3"))


def runs(asked: Asked) -> list[tuple[str, dict[str, Any]]]:
    return [(run["trigger_run_id"], run["conf"]) for run in selection.runs_of(asked, "manual__x")]


def conf(drop: str, *product_ids: str, redrive: str = "none", mode: str = "auto") -> dict[str, Any]:
    return {"drop": drop, "product_ids": list(product_ids), "redrive": redrive, "mode": mode}


def test_ids_in_several_drops_are_described_by_a_run_for_each_in_its_newest(two_drops: None) -> None:
    assert runs(Asked(None, ("3", "1", "2"), mode="sharded")) == [
        (f"manual__x__{DROP}", conf(DROP, "2", "3", mode="sharded")),
        (f"manual__x__{BEFORE}", conf(BEFORE, "1", mode="sharded")),
    ]


@pytest.mark.parametrize("asked", [Asked(None, ("2", "3")), Asked(BEFORE, ("1", "2")), Asked(DROP, redrive="both")])
def test_a_run_about_one_drop_starts_no_other(two_drops: None, asked: Asked) -> None:
    assert runs(asked) == []


def test_an_id_that_no_drop_has_is_refused(two_drops: None) -> None:
    with pytest.raises(PermanentError, match=r"No drop in the catalogue has product 77, 78 \(2 of 3 ids\)"):
        runs(Asked(None, ("1", "77", "78")))


def test_what_is_stale_is_described_by_a_run_for_each_drop_that_has_some(two_drops: None) -> None:
    describe_all("published", *planned_items(BEFORE))
    assert runs(Asked(None, stale=True)) == [(f"manual__x__{DROP}", conf(DROP))]


def test_what_waits_for_a_redrive_is_found_in_every_drop(two_drops: None) -> None:
    describe_all("withheld", *planned_items(BEFORE))
    describe_all("published", *planned_items())
    assert runs(Asked(None, redrive="withheld")) == [(f"manual__x__{BEFORE}", conf(BEFORE, redrive="withheld"))]
    assert runs(Asked(None, redrive="failed")) == []


def test_a_run_that_starts_others_or_finds_nothing_describes_nothing_itself(two_drops: None) -> None:
    assert planning.plan_run(Asked(None, ("1", "3")), [conf(DROP), conf(BEFORE)], "r") is None
    assert planning.plan_run(Asked(None, redrive="failed"), [], "r") is None
    planned = planning.plan_run(Asked(None, ("2",)), [], "r")
    assert planned is not None and (planned.drop_id, len(planned.products)) == (DROP, 1)


def test_a_run_knows_what_it_was_started_for() -> None:
    params = {"product_ids": ["1"], "stale": False, "redrive": "both", "mode": "batch", "drop": None}
    assert Asked.of(DROP, params) == Asked(DROP, ("1",), stale=False, redrive="both", mode="batch")
