"""Lookbook's own pages on Airflow's API server: one module a kind of page, each with a router.

This package imports nothing heavy: task processes read the prefix to make links.
"""

PREFIX = "/lookbook"
