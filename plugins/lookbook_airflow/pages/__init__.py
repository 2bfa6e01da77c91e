"""Lookbook's own pages on Airflow's API server: one module a kind of page, each with a router.

This module imports nothing heavy: task processes use it to make links.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import quote, urlsplit

from airflow.configuration import conf

PREFIX = "/lookbook"


def root() -> str:
    """Return the path under which the API server is reached, without a slash at its end: mostly none at all."""
    return urlsplit(conf.get("api", "base_url", fallback="/")).path.rstrip("/")


def page_path(*parts: str) -> str:
    """Return the path of one of the pages: it leads there from any page of the UI, whatever the server is called."""
    return "/".join([root() + PREFIX, *(quote(part, safe="") for part in parts)])


def views() -> list[dict[str, Any]]:
    """Return where the UI shows the Lineage pages: in its navigation, and as a tab of each run and task instance.

    The UI puts the ids of what is being looked at in place of the names in braces, percent-encoded.
    """
    shown = {"name": "Lineage", "icon": _icon("#3d4a5c"), "icon_dark_mode": _icon("#8fa3bf")}
    entry = {"destination": "nav", "url_route": "lineage", "href": page_path("lineage")}
    of_run = {"destination": "dag_run", "url_route": "lineage-run", "href": "runs/{DAG_ID}/{RUN_ID}"}
    of_task = {
        "destination": "task_instance",
        "url_route": "lineage-task",
        "href": "tasks/{DAG_ID}/{RUN_ID}/{TASK_ID}/{MAP_INDEX}",
    }
    tabs = [tab | {"href": f"{page_path('lineage')}/{tab['href']}"} for tab in (of_run, of_task)]
    return [{**shown, **entry, "nav_top_level": True}, *({**shown, **tab} for tab in tabs)]


def _icon(colour: str) -> str:
    """Return three linked boxes as the address of a picture; white within, to be seen on the chosen entry, too."""
    corners = ((2, 9), (15, 3), (15, 15))
    boxes = "".join(f'<rect x="{x}" y="{y}" width="7" height="6" rx="1.5" fill="#fff"/>' for x, y in corners)
    drawing = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 24 24" fill="none" stroke="{colour}" stroke-width="1.7">'
        f'{boxes}<path d="M9 12h3m3-6h-1.5q-1.5 0-1.5 1.5v9q0 1.5 1.5 1.5H15"/></svg>'
    )
    return f"data:image/svg+xml,{quote(drawing)}"
