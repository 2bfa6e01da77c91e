"""Lookbook: from product drop to published, truthful product descriptions.

One package a step of the flow; ``docs/architecture.md`` shows how they meet. Nothing in here imports Airflow.
"""
