"""What every test may use: an AWS account in memory, and settings that don't leak between tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest
from moto import mock_aws

from lookbook import aws
from lookbook.settings import get_settings

REAL_DATA = Path(__file__).resolve().parents[2] / "shared" / "data"


@pytest.fixture(autouse=True)
def fresh_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """Give each test credentials that open nothing, a catalogue of its own, and no cached settings or clients."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    monkeypatch.setenv("LOOKBOOK_CATALOG_URI", f"sqlite:///{tmp_path}/catalog.db")
    get_settings.cache_clear()
    aws.client.cache_clear()
    yield
    get_settings.cache_clear()
    aws.client.cache_clear()


@pytest.fixture
def bucket() -> Iterator[str]:
    """An empty bucket ``lookbook`` in an AWS account in memory (moto)."""
    with mock_aws():
        boto3.client("s3").create_bucket(Bucket="lookbook")
        yield "lookbook"
