"""What nothing refers to goes, and nothing else: by example, and whatever the account looks like."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lookbook.housekeeping import models
from lookbook.housekeeping.inventory import Config, Inventory, Model, Package, Prefix
from lookbook.housekeeping.plans import Expiry

NOW = datetime(2026, 11, 21, tzinfo=UTC)
YOUNGEST = NOW - timedelta(days=14)
OLD = NOW - timedelta(days=40)
JOBS, CHECKPOINTS = "s3://lookbook/training/jobs/", "s3://lookbook/training/checkpoints/"
DATASETS = "s3://lookbook/training/datasets/"


def artefact(version: int) -> str:
    return f"{JOBS}train-{version}/output/model.tar.gz"


def arn(version: int) -> str:
    return f"arn:aws:sagemaker:us-east-1:000000000000:model-package/lookbook-attributes/{version}"


def config(version: int, created: datetime = OLD, **fields: Any) -> Config:
    return Config(f"c{version}", created, frozenset({f"m{version}"}), fields.get("ours", True))


def model(version: int, created: datetime = OLD, **fields: Any) -> Model:
    return Model(f"m{version}", created, frozenset({artefact(version)}), arn(version), fields.get("ours", True))


def package(version: int, status: str = "Approved", ours: bool = True) -> Package:
    return Package(arn(version), version, status, frozenset({artefact(version)}), f"d{version}", ours)


def prefix(uri: str, written: datetime = OLD) -> Prefix:
    return Prefix(uri, written, 100, 1)


def account(versions: int, **fields: Any) -> Inventory:
    """An account in which ``versions`` models were trained, approved and deployed one after the other, long ago."""
    numbers = range(1, versions + 1)
    usual: dict[str, Any] = {
        "configs": {f"c{number}": config(number) for number in numbers},
        "models": {f"m{number}": model(number) for number in numbers},
        "packages": tuple(package(number) for number in numbers),
        "job_outputs": tuple(prefix(f"{JOBS}train-{number}/") for number in numbers),
        "checkpoints": tuple(prefix(f"{CHECKPOINTS}train-{number}/") for number in numbers),
        "datasets": tuple(prefix(f"{DATASETS}d{number}/") for number in numbers),
        "deployed_configs": frozenset({f"c{versions}"}),
        "described_configs": frozenset(),
        "described_versions": frozenset(),
        "busy": frozenset(),
    }
    return Inventory(**(usual | fields))


def going(found: Inventory, kind: str) -> set[str]:
    return {expiry.name for expiry in models.expired(found, YOUNGEST) if expiry.kind == kind}


def test_all_that_belongs_to_older_champions_than_the_last_three_goes() -> None:
    found = account(5)
    assert going(found, "endpoint_config") == {"c1", "c2"}
    assert going(found, "model") == {"m1", "m2"}
    assert going(found, "artefact") == {f"{JOBS}train-1/", f"{JOBS}train-2/"}
    assert going(found, "data_set") == {f"{DATASETS}d1/", f"{DATASETS}d2/"}


def test_a_champion_that_was_rolled_back_to_stays_however_old_its_version() -> None:
    found = account(9, deployed_configs=frozenset({"c1"}))
    assert "c1" not in going(found, "endpoint_config")
    assert "m1" not in going(found, "model")
    assert f"{JOBS}train-1/" not in going(found, "artefact")
    assert f"{DATASETS}d1/" not in going(found, "data_set")


def test_the_last_champions_are_those_that_served_last_not_those_that_were_trained_last() -> None:
    served = {1: "2026-11-20T00:00:00", 4: "2026-10-12T00:00:00", 5: "2026-10-19T00:00:00"}
    packages = tuple(replace(package(number), in_service_since=served.get(number, "")) for number in range(1, 6))
    found = account(5, packages=packages, deployed_configs=frozenset({"c1"}))
    assert going(found, "model") == {"m2", "m3"}


def test_a_package_that_awaits_approval_stays_deployable() -> None:
    found = account(5, packages=(package(1, "PendingManualApproval"), *(package(number) for number in range(2, 6))))
    assert going(found, "artefact") == {f"{JOBS}train-2/"}


def test_a_rejected_package_loses_its_artefact() -> None:
    found = account(2, packages=(package(1, "Rejected"), package(2)))
    assert going(found, "artefact") == {f"{JOBS}train-1/"}


def test_what_a_refused_challenger_left_goes_once_it_is_old() -> None:
    refused = prefix(f"{JOBS}train-99/"), prefix(f"{JOBS}train-98/", NOW)
    found = account(1)
    found = replace(found, job_outputs=(*found.job_outputs, *refused))
    assert going(found, "artefact") == {f"{JOBS}train-99/"}


def test_a_comparison_that_is_over_does_not_keep_the_other_model_it_was_with() -> None:
    found = account(5)
    beside = Config("c1-shadowed-c5", OLD, frozenset({"m1", "m5"}), True, shadowed=True)
    compared = replace(found, configs={**found.configs, beside.name: beside})
    assert going(compared, "endpoint_config") == {"c1", "c2", beside.name}
    assert going(compared, "model") == {"m1", "m2"}
    going_on = replace(compared, deployed_configs=frozenset({beside.name}))
    assert going(going_on, "model") == {"m2"}


def test_the_checkpoints_of_ended_jobs_go_and_those_of_a_running_one_stay() -> None:
    found = account(2, busy=frozenset({f"{CHECKPOINTS}train-2/"}))
    assert going(found, "checkpoints") == {f"{CHECKPOINTS}train-1/"}


def test_what_a_running_job_reads_stays() -> None:
    found = account(5, busy=frozenset({f"{DATASETS}d1/train/", artefact(2)}))
    assert going(found, "data_set") == {f"{DATASETS}d2/"}
    assert going(found, "artefact") == {f"{JOBS}train-1/"}


def test_the_lineage_of_a_description_keeps_its_config_and_data_set_but_not_the_artefact() -> None:
    found = account(5, described_configs=frozenset({"c1"}), described_versions=frozenset({1}))
    assert going(found, "endpoint_config") == {"c2"}
    assert going(found, "data_set") == {f"{DATASETS}d2/"}
    assert f"{JOBS}train-1/" in going(found, "artefact")


def test_what_another_project_made_stays_with_all_it_uses() -> None:
    other = {"c1": config(1, ours=False), **{f"c{number}": config(number) for number in range(2, 6)}}
    found = account(5, configs=other)
    assert going(found, "endpoint_config") == {"c2"}
    assert f"{JOBS}train-1/" not in going(found, "artefact")


def test_a_config_goes_before_its_model_and_that_before_its_artefact() -> None:
    kinds = [expiry.kind for expiry in models.expired(account(4), YOUNGEST)]
    assert kinds.index("endpoint_config") < kinds.index("model") < kinds.index("artefact")


_TIMES = st.sampled_from([OLD, YOUNGEST, NOW])
_VERSIONS = st.frozensets(st.integers(1, 8), max_size=4)


@st.composite
def accounts(draw: st.DrawFn) -> Inventory:
    """Any account: resources missing here and there, of any age, of anybody, referred to by anything."""
    present = {kind: draw(_VERSIONS) for kind in ("configs", "models", "packages", "outputs", "datasets")}
    busy = st.sampled_from([f"{DATASETS}d1/train/", f"{JOBS}train-2/", artefact(3), f"{CHECKPOINTS}train-4/"])
    statuses = st.sampled_from(["Approved", "PendingManualApproval", "Rejected"])
    return Inventory(
        configs={
            f"c{n}": Config(f"c{n}", draw(_TIMES), frozenset(f"m{m}" for m in draw(_VERSIONS)), draw(st.booleans()))
            for n in present["configs"]
        },
        models={f"m{n}": replace(model(n), created=draw(_TIMES), ours=draw(st.booleans())) for n in present["models"]},
        packages=tuple(
            replace(
                package(n, draw(statuses), draw(st.booleans())), in_service_since=draw(st.sampled_from(["", "1", "2"]))
            )
            for n in sorted(present["packages"])
        ),
        job_outputs=tuple(prefix(f"{JOBS}train-{n}/", draw(_TIMES)) for n in present["outputs"]),
        checkpoints=tuple(prefix(f"{CHECKPOINTS}train-{n}/", draw(_TIMES)) for n in present["outputs"]),
        datasets=tuple(prefix(f"{DATASETS}d{n}/", draw(_TIMES)) for n in present["datasets"]),
        deployed_configs=frozenset(f"c{n}" for n in draw(_VERSIONS)),
        described_configs=frozenset(f"c{n}" for n in draw(_VERSIONS)),
        described_versions=draw(_VERSIONS),
        busy=draw(st.frozensets(busy)),
    )


def missing(found: Inventory, expiries: list[Expiry]) -> Iterator[str]:
    """Yield every reference that leads nowhere once all this has gone, though it led somewhere before.

    It follows the references one by one from what uses them, unlike the code, which collects what is kept.
    """
    gone = {expiry.name for expiry in expiries}
    approved = sorted(
        (one.in_service_since, one.version) for one in found.packages if one.ours and one.status == "Approved"
    )[-3:]
    usable = [
        one
        for one in found.packages
        if not one.ours or (one.in_service_since, one.version) in approved or one.status == "PendingManualApproval"
    ]
    endpoints = [found.configs[name] for name in found.deployed_configs if name in found.configs]
    of_configs = [found.models[name] for one in endpoints for name in one.models if name in found.models]
    of_packages = [one for one in found.models.values() if one.package_arn in {used.arn for used in usable}]
    yield from (f"deployed {one.name}" for one in endpoints if one.name in gone)
    yield from (f"described {name}" for name in found.described_configs & gone)
    for one in (*of_configs, *of_packages):
        yield from (name for name in (one.name, *(uri_of(uri) for uri in one.artefacts)) if name in gone)
    for used in usable:
        yield from (name for name in (f"{DATASETS}{used.dataset_id}/", uri_of(*used.artefacts)) if name in gone)
    for one in found.packages:
        if one.ours and one.version in found.described_versions and f"{DATASETS}{one.dataset_id}/" in gone:
            yield f"traced {one.dataset_id}"
    yield from (uri for uri in found.busy for name in gone if uri.startswith(name))


def uri_of(uri: str) -> str:
    return uri.removesuffix("output/model.tar.gz")


@settings(max_examples=100, deadline=None)
@given(accounts())
def test_whatever_the_account_nothing_that_is_referred_to_goes(found: Inventory) -> None:
    expiries = list(models.expired(found, YOUNGEST))
    assert list(missing(found, expiries)) == []


@settings(max_examples=100, deadline=None)
@given(accounts())
def test_whatever_the_account_nothing_young_and_nothing_of_others_goes(found: Inventory) -> None:
    for expiry in models.expired(found, YOUNGEST):
        assert expiry.since <= YOUNGEST
        owners = {**found.configs, **found.models}
        assert expiry.name not in owners or owners[expiry.name].ours


@settings(max_examples=100, deadline=None)
@given(accounts())
def test_what_stays_is_not_planned_again_when_the_rest_has_gone(found: Inventory) -> None:
    gone = {expiry.name for expiry in models.expired(found, YOUNGEST)}
    left = replace(
        found,
        configs={name: one for name, one in found.configs.items() if name not in gone},
        models={name: one for name, one in found.models.items() if name not in gone},
        **{
            kind: tuple(one for one in getattr(found, kind) if one.uri not in gone)
            for kind in ("job_outputs", "checkpoints", "datasets")
        },
    )
    again = list(models.expired(left, YOUNGEST))
    assert [expiry.name for expiry in again if expiry.name in gone] == []
    assert list(missing(found, again)) == []


@pytest.mark.parametrize("careless", ["packages", "busy", "described_configs", "deployed_configs"])
def test_the_check_finds_a_code_that_overlooks_a_kind_of_reference(careless: str) -> None:
    found = account(5, busy=frozenset({artefact(2)}), described_configs=frozenset({"c2"}))
    found = replace(found, deployed_configs=frozenset({"c1"}))
    blind = replace(found, **{careless: type(getattr(found, careless))()})
    assert list(missing(found, list(models.expired(blind, YOUNGEST))))
