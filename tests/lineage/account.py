"""One account and one catalogue for all tests of a file: making them anew for each would take most of the time."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import pytest

from lookbook import aws
from lookbook.settings import get_settings

_TIMEOUT_S = 60  # a machine with more to do than these tests answers late


@contextmanager
def kept(moto_server: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[pytest.MonkeyPatch]:
    """Empty the account and let the settings lead to it; yield what is patched until the end.

    A file's own fixture ``fresh_settings`` with the scope of the module wraps it, in place of that of every test.
    """
    httpx.post(f"{moto_server}/moto-api/reset", timeout=_TIMEOUT_S).raise_for_status()
    httpx.put(f"{moto_server}/lookbook", timeout=_TIMEOUT_S).raise_for_status()
    with pytest.MonkeyPatch.context() as patch:
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            patch.setenv(name, "testing")
        patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        patch.setenv("AWS_ENDPOINT_URL", moto_server)
        patch.setenv("LOOKBOOK_CATALOG_URI", f"sqlite:///{tmp_path_factory.mktemp('catalogue')}/catalog.db")
        _forget()
        yield patch
    _forget()


def _forget() -> None:
    for cached in (get_settings, aws.client, aws.object_store, aws.session):
        cached.cache_clear()
