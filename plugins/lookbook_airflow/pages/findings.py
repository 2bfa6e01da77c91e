"""Where the model contradicts the catalogue, for whoever may see the runs that found it."""

from __future__ import annotations

from typing import Annotated

from airflow.api_fastapi.auth.managers.models.resource_details import DagAccessEntity
from airflow.api_fastapi.core_api.security import requires_access_dag
from fastapi import APIRouter, Depends, Query, Response

from lookbook_airflow.pages import untrusted

router = APIRouter(dependencies=[Depends(requires_access_dag("GET", DagAccessEntity.RUN, "describe_products"))])

_Value = Annotated[str | None, Query(max_length=200)]
_Page = Annotated[int, Query(ge=1, le=100_000)]


@router.get("/findings")
def all_findings() -> Response:
    """Return the page of all drops with findings."""
    from lookbook.descriptions import findings_page

    return untrusted.page(findings_page.overview())


@router.get("/findings/{drop_id}")
def findings_of_drop(
    drop_id: str,
    attribute: _Value = None,
    catalogue_value: _Value = None,
    model_value: _Value = None,
    page: _Page = 1,
) -> Response:
    """Return the page of a drop's findings; the query chooses which products it lists."""
    from lookbook.descriptions import findings_page

    chosen = findings_page.Chosen(attribute, catalogue_value, model_value, page)
    return untrusted.page(findings_page.of_drop(drop_id, chosen), images="'self'")


@router.get("/findings/{drop_id}/findings.csv")
def download(
    drop_id: str, attribute: _Value = None, catalogue_value: _Value = None, model_value: _Value = None
) -> Response:
    """Return the same findings as CSV, to be saved."""
    from lookbook.descriptions import findings_page

    content = findings_page.download(drop_id, findings_page.Chosen(attribute, catalogue_value, model_value))
    return untrusted.table(content, "findings.csv")
