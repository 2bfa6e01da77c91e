"""What Airflow loads of Lookbook: assets, operators, defaults and the lineage of tasks, all thin over the library."""
