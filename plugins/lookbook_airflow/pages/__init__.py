"""Lookbook's own pages on Airflow's API server: one module a kind of page, each with a router.

This module imports nothing heavy: task processes use it to make links.
"""

from __future__ import annotations

from urllib.parse import quote, urlsplit

from airflow.configuration import conf

PREFIX = "/lookbook"


def root() -> str:
    """Return the path under which the API server is reached, without a slash at its end: mostly none at all."""
    return urlsplit(conf.get("api", "base_url", fallback="/")).path.rstrip("/")


def page_path(*parts: str) -> str:
    """Return the path of one of the pages: it leads there from any page of the UI, whatever the server is called."""
    return "/".join([root() + PREFIX, *(quote(part, safe="") for part in parts)])
