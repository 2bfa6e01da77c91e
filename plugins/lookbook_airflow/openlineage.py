"""OpenLineage events of our tasks tell what the task read and wrote: the lineage record, in OpenLineage's words.

The provider sends an event when a task starts, ends or fails, and asks an extractor for the task's datasets. Ours
(``[openlineage] extractors``) hands over those of the record that :func:`lookbook_airflow.lineage.traced` has just
finished in the same process. The provider asks in a thread that it waits for no longer than ``[openlineage]
execution_timeout`` and catches whatever goes wrong there: no task fails or hangs because lineage can't be told.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow.providers.openlineage.extractors.base import BaseExtractor, OperatorLineage

from lookbook.lineage.records import TaskKey
from lookbook_airflow.lineage import latest_record

if TYPE_CHECKING:
    from airflow.sdk.execution_time.task_runner import RuntimeTaskInstance


class RecordExtractor(BaseExtractor):
    """Gives the provider the datasets and facets of a task's lineage record."""

    @classmethod
    def get_operator_classnames(cls) -> list[str]:
        """Return the operators whose tasks leave a record; tests/dags hold the list against the DAGs."""
        return [
            "_PythonDecoratedOperator",
            "_ShortCircuitDecoratedOperator",
            "ApprovalIfNeededOperator",
            "BatchJobOperator",
            "EndpointConfigOperator",
            "EndpointOperator",
            "ModelApprovalOperator",
            "ModelOperator",
            "RegisterModelVersionOperator",
            "RestoreEndpointOperator",
            "ReviewOperator",
            "ShadowOffOperator",
            "ShadowOnOperator",
            "TrainingJobOperator",
            "TransformJobOperator",
        ]

    def _execute_extraction(self) -> OperatorLineage[Any, Any]:
        """Return nothing: what a task will read is not known before it has."""
        return OperatorLineage()

    def extract_on_complete(self, task_instance: RuntimeTaskInstance) -> OperatorLineage[Any, Any]:
        """Return what the task read and wrote, as far as it came; nothing for one that keeps no record."""
        from lookbook.lineage.openlineage.datasets import task_lineage

        record = latest_record(_key(task_instance))
        if record is None:
            return OperatorLineage()
        told = task_lineage(record, self.operator.owner)
        return OperatorLineage(inputs=told.inputs, outputs=told.outputs, run_facets=told.run_facets)


def _key(ti: RuntimeTaskInstance) -> TaskKey:
    map_index = -1 if ti.map_index is None else ti.map_index
    return TaskKey(ti.dag_id, ti.run_id, ti.task_id, map_index, ti.try_number)
