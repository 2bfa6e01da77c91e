"""Lookbook's own facets, each with a JSON schema in ``schemas/``, and who says so in all facets: the producer.

``LOOKBOOK_SOURCE_URL`` says where this repository's files can be read; the schemas' addresses begin with it.
"""

from __future__ import annotations

import attr
from openlineage.client.generated.base import DatasetFacet, RunFacet
from openlineage.client.utils import RedactMixin

from lookbook.settings import get_settings

MODEL, TASK = "lookbook_model", "lookbook_task"
_SCHEMAS = "include/lookbook/lineage/openlineage/schemas"


def producer() -> str:
    """Return the URI that says who made a facet: this code."""
    return get_settings().source_url


def _schema(name: str) -> str:
    return f"{get_settings().source_url.rstrip('/')}/{_SCHEMAS}/{name}.json#/$defs/{name}"


@attr.define
class LookbookModelDatasetFacet(DatasetFacet):
    """On a model package: where the model came from, how good it is, and what was decided about it.

    ``metrics`` are the figures that the gate looked at (``exact_match_challenger`` …), and what training cost.
    """

    packageArn: str  # noqa: N815 - names of the JSON, here and below
    version: str
    approvalStatus: str  # noqa: N815
    dataSetId: str | None = attr.field(default=None)  # noqa: N815
    productsSnapshot: str | None = attr.field(default=None)  # noqa: N815
    trainingJob: str | None = attr.field(default=None)  # noqa: N815
    image: str | None = attr.field(default=None)
    codeVersion: str | None = attr.field(default=None)  # noqa: N815
    gate: str | None = attr.field(default=None)
    promotedBy: str | None = attr.field(default=None)  # noqa: N815
    evaluationReport: str | None = attr.field(default=None)  # noqa: N815
    metrics: dict[str, float] = attr.field(factory=dict)

    @staticmethod
    def _get_schema() -> str:
        return _schema("LookbookModelDatasetFacet")


@attr.define
class Service(RedactMixin):
    """Something of AWS that the task used or made and that is no dataset, e.g. a training job or a request."""

    kind: str
    name: str
    version: str


@attr.define
class LookbookTaskRunFacet(RunFacet):
    """On a task's run: what its lineage record says beside datasets. ``record`` is where the whole record lies."""

    record: str
    codeVersion: str  # noqa: N815
    settingsSha256: str  # noqa: N815
    dropId: str | None = attr.field(default=None)  # noqa: N815
    costUsd: float | None = attr.field(default=None)  # noqa: N815
    counts: dict[str, int] = attr.field(factory=dict)
    services: list[Service] = attr.field(factory=list)

    @staticmethod
    def _get_schema() -> str:
        return _schema("LookbookTaskRunFacet")
