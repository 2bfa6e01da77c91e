"""Imported once by the server that task processes are forked from (``[scheduler] mp_forkserver_preload``).

A task process inherits what is imported here instead of importing it anew: 0.5 seconds of CPU a task in place of 1.6,
which is what decides how long two hundred mapped tasks take on two cores. Only what most tasks use belongs here.
"""

from __future__ import annotations

import importlib

from lookbook.aws import client

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
    "lookbook_airflow.lineage",
    "lookbook_airflow.openlineage",
    "lookbook_airflow.operators.sagemaker",
    "openlineage.client.transport.file",
    "pyarrow.parquet",
)

for name in INHERITED:
    importlib.import_module(name)

# No connection is opened yet, so that every task may use the same client; reading botocore's model of S3 is what costs.
client("s3")
