"""Objects by the thousand: in order, some fetched ahead, and what is missing is told."""

from __future__ import annotations

import pytest

from lookbook import storage
from lookbook.errors import RetryableError


@pytest.fixture
def uris(bucket: str) -> list[str]:
    """Seven objects, of which the fourth is missing."""
    uris = [f"s3://{bucket}/many/{number} ü.json" for number in range(7)]
    for number, uri in enumerate(uris):
        if number != 3:
            storage.write_bytes(uri, str(number).encode())
    return uris


@pytest.mark.parametrize("at_once", [1, 2, 32])
def test_objects_come_in_the_order_asked_for_and_a_missing_one_is_none(uris: list[str], at_once: int) -> None:
    assert list(storage.read_all(uris, at_once)) == [b"0", b"1", b"2", None, b"4", b"5", b"6"]


def test_no_more_are_fetched_ahead_than_asked_for(uris: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    fetched: list[str] = []
    monkeypatch.setattr(storage, "_fetched", lambda uri: fetched.append(uri) or b"")
    reading = storage.read_all(uris, at_once=2)
    for taken in range(1, 4):
        next(reading)
        assert len(fetched) <= taken + 2


def test_what_cannot_be_read_is_to_be_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")  # nobody listens there
    with pytest.raises(RetryableError, match="s3://lookbook/x could not be read"):
        list(storage.read_all(["s3://lookbook/x"]))


def test_an_object_comes_with_its_version_and_a_missing_one_is_none(uris: list[str]) -> None:
    known = storage.find(uris[1])
    assert storage.fetch(uris[1]) == (b"1", known)
    assert storage.look(uris[1]) == known
    assert storage.fetch(uris[3]) is None
    assert storage.look(uris[3]) is None
