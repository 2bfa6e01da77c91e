"""The Data Docs of a drop, read from S3 for whoever may see the runs that made them."""

from __future__ import annotations

from airflow.api_fastapi.auth.managers.models.resource_details import DagAccessEntity
from airflow.api_fastapi.core_api.security import requires_access_dag
from fastapi import APIRouter, Depends, HTTPException, Response, status

from lookbook_airflow.pages import untrusted

router = APIRouter(dependencies=[Depends(requires_access_dag("GET", DagAccessEntity.RUN, "ingest_drop"))])


@router.get("/data-docs/{drop_id}/{page:path}")
def data_docs(drop_id: str, page: str) -> Response:
    """Return one page of a drop's Data Docs as HTML, or 404."""
    from lookbook.quality.data_docs import store

    try:
        content = store.page(drop_id, page)
    except store.PageNotFoundError as absent:
        raise HTTPException(status.HTTP_404_NOT_FOUND, str(absent)) from absent
    return untrusted.page(content)
