"""The documents that local AWS keeps."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from local_aws.state import Store


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "state.sqlite")


def test_a_document_is_read_as_it_was_written(store: Store, tmp_path: Path) -> None:
    store.put("model", "m", {"a": [1, {"b": None}], "ü": 2.5})
    assert Store(tmp_path / "state.sqlite").get("model", "m") == {"a": [1, {"b": None}], "ü": 2.5}
    assert store.get("endpoint", "m") is None


def test_an_update_sets_and_removes_fields(store: Store) -> None:
    store.put("job", "j", {"keep": 1, "drop": 2})
    assert store.update("job", "j", drop=None, new=3) == {"keep": 1, "new": 3}
    with pytest.raises(KeyError):
        store.update("job", "none", new=3)


def test_documents_of_a_kind_come_by_name(store: Store) -> None:
    for name in "cab":
        store.put("job", name, {"name": name})
    store.delete("job", "b")
    assert [document["name"] for document in store.all("job")] == ["a", "c"]


def test_a_transaction_that_fails_leaves_nothing(store: Store) -> None:
    with pytest.raises(ZeroDivisionError), store.transaction():
        store.put("job", "a", {})
        with store.transaction():
            store.put("job", "b", {})
        raise ZeroDivisionError
    assert store.all("job") == []


def test_updates_from_many_threads_are_all_kept(store: Store) -> None:
    store.put("group", "g", {"versions": 0})

    def count() -> None:
        for _ in range(50):
            with store.transaction():
                document = store.get("group", "g")
                assert document
                store.update("group", "g", versions=document["versions"] + 1)

    threads = [threading.Thread(target=count) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert store.get("group", "g") == {"versions": 200}
