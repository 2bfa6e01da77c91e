"""Buttons that a task shows in the UI, and the addresses that they lead to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit

from airflow.configuration import conf
from airflow.sdk import BaseOperatorLink

from lookbook_airflow.lineage import drop_of
from lookbook_airflow.pages import PREFIX

if TYPE_CHECKING:
    from airflow.sdk.types import XComArg


def page_path(*parts: str) -> str:
    """Return the path of one of Lookbook's pages on the API server, wherever that is reached from."""
    root = urlsplit(conf.get("api", "base_url", fallback="/")).path.rstrip("/")
    return "/".join([root + PREFIX, *(quote(part, safe="") for part in parts)])


class DataDocsLink(BaseOperatorLink):
    """To the Great Expectations Data Docs of the drop that a run is about."""

    name = "Data Docs"

    def get_link(self, operator: Any, *, ti_key: Any) -> str:
        """Return the path of the drop's Data Docs; called when the task has ended, well or not.

        Airflow passes the running task instance as ``ti_key``, and keeps what is returned as an XCom.
        """
        return page_path("data-docs", drop_of(ti_key.get_template_context()) or "", "index.html")


def linked(result: XComArg, *links: BaseOperatorLink) -> XComArg:
    """Give the task whose result this is buttons in the UI, and return the result."""
    result.operator.operator_extra_links = links
    return result
