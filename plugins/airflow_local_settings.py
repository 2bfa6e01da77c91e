"""Airflow imports this module by its name, from the plugins folder, and takes what stands in ``__all__`` as its own."""

from __future__ import annotations

from lookbook_airflow.priorities import behind_fresh_drops as task_instance_mutation_hook

__all__ = ["task_instance_mutation_hook"]
