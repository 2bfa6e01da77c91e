"""The page of an evaluation job, read from S3 for whoever may see the runs that started it."""

from __future__ import annotations

from airflow.api_fastapi.auth.managers.models.resource_details import DagAccessEntity
from airflow.api_fastapi.core_api.security import requires_access_dag
from fastapi import APIRouter, Depends, HTTPException, Response, status

from lookbook_airflow.pages import untrusted

router = APIRouter(dependencies=[Depends(requires_access_dag("GET", DagAccessEntity.RUN, "retrain_attribute_model"))])


@router.get("/evaluations/{job_name}")
def evaluation_page(job_name: str) -> Response:
    """Return the page that an evaluation job wrote, as HTML, or 404."""
    from lookbook.training import evaluation

    try:
        return untrusted.page(evaluation.page(job_name))
    except evaluation.PageNotFoundError as absent:
        raise HTTPException(status.HTTP_404_NOT_FOUND, str(absent)) from absent
