"""Where a page's links lead: Lookbook's other pages, Airflow's runs and logs, AWS's console."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode


def _no_console(_: str) -> str | None:
    return None


@dataclass(frozen=True)
class Links:
    """The addresses that pages lead to, all below the path of Airflow's API server; no host is ever named.

    Attributes:
        root: the path under which the server is reached, without a slash at its end: ``""``, or ``/airflow``.
        console: AWS's console page of an ARN or S3 URI; ``None`` for one that has none, or where there is no console.
    """

    root: str = ""
    console: Callable[[str], str | None] = _no_console

    def home(self) -> str:
        """Return the front page of Airflow's UI."""
        return self._path("")

    def page(self, *parts: str, **query: Any) -> str:
        """Return one of the Lineage pages: ``page("products", "38642", drop="2026-11-16")``; empty values fall away."""
        asked = urlencode({name: value for name, value in query.items() if value not in (None, "")})
        return self._path("lookbook", "lineage", *parts) + (f"?{asked}" if asked else "")

    def product(self, product_id: str, drop_id: str | None = None) -> str:
        """Return the page of a product; of the description in one drop if it is named, else of the newest."""
        return self.page("products", product_id, drop=drop_id)

    def picture(self, drop_id: str, product_id: str) -> str:
        """Return the picture of a published product."""
        return self._path("lookbook", "pictures", drop_id, product_id)

    def data_docs(self, drop_id: str) -> str:
        """Return the Data Docs of a drop."""
        return self._path("lookbook", "data-docs", drop_id, "index.html")

    def findings(self, drop_id: str) -> str:
        """Return where the model contradicts the catalogue in a drop."""
        return self._path("lookbook", "findings", drop_id)

    def evaluation(self, job_name: str) -> str:
        """Return the page of an evaluation job."""
        return self._path("lookbook", "evaluations", job_name)

    def dag(self, dag_id: str) -> str:
        """Return a DAG in Airflow's UI."""
        return self._path("dags", dag_id)

    def run(self, dag_id: str, run_id: str) -> str:
        """Return a run in Airflow's UI."""
        return self._path("dags", dag_id, "runs", run_id)

    def log(self, dag_id: str, run_id: str, task_id: str, map_index: int = -1) -> str:
        """Return a task instance in Airflow's UI, which opens with its log."""
        mapped = ("mapped", str(map_index)) if map_index >= 0 else ()
        return self._path("dags", dag_id, "runs", run_id, "tasks", task_id, *mapped)

    def _path(self, *parts: str) -> str:
        return "/".join([self.root, *(quote(part, safe="") for part in parts)])
