"""The Grafana dashboard: it can be imported, and shows only what somebody measures."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from importlib.resources import files
from typing import Any

import pytest
import yaml

from laptop.places import REPOSITORY
from lookbook.metrics import METRICS

# What PromQL puts behind the name of a timer.
TIMER_SUFFIX = re.compile(r"_(sum|count)$")
OURS = {f"airflow_{metric.name.replace('.', '_')}" for metric in METRICS}


@pytest.fixture(scope="module")
def dashboard() -> dict[str, Any]:
    return json.loads((REPOSITORY / "docs/grafana/lookbook.json").read_text())


def queries(dashboard: dict[str, Any]) -> Iterator[str]:
    for panel in dashboard["panels"]:
        yield from (target["expr"] for target in panel.get("targets", []))


def shown(dashboard: dict[str, Any]) -> set[str]:
    return {name for query in queries(dashboard) for name in re.findall(r"airflow_\w+", query)}


def airflows_own() -> set[str]:
    """Return what Airflow says that it measures, by the names that Prometheus gets from statsd_exporter."""
    listed = files("airflow.sdk._shared.observability.metrics") / "metrics_template.yaml"
    return {f"airflow_{metric['name'].replace('.', '_')}" for metric in yaml.safe_load(listed.read_text())["metrics"]}


def test_every_metric_on_it_is_measured(dashboard: dict[str, Any]) -> None:
    names = {TIMER_SUFFIX.sub("", name) for name in shown(dashboard)}
    assert names - OURS <= airflows_own()


def test_every_number_of_lookbooks_is_on_it(dashboard: dict[str, Any]) -> None:
    assert shown(dashboard) >= OURS


def test_every_panel_has_an_id_of_its_own_and_a_place_where_no_other_is(dashboard: dict[str, Any]) -> None:
    panels = dashboard["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    taken = [
        (x, y)
        for place in (panel["gridPos"] for panel in panels)
        for x in range(place["x"], place["x"] + place["w"])
        for y in range(place["y"], place["y"] + place["h"])
    ]
    assert len(set(taken)) == len(taken)
    assert {x for x, _ in taken} <= set(range(24))


def test_whoever_imports_it_chooses_the_prometheus(dashboard: dict[str, Any]) -> None:
    assert dashboard["schemaVersion"] >= 39
    assert "id" not in dashboard  # it is the importing Grafana's to give
    chosen = {"type": "prometheus", "uid": "${datasource}"}
    variables = {variable["name"]: variable for variable in dashboard["templating"]["list"]}
    assert variables["datasource"]["query"] == "prometheus"
    drawn = [panel for panel in dashboard["panels"] if panel["type"] != "row"]
    assert all(panel["datasource"] == chosen for panel in drawn)
    assert all(target["datasource"] == chosen for panel in drawn for target in panel["targets"])


def test_every_variable_in_a_query_is_declared(dashboard: dict[str, Any]) -> None:
    declared = {variable["name"] for variable in dashboard["templating"]["list"]} | {"__rate_interval"}
    assert {name for query in queries(dashboard) for name in re.findall(r"\$\{?(\w+)", query)} <= declared


def test_the_documentation_lists_every_metric_with_its_kind_and_meaning() -> None:
    text = (REPOSITORY / "docs/metrics.md").read_text()
    for metric in METRICS:
        assert f"| `{metric.name}` | {metric.kind} | {metric.meaning} |" in text
