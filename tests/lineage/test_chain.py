"""From a description back to its picture: every link, and what the chain says when one is broken."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

import boto3
import httpx
import orjson
import pyarrow as pa
import pytest
from tests.descriptions.conftest import DROP, publish_answers
from tests.lineage.flow import (
    PICTURE,
    PICTURE_URI,
    STYLES,
    describe,
    ingest,
    retrain,
    sha256,
    task,
)

from lookbook import aws, storage
from lookbook.catalog import tables
from lookbook.catalog.schemas import DESCRIPTIONS
from lookbook.descriptions.results import Result
from lookbook.errors import PermanentError
from lookbook.lineage import __main__ as command
from lookbook.lineage import queries, records, store
from lookbook.lineage.chain import Chain, Link
from lookbook.settings import get_settings


@pytest.fixture
def described(aws_server: str) -> Result:
    """One product through all three DAGs, with a model in service."""
    ingest()
    retrain()
    return describe("v1")


@pytest.fixture(scope="module")
def whole(moto_server: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Result, Chain]]:
    """The same, and its chain, made once for the tests that only look at it."""
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("AWS_ENDPOINT_URL", moto_server)
        environment.setenv("AWS_ACCESS_KEY_ID", "testing")
        environment.setenv("AWS_SECRET_ACCESS_KEY", "testing")
        environment.setenv("AWS_DEFAULT_REGION", "us-east-1")
        environment.setenv("LOOKBOOK_CATALOG_URI", f"sqlite:///{tmp_path_factory.mktemp('catalog')}/catalog.db")
        get_settings.cache_clear()
        aws.client.cache_clear()
        httpx.post(f"{moto_server}/moto-api/reset").raise_for_status()
        boto3.client("s3").create_bucket(Bucket="lookbook")
        ingest()
        retrain()
        yield describe("v1"), queries.chain("38642")


def link(chain: Chain, kind: str) -> Link:
    return next(found for found in chain.root.walk() if found.kind == kind)


def now(kind: str) -> Link:
    return link(queries.chain("38642"), kind)


def makers(found: Link) -> list[str]:
    return [str(task) for task in found.tasks]


def test_a_whole_chain_reaches_every_link(whole: tuple[Result, Chain]) -> None:
    _, chain = whole
    assert chain.problems == []
    assert [found.kind for found in chain.root.walk()] == [
        "description",
        "request",
        "prompt",
        "facts",
        "attribute predictions",
        "endpoint config",
        "model package",
        "training job",
        "data set",
        "product",
        "row",
        "styles JSON",
        "picture",
    ]


def test_the_description_names_its_text_request_and_prompt(whole: tuple[Result, Chain]) -> None:
    described, chain = whole
    assert link(chain, "description").details["text"] == "A blue shirt."
    assert link(chain, "description").version == described.item.input_hash
    assert (link(chain, "request").name, link(chain, "request").version) == (get_settings().text_model_id, "request-1")
    assert link(chain, "request").details == {"tokens": "210 in, 60 out", "cost": "0.000408 USD"}
    assert (link(chain, "prompt").name, link(chain, "prompt").version) == (
        described.item.prompt_version,
        described.item.prompt_sha256,
    )


def test_facts_and_predictions_have_their_source_and_probability(whole: tuple[Result, Chain]) -> None:
    _, chain = whole
    assert link(chain, "facts").details["Fabric"] == "Cotton (catalogue)"
    assert link(chain, "facts").details["Neck"] == "V-Neck (model v1, probability 0.930)"
    assert link(chain, "facts").details["difference in Fabric"] == "catalogue Cotton, model Linen (probability 0.600)"
    assert link(chain, "attribute predictions").details == {
        "Neck": "V-Neck (probability 0.930)",
        "Fabric": "Linen (probability 0.600)",
    }


def test_the_model_leads_to_its_job_and_data_set(whole: tuple[Result, Chain]) -> None:
    _, chain = whole
    package, job, dataset = link(chain, "model package"), link(chain, "training job"), link(chain, "data set")
    assert (package.name, package.details["exact_match_challenger"]) == ("lookbook-attributes v1", "0.91")
    assert (package.details["gate"], package.details["promoted_by"]) == ("overridden", "ada")
    assert package.version is not None and package.version.endswith("/1")
    assert (job.name, dataset.name) == ("lookbook-train-d1", "d1")
    assert (dataset.details["products_snapshot"], dataset.details["train"]) == ("77", "12 pairs")
    assert link(chain, "endpoint config").name == "config-v1"


def test_the_product_leads_to_its_line_json_and_picture(whole: tuple[Result, Chain]) -> None:
    described, chain = whole
    assert link(chain, "product").version == described.item.products_snapshot
    assert link(chain, "row").name == f"s3://lookbook/drops/{DROP}/styles.csv line 2"
    assert link(chain, "row").details == {"line": "38642,Men"}
    assert link(chain, "styles JSON").version == sha256(STYLES)
    assert link(chain, "picture").version == f"sha256 {sha256(PICTURE)}"
    assert link(chain, "picture").details["checksum in S3 now"] == "matches"
    assert link(chain, "picture").details["etag"]
    assert "mended row" not in {found.kind for found in chain.root.walk()}


def test_every_link_names_the_task_instances_that_made_it(whole: tuple[Result, Chain]) -> None:
    _, chain = whole
    assert makers(link(chain, "description")) == [
        "describe_products · run-1 · describe [0]",
        "describe_products · run-1 · publish",
    ]
    assert makers(link(chain, "attribute predictions")) == ["describe_products · run-1 · predict_attributes"]
    assert makers(link(chain, "product")) == ["ingest_drop · run-1 · read", "ingest_drop · run-1 · publish"]
    assert makers(link(chain, "data set")) == ["retrain_attribute_model · run-1 · build_dataset"]
    assert makers(link(chain, "training job")) == ["retrain_attribute_model · run-1 · train"]
    assert makers(link(chain, "model package")) == ["retrain_attribute_model · run-1 · register"]
    assert makers(link(chain, "endpoint config")) == ["retrain_attribute_model · run-1 · deploy"]


def test_a_text_that_a_person_edited_names_them_and_why(described: Result) -> None:
    rows = tables.read("descriptions.descriptions").to_pylist()
    at = datetime(2026, 11, 17, 9, 30, tzinfo=UTC)
    decided = {"review": "overruled", "edited": True, "reviewed_by": "ada", "reviewed_at": at, "review_reason": "Seen."}
    reviewed = pa.Table.from_pylist([row | decided for row in rows], schema=DESCRIPTIONS)
    tables.replace("descriptions.descriptions", reviewed, "drop_id is not null")
    told = queries.chain("38642").root.details["review"]
    assert told == "overruled by ada, who edited the text (2026-11-17 09:30 UTC): Seen."


def test_a_changed_picture_is_noticed(described: Result) -> None:
    storage.write_bytes(PICTURE_URI, b"another picture")
    assert now("picture").problem == f"its sha256 is {sha256(b'another picture')} now, not {sha256(PICTURE)}"
    assert len(queries.chain("38642").problems) == 1


def test_a_drop_that_was_uploaded_again_is_noticed(described: Result) -> None:
    uri = f"s3://lookbook/drops/{DROP}/styles.csv"
    with records.recording(task("ingest_drop", "fingerprint")) as fingerprinted:
        records.read_object(uri)
    store.save(fingerprinted)
    store.collect("ingest_drop", "run-1")
    before = now("row")
    again = storage.write_bytes(uri, b"id,gender\n38642,Women\n")
    assert before.problem is None
    assert now("row").version == before.version
    assert str(now("row").problem).startswith(f"its ETag is {again.etag} now, not {before.version}")


def test_whatever_is_gone_is_told_and_the_rest_is_shown(described: Result) -> None:
    s3, sagemaker = boto3.client("s3"), boto3.client("sagemaker")
    for stored in list(storage.list_objects("s3://lookbook/")):
        if not stored.uri.startswith("s3://lookbook/warehouse/"):
            s3.delete_object(Bucket="lookbook", Key=storage.split_uri(stored.uri)[1])
    sagemaker.delete_endpoint_config(EndpointConfigName="config-v1")
    broken = {found.kind for found in queries.chain("38642").root.walk() if found.problem}
    assert broken == {"description", "endpoint config", "data set", "row", "styles JSON", "picture"}


def test_answers_of_a_transform_job_lead_to_it(aws_server: str) -> None:
    ingest()
    retrain()
    describe("v1", transform_job="lookbook-predict-1", endpoint_config=None)
    job = now("transform job")
    assert (job.name, job.problem) == ("lookbook-predict-1", "SageMaker has no such transform job")
    assert makers(job) == ["describe_products · run-1 · predict_attributes"]
    assert "endpoint config" not in {found.kind for found in queries.chain("38642").root.walk()}


def test_answers_replaced_by_a_later_model_are_still_found(described: Result) -> None:
    publish_answers(("38642", "Neck", "Round Neck", 0.8), version="v2", picture_sha256=sha256(PICTURE))
    assert now("attribute predictions").details["Neck"] == "V-Neck (probability 0.930)"


def test_a_mended_product_leads_to_its_line_and_to_what_that_was_mended_to(aws_server: str) -> None:
    uri = f"s3://lookbook/mended/{DROP}/a.csv"
    storage.write_bytes(uri, b"mended")
    ingest(mending={"uri": uri, "sha256": sha256(b"mended"), "line": "38642,Women", "fields": ["gender"]})
    describe(None)
    assert now("row").details == {"line": "38642,Men"}
    mended = now("mended row")
    assert (mended.name, mended.version) == (f"{uri} line_number 2", f"sha256 {sha256(b'mended')}")
    assert (mended.details, mended.problem) == ({"line": "38642,Women", "mended": "gender"}, None)
    storage.write_bytes(uri, b"another")
    assert now("mended row").problem == f"its sha256 is {sha256(b'another')} now, not {sha256(b'mended')}"


def test_without_a_model_the_chain_has_no_model(aws_server: str) -> None:
    ingest()
    describe(None)
    chain = queries.chain("38642")
    assert chain.problems == []
    assert "model package" not in {found.kind for found in chain.root.walk()}


def test_an_older_drops_description_is_found_when_asked_for(
    described: Result, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = tables.read("descriptions.descriptions").to_pylist()
    later = pa.Table.from_pylist([row | {"drop_id": "2026-11-23"} for row in rows], schema=DESCRIPTIONS)
    tables.replace("descriptions.descriptions", later, tables.equals("drop_id", "2026-11-23"))
    assert queries.chain("38642").root.name == "product 38642 of drop 2026-11-23"
    assert command.main(["product", "38642", "--drop", DROP]) == 0
    assert capsys.readouterr().out.startswith(f"description: product 38642 of drop {DROP} @ ")
    assert command.main(["product", "38642", "--drop", "2026-11-30"]) == 1
    assert "has no description in drop 2026-11-30" in capsys.readouterr().err


def test_the_validation_leads_to_its_result_and_its_verdict(described: Result) -> None:
    verdict = storage.write_json(f"s3://lookbook/staging/{DROP}/f/validation.json", {"rows": 1})
    with records.recording(task("ingest_drop", "validate")) as validated:
        records.writes_object(verdict)
        records.writes("validation", "v1", "v1/result", partition=DROP, checksum=verdict.sha256)
        records.counts(rows=1, rejected=0)
        records.details(data_docs="s3://lookbook/data-docs/index.html")
    store.save(validated)
    store.collect("ingest_drop", "run-1")

    found = now("validation")

    assert (found.name, found.version, found.problem) == ("suite v1", "v1/result", None)
    assert found.details == {
        "rows": 1,
        "rejected": 0,
        "verdict": verdict.uri,
        "data_docs": "s3://lookbook/data-docs/index.html",
    }
    assert makers(found) == ["ingest_drop · run-1 · validate"]
    storage.write_json(verdict.uri, {"rows": 2})
    assert "its sha256 is" in str(now("validation").problem)


def test_a_maker_tells_which_code_and_settings_it_ran_with(whole: tuple[Result, Chain]) -> None:
    _, chain = whole
    told = {(maker.code_version, maker.settings_sha256) for found in chain.root.walk() for maker in found.tasks}
    [(code_version, settings_sha256)] = told
    assert code_version and settings_sha256


def test_threads_may_ask_side_by_side(described: Result) -> None:
    with ThreadPoolExecutor(8) as pool:
        chains = list(pool.map(lambda _: queries.chain("38642"), range(16)))
    assert [chain.problems for chain in chains] == [[]] * 16


def test_a_product_without_a_description_is_refused(aws_server: str) -> None:
    with pytest.raises(PermanentError, match="Product 1 has no description"):
        queries.chain("1")


def test_the_command_prints_a_tree(described: Result, capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["product", "38642"]) == 0
    printed = capsys.readouterr().out
    assert printed.startswith(f"description: product 38642 of drop {DROP} @ {described.item.input_hash}\n")
    assert f"\n├─ prompt: {described.item.prompt_version} @ " in printed
    assert f"\n   └─ picture: {PICTURE_URI} @ sha256 {sha256(PICTURE)}\n" in printed
    assert printed.endswith("\n✓ The chain is whole: every link resolves.\n")


def test_a_tree_holds_no_control_characters() -> None:
    shown = Chain("1", Link("row", "styles.csv line 2", details={"line": "1,Men\x1b[31m\n\u202eshirt"})).text()
    assert "  line: 1,Men�[31m��shirt\n" in shown


def test_the_command_prints_json(described: Result, capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["product", "38642", "--json"]) == 0
    printed: dict[str, Any] = orjson.loads(capsys.readouterr().out)
    assert (printed["product_id"], printed["whole"], printed["problems"]) == ("38642", True, [])
    assert printed["root"]["sources"][0]["version"] == "request-1"


def test_the_command_fails_when_there_is_nothing_to_show_or_a_link_is_broken(
    described: Result, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command.main(["product", "1"]) == 1
    assert "has no description" in capsys.readouterr().err
    storage.write_bytes(PICTURE_URI, b"another picture")
    assert command.main(["product", "38642"]) == 1
    assert "✗ picture" in capsys.readouterr().out


def test_the_command_says_what_is_wrong_when_aws_cant_be_asked(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    assert command.main(["model", "v1"]) == 3
    message = capsys.readouterr().err
    assert "can't be asked" in message
    assert "Traceback" not in message
