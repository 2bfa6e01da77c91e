"""What Airflow registers of Lookbook; the code is in the package ``lookbook_airflow``."""

from __future__ import annotations

from functools import cached_property
from typing import Any, ClassVar

from airflow.plugins_manager import AirflowPlugin

from lookbook_airflow import notes


class LookbookPlugin(AirflowPlugin):
    """Lookbook's pages on the API server, where the UI shows them, and what is noted of each run."""

    name = "lookbook"
    listeners: ClassVar[list[Any]] = [notes]

    @cached_property
    def deadline_references(self) -> list[Any]:
        """From when deadlines count; Airflow finds a reference of ours by asking its plugins."""
        from lookbook_airflow.deadlines import RunCreated

        return [RunCreated]

    @cached_property
    def global_operator_extra_links(self) -> list[Any]:
        """The button that every task has."""
        from lookbook_airflow.links import LineageLink

        return [LineageLink()]

    @cached_property
    def fastapi_apps(self) -> list[dict[str, Any]]:
        """The pages; made only where they are asked for, since every process of Airflow loads this plugin."""
        from lookbook_airflow.pages import PREFIX
        from lookbook_airflow.pages.app import create_app

        return [{"app": create_app(), "url_prefix": PREFIX, "name": "Lookbook"}]

    @cached_property
    def external_views(self) -> list[dict[str, Any]]:
        """The Lineage pages: an entry of the navigation, and a tab of each run and task instance."""
        from lookbook_airflow.pages import views

        return views()
