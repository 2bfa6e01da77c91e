"""What came of a run, in one line."""

from __future__ import annotations

from typing import Any

from lookbook.lineage.summaries import of_run


def record(task_id: str, *, cost: float | None = None, prompt: str | None = None, **said: Any) -> dict[str, Any]:
    """A record as it is stored: numbers are counts, texts are details."""
    return {
        "task": {"task_id": task_id},
        "finished_at": "2026-11-16T00:00:00+00:00",
        "inputs": [{"kind": "prompt", "name": prompt}] if prompt else [],
        "counts": {name: value for name, value in said.items() if isinstance(value, int)},
        "details": {name: value for name, value in said.items() if isinstance(value, str)},
        "cost_usd": cost,
    }


def test_an_ingest_says_what_became_of_the_rows() -> None:
    published = record("publish", rows=200, published=190, quarantined=10, added=190, removed=0, changed=0)
    assert of_run([published]) == "200 rows: 190 published, 10 quarantined; products: 190 added"


def test_a_drop_that_is_skipped_says_why() -> None:
    skipped = record("changed", decision="unchanged since run manual__1; run with Force to ingest it again")
    assert of_run([skipped]) == "the drop is unchanged since run manual__1; run with Force to ingest it again"


def test_a_run_that_describes_says_outcomes_cost_model_and_prompt() -> None:
    wrote = [record("describe", cost=0.035, prompt="product_description@2") for _ in range(2)]
    published = record(
        "publish", products=190, published=188, withheld=2, failed=0, facts_from="catalogue and model v3"
    )
    assert of_run([*wrote, published]) == (
        "190 products: 188 published, 2 withheld; facts from catalogue and model v3; 0.07 USD; "
        "prompt product_description@2"
    )


def test_a_retraining_says_what_the_gate_decided_and_else_why_it_did_not_train() -> None:
    waited = record("enough_new_pairs", training="3 new labelled pairs since model v1, 200 needed", new_pairs=3)
    assert of_run([waited]) == "3 new labelled pairs since model v1, 200 needed"
    assert of_run([waited, record("gate", gate_decision="Refused: not better")]) == "Refused: not better"


def test_housekeeping_says_what_is_gone() -> None:
    assert of_run([record("expire_models", checkpoints=3, endpoint_configs=1)]) == (
        "gone: 3 checkpoints, 1 endpoint configs"
    )


def test_a_run_that_counted_nothing_says_nothing() -> None:
    assert of_run([record("discover"), record("expire_tables")]) == ""
