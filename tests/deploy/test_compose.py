"""docker-compose.yaml starts what the Makefile starts: the same commands under the same environment."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from laptop import components
from laptop.environment import MARK, images, pace, platform_environment
from laptop.keys import load_or_create
from laptop.places import REPOSITORY, Places, places
from laptop.ports import Ports

# What differs, and why. Everything else must be equal, in name and value.
ONLY_ON_ONE_MACHINE = {
    MARK,  # there a container's end is the end of its processes
    "AIRFLOW__SCHEDULER__MP_START_METHOD",  # how LocalExecutor forks; Celery forks in its own way
    "AIRFLOW__SCHEDULER__MP_FORKSERVER_PRELOAD",
}
ONLY_IN_COMPOSE = {
    "AIRFLOW__CELERY__RESULT_BACKEND",
    "AIRFLOW__CELERY__BROKER_URL",
    "AIRFLOW__CELERY__WORKER_CONCURRENCY",
    # the laptop passes on what the user exports
    "AIRFLOW__METRICS__STATSD_ON",
    "AIRFLOW__METRICS__STATSD_HOST",
    "AIRFLOW__METRICS__STATSD_PORT",
    "AIRFLOW__OPENLINEAGE__CONFIG_PATH",
    "AIRFLOW__SCHEDULER__ENABLE_HEALTH_CHECK",  # the supervisor asks the API server; Docker asks each container
}
OTHER_VALUE = {
    # paths inside the image
    "PYTHONPATH",
    "AIRFLOW_HOME",
    "AIRFLOW__CORE__DAGS_FOLDER",
    "AIRFLOW__CORE__PLUGINS_FOLDER",
    "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE",
    "AIRFLOW__OPENLINEAGE__TRANSPORT",
    # addresses between containers
    "AWS_ENDPOINT_URL",
    "LOOKBOOK_DROP_EVENTS_QUEUE_URL",
    "AIRFLOW__API__HOST",
    "AIRFLOW__API__BASE_URL",
    "AIRFLOW__CORE__EXECUTION_API_SERVER_URL",
    # executor and databases
    "AIRFLOW__CORE__EXECUTOR",
    "AIRFLOW__CORE__PARALLELISM",
    "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN",
    "LOOKBOOK_CATALOG_URI",
    # from .env
    "AIRFLOW__CORE__FERNET_KEY",
    "AIRFLOW__API__SECRET_KEY",
    "AIRFLOW__API_AUTH__JWT_SECRET",
}
AIRFLOW_SERVICES = [component.name for component in components.AIRFLOW]


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    return yaml.safe_load((REPOSITORY / "docker-compose.yaml").read_text())


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Places:
    return places(tmp_path_factory.mktemp("state"))


@pytest.fixture(scope="module")
def laptop(here: Places) -> dict[str, str]:
    return pace() | platform_environment(here, Ports(), load_or_create(here))


def with_defaults(text: Any) -> str:
    """Put each variable's default in its place, as compose does without a .env."""
    return re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", str(text))


@pytest.mark.parametrize("component", components.AIRFLOW, ids=lambda component: component.name)
def test_an_airflow_service_runs_the_command_that_the_laptop_runs(
    component: components.Component, compose: dict[str, Any]
) -> None:
    assert compose["services"][component.name]["command"] == ["python", "-m", *component.arguments]


def test_local_aws_runs_the_command_that_the_laptop_runs_on_every_interface(
    compose: dict[str, Any], here: Places
) -> None:
    arguments = [str(word) for word in components.local_aws(here, Ports()).arguments]
    inside = {str(here.aws_state): "/state", str(here.images_file): "/images.json"}

    expected = ["python", "-m", *(inside.get(word, word) for word in arguments), "--host", "0.0.0.0"]
    assert compose["services"]["local-aws"]["command"] == expected


def test_local_aws_runs_the_same_program_for_the_same_image(compose: dict[str, Any], here: Places) -> None:
    inside = json.loads(compose["configs"]["images"]["content"])
    local = images(here)

    assert inside.keys() == local.keys()
    for uri, image in inside.items():
        assert image["command"][1:] == local[uri]["command"][1:]
        assert image["env"].keys() == local[uri]["env"].keys() - {MARK}


@pytest.mark.parametrize("service", [*AIRFLOW_SERVICES, "worker", "init"])
def test_a_service_gets_the_settings_that_the_laptop_gives(
    service: str, compose: dict[str, Any], laptop: dict[str, str]
) -> None:
    inside = dict(compose["services"][service]["environment"])
    own = {"worker": {"DUMB_INIT_SETSID"}, "init": {"LOOKBOOK_ADMIN_PASSWORD"}}.get(service, set())

    assert inside.keys() - own - ONLY_IN_COMPOSE == laptop.keys() - ONLY_ON_ONE_MACHINE


@pytest.mark.parametrize("service", [*AIRFLOW_SERVICES, "worker", "init"])
def test_a_setting_has_the_value_that_the_laptop_gives_it(
    service: str, compose: dict[str, Any], laptop: dict[str, str]
) -> None:
    inside = compose["services"][service]["environment"]
    shared = inside.keys() & laptop.keys() - OTHER_VALUE

    assert {name: with_defaults(inside[name]) for name in shared} == {name: laptop[name] for name in shared}


def test_every_documented_difference_is_one(compose: dict[str, Any], laptop: dict[str, str]) -> None:
    inside = compose["services"]["scheduler"]["environment"]

    assert laptop.keys() >= ONLY_ON_ONE_MACHINE
    assert inside.keys() >= ONLY_IN_COMPOSE
    assert not {name for name in OTHER_VALUE if with_defaults(inside[name]) == laptop[name]}


def test_airflows_containers_wait_for_the_preparation(compose: dict[str, Any]) -> None:
    for name in AIRFLOW_SERVICES:
        assert compose["services"][name]["depends_on"]["init"]["condition"] == "service_completed_successfully"


def test_every_service_that_stays_up_says_whether_it_is_well(compose: dict[str, Any]) -> None:
    services = compose["services"].items()

    assert [name for name, service in services if service["restart"] != "no" and "healthcheck" not in service] == []


def test_only_the_ui_can_be_reached_and_only_from_this_machine(compose: dict[str, Any]) -> None:
    ports = {name: service["ports"] for name, service in compose["services"].items() if "ports" in service}

    assert ports == {"api-server": ["127.0.0.1:8080:8080"]}


def test_the_env_file_holds_every_value_that_compose_asks_for() -> None:
    text = (REPOSITORY / "docker-compose.yaml").read_text()
    asked = {name for name in re.findall(r"(?<!\$)\$\{(\w+)(?!\w|:-)", text)}
    written = subprocess.run(
        [sys.executable, "-m", "laptop", "env-file"],
        env={**os.environ, "PYTHONPATH": str(REPOSITORY / "include")},
        capture_output=True,
        text=True,
        check=True,
    ).stdout

    assert {line.partition("=")[0] for line in written.splitlines()} == asked


def test_the_images_copy_only_what_the_repository_holds() -> None:
    sources = [
        source
        for line in (REPOSITORY / "Dockerfile").read_text().splitlines()
        if line.startswith("COPY")
        for source in line.split()[1:-1]
        if not source.startswith("--")
    ]

    assert [source for source in sources if not (REPOSITORY / source).exists()] == []


def test_the_orchestrators_image_has_the_airflow_that_is_locked() -> None:
    pinned = re.search(r"^apache-airflow==(\S+)$", (REPOSITORY / "requirements.txt").read_text(), re.MULTILINE)

    assert pinned
    assert f"FROM apache/airflow:{pinned[1]}-python3.12" in (REPOSITORY / "Dockerfile").read_text()


def test_the_requirements_files_are_what_the_lock_says() -> None:
    def locked() -> dict[str, set[str]]:
        versions: dict[str, set[str]] = {}
        for block in (REPOSITORY / "uv.lock").read_text().split("[[package]]")[1:]:
            name, version = (re.search(rf'^{key} = "(.*)"$', block, re.MULTILINE) for key in ("name", "version"))
            if name and version:
                versions.setdefault(name[1], set()).add(version[1])
        return versions

    known = locked()
    for file in ("requirements.txt", "requirements-local-aws.txt"):
        for line in Path(REPOSITORY / file).read_text().splitlines():
            name, _, version = line.partition(";")[0].strip().partition("==")
            assert version in known[name], f"{file}: {line}; compile it anew with: make requirements"
