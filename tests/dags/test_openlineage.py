"""The DAGs use no operator that leaves lineage records and that OpenLineage is not told of."""

from __future__ import annotations

import inspect
from pathlib import Path

import pytest
from airflow.dag_processing.dagbag import DagBag
from airflow.sdk.bases.operator import BaseOperator
from airflow.sdk.definitions.mappedoperator import MappedOperator

from lookbook_airflow.openlineage import RecordExtractor

DAGS = Path(__file__).resolve().parents[2] / "dags"


@pytest.fixture(scope="module")
def operators() -> set[type[BaseOperator]]:
    bag = DagBag(dag_folder=str(DAGS))
    assert bag.import_errors == {}
    tasks = [task for dag in bag.dags.values() for task in dag.tasks]
    return {task.operator_class if isinstance(task, MappedOperator) else type(task) for task in tasks}


def leaves_records(operator: type[BaseOperator]) -> bool:
    """Return whether an operator, or one that it extends, opens a record around its work."""
    modules = {base.__module__ for base in operator.__mro__ if base.__module__.startswith("lookbook_airflow")}
    sources = [inspect.getsource(__import__(name, fromlist=["_"])) for name in modules]
    return operator.__name__.startswith("_") or any("with traced(" in source for source in sources)


def test_openlineage_is_told_of_every_operator_that_leaves_records(operators: set[type[BaseOperator]]) -> None:
    told = set(RecordExtractor.get_operator_classnames())
    assert {one.__name__ for one in operators if leaves_records(one)} - told == set()


def test_openlineage_asks_for_no_operator_that_there_is_not(operators: set[type[BaseOperator]]) -> None:
    bases = {base.__name__ for one in operators for base in one.__mro__}
    assert set(RecordExtractor.get_operator_classnames()) - bases == set()
