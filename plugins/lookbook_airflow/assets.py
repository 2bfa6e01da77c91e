"""The assets that wire the DAGs, each defined once: the same URI under two names would be a conflict."""

from __future__ import annotations

from airflow.sdk import Asset

PRODUCT_CATALOG = Asset(name="product_catalog", uri="lookbook://catalog/products", group="lookbook")
ATTRIBUTE_MODEL = Asset(name="attribute_model", uri="lookbook://models/attributes", group="lookbook")
PRODUCT_DESCRIPTIONS = Asset(name="product_descriptions", uri="lookbook://descriptions/descriptions", group="lookbook")
