"""What mapped tasks are called in the UI."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from airflow.sdk import dag, task

from lookbook_airflow.labels import SHARD_LABEL, labelled


def test_a_shards_task_is_named_by_what_it_does_and_then_by_its_counts(run_dag: Callable[..., Any]) -> None:
    @dag(schedule=None)
    def labels():
        @task(map_index_template=SHARD_LABEL)
        def describe(shard: dict) -> dict:
            if shard["label"] == "shard 2 of 2":
                raise ValueError
            return labelled(shard, {"published": 98, "withheld": 2, "failed": 0})

        describe.expand(shard=[{"label": "shard 1 of 2"}, {"label": "shard 2 of 2"}])

    run = run_dag(labels())
    names = {ti.map_index: ti.rendered_map_index for ti in run.get_task_instances()}
    assert names == {0: "shard 1 of 2: 98 published, 2 withheld", 1: "shard 2 of 2"}


def test_a_products_task_is_named_by_the_product_and_by_what_became_of_it(run_dag: Callable[..., Any]) -> None:
    @dag(schedule=None, params={"drop": "2026-11-16"})
    def labels():
        @task(map_index_template=SHARD_LABEL)
        def describe(shard: dict) -> dict:
            return labelled(shard, {"published": 0, "withheld": 1, "failed": 0})

        describe.expand(shard=[{"label": "38642 Moss Green Linen Shirt"}])

    (ti,) = [ti for ti in run_dag(labels()).get_task_instances() if ti.map_index == 0]
    assert ti.rendered_map_index == "38642 Moss Green Linen Shirt: withheld"
