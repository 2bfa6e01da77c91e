"""AWS clients: one session a process, addresses (``AWS_ENDPOINT_URL``) and credentials from the standard chain."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import boto3
from botocore.config import Config

from lookbook.settings import get_settings

# Standard mode retries throttles and connection faults; three attempts keep a dead endpoint from hanging a task.
CLIENT_CONFIG = Config(retries={"mode": "standard", "max_attempts": 3}, connect_timeout=5, read_timeout=60)


@lru_cache(maxsize=16)
def client(service: str) -> Any:
    """Return the process's boto3 client for ``service`` (``s3``, ``sagemaker``, ``bedrock-runtime`` …)."""
    return boto3.client(service, region_name=get_settings().aws_region, config=CLIENT_CONFIG)
