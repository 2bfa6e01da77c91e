"""AWS clients: one session a process, addresses (``AWS_ENDPOINT_URL``) and credentials from the standard chain."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from datetime import timedelta
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import boto3
from botocore.config import Config
from botocore.loaders import Loader, create_loader

from lookbook.settings import get_settings

if TYPE_CHECKING:
    from obstore.store import ObjectStore

# Standard mode retries throttles and connection faults; three attempts keep a dead endpoint from hanging a task. As
# many connections as LOOKBOOK_READ_CONCURRENCY allows threads: a smaller pool opens and drops one per request.
CLIENT_CONFIG = Config(
    retries={"mode": "standard", "max_attempts": 3}, connect_timeout=5, read_timeout=60, max_pool_connections=64
)


@lru_cache(maxsize=16)
def client(service: str) -> Any:
    """Return the process's boto3 client for ``service`` (``s3``, ``sagemaker``, ``bedrock-runtime`` …)."""
    return boto3.client(service, region_name=get_settings().aws_region, config=CLIENT_CONFIG)


def async_client(
    service: str, *, connections: int, attempts: int | None = None, region: str | None = None
) -> AbstractAsyncContextManager[Any]:
    """Return an aiobotocore client of ``service`` to be opened with ``async with``.

    Throttles and connection faults are retried as :func:`client` does.

    Args:
        service: as boto3 names it.
        connections: how many requests may be in flight at once; more than that wait for a connection.
        attempts: how often a request is sent at most, for callers that have a retry of their own.
        region: by default that of the settings.
    """
    # Imported here: it takes 0.3 s, which most tasks need not pay.
    from aiobotocore.config import AioConfig
    from aiobotocore.session import get_session

    config = AioConfig().merge(CLIENT_CONFIG).merge(AioConfig(max_pool_connections=connections))
    if attempts is not None:
        config = config.merge(AioConfig(retries={"mode": "standard", "total_max_attempts": attempts}))
    session = get_session()
    session.register_component("data_loader", _descriptions(session.get_config_variable("data_path")))
    opened: AbstractAsyncContextManager[Any] = session.create_client(
        service, region_name=region or get_settings().aws_region, config=config
    )
    return opened


@lru_cache(maxsize=1)
def _descriptions(data_path: str | None) -> Loader:
    """Return the process's reader of botocore's descriptions of services, which keeps what it has parsed.

    Each session has one of its own otherwise, and each client that is opened costs 0.2 s of processor time.
    """
    return create_loader(data_path)


@lru_cache(maxsize=16)
def object_store(uri: str) -> ObjectStore:
    """Return the store of the objects under ``uri``, for those who read them by the thousand.

    It takes an eighth of boto3's processor time per object (docs/decisions/0017-many-small-objects.md), and credentials
    and address from where boto3 takes them. ``file:///directory/`` is the same for files.
    """
    # Imported here, as few tasks read many objects.
    from obstore.auth.boto3 import Boto3CredentialProvider
    from obstore.store import S3Store, from_url

    if uri.startswith("file://"):
        return from_url(uri)
    settings = get_settings()
    bucket, _, prefix = uri.removeprefix("s3://").partition("/")
    return S3Store(
        bucket,
        prefix=prefix or None,
        region=settings.aws_region,
        credential_provider=Boto3CredentialProvider(session(settings.aws_region)),
        **_local_address(settings.aws_endpoint_url),
        client_options={"connect_timeout": "5s", "timeout": "60s", "allow_http": bool(settings.aws_endpoint_url)},
        retry_config={"max_retries": 2, "retry_timeout": timedelta(minutes=3)},
    )


@lru_cache(maxsize=1)
def session(region: str) -> boto3.Session:
    """Return the process's session for what takes credentials from one: each session looks them up, and says so."""
    return boto3.Session(region_name=region)


def _local_address(endpoint_url: str | None) -> dict[str, Any]:
    return {"endpoint": endpoint_url, "virtual_hosted_style_request": False} if endpoint_url else {}
