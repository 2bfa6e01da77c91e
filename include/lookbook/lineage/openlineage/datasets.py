"""OpenLineage's datasets and facets of what one task read and wrote.

:func:`task_lineage` turns a lineage record into them; whoever sends events attaches the result. Nothing here knows
of Airflow.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from openlineage.client.event_v2 import InputDataset, OutputDataset
from openlineage.client.generated.base import DatasetFacet, InputDatasetFacet, OutputDatasetFacet, RunFacet
from openlineage.client.generated.base_subset_dataset import (
    InputSubsetInputDatasetFacet,
    OutputSubsetOutputDatasetFacet,
    Partition,
    PartitionSubsetCondition,
)
from openlineage.client.generated.catalog_dataset import CatalogDatasetFacet
from openlineage.client.generated.data_quality_metrics_dataset import DataQualityMetricsDatasetFacet
from openlineage.client.generated.dataset_type_dataset import DatasetTypeDatasetFacet
from openlineage.client.generated.dataset_version_dataset import DatasetVersionDatasetFacet
from openlineage.client.generated.documentation_dataset import DocumentationDatasetFacet
from openlineage.client.generated.output_statistics_output_dataset import OutputStatisticsOutputDatasetFacet
from openlineage.client.generated.ownership_dataset import Owner, OwnershipDatasetFacet
from openlineage.client.generated.schema_dataset import SchemaDatasetFacet, SchemaDatasetFacetFields
from openlineage.client.generated.storage_dataset import StorageDatasetFacet
from openlineage.client.generated.symlinks_dataset import Identifier, SymlinksDatasetFacet
from openlineage.client.generated.tags_dataset import TagsDatasetFacet, TagsDatasetFacetFields

from lookbook.lineage import store
from lookbook.lineage.openlineage import columns, quality
from lookbook.lineage.openlineage.facets import MODEL, TASK, LookbookTaskRunFacet, Service, producer
from lookbook.lineage.openlineage.lookups import Lookups, TableVersion, tried
from lookbook.lineage.openlineage.models import model_facet
from lookbook.lineage.openlineage.naming import Identity, dropped, identity
from lookbook.lineage.records import Dataset, LineageRecord
from lookbook.settings import get_settings

_TYPES = {
    "table": ("TABLE", "ICEBERG"),
    "model_package": ("MODEL", "MODEL_PACKAGE"),
    "endpoint_config": ("MODEL", "ENDPOINT"),
    "text_model": ("MODEL", "FOUNDATION_MODEL"),
    "prompt": ("FILE", "PROMPT"),
}


@dataclass(frozen=True)
class TaskLineage:
    """What OpenLineage is told of a task: its datasets, and the facets of its run."""

    inputs: list[InputDataset] = field(default_factory=list)
    outputs: list[OutputDataset] = field(default_factory=list)
    run_facets: dict[str, RunFacet] = field(default_factory=dict)


@dataclass(frozen=True)
class _Told:
    """A dataset of the record under its OpenLineage name, and its table's version, where it is a table."""

    dataset: Dataset
    identity: Identity
    table: TableVersion | None = None


def task_lineage(record: LineageRecord, owner: str, lookups: Lookups | None = None) -> TaskLineage:
    """Return the OpenLineage datasets and run facets of a task's record.

    Things of AWS that are no datasets (jobs, requests) go into the run facet ``lookbook_task``. Several files of one
    folder are one dataset, whose version is that of the last of them.

    Args:
        record: of a finished task, or of one that failed, as far as it came.
        owner: who answers for what the task writes.
        lookups: where schemas, verdicts and packages come from; none means from where they are.
    """
    look = (lookups or Lookups()).remembering()
    read = list(_told(_files_of_drops(record.inputs), look))
    written = list(_told(record.outputs, look))
    verdict = quality.verdict_of(record.outputs, look)
    return TaskLineage(
        inputs=[_input(one, verdict, look) for one in read],
        outputs=[_output(one, owner, [other.identity for other in read], look) for one in written],
        run_facets={TASK: _run_facet(record)},
    )


def _files_of_drops(datasets: list[Dataset]) -> list[Dataset]:
    """Return the datasets with each drop in the three parts that columns come from, for its folder has no columns."""
    parts: list[Dataset] = []
    for one in datasets:
        if one.kind == "prefix" and dropped(one.name):
            files = (f"{one.name.rstrip('/')}/{part}" for part in columns.facts()["sources"])
            parts += [Dataset("object", name, one.version) for name in files]
        else:
            parts.append(one)
    return parts


def _told(datasets: list[Dataset], look: Lookups) -> Iterator[_Told]:
    latest = {name: one for one in datasets if (name := identity(one)) is not None}
    for name, one in latest.items():
        is_table = one.kind == "table"
        yield _Told(one, name, tried(look.table, one.name.partition("@")[0], one.version) if is_table else None)


def _input(told: _Told, verdict: quality.Verdict | None, look: Lookups) -> InputDataset:
    facets: dict[str, InputDatasetFacet] = {}
    if verdict and verdict.about == told.identity:
        facets |= quality.facets(verdict)
    if partitions := _partitions(told):
        facets["subset"] = InputSubsetInputDatasetFacet(partitions, producer=producer())
    return InputDataset(*told.identity, inputFacets=facets, facets=_facets(told, look))


def _output(told: _Told, owner: str, inputs: list[Identity], look: Lookups) -> OutputDataset:
    output: dict[str, OutputDatasetFacet] = {}
    if told.table:
        output["outputStatistics"] = OutputStatisticsOutputDatasetFacet(
            rowCount=told.table.number("added-records") or 0,
            size=told.table.number("added-files-size") or 0,
            fileCount=told.table.number("added-data-files") or 0,
            producer=producer(),
        )
    if partitions := _partitions(told):
        output["subset"] = OutputSubsetOutputDatasetFacet(partitions, producer=producer())
    facets = _facets(told, look)
    facets["ownership"] = OwnershipDatasetFacet([Owner(owner, "MAINTAINER")], producer=producer())
    if origins := columns.lineage(told.identity, _columns(told), inputs):
        facets["columnLineage"] = origins
    return OutputDataset(*told.identity, outputFacets=output, facets=facets)


def _facets(told: _Told, look: Lookups) -> dict[str, DatasetFacet]:
    """Return the facets that a dataset has whichever side of the task it is on."""
    facets: dict[str, DatasetFacet] = {
        "version": DatasetVersionDatasetFacet(told.dataset.version, producer=producer()),
        "datasetType": DatasetTypeDatasetFacet(*_TYPES.get(told.dataset.kind, ("FILE", None)), producer=producer()),
    }
    if told.dataset.checksum:
        tag = TagsDatasetFacetFields("sha256", told.dataset.checksum, source="LOOKBOOK")
        facets["tags"] = TagsDatasetFacet([tag], producer=producer())
    if known := _columns(told):
        types = told.table.columns if told.table else {}
        fields = [SchemaDatasetFacetFields(one, types.get(one)) for one in known]
        facets["schema"] = SchemaDatasetFacet(fields, producer=producer())
    role = columns.role(told.identity.name) or told.identity.name
    if text := columns.facts()["documentation"].get(role.partition("@")[0]):
        facets["documentation"] = DocumentationDatasetFacet(text, "text/plain", producer=producer())
    if told.dataset.kind == "model_package" and (package := tried(look.package, told.dataset.version)):
        facets[MODEL] = model_facet(package)
    return facets | (_table_facets(told.dataset.name, told.table) if told.table else {})


def _table_facets(name: str, version: TableVersion) -> dict[str, DatasetFacet]:
    settings = get_settings()
    warehouse = f"s3://{settings.bucket}/warehouse"
    return {
        "storage": StorageDatasetFacet("iceberg", "parquet", producer=producer()),
        "catalog": CatalogDatasetFacet(
            "iceberg", settings.catalog_type, "lookbook", warehouseUri=warehouse, producer=producer()
        ),
        "symlinks": SymlinksDatasetFacet([_location(name)], producer=producer()),
        "dataQualityMetrics": DataQualityMetricsDatasetFacet(
            columnMetrics={},
            rowCount=version.number("total-records"),
            bytes=version.number("total-files-size"),
            fileCount=version.number("total-data-files"),
            producer=producer(),
        ),
    }


def _location(name: str) -> Identifier:
    """Return the name under which those know a table who read its files and not its catalogue."""
    base = name.partition("@")[0]
    return Identifier(f"s3://{get_settings().bucket}", f"warehouse/{base.replace('.', '/')}", "LOCATION")


def _columns(told: _Told) -> list[str]:
    """Return the columns of a dataset: of a table at its version, of a drop's files and the candidates as agreed."""
    if told.dataset.kind == "table":
        return list(told.table.columns) if told.table else []
    role = columns.role(told.identity.name)
    return columns.columns_of(role) if role and role != "validation" else []


def _partitions(told: _Told) -> PartitionSubsetCondition | None:
    drop = told.dataset.partition
    return PartitionSubsetCondition([Partition({"drop_id": drop}, identifier=drop)]) if drop else None


def _run_facet(record: LineageRecord) -> LookbookTaskRunFacet:
    services = [one for one in (*record.inputs, *record.outputs) if identity(one) is None]
    return LookbookTaskRunFacet(
        record=store.record_uri(record.task),
        codeVersion=record.code_version,
        settingsSha256=record.settings_sha256,
        dropId=record.task.drop_id,
        costUsd=record.cost_usd,
        counts=dict(record.counts),
        services=[Service(one.kind, one.name, one.version) for one in services],
        producer=producer(),
    )
