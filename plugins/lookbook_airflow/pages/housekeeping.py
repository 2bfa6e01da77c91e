"""What housekeeping planned, and what everything cost, read from S3 for whoever may see its runs."""

from __future__ import annotations

from airflow.api_fastapi.auth.managers.models.resource_details import DagAccessEntity
from airflow.api_fastapi.core_api.security import requires_access_dag
from fastapi import APIRouter, Depends, HTTPException, Response, status

from lookbook_airflow.pages import untrusted

router = APIRouter(dependencies=[Depends(requires_access_dag("GET", DagAccessEntity.RUN, "housekeeping"))])


@router.get("/housekeeping/{run_key}/{name}")
def housekeeping_page(run_key: str, name: str) -> Response:
    """Return a page of a run as HTML, or 404."""
    from lookbook.housekeeping import plans

    try:
        return untrusted.page(plans.page(run_key, name))
    except plans.PageNotFoundError as absent:
        raise HTTPException(status.HTTP_404_NOT_FOUND, str(absent)) from absent
