"""Lookbook on one machine: starts and stops local AWS and Airflow, and drives the demo."""
