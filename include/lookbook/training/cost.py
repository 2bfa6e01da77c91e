"""What a training may cost before it is started, and whether that is within the budget."""

from __future__ import annotations

import logging
import tomllib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import lru_cache
from importlib.resources import files
from typing import Any

from lookbook.aws import client
from lookbook.lineage import records
from lookbook.settings import Settings, get_settings
from lookbook.training import registry

log = logging.getLogger(__name__)

_STARTUP_S = 600  # an instance is fetched, an image pulled, channels are copied: paid for, too
_RATE_METRIC = "samples_per_second"


@dataclass(frozen=True)
class Estimate:
    """What training on a data set is expected to take and to cost at most, and whether a person must agree to it.

    ``usd`` is ``None`` where the price list does not have the instance type.
    """

    hours: float
    usd: float | None
    needs_approval: bool
    sentence: str

    def reference(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return asdict(self)


@dataclass(frozen=True)
class _Rate:
    """How many pairs a second training does, and where that is known from."""

    pairs_per_s: float
    known_from: str


@lru_cache(maxsize=1)
def price_list() -> dict[str, Any]:
    """Return ``prices.toml``: source, date, and USD an hour by instance type."""
    return tomllib.loads((files(__package__) / "prices.toml").read_text())


def usd_of(instance_type: str, seconds: float, instances: int = 1) -> float | None:
    """Return what instances cost for some seconds at list price, ``None`` for a type that the price list has not."""
    price: float | None = price_list()["usd_per_hour"].get(instance_type)
    return None if price is None else round(seconds / 3600 * instances * price, 6)


def usd_of_training(job: Mapping[str, Any]) -> float | None:
    """Return what a training job cost at list price, by the time that AWS bills for it.

    Args:
        job: as DescribeTrainingJob tells it.
    """
    kind = job["ResourceConfig"]
    return usd_of(kind["InstanceType"], job.get("BillableTimeInSeconds", 0), kind["InstanceCount"])


def estimate(dataset: dict[str, Any]) -> Estimate:
    """Estimate the training of a data set, at the on-demand list price, against ``training_budget_usd``.

    Args:
        dataset: reference of a :class:`lookbook.vqa.datasets.DatasetRef`.
    """
    settings, pairs = get_settings(), dataset["counts"]["train"]["pairs"]
    rate = _rate(settings)
    hours = (_STARTUP_S + pairs * settings.training_epochs / rate.pairs_per_s) / 3600
    hours = min(hours, settings.training_max_runtime_s / 3600)
    estimated = _judged(hours, pairs, rate, settings)
    records.details(training_estimate=estimated.sentence)
    log.info("%s", estimated.sentence)
    return estimated


def _judged(hours: float, pairs: int, rate: _Rate, settings: Settings) -> Estimate:
    kind, budget = settings.training_instance_type, settings.training_budget_usd
    price: float | None = price_list()["usd_per_hour"].get(kind)
    work = (
        f"{pairs} pairs × {settings.training_epochs} epochs at {rate.pairs_per_s:.3g} a second ({rate.known_from}) "
        f"take about {hours:.2f} h of {kind}"
    )
    if price is None:
        return Estimate(hours, None, True, f"{work}, whose price the price list of {_dated()} does not have")
    usd = round(hours * price, 2)
    verdict = "within" if usd <= budget else "over"
    sentence = (
        f"{work}: at most {usd:.2f} USD at the list price of {_dated()}, {verdict} the budget of {budget:.2f} USD"
    )
    return Estimate(hours, usd, usd > budget, sentence)


def _dated() -> str:
    return str(price_list()["date"])


def _rate(settings: Settings) -> _Rate:
    """Return the rate of the job that trained the model in service, or the one of the settings."""
    champion = registry.champion()
    if champion is None:
        return _Rate(settings.training_pairs_per_s, "as set")
    job = client("sagemaker").describe_training_job(TrainingJobName=champion.training_job)
    records.reads("training_job", champion.training_job, job["TrainingJobArn"])
    metrics = {metric["MetricName"]: metric["Value"] for metric in job.get("FinalMetricDataList", [])}
    if job["ResourceConfig"]["InstanceType"] != settings.training_instance_type or not metrics.get(_RATE_METRIC):
        return _Rate(settings.training_pairs_per_s, "as set")
    return _Rate(float(metrics[_RATE_METRIC]), f"as job {champion.training_job} did")
