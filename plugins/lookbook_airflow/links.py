"""Buttons that a task shows in the UI, and where they lead."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseOperatorLink

from lookbook_airflow.lineage import drop_of
from lookbook_airflow.pages import page_path

if TYPE_CHECKING:
    from airflow.sdk.types import XComArg


class DataDocsLink(BaseOperatorLink):
    """To the Great Expectations Data Docs of the drop that a run is about."""

    name = "Data Docs"

    def get_link(self, operator: Any, *, ti_key: Any) -> str:
        """Return the path of the drop's Data Docs; called when the task has ended, well or not.

        Airflow passes the running task instance as ``ti_key``, and keeps what is returned as an XCom.
        """
        return page_path("data-docs", drop_of(ti_key.get_template_context()) or "", "index.html")


class EvaluationLink(BaseOperatorLink):
    """To the page of the evaluation job that a gate judged, with plots and pictures."""

    name = "Evaluation"

    def __init__(self, job_task: str) -> None:
        self._job_task = job_task

    def get_link(self, operator: Any, *, ti_key: Any) -> str:
        """Return the path of the page of the job that the task ``job_task`` of the same run ran."""
        return page_path("evaluations", ti_key.xcom_pull(task_ids=self._job_task)["job_name"])


class ModelLink(BaseOperatorLink):
    """To the page of a registered model: where it comes from, how it was judged, what it answered."""

    name = "Model package"

    def __init__(self, register_task: str) -> None:
        self._register_task = register_task

    def get_link(self, operator: Any, *, ti_key: Any) -> str:
        """Return the path of the page of the package that the task ``register_task`` of the same run registered."""
        from lookbook.training.registry import version_of

        return page_path("lineage", "models", version_of(ti_key.xcom_pull(task_ids=self._register_task)))


class ProductLink(BaseOperatorLink):
    """To the page of the one product that a mapped task describes.

    Of a mapped task Airflow keeps no operator to ask for the address: the task leaves it by :meth:`push`.
    """

    name = "Product"

    def push(self, ti: Any, product_id: str, drop_id: str | None) -> None:
        """Leave the address of a product's page for the task instance's button."""
        page = page_path("lineage", "products", product_id)
        ti.xcom_push(self.xcom_key, f"{page}?drop={drop_id}" if drop_id else page)

    def get_link(self, operator: Any, *, ti_key: Any) -> str:
        """Return nothing: what was pushed is what the button leads to.

        Raises:
            NotImplementedError: always; a task that isn't mapped has no such button.
        """
        raise NotImplementedError("This button belongs to mapped tasks")


class LineageLink(BaseOperatorLink):
    """To what a task instance read and wrote; every task has it."""

    name = "Lineage"

    def get_link(self, operator: Any, *, ti_key: Any) -> str:
        """Return the path of the task instance's page; the API server asks, whenever the task is looked at."""
        return page_path("lineage", "tasks", ti_key.dag_id, ti_key.run_id, ti_key.task_id, str(ti_key.map_index))


class ShadowLink(BaseOperatorLink):
    """To the page that compares a challenger with the champion on the same requests."""

    name = "Comparison"

    def get_link(self, operator: Any, *, ti_key: Any) -> str:
        """Return the path of the run's page."""
        return page_path("shadows", ti_key.run_id)


class FindingsLink(BaseOperatorLink):
    """To where the model contradicts the catalogue, in the drop that a run is about."""

    name = "Findings"

    def get_link(self, operator: Any, *, ti_key: Any) -> str:
        """Return the path of the drop's findings, which the task's result names; of all drops' where it has none."""
        result = ti_key.xcom_pull(task_ids=ti_key.task_id)
        return page_path("findings", *([result["drop_id"]] if result else []))


class HousekeepingLink(BaseOperatorLink):
    """To a page that a run of `housekeeping` left: a plan, or what everything cost."""

    def __init__(self, page: str, name: str) -> None:
        self._page, self._name = page, name

    @property
    def name(self) -> str:
        """What the button says."""
        return self._name

    def get_link(self, operator: Any, *, ti_key: Any) -> str:
        """Return the path of the run's page."""
        from lookbook.storage import key_part

        return page_path("housekeeping", key_part(ti_key.run_id), self._page)


def linked(result: XComArg, *links: BaseOperatorLink) -> XComArg:
    """Give the task whose result this is these buttons in the UI beside what it has, and return the result."""
    result.operator.operator_extra_links = (*result.operator.operator_extra_links, *links)
    return result
