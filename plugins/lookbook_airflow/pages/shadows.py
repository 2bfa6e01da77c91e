"""How a challenger compared with the champion, read from S3 for whoever may see the runs that compared them."""

from __future__ import annotations

from airflow.api_fastapi.auth.managers.models.resource_details import DagAccessEntity
from airflow.api_fastapi.core_api.security import requires_access_dag
from fastapi import APIRouter, Depends, HTTPException, Response, status

from lookbook_airflow.pages import untrusted

router = APIRouter(dependencies=[Depends(requires_access_dag("GET", DagAccessEntity.RUN, "shadow_attribute_model"))])


@router.get("/shadows/{run_id}")
def shadow_page(run_id: str) -> Response:
    """Return the page of a run's comparison as HTML, or 404."""
    from lookbook.serving import shadow, shadow_page

    try:
        return untrusted.page(shadow_page.read(shadow.root_of(run_id)))
    except shadow_page.PageNotFoundError as absent:
        raise HTTPException(status.HTTP_404_NOT_FOUND, str(absent)) from absent
