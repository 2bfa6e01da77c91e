"""The application that the API server mounts; nothing of it answers anyone who is not logged in to Airflow."""

from __future__ import annotations

from urllib.parse import urlencode

from airflow.api_fastapi.core_api.security import get_user
from fastapi import Depends, FastAPI, Request, Response, status
from fastapi.exception_handlers import http_exception_handler
from fastapi.responses import RedirectResponse
from starlette.exceptions import HTTPException

from lookbook_airflow.pages import (
    data_docs,
    evaluations,
    findings,
    housekeeping,
    lineage,
    lineage_overviews,
    pictures,
    root,
    shadows,
)


def create_app() -> FastAPI:
    """Return the application with every page.

    Airflow does not guard what plugins mount, so the guard is here, for every route at once. The routes that FastAPI
    would add by itself, its own documentation, would not have it: they are off.
    """
    app = FastAPI(title="Lookbook", dependencies=[Depends(get_user)], docs_url=None, redoc_url=None, openapi_url=None)
    app.include_router(data_docs.router)
    app.include_router(evaluations.router)
    app.include_router(findings.router)
    app.include_router(housekeeping.router)
    app.include_router(lineage.router)
    app.include_router(lineage_overviews.router)
    app.include_router(pictures.router)
    app.include_router(shadows.router)
    app.add_exception_handler(HTTPException, _refuse)
    return app


async def _refuse(request: Request, error: Exception) -> Response:
    """Send a browser whose login has run out to log in and come back; tell everyone else what was wrong."""
    if not isinstance(error, HTTPException):
        raise error
    if error.status_code == status.HTTP_401_UNAUTHORIZED and "text/html" in request.headers.get("accept", ""):
        login = f"{root()}/api/v2/auth/login?{urlencode({'next': request.url.path})}"
        return RedirectResponse(login, status.HTTP_303_SEE_OTHER)
    return await http_exception_handler(request, error)
