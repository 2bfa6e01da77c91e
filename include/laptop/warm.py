"""Imported once by the server that task processes are forked from (``[scheduler] mp_forkserver_preload``).

A task process inherits what is imported here instead of importing it anew: 0.5 seconds of CPU a task in place of 1.6,
which is what decides how long two hundred mapped tasks take on two cores. Only what most tasks use belongs here.
"""

from __future__ import annotations

import asyncio
import importlib

from lookbook.aws import async_client, client

INHERITED = (
    "aiobotocore.session",
    "airflow.dag_processing.dagbag",
    "airflow.executors.local_executor",
    "airflow.providers.amazon.aws.hooks.base_aws",
    "airflow.providers.openlineage.plugins.listener",
    "airflow.providers.openlineage.plugins.openlineage",
    "airflow.providers.standard.operators.python",
    "airflow.sdk.execution_time.task_runner",
    "airflow.sdk.plugins_manager",
    "lookbook.catalog.publishing",
    "lookbook.descriptions.publishing",
    "lookbook.descriptions.writing",
    "lookbook.lineage.openlineage.datasets",
    "lookbook.lineage.store",
    "lookbook.serving.prediction",
    # What the DAG file of the mapped tasks imports: a task process parses that file.
    "lookbook_airflow.batching",
    "lookbook_airflow.describing",
    "lookbook_airflow.description_runs",
    "lookbook_airflow.endpoint_life",
    "lookbook_airflow.lineage",
    "lookbook_airflow.openlineage",
    "lookbook_airflow.operators.approval",
    "lookbook_airflow.operators.sagemaker",
    "lookbook_airflow.transforming",
    "openlineage.client.transport.file",
    "pyarrow.parquet",
)

for name in INHERITED:
    importlib.import_module(name)


async def _read_descriptions() -> None:
    async with async_client("bedrock-runtime", connections=1):
        pass  # opened once: what botocore has read of the service stays


# No connection is opened yet, so that every task may use the same client; reading botocore's models is what costs.
client("s3")
asyncio.run(_read_descriptions())
