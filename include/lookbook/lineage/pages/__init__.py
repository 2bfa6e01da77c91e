"""The Lineage pages: what a product, a drop, a model or a run came from and went into, as HTML.

A module a kind of page: it reads, returns frozen dataclasses, and a template lays them out. :func:`render` puts any
template into the layout that all share. Everything shown may come from a drop, so every value is escaped, always.

A new page is a template in ``templates/`` that begins with ``{% extends "layout.html" %}`` and fills the block
``content``; ``{% import "macros.html" as ui %}`` brings chips, tables' frames and links to task instances. Values of
the layout are the arguments of :func:`render`; filters are ``number``, ``usd``, ``share``, ``when``, ``took`` and
``short``. The page needs nothing but itself: its style stands in it, and its one script (``layout.js``, the only one
that :data:`SCRIPT_SOURCE` lets the browser run) matters only inside the frame in which Airflow's UI shows it.
"""

from lookbook.lineage.pages.layout import SCRIPT_SOURCE, Crumb, PageNotFoundError, render
from lookbook.lineage.pages.links import Links

__all__ = ["SCRIPT_SOURCE", "Crumb", "Links", "PageNotFoundError", "render"]
