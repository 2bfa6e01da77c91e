"""The pictures of published products, for whoever may see the runs that describe them."""

from __future__ import annotations

from airflow.api_fastapi.auth.managers.models.resource_details import DagAccessEntity
from airflow.api_fastapi.core_api.security import requires_access_dag
from fastapi import APIRouter, Depends, HTTPException, Response, status

from lookbook_airflow.pages import untrusted

router = APIRouter(dependencies=[Depends(requires_access_dag("GET", DagAccessEntity.RUN, "describe_products"))])


@router.get("/pictures/{drop_id}/{product_id}")
def picture(drop_id: str, product_id: str) -> Response:
    """Return a published product's picture, or 404."""
    from lookbook import storage
    from lookbook.catalog import pictures

    if (uri := pictures.uri_of(drop_id, product_id)) is None:
        raise HTTPException(status.HTTP_404_NOT_FOUND, f"Drop {drop_id} has no picture of product {product_id}.")
    try:
        shown = untrusted.picture(storage.read_bytes(uri))
    except storage.ObjectNotFoundError as absent:
        raise HTTPException(status.HTTP_404_NOT_FOUND, str(absent)) from absent
    if shown is None:
        raise HTTPException(status.HTTP_404_NOT_FOUND, f"What lies under {uri} is no picture.")
    return shown
