"""The Lineage pages of drops, models and cost, for whoever may see the runs that they tell of."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from airflow.api_fastapi.auth.managers.models.resource_details import DagAccessEntity
from airflow.api_fastapi.core_api.security import requires_access_dag
from fastapi import APIRouter, Depends, Query, Response

from lookbook_airflow.pages.lineage import links, shown

router = APIRouter(prefix="/lineage")

_Words = Annotated[str, Query(max_length=200)]
_Page = Annotated[int, Query(ge=1, le=100_000)]
_Status = Literal["", "published", "withheld", "failed", "stale", "none"]


def _readers_of(dag_id: str) -> list[Any]:
    return [Depends(requires_access_dag("GET", DagAccessEntity.RUN, dag_id))]


@router.get("/drops", dependencies=_readers_of("ingest_drop"))
def all_drops(page: _Page = 1) -> Response:
    """Return the page of all drops with counts and quality."""
    from lookbook.lineage.pages import drops

    return shown(lambda: drops.render_overview(links(), page))


@router.get("/drops/{drop_id}", dependencies=_readers_of("ingest_drop"))
def one_drop(drop_id: str, q: _Words = "", status: _Status = "", page: _Page = 1) -> Response:
    """Return the page of a drop, or 404; the query chooses which of its products it lists."""
    from lookbook.lineage.pages import drops

    return shown(lambda: drops.render_detail(links(), drop_id, q, status or None, page))


@router.get("/drops/{drop_id}/depends", dependencies=_readers_of("ingest_drop"))
def depends_on_drop(drop_id: str) -> Response:
    """Return the page of what depends on a drop, or 404."""
    from lookbook.lineage.pages import drops

    return shown(lambda: drops.render_impact(links(), drop_id))


@router.get("/models", dependencies=_readers_of("retrain_attribute_model"))
def all_models(page: _Page = 1) -> Response:
    """Return the page of all registered models."""
    from lookbook.lineage.pages import models

    return shown(lambda: models.render_overview(links(), page))


@router.get("/models/{version}", dependencies=_readers_of("retrain_attribute_model"))
def one_model(version: str) -> Response:
    """Return the page of a model, or 404."""
    from lookbook.lineage.pages import models

    return shown(lambda: models.render_detail(links(), version))


@router.get("/models/{version}/depends", dependencies=_readers_of("retrain_attribute_model"))
def depends_on_model(version: str) -> Response:
    """Return the page of what depends on a model, or 404."""
    from lookbook.lineage.pages import models

    return shown(lambda: models.render_impact(links(), version))


@router.get("/cost", dependencies=_readers_of("housekeeping"))
def what_it_cost() -> Response:
    """Return the page of what everything cost."""
    from lookbook.lineage.pages import cost

    return shown(lambda: cost.render_costs(links()))
