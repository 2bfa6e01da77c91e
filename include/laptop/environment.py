"""The environment of the platform's processes on this machine, in one place.

``docker-compose.yaml`` sets the same names; tests/deploy compares the two. A value that the user exports as
``LOOKBOOK_…`` wins over the laptop's choice of pace, never over where things are; where metrics go, if anywhere, is the
user's to say.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Mapping

from laptop.keys import USERNAME, Keys
from laptop.places import Places
from laptop.ports import HOST, Ports

# Every process of a state directory carries it, so that none is overlooked when they are stopped.
MARK = "LOOKBOOK_STATE_DIR"

# The user's own Airflow, AWS and Python settings would lead our processes elsewhere.
_NOT_PASSED_ON = ("AIRFLOW", "AWS_", "BOTO", "PYTHON", "VIRTUAL_ENV", "MAKE", "MFLAGS", "OPENLINEAGE")
_CHOSEN = ("LOOKBOOK_", "AIRFLOW__METRICS__", "AIRFLOW__OPENLINEAGE__")


def process_environment(places: Places, ports: Ports, keys: Keys) -> dict[str, str]:
    """Return the whole environment for a process of the platform."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(_NOT_PASSED_ON)}
    chosen = {name: value for name, value in os.environ.items() if name.startswith(_CHOSEN)}
    return inherited | pace() | code_version(places) | chosen | platform_environment(places, ports, keys)


def platform_environment(places: Places, ports: Ports, keys: Keys) -> dict[str, str]:
    """Return what the platform sets whatever the user's environment says."""
    return {
        MARK: str(places.state),
        "PYTHONPATH": f"{places.root / 'include'}:{places.root / 'plugins'}",
        "PYTHONUNBUFFERED": "1",
        **client_environment(ports),
        **locations(places),
        **drop_events(ports),
        **airflow(places, ports, keys),
    }


def client_environment(ports: Ports) -> dict[str, str]:
    """Return what points any AWS client at local AWS; the keys are placeholders that it doesn't check."""
    return {
        "AWS_ENDPOINT_URL": ports.aws_url,
        "AWS_ACCESS_KEY_ID": "local",
        "AWS_SECRET_ACCESS_KEY": "local",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
    }


def locations(places: Places) -> dict[str, str]:
    """Return where Lookbook keeps its tables' catalogue."""
    return {"LOOKBOOK_CATALOG_URI": f"sqlite:///{places.catalog_database}"}


def drop_events(ports: Ports) -> dict[str, str]:
    """Return which queue S3 tells of complete drops; nobody listens to it before ``watch_drops`` is unpaused."""
    return {"LOOKBOOK_DROP_EVENTS_QUEUE_URL": f"{ports.aws_url}/000000000000/lookbook-drop-events"}


def pace() -> dict[str, str]:
    """Return how often tasks look at jobs here, where a job takes seconds and a look costs nothing."""
    return {"LOOKBOOK_POLL_INTERVAL_S": "2"}


def code_version(places: Places) -> dict[str, str]:
    """Return the checkout's commit, marked if files differ from it; nothing where this is no checkout of git's."""
    command = ["git", "-C", str(places.root), "describe", "--always", "--dirty", "--abbrev=12"]
    try:
        described = subprocess.run(command, capture_output=True, text=True, check=True, timeout=10)  # noqa: S603 - ours
    except (OSError, subprocess.SubprocessError):
        return {}
    return {"LOOKBOOK_CODE_VERSION": described.stdout.strip()}


def airflow(places: Places, ports: Ports, keys: Keys) -> dict[str, str]:
    """Return Airflow's configuration, all of it as ``AIRFLOW__SECTION__KEY``."""
    return {
        "AIRFLOW_HOME": str(places.airflow_home),
        "AIRFLOW_CONN_AWS_DEFAULT": json.dumps({"conn_type": "aws", "extra": {"region_name": "us-east-1"}}),
        **_airflow_core(places),
        **_airflow_addresses(ports),
        **_airflow_keys(places, keys),
        **_airflow_speed(),
        **_airflow_lineage(places),
        **_airflow_metrics(),
    }


def _airflow_core(places: Places) -> dict[str, str]:
    return {
        "AIRFLOW__CORE__DAGS_FOLDER": str(places.root / "dags"),
        "AIRFLOW__CORE__PLUGINS_FOLDER": str(places.root / "plugins"),
        "AIRFLOW__CORE__EXECUTOR": "LocalExecutor",
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__AUTH_MANAGER": (
            "airflow.api_fastapi.auth.managers.simple.simple_auth_manager.SimpleAuthManager"
        ),
        # Writers wait for one another instead of failing with "database is locked".
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{places.airflow_home / 'airflow.db'}?timeout=30",
        "AIRFLOW__LOGGING__COLORED_CONSOLE_LOG": "False",
    }


def _airflow_addresses(ports: Ports) -> dict[str, str]:
    return {
        "AIRFLOW__API__HOST": HOST,
        "AIRFLOW__API__PORT": str(ports.airflow),
        "AIRFLOW__API__BASE_URL": ports.airflow_url,
        "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{ports.airflow_url}/execution/",
    }


def _airflow_keys(places: Places, keys: Keys) -> dict[str, str]:
    return {
        "AIRFLOW__CORE__FERNET_KEY": keys.fernet_key,
        "AIRFLOW__API__SECRET_KEY": keys.api_secret,
        "AIRFLOW__API_AUTH__JWT_SECRET": keys.jwt_secret,
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": f"{USERNAME}:admin",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(places.passwords_file),
    }


def _airflow_speed() -> dict[str, str]:
    """Return what makes two cores enough; the figures are in docs/decisions/0011-airflow-settings-for-two-cores.md."""
    return {
        "AIRFLOW__CORE__PARALLELISM": "4",
        "AIRFLOW__SCHEDULER__MP_START_METHOD": "forkserver",
        "AIRFLOW__SCHEDULER__MP_FORKSERVER_PRELOAD": "laptop.warm",
        "AIRFLOW__SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": "0.5",
        # A finished task's process is noticed at the next heartbeat, when its exit comes after its last message.
        "AIRFLOW__WORKERS__MIN_HEARTBEAT_INTERVAL": "1",
        # What a killed worker, or a killed scheduler, was at is tried again soon, not after five minutes.
        "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "120",
        "AIRFLOW__SCHEDULER__ORPHANED_TASKS_CHECK_INTERVAL": "30",
        "AIRFLOW__API__WORKERS": "1",
        "AIRFLOW__DAG_PROCESSOR__PARSING_PROCESSES": "1",
        "AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "60",
    }


def _airflow_lineage(places: Places) -> dict[str, str]:
    """Return how OpenLineage events are made, and the file they go to.

    A configuration that the user names (``AIRFLOW__OPENLINEAGE__CONFIG_PATH``) goes before that file.
    """
    transport = {"type": "file", "log_file_path": str(places.openlineage_file), "append": True}
    return {
        "AIRFLOW__OPENLINEAGE__TRANSPORT": json.dumps(transport),
        "AIRFLOW__OPENLINEAGE__NAMESPACE": "lookbook",
        "AIRFLOW__OPENLINEAGE__EXTRACTORS": "lookbook_airflow.openlineage.RecordExtractor",
        "AIRFLOW__OPENLINEAGE__EXECUTE_IN_THREAD": "True",
        # No task waits longer for a collector that is down, when it starts and when it ends.
        "AIRFLOW__OPENLINEAGE__EXECUTION_TIMEOUT": "5",
    }


def _airflow_metrics() -> dict[str, str]:
    """Return how metrics are named, wherever they go: a DAG or a task is a tag, not a part of the name."""
    return {
        "AIRFLOW__METRICS__STATSD_INFLUXDB_ENABLED": "True",
        "AIRFLOW__METRICS__LEGACY_NAMES_ON": "False",
    }


def images(places: Places) -> dict[str, object]:
    """Return which command local AWS runs for which container image: the training image's own package."""
    return {
        "lookbook-training:local": {
            "command": [str(places.training_python), "-m", "lookbook_image"],
            "env": {
                "PYTHONPATH": str(places.root / "training_image"),
                "PYTHONUNBUFFERED": "1",
                # On two cores one thread a process beats two.
                "OMP_NUM_THREADS": "1",
                MARK: str(places.state),
            },
            "cwd": str(places.root),
        }
    }


def images_text(places: Places) -> str:
    """Return the image file of local AWS."""
    return json.dumps(images(places), indent=2) + "\n"


def adopt(environment: Mapping[str, str]) -> None:
    """Make this process one of the platform, so that the library it calls finds local AWS and the catalogue."""
    for name in [name for name in os.environ if name.startswith(("AIRFLOW", "AWS_", "BOTO"))]:
        del os.environ[name]
    os.environ.update({name: value for name, value in environment.items() if name != MARK})
