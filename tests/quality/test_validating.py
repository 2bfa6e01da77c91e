from __future__ import annotations

import logging
from contextlib import nullcontext
from datetime import date
from hashlib import sha256
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests.drops import small
from tests.drops.small import DROP_ID, line

from lookbook import drops, quality, storage
from lookbook.catalog.schemas import CANDIDATES
from lookbook.drops.sample import write_drop
from lookbook.errors import PermanentError
from lookbook.lineage import records
from lookbook.settings import get_settings

STAGING = f"s3://lookbook/staging/{DROP_ID}/0123456789abcdef"
DOCS = f"s3://lookbook/data-docs/{DROP_ID}/"

# Enough good rows that a few bad ones do not refuse the drop.
GOOD = [line(number) for number in range(100, 120)]


def candidate(position: int, **fields: Any) -> dict[str, Any]:
    values = {
        "drop_id": DROP_ID,
        "product_id": str(position),
        "display_name": "Orlavane Men Blue Shirt",
        "gender": "Men",
        "master_category": "Apparel",
        "sub_category": "Topwear",
        "article_type": "Shirts",
        "base_colour": "Blue",
        "season": "Fall",
        "year": 2026,
        "usage": "Casual",
        "attributes": [("Fabric", "Cotton"), ("baseColour", "Blue")],
        "picture_sha256": f"{position:064x}",
        "line_number": position + 2,
    }
    return values | fields


def validate(*bad: dict[str, Any], good: int = 20, **options: Any) -> tuple[quality.Validation, dict[str, Any]]:
    """Validate candidates: ``bad`` ones (fields that differ from a good row), then good ones."""
    rows = [candidate(n, **fields) for n, fields in enumerate(bad)]
    rows += [candidate(len(bad) + n) for n in range(good)]
    content = pa.BufferOutputStream()
    pq.write_table(pa.Table.from_pylist(rows, schema=CANDIDATES), content)
    storage.write_bytes(f"{STAGING}/candidates.parquet", content.getvalue().to_pybytes())
    validation = quality.validate(f"{STAGING}/candidates.parquet", **options)
    return validation, storage.read_json(validation.uri)


def test_a_good_drop_passes_without_a_word(bucket: str) -> None:
    validation, content = validate()
    assert (validation.rows, validation.rejected, validation.reasons, validation.warnings) == (20, 0, {}, {})
    assert (content["rejected"], content["refused"], content["suite"]) == ([], [], "v1")
    assert validation.uri == f"{STAGING}/validation.json"


def test_a_row_that_cannot_be_used_is_rejected_with_its_reason(bucket: str) -> None:
    bad = [
        {"row_problem": "too_few_fields", "problem_detail": "3 of 10 fields"},
        {"row_problem": "bad_product_id", "product_id": None},
        {"picture_problem": "picture_missing"},
        {"picture_problem": "picture_unreadable", "problem_detail": "empty file"},
        {"display_name": None},
        {"article_type": None},
        {"product_id": "5"},
    ]
    validation, content = validate(*bad, good=40)
    found = [(row["position"], row["reasons"], row["detail"]) for row in content["rejected"]]
    assert found == [
        (0, ["too_few_fields"], "the line could not be read: 3 of 10 fields"),
        (1, ["bad_product_id"], "the line could not be read"),
        (2, ["picture_missing"], "the picture cannot be used"),
        (3, ["picture_unreadable"], "the picture cannot be used: empty file"),
        (4, ["missing_display_name"], "productDisplayName is empty"),
        (5, ["missing_article_type"], "articleType is empty"),
        (6, ["duplicate_id"], "an earlier line has the same id"),
    ]
    assert validation.rejected == 7
    assert validation.reasons == {reasons[0]: 1 for _, reasons, _ in found}


def test_a_line_that_could_not_be_read_is_not_blamed_for_what_it_lacks(bucket: str) -> None:
    unread = dict.fromkeys(("display_name", "article_type", "gender", "base_colour"))
    _, content = validate({"row_problem": "too_few_fields", **unread})
    assert content["rejected"][0]["reasons"] == ["too_few_fields"]


def test_a_row_may_have_several_reasons(bucket: str) -> None:
    validation, content = validate({"display_name": None, "article_type": None, "picture_problem": "picture_missing"})
    assert set(content["rejected"][0]["reasons"]) == {"missing_display_name", "missing_article_type", "picture_missing"}
    assert validation.rejected == 1
    assert sum(validation.reasons.values()) == 3


def test_the_first_readable_row_of_an_id_stays(bucket: str) -> None:
    same = {"product_id": "77"}
    _, content = validate({**same, "row_problem": "bad_year"}, same, {**same, "display_name": "Other"}, same)
    assert [(row["position"], row["reasons"]) for row in content["rejected"]] == [
        (0, ["bad_year"]),
        (2, ["duplicate_id"]),
        (3, ["duplicate_id"]),
    ]


def test_what_is_odd_but_usable_is_a_warning(bucket: str) -> None:
    odd: dict[str, dict[str, Any]] = {
        "unknown_gender": {"gender": "Robots", "display_name": "Blue Shirt"},
        "unknown_season": {"season": "Monsoon"},
        "unknown_usage": {"usage": "Space"},
        "unknown_master_category": {"master_category": "Vehicles"},
        "unknown_sub_category": {"sub_category": "Cars"},
        "unknown_article_type": {"article_type": "Vans"},
        "unknown_base_colour": {"base_colour": "Octarine", "display_name": "Shirt"},
        "base_colour_not_stated": {"base_colour": "NA"},
        "display_name_not_stated": {"display_name": "NA"},
        "implausible_year": {"year": 1066},
        "json_missing": {"styles_problem": "json_missing"},
        "unknown_attribute_value": {"attributes": [("Fabric", "Unobtainium")]},
        "name_contradicts_colour": {"display_name": "Orlavane Men Red Shirt"},
        "name_contradicts_gender": {"display_name": "Orlavane Women Blue Shirt"},
        "shared_picture": {"picture_sha256": f"{0:064x}"},
    }
    validation, content = validate(*odd.values())
    assert (validation.rejected, validation.warnings) == (0, dict.fromkeys(odd, 1))
    assert content["warnings"] == validation.warnings


def test_what_may_be_is_no_warning(bucket: str) -> None:
    usual: list[dict[str, Any]] = [
        dict.fromkeys(("gender", "season", "usage", "year", "base_colour", "master_category", "sub_category")),
        {"usage": "NA"},
        {"base_colour": "Navy Blue"},
        {"base_colour": "Red", "display_name": "Orlavane Men Red and Blue Shirt"},
        {"display_name": "Hundred Acre Shirt"},
        {"gender": "Unisex"},
        {"display_name": "Plain Shirt", "picture_sha256": None, "attributes": []},
        {"display_name": "Plain Shirt", "picture_sha256": None, "attributes": []},
    ]
    validation, _ = validate(*usual)
    assert (validation.rejected, validation.warnings) == (0, {})


def test_a_drop_with_too_many_bad_rows_is_refused_and_says_why(bucket: str) -> None:
    bad = [{"picture_problem": "picture_missing"}] * 4 + [{"display_name": None}] * 2
    with pytest.raises(PermanentError) as refusal:
        validate(*bad, good=18)
    message = str(refusal.value)
    assert f"Drop {DROP_ID} is refused: 6 of 24 rows (25.0%) are rejected, at most 20.0% may be" in message
    assert "missing_display_name 2, picture_missing 4" in message
    assert f"{DOCS}index.html" in message


def test_a_refused_drop_leaves_its_verdict_and_its_docs(bucket: str) -> None:
    with pytest.raises(PermanentError):
        validate({"display_name": None}, good=1)
    content = storage.read_json(f"{STAGING}/validation.json")
    assert content["refused"] == ["1 of 2 rows (50.0%) are rejected, at most 20.0% may be"]
    assert storage.find(f"{DOCS}index.html") is not None


def test_the_share_that_may_be_rejected_is_a_setting(bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOOKBOOK_MAX_REJECTED_SHARE", "0.5")
    get_settings.cache_clear()
    assert validate({"display_name": None}, good=1)[0].rejected == 1


@pytest.mark.parametrize(("most", "refused"), [(0.5, False), (0.0, True)])
def test_a_run_may_set_its_own_share(bucket: str, most: float, refused: bool) -> None:
    outcome = pytest.raises(PermanentError, match=r"1 of 21 rows .* at most 0.0% may be") if refused else nullcontext()
    with outcome:
        validate({"display_name": None}, max_rejected_share=most)
    content = storage.read_json(f"{STAGING}/validation.json")
    assert bool(content["refused"]) == refused


def test_a_share_of_exactly_the_most_is_accepted(bucket: str) -> None:
    assert validate({"display_name": None}, good=3, max_rejected_share=0.25)[1]["refused"] == []


def test_a_drop_without_rows_is_refused(bucket: str) -> None:
    with pytest.raises(PermanentError, match="no_rows: the drop has no rows"):
        validate(good=0)


def test_rows_of_another_drop_refuse_the_drop(bucket: str) -> None:
    with pytest.raises(PermanentError, match="other_drop: rows of another drop are among them"):
        validate({"drop_id": "2026-11-09"})


def test_data_docs_stand_for_the_last_run_alone(bucket: str) -> None:
    for _ in range(2):
        validation, _ = validate({"picture_problem": "picture_missing"})
    assert validation.data_docs_uri == f"{DOCS}index.html"
    pages = [stored.uri for stored in storage.list_objects(DOCS) if stored.uri.endswith(".html")]
    assert len([page for page in pages if "/validations/" in page]) == 1
    (page,) = (storage.read_bytes(uri).decode() for uri in pages if "/validations/" in uri)
    assert "picture_missing" in page


def test_the_verdict_is_the_same_each_time(bucket: str) -> None:
    first, content = validate({"display_name": None}, {"gender": "Robots"})
    assert validate({"display_name": None}, {"gender": "Robots"}) == (first, content)


def test_what_was_read_and_written_is_recorded(bucket: str) -> None:
    with records.recording(records.TaskKey("ingest_drop", "run", "validate")) as record:
        validation, _ = validate({"display_name": None})
    assert [d.name for d in record.inputs] == [f"{STAGING}/candidates.parquet"]
    stored, result = record.outputs
    assert (stored.name, result.kind, result.name) == (validation.uri, "validation", "v1")
    assert stored.checksum == result.checksum == sha256(storage.read_bytes(validation.uri)).hexdigest()
    assert storage.find(f"{DOCS}validations/{result.version}.html"), "a result's id is where its page lies"
    assert record.counts == {"rows": 21, "rejected": 1, "missing_display_name": 1}
    drift = "skipped: the drop has 21 rows, of fewer than 200 a distribution says nothing"
    docs = {"suite": "v1", "data_docs": f"{DOCS}index.html"}
    assert record.details == docs | {"drift": drift, "max_rejected_share": "0.2"}


def test_great_expectations_does_not_fill_the_log(bucket: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    validate()
    loggers = {record.name.split(".")[0] for record in caplog.records}
    assert "lookbook" in loggers and "great_expectations" not in loggers


def test_references_can_be_handed_on_as_json(bucket: str) -> None:
    validation, _ = validate({"display_name": None})
    assert quality.Validation(**orjson.loads(orjson.dumps(validation.reference()))) == validation


def test_the_sample_drop_loses_one_row_in_twenty(bucket: str, tmp_path: Path) -> None:
    quirks = write_drop(tmp_path / "drop", date(2026, 11, 16), 200).quirks
    candidates = small.read_directory(tmp_path / "drop")
    validation = quality.validate(candidates.uri)
    assert validation.reasons == {
        "picture_missing": quirks["missing_picture"],
        "picture_unreadable": quirks["unreadable_picture"],
        "duplicate_id": quirks["duplicate_id"],
        "too_few_fields": quirks["cut_line"],
        "missing_display_name": quirks["empty_name"],
    }
    assert validation.rejected == 10
    assert validation.warnings == {
        "base_colour_not_stated": quirks["na_colour"],
        "json_missing": quirks["missing_json"],
        "name_contradicts_colour": quirks["name_contradicts_colour"],
        "shared_picture": quirks["same_picture"],
    }


def test_hostile_rows_are_counted_and_go_no_further(bucket: str, tmp_path: Path) -> None:
    hostile = ["../../x", "/etc/passwd", "10" * 9, "=cmd()", "٣"]
    directory = small.write_directory(tmp_path / "drop", *(line(number) for number in hostile), *GOOD)
    candidates = small.read_directory(directory)
    validation = quality.validate(candidates.uri)
    assert (validation.rows, validation.reasons) == (25, {"bad_product_id": 5})
    table = pq.read_table(pa.BufferReader(storage.read_bytes(candidates.uri)))
    assert table["picture_uri"].to_pylist()[:5] == [None] * 5
    assert drops.discover(DROP_ID)
