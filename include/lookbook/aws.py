"""AWS clients: one session a process, addresses (``AWS_ENDPOINT_URL``) and credentials from the standard chain."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from functools import lru_cache
from typing import Any

import boto3
from botocore.config import Config

from lookbook.settings import get_settings

# Standard mode retries throttles and connection faults; three attempts keep a dead endpoint from hanging a task. As
# many connections as LOOKBOOK_READ_CONCURRENCY allows threads: a smaller pool opens and drops one per request.
CLIENT_CONFIG = Config(
    retries={"mode": "standard", "max_attempts": 3}, connect_timeout=5, read_timeout=60, max_pool_connections=64
)


@lru_cache(maxsize=16)
def client(service: str) -> Any:
    """Return the process's boto3 client for ``service`` (``s3``, ``sagemaker``, ``bedrock-runtime`` …)."""
    return boto3.client(service, region_name=get_settings().aws_region, config=CLIENT_CONFIG)


def async_client(service: str, *, connections: int, attempts: int | None = None) -> AbstractAsyncContextManager[Any]:
    """Return an aiobotocore client of ``service`` to be opened with ``async with``.

    Throttles and connection faults are retried as :func:`client` does.

    Args:
        service: as boto3 names it.
        connections: how many requests may be in flight at once; more than that wait for a connection.
        attempts: how often a request is sent at most, for callers that have a retry of their own.
    """
    # Imported here: it takes 0.3 s, which most tasks need not pay.
    from aiobotocore.config import AioConfig
    from aiobotocore.session import get_session

    config = AioConfig().merge(CLIENT_CONFIG).merge(AioConfig(max_pool_connections=connections))
    if attempts is not None:
        config = config.merge(AioConfig(retries={"mode": "standard", "total_max_attempts": attempts}))
    opened: AbstractAsyncContextManager[Any] = get_session().create_client(
        service, region_name=get_settings().aws_region, config=config
    )
    return opened
