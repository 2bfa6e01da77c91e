"""OpenLineage: what a task's lineage record says, in the words of an open standard (docs/openlineage.md)."""
