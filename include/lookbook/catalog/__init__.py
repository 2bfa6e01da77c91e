"""The Iceberg tables: schemas, write-audit-publish, reads."""
