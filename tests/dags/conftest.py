"""DAGs run in this process, as the tests of the plugins run them."""

from tests.plugins.conftest import airflow_db, run_dag

__all__ = ["airflow_db", "run_dag"]
