"""What a record holds of the code, the settings and the things that a task touched."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

import orjson
import pytest

from lookbook import storage
from lookbook.lineage import records, store
from lookbook.lineage.records import Dataset, LineageRecord, TaskKey
from lookbook.settings import Settings, get_settings, recorded

TASK = TaskKey("describe_products", "run", "publish", drop_id="2026-11-16")


@pytest.fixture
def record() -> Iterator[LineageRecord]:
    with records.recording(TASK) as opened:
        yield opened


def settings(monkeypatch: pytest.MonkeyPatch, **values: str) -> None:
    for name, value in values.items():
        monkeypatch.setenv(f"LOOKBOOK_{name}", value)
    get_settings.cache_clear()


def test_an_object_is_read_by_etag_and_checksum(aws_server: str, record: LineageRecord) -> None:
    stored = storage.write_bytes("s3://lookbook/a", b"content")
    assert records.read_object(stored.uri) == b"content"
    checksum = hashlib.sha256(b"content").hexdigest()
    assert record.inputs == [Dataset("object", "s3://lookbook/a", stored.etag, checksum=checksum)]


def test_an_object_that_is_not_there_is_named_and_not_recorded(aws_server: str, record: LineageRecord) -> None:
    with pytest.raises(storage.ObjectNotFoundError, match="s3://lookbook/a does not exist"):
        records.read_object("s3://lookbook/a")
    assert record.inputs == []


def test_a_prefix_has_another_version_once_anything_below_it_changed(aws_server: str, record: LineageRecord) -> None:
    storage.write_bytes("s3://lookbook/base/config.json", b"{}")
    for content in (b"weights", b"weights", b"others"):
        storage.write_bytes("s3://lookbook/base/weights", content)
        records.reads_prefix("s3://lookbook/base/")
    assert [dataset.name for dataset in record.inputs] == ["s3://lookbook/base/"] * 2


@pytest.mark.parametrize(
    ("uri", "resolved", "version"),
    [
        ("1.dkr.ecr.eu-west-1.amazonaws.com/lookbook@sha256:ab12", None, "sha256:ab12"),
        ("1.dkr.ecr.eu-west-1.amazonaws.com/lookbook:v1", "1.dkr…/lookbook@sha256:cd34", "sha256:cd34"),
        ("lookbook-training:local", "lookbook-training:local", "local"),
        ("localhost:5000/lookbook", None, "latest"),
    ],
)
def test_an_image_is_recorded_by_its_digest_and_by_its_tag_where_it_has_none(
    record: LineageRecord, uri: str, resolved: str | None, version: str
) -> None:
    records.reads_image(uri, resolved)
    assert record.inputs == [Dataset("image", uri, version)]


def test_costs_add_up_and_one_that_nobody_knows_adds_nothing(record: LineageRecord) -> None:
    records.costs(None)
    assert record.cost_usd is None
    for usd in (0.25, None, 0.5):
        records.costs(usd)
    assert record.cost_usd == 0.75


def test_a_summary_tells_the_cost_of_what_was_published_where_that_is_known(record: LineageRecord) -> None:
    records.costs(0.5)
    assert record.summary()["cost_usd"] == 0.5
    records.outputs_cost(7.25)
    assert record.summary() == {
        "task": record.as_dict()["task"],
        "counts": {},
        "cost_usd": 7.25,
    }


def test_the_latest_version_is_the_one_written_else_the_one_read(record: LineageRecord) -> None:
    assert record.latest("table", "catalog.products") is None
    records.reads("table", "catalog.products", 1)
    records.reads("table", "catalog.quarantine", 9)
    assert record.latest("table", "catalog.products") == "1"
    records.writes("table", "catalog.products", 2)
    assert record.latest("table", "catalog.products") == "2"


@pytest.mark.parametrize(
    ("stated", "bundle", "version"),
    [("0123456789ab", "fedcba", "0123456789ab"), (None, "fedcba", "fedcba"), (None, None, "unknown")],
)
def test_the_bundles_version_stands_for_a_commit_that_is_not_stated(
    monkeypatch: pytest.MonkeyPatch, stated: str | None, bundle: str | None, version: str
) -> None:
    settings(monkeypatch, **({"CODE_VERSION": stated} if stated else {}))
    with records.recording(TASK, bundle) as record:
        pass
    assert record.code_version == version


def test_equal_settings_have_equal_checksums_on_any_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    first = recorded().sha256
    settings(monkeypatch, CATALOG_URI="sqlite:////elsewhere/catalog.db", AWS_ENDPOINT_URL="http://127.0.0.1:1")
    settings(monkeypatch, CODE_VERSION="another")
    assert recorded().sha256 == first
    settings(monkeypatch, LEARNING_RATE="0.001")
    assert recorded().sha256 != first


def test_what_is_secret_or_only_of_this_machine_is_not_recorded() -> None:
    telling = {"secret", "password", "token", "key", "webhook"}
    secret = {name for name in Settings.model_fields if telling & set(name.split("_"))}
    of_this_machine = {"aws_endpoint_url", "catalog_uri", "drop_events_queue_url"}
    assert not (secret | of_this_machine) & orjson.loads(recorded().content).keys()


def test_no_password_of_the_catalogue_is_recorded(monkeypatch: pytest.MonkeyPatch) -> None:
    settings(monkeypatch, CATALOG_URI="postgresql://lookbook:s3cret@db/catalog")
    assert b"s3cret" not in recorded().content


def test_the_settings_of_a_record_can_be_looked_up(aws_server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    settings(monkeypatch, LEARNING_RATE="0.001")
    with records.recording(TASK) as record:
        pass
    for _ in range(2):
        store.save(record)
    content = storage.read_bytes(store.settings_uri(record.settings_sha256))
    assert hashlib.sha256(content).hexdigest() == record.settings_sha256
    assert orjson.loads(content)["learning_rate"] == 0.001
