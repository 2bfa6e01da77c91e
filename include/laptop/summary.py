"""What a demo ends with: what went in, what the model learnt, what came out, and where three of them come from."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from laptop.airflow_api import AirflowApi, DagRun


@dataclass(frozen=True)
class Runs:
    """The three runs of a demo."""

    ingest: DagRun
    retrain: DagRun
    describe: DagRun


def lines(api: AirflowApi, runs: Runs) -> Iterator[str]:
    """Yield the summary, line by line."""
    published = api.xcom(runs.ingest, "publish")
    yield f"{published}"
