"""The numbers of a task reach StatsD or an OpenTelemetry collector, as Airflow's own settings say."""

from __future__ import annotations

import atexit
import gzip
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread
from typing import Any

import pytest
from airflow.sdk import DAG
from airflow.sdk._shared.observability.metrics.otel_logger import flush_otel_metrics
from airflow.sdk.observability import stats
from airflow.sdk.observability.metrics.stats_utils import get_stats_factory
from opentelemetry.metrics import get_meter_provider
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.metrics.v1.metrics_pb2 import AGGREGATION_TEMPORALITY_DELTA, Metric

from lookbook.lineage import records
from lookbook.lineage.records import TaskKey, recording
from lookbook_airflow.lineage import traced_task
from lookbook_airflow.metrics import emit


@contextmanager
def configured(**settings: str) -> Iterator[None]:
    """Have Airflow's metrics set up as a task process sets them up when it starts."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in settings.items():
            patch.setenv(name, value)
        stats.initialize(factory=get_stats_factory(), export_legacy_names=False)
        yield
    stats.initialize(factory=get_stats_factory(), export_legacy_names=False)


@pytest.fixture
def statsd() -> Iterator[Callable[[], set[str]]]:
    """A StatsD server: returns the lines that came in about Lookbook."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as listener:
        listener.bind(("127.0.0.1", 0))
        listener.setblocking(False)

        def received() -> set[str]:
            lines = set()
            while True:
                try:
                    lines.add(listener.recv(65536).decode())
                except BlockingIOError:
                    return {line for line in lines if line.startswith("airflow.lookbook.")}

        settings = {"ON": "True", "HOST": "127.0.0.1", "PORT": str(listener.getsockname()[1])}
        settings["INFLUXDB_ENABLED"] = "True"
        with configured(**{f"AIRFLOW__METRICS__STATSD_{name}": value for name, value in settings.items()}):
            yield received


@pytest.mark.usefixtures("aws_server")
def test_tasks_tell_statsd_what_they_published_and_what_they_paid_for(
    run_dag: Callable[..., Any], statsd: Callable[[], set[str]]
) -> None:
    with DAG("metrics_of_a_run", schedule=None, catchup=False) as dag:

        @traced_task
        def publish() -> None:
            """Publish."""
            records.writes("table", "catalog.products", 42)
            records.counts(rows=41, published=39, quarantined=2)

        @traced_task
        def describe() -> None:
            """Describe."""
            tokens = {"paid_input_tokens": 1000, "paid_output_tokens": 100, "paid_cached_tokens": 0}
            records.adds(paid_calls=1, paid_micro_usd=1200, **tokens)
            raise ValueError("the next product got no answer")

        publish()
        describe()

    assert run_dag(dag).state == "failed"
    tag = "dag_id=metrics_of_a_run"
    assert statsd() == {
        f"airflow.lookbook.products.read,{tag}:41|g",
        f"airflow.lookbook.products.published,{tag}:39|g",
        f"airflow.lookbook.products.quarantined,{tag}:2|g",
        f"airflow.lookbook.calls.answered,{tag}:1|c",
        f"airflow.lookbook.tokens.input,{tag}:1000|c",
        f"airflow.lookbook.tokens.cached,{tag}:0|c",
        f"airflow.lookbook.tokens.output,{tag}:100|c",
        f"airflow.lookbook.cost.micro_usd,{tag}:1200|c",
    }


class Collector(BaseHTTPRequestHandler):
    """An OpenTelemetry collector that keeps what it is told (OTLP over HTTP)."""

    received: list[Metric]

    def do_POST(self) -> None:
        content = self.rfile.read(int(self.headers["Content-Length"]))
        if self.headers["Content-Encoding"] == "gzip":
            content = gzip.decompress(content)
        for resource in ExportMetricsServiceRequest.FromString(content).resource_metrics:
            self.received += [metric for scope in resource.scope_metrics for metric in scope.metrics]
        self.send_response(200)
        self.end_headers()

    def log_message(self, *args: Any) -> None:
        """Say nothing."""


@pytest.fixture
def collected() -> Iterator[list[Metric]]:
    """What an OpenTelemetry collector was told."""
    Collector.received = []
    server = HTTPServer(("127.0.0.1", 0), Collector)
    Thread(target=server.serve_forever, daemon=True).start()
    settings = {
        "AIRFLOW__METRICS__OTEL_ON": "True",
        "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{server.server_port}",
        "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE": "delta",
    }
    with configured(**settings):
        yield Collector.received
    get_meter_provider().shutdown()  # type: ignore[attr-defined] # the SDK's
    atexit.unregister(flush_otel_metrics)  # this process outlives its collector
    server.shutdown()
    server.server_close()


def test_a_collector_is_told_the_same_as_deltas_that_it_can_add_up(collected: list[Metric]) -> None:
    with recording(TaskKey("describe_products", "run", "publish")) as record:
        records.writes("table", "descriptions.descriptions", 42)
        records.counts(published=5)
        records.adds(paid_output_tokens=100)
    emit(record)
    get_meter_provider().force_flush()  # type: ignore[attr-defined] # as the end of a task process does

    told = {metric.name: metric for metric in collected if metric.name.startswith("airflow.lookbook.")}
    assert told.keys() == {"airflow.lookbook.descriptions.published", "airflow.lookbook.tokens.output"}
    (gauge,) = told["airflow.lookbook.descriptions.published"].gauge.data_points
    tokens = told["airflow.lookbook.tokens.output"].sum
    assert (gauge.as_int, tokens.data_points[0].as_int) == (5, 100)
    assert tokens.aggregation_temporality == AGGREGATION_TEMPORALITY_DELTA
    tag = tokens.data_points[0].attributes[0]
    assert (tag.key, tag.value.string_value) == ("dag_id", "describe_products")
