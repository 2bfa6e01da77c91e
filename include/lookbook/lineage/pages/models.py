"""The pages of models: all that are registered with figures and verdicts, one, and what depends on one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any

from botocore.exceptions import ClientError
from pyiceberg.expressions import And, IsNull, Reference

from lookbook.aws import client
from lookbook.catalog import tables
from lookbook.errors import PermanentError
from lookbook.lineage import impact, tallies
from lookbook.lineage.pages.drops import render_dependents
from lookbook.lineage.pages.layout import Crumb, PageNotFoundError, render
from lookbook.lineage.pages.links import Links
from lookbook.settings import get_settings
from lookbook.training import cost, registry

ROWS = 25  # models on one page: SageMaker is asked about each of them
_AT_ONCE = 8
_KEPT_JOBS = 256
_KEPT_VERSIONS = 2  # of lineage.runs
_FIGURE = "exact_match_"


@dataclass(frozen=True)
class Training:
    """The job that trained a model: on what, how long AWS billed it (hours), and what that costs at list price.

    ``usd`` is ``None`` where no price list has the instance type.
    """

    job_name: str
    arn: str
    instance_type: str
    hours: float
    usd: float | None
    began: datetime | None
    ended: datetime | None


@dataclass(frozen=True)
class Run:
    """The run that registered a model."""

    dag_id: str
    run_id: str


@dataclass(frozen=True)
class Model:
    """A registered model: what was measured, what was decided about it and by whom, and what its answers are used in.

    ``role`` is ``in service``, ``being rolled out`` or ``shadow``, ``None`` for a model that nobody asks now. ``lead``
    is its exact match above that of the model that served then. ``promoted_by`` is who went against the gate,
    ``approved_by`` who was asked beside it. Texts of ``descriptions`` are counted by status.
    """

    version: str
    arn: str
    role: str | None
    approval: str
    because: str | None
    registered_at: datetime
    in_service_since: str | None
    endpoint_config: str | None
    figures: Mapping[str, float]
    lead: float | None
    gate: str | None
    promoted_by: str | None
    promoted_because: str | None
    approved_by: str | None
    run: Run | None
    evaluation_job: str | None
    dataset_id: str | None
    products_snapshot: str | None
    image: str | None
    code_version: str | None
    artefact_expired: str | None
    training: Training | None
    descriptions: Mapping[str, int]
    drops: tuple[str, ...]

    @property
    def exact_match(self) -> float | None:
        """The model's own exact match on the benchmark."""
        return self.figures.get("challenger")

    @property
    def lift(self) -> float | None:
        """Its exact match minus that of always giving the majority answer."""
        majority = self.figures.get("majority")
        return None if self.exact_match is None or majority is None else self.exact_match - majority


@dataclass(frozen=True)
class _Known:
    """What is told of all models at once: their roles, what used them by drop and status, who registered them."""

    roles: Mapping[str, str]
    used: Mapping[str, Counter[tuple[str, str]]]
    runs: Mapping[str, Run]


@dataclass(frozen=True)
class Overview:
    """A page of the registered models, the newest first, and how many there are in all."""

    models: tuple[Model, ...]
    number: int
    page: int

    @property
    def pages(self) -> int:
        """How many pages there are, at least one."""
        return max(1, -(-self.number // ROWS))


def overview(page: int = 1) -> Overview:
    """Return a page of models; ``page`` counts from one."""
    arns = _packages()
    return Overview(_models(arns[(page - 1) * ROWS : page * ROWS]), len(arns), page)


def detail(version: str) -> Model:
    """Return a model.

    Raises:
        PageNotFoundError: the registry has no such version.
    """
    arn = next((arn for arn in _packages() if registry.version_of(arn) == version), None)
    if arn is None:
        raise PageNotFoundError(f"The registry has no model {version}. Its models are called v1, v2 and so on.")
    (model,) = _models([arn])
    return model


def trainings() -> tuple[tuple[str, Training], ...]:
    """Return the jobs that trained the newest models, each with its model's version, the newest first."""
    return tuple((model.version, model.training) for model in overview().models if model.training)


def render_overview(links: Links, page: int = 1) -> str:
    """Return the page of all models as HTML."""
    return render("models.html", title="Models", active="models", links=links, overview=overview(page))


def render_detail(links: Links, version: str) -> str:
    """Return the page of a model as HTML.

    Raises:
        PageNotFoundError: there is no such model.
    """
    model = detail(version)
    return render(
        "model.html",
        title=f"Model {version}",
        active="models",
        links=links,
        crumbs=(Crumb("Models", links.page("models")), Crumb(version)),
        model=model,
        prices_of=cost.price_list()["date"],
    )


def render_impact(links: Links, version: str) -> str:
    """Return the page of what depends on a model as HTML; at 44,000 products it takes a second or two to work out.

    Raises:
        PageNotFoundError: there is no such model.
    """
    try:
        found = impact.of_model(version)
    except PermanentError as unknown:
        raise PageNotFoundError(str(unknown)) from unknown
    crumbs = (Crumb("Models", links.page("models")), Crumb(version, links.page("models", version)))
    return render_dependents("model", version, found, links, crumbs)


def _packages() -> list[str]:
    """Return the ARNs of all models, the newest first; none before the first one is registered."""
    try:
        return registry.all_packages()[::-1]
    except ClientError as error:
        if "does not exist" in error.response["Error"]["Message"]:
            return []
        raise


def _models(arns: list[str]) -> tuple[Model, ...]:
    known = _Known(_roles(), _used(), _runs(tables.current_snapshot("lineage.runs")))
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        packages = list(pool.map(registry.describe, arns))
        jobs = pool.map(_training, [_metadata(package).get("training_job") for package in packages])
        return tuple(_model(package, job, known) for package, job in zip(packages, jobs, strict=True))


def _model(package: Mapping[str, Any], training: Training | None, known: _Known) -> Model:
    arn, said = package["ModelPackageArn"], _metadata(package)
    version = registry.version_of(arn)
    used = known.used.get(version, Counter())
    descriptions: Counter[str] = Counter()
    for (_, status), number in used.items():
        descriptions[status] += number
    lead = said.get("lead_over_champion")
    return Model(
        version=version,
        arn=arn,
        role=known.roles.get(arn),
        run=known.runs.get(arn),
        approval=package["ModelApprovalStatus"],
        because=package.get("ApprovalDescription"),
        registered_at=package["CreationTime"],
        figures={name: float(value) for name, value in _figures(said)},
        lead=None if lead is None else float(lead),
        training=training,
        descriptions=dict(descriptions),
        drops=tuple(sorted({drop_id for drop_id, _ in used}, reverse=True)),
        in_service_since=said.get("in_service_since"),
        artefact_expired=said.get("artefact_expired"),
        **{
            name: said.get(name)
            for name in (
                *("endpoint_config", "gate", "promoted_by", "promoted_because", "approved_by"),
                *("evaluation_job", "dataset_id", "products_snapshot", "image", "code_version"),
            )
        },
    )


def _metadata(package: Mapping[str, Any]) -> Mapping[str, str]:
    said: Mapping[str, str] = package.get("CustomerMetadataProperties", {})
    return said


def _figures(said: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Yield what each model of the evaluation scored, by its name there, and the challenger's interval."""
    return ((name.removeprefix(_FIGURE), value) for name, value in said.items() if name.startswith(_FIGURE))


def _used() -> Mapping[str, Counter[tuple[str, str]]]:
    """Return of each model how many descriptions of which drop and status used its answers."""
    found: dict[str, Counter[tuple[str, str]]] = {}
    for one in tallies.texts():
        if one.attribute_model_version:
            counted = found.setdefault(one.attribute_model_version, Counter())
            counted[one.drop_id, one.status] += one.number
    return found


@lru_cache(maxsize=_KEPT_VERSIONS)
def _runs(snapshot: str) -> Mapping[str, Run]:
    """Return the run that registered each package, as far as lineage records say."""
    registering = And(IsNull(term=Reference("drop_id")), tables.equals("task_id", "register"))
    rows = tables.read("lineage.runs", registering, ("dag_id", "run_id", "outputs"), snapshot).to_pylist()
    return {output["version"]: Run(row["dag_id"], row["run_id"]) for row in rows for output in row["outputs"] or ()}


def _roles() -> Mapping[str, str]:
    """Return which packages the endpoint serves, is being moved to, and sends copies of its requests to."""
    endpoint = registry.describe_endpoint(get_settings().endpoint_name)
    if endpoint is None:
        return {}
    pending = endpoint.get("PendingDeploymentSummary", {}).get("EndpointConfigName")
    serving = endpoint["EndpointConfigName"]
    found = dict.fromkeys(_behind(serving, "ShadowProductionVariants"), "shadow")
    found |= dict.fromkeys(_behind(pending, "ProductionVariants") if pending else (), "being rolled out")
    return found | dict.fromkeys(_behind(serving, "ProductionVariants"), "in service")


def _behind(endpoint_config: str, variants: str) -> Iterable[str]:
    """Yield the packages of an endpoint config's models; a model that Lookbook did not deploy has none."""
    sagemaker = client("sagemaker")
    config = sagemaker.describe_endpoint_config(EndpointConfigName=endpoint_config)
    for variant in config.get(variants, ()):
        model = sagemaker.describe_model(ModelName=variant["ModelName"])
        if arn := model["PrimaryContainer"].get("Environment", {}).get(registry.PACKAGE_VARIABLE):
            yield arn


def _training(job_name: str | None) -> Training | None:
    """Return the job of that name; ``None`` where SageMaker has none (any more)."""
    if job_name is None:
        return None
    try:
        return _ended_training(job_name)
    except ClientError as error:
        if error.response["Error"]["Code"] in ("ValidationException", "ResourceNotFound"):
            return None
        raise


@lru_cache(maxsize=_KEPT_JOBS)
def _ended_training(job_name: str) -> Training:
    """Describe a job whose model is registered: it has ended, so that nothing about it changes any more."""
    job = client("sagemaker").describe_training_job(TrainingJobName=job_name)
    kind = job["ResourceConfig"]
    hours = job.get("BillableTimeInSeconds", 0) / 3600 * kind["InstanceCount"]
    price: float | None = cost.price_list()["usd_per_hour"].get(kind["InstanceType"])
    return Training(
        job_name=job_name,
        arn=job["TrainingJobArn"],
        instance_type=kind["InstanceType"],
        hours=hours,
        usd=None if price is None else hours * price,
        began=job.get("TrainingStartTime"),
        ended=job.get("TrainingEndTime"),
    )
