from __future__ import annotations

from pathlib import Path

import pytest
from tests.drops import small
from tests.drops.small import DROP_ID, line

from lookbook import drops, storage
from lookbook.aws import object_store
from lookbook.drops.files import DropFiles
from lookbook.errors import PermanentError, RetryableError

URI = f"s3://lookbook/drops/{DROP_ID}/"


@pytest.fixture
def files(bucket: str, tmp_path: Path) -> DropFiles:
    """The files of an uploaded drop of one row."""
    directory = small.write_directory(tmp_path / "drop", line(1))
    drops.upload(directory, DROP_ID)
    return DropFiles(storage.read_json(drops.fingerprint(drops.discover(DROP_ID)).uri))


def test_a_file_is_read_with_its_size_and_version(files: DropFiles) -> None:
    stored = storage.find(f"{URI}images/1.jpg")
    assert stored is not None
    assert files.read("images/1.jpg") == storage.read_bytes(stored.uri)
    assert (files.size("images/1.jpg"), files.etag("images/1.jpg")) == (stored.size, stored.etag)


def test_a_file_that_no_manifest_names_is_not_there(files: DropFiles) -> None:
    assert "images/2.jpg" not in files
    assert files.etag("images/2.jpg") is None


def test_a_file_replaced_after_the_manifest_is_refused(files: DropFiles) -> None:
    storage.write_bytes(f"{URI}images/1.jpg", b"another")
    with pytest.raises(PermanentError, match=r"images/1\.jpg is not the file that manifest .* names"):
        files.read("images/1.jpg")


def test_a_file_deleted_after_the_manifest_is_refused(files: DropFiles) -> None:
    storage.delete(f"{URI}images/1.jpg")
    with pytest.raises(PermanentError, match="the drop has changed since"):
        files.read("images/1.jpg")


def test_an_address_where_nothing_answers_is_worth_another_try(
    files: DropFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    from lookbook.settings import get_settings

    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    get_settings.cache_clear()
    object_store.cache_clear()
    manifest = {"drop_uri": URI, "fingerprint": "f", "files": {"images/1.jpg": [1, "e"]}}
    with pytest.raises(RetryableError, match=r"images/1\.jpg could not be read"):
        DropFiles(manifest).read("images/1.jpg")
