"""The Lineage pages of products, and the tabs of runs and tasks, for whoever may see the runs that they tell of."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated

from airflow.api_fastapi.auth.managers.models.resource_details import DagAccessEntity
from airflow.api_fastapi.core_api.security import requires_access_dag
from fastapi import APIRouter, Depends, Path, Query, Response, status
from fastapi.responses import RedirectResponse

from lookbook_airflow.pages import root, untrusted

if TYPE_CHECKING:
    from lookbook.lineage.pages import Links

router = APIRouter(prefix="/lineage")

UNMAPPED = "{MAP_INDEX}"
"""What the UI leaves in a tab's address where a task instance has no map index."""

_Words = Annotated[str, Query(max_length=200)]
_ProductId = Annotated[str, Path(pattern="^[0-9]{1,12}$")]
_DropId = Annotated[str | None, Query(pattern="^[0-9]{4}-[0-9]{2}-[0-9]{2}$")]
_MapIndex = Annotated[str, Path(pattern=r"^(-1|[0-9]{1,6}|\{MAP_INDEX\})$")]

_READERS = [Depends(requires_access_dag("GET", DagAccessEntity.RUN, "describe_products"))]
# Of the DAG that the address names.
_READERS_OF_RUN = [Depends(requires_access_dag("GET", DagAccessEntity.RUN))]
_READERS_OF_TASK = [Depends(requires_access_dag("GET", DagAccessEntity.TASK_INSTANCE))]


@router.get("", dependencies=_READERS)
def start(q: _Words = "") -> Response:
    """Return the start page, or what was found; an id of a product leads to it at once."""
    from lookbook.lineage.pages import search

    if product_id := search.exact(q):
        return RedirectResponse(links().product(product_id), status.HTTP_303_SEE_OTHER)
    return shown(lambda: search.render_start(links(), q))


@router.get("/products/{product_id}", dependencies=_READERS)
def product(product_id: _ProductId, drop: _DropId = None) -> Response:
    """Return the page of a product, or 404; the query chooses the drop."""
    from lookbook.lineage.pages import products

    return shown(lambda: products.render_product(links(), product_id, drop))


@router.get("/products/{product_id}/depends", dependencies=_READERS)
def depends_on_picture(product_id: _ProductId) -> Response:
    """Return the page of what a product's picture went into, or 404."""
    from lookbook.lineage.pages import products

    return shown(lambda: products.render_impact(links(), product_id))


@router.get("/runs/{dag_id}/{run_id}", dependencies=_READERS_OF_RUN)
def run(dag_id: str, run_id: str) -> Response:
    """Return the tab of a run."""
    from lookbook.lineage.pages import runs

    return shown(lambda: runs.render_run(links(), dag_id, run_id))


@router.get("/tasks/{dag_id}/{run_id}/{task_id}/{map_index}", dependencies=_READERS_OF_TASK)
def task(dag_id: str, run_id: str, task_id: str, map_index: _MapIndex) -> Response:
    """Return the tab of a task instance."""
    from lookbook.lineage.pages import runs

    index = -1 if map_index == UNMAPPED else int(map_index)
    return shown(lambda: runs.render_task(links(), dag_id, run_id, task_id, index))


def links() -> Links:
    """Return where the pages' links lead on this server."""
    from lookbook.lineage.pages import Links
    from lookbook_airflow.console_links import console_page

    return Links(root(), console_page)


def shown(render: Callable[[], str]) -> Response:
    """Return a page as an answer; one that isn't there as a page that says so, with status 404."""
    from lookbook.lineage import pages

    try:
        content, code = render(), status.HTTP_200_OK
    except pages.PageNotFoundError as absent:
        content = pages.render("missing.html", title="Not here", active="search", links=links(), why=str(absent))
        code = status.HTTP_404_NOT_FOUND
    return untrusted.page(content, images="'self' data:", forms="'self'", scripts=pages.SCRIPT_SOURCE, code=code)
