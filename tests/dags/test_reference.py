"""The generated pages say what the code says."""

from __future__ import annotations

from pathlib import Path

from airflow.dag_processing.dagbag import DagBag

from lookbook import settings
from lookbook_airflow import reference

ROOT = Path(__file__).resolve().parents[2]


def test_the_dag_reference_is_up_to_date() -> None:
    bag = DagBag(dag_folder=str(ROOT / "dags"))
    assert (ROOT / "docs" / "dags.md").read_text() == reference.as_markdown(bag.dags), "run `make docs`"


def test_the_settings_page_is_up_to_date() -> None:
    assert (ROOT / "docs" / "settings.md").read_text() == settings.as_markdown(), "run `make docs`"
