"""The environment of the platform's processes: complete, private, and not led astray by the user's own."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from laptop.environment import MARK, adopt, code_version, images, pace, platform_environment, process_environment
from laptop.keys import Keys, load_or_create
from laptop.places import Places, places
from laptop.ports import Ports

PORTS = Ports(airflow=8123, aws=4599)


@pytest.fixture
def here(tmp_path: Path) -> Places:
    return places(tmp_path / "state")


@pytest.fixture
def keys(here: Places) -> Keys:
    return load_or_create(here)


def test_the_users_own_airflow_and_aws_settings_stay_out(
    here: Places, keys: Keys, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_PROFILE", "production")
    monkeypatch.setenv("AIRFLOW__CORE__SQL_ALCHEMY_CONN", "postgresql://production")

    environment = process_environment(here, PORTS, keys)

    assert "AWS_PROFILE" not in environment
    assert "AIRFLOW__CORE__SQL_ALCHEMY_CONN" not in environment
    assert environment["PATH"] == os.environ["PATH"]


def test_where_metrics_go_is_the_users_to_say(here: Places, keys: Keys, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__METRICS__STATSD_ON", "True")

    assert process_environment(here, PORTS, keys)["AIRFLOW__METRICS__STATSD_ON"] == "True"


def test_where_openlineage_events_go_is_the_users_to_say_and_what_they_tell_is_ours(
    here: Places, keys: Keys, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW__OPENLINEAGE__CONFIG_PATH", "/home/ada/openlineage.yml")
    monkeypatch.setenv("AIRFLOW__OPENLINEAGE__EXTRACTORS", "none.Extractor")

    environment = process_environment(here, PORTS, keys)

    assert environment["AIRFLOW__OPENLINEAGE__CONFIG_PATH"] == "/home/ada/openlineage.yml"
    assert environment["AIRFLOW__OPENLINEAGE__EXTRACTORS"] == "lookbook_airflow.openlineage.RecordExtractor"


def test_lineage_learns_of_the_checkouts_commit(here: Places, tmp_path: Path) -> None:
    git = ["git", "-C", str(tmp_path), "-c", "user.name=a", "-c", "user.email=a@example.org"]
    for command in (["init", "-q"], ["commit", "-q", "--allow-empty", "-m", "first"]):
        subprocess.run([*git, *command], check=True)
    commit = subprocess.run([*git, "rev-parse", "HEAD"], check=True, capture_output=True, text=True).stdout
    described = code_version(replace(here, root=tmp_path))["LOOKBOOK_CODE_VERSION"]
    assert commit.startswith(described) and len(described) >= 7


def test_an_unpacked_archive_has_no_commit(here: Places, tmp_path: Path) -> None:
    assert code_version(replace(here, root=tmp_path)) == {}


def test_the_users_lookbook_settings_win_over_the_laptops_pace(
    here: Places, keys: Keys, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = next(iter(pace()))
    monkeypatch.setenv(name, "7")

    assert process_environment(here, PORTS, keys)[name] == "7"


def test_the_users_settings_do_not_move_the_catalogue(
    here: Places, keys: Keys, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOOKBOOK_CATALOG_URI", "sqlite:////elsewhere.db")

    assert process_environment(here, PORTS, keys)["LOOKBOOK_CATALOG_URI"] == f"sqlite:///{here.state}/catalog.db"


def test_every_address_carries_the_chosen_ports(here: Places, keys: Keys) -> None:
    environment = platform_environment(here, PORTS, keys)

    assert environment["AWS_ENDPOINT_URL"] == "http://127.0.0.1:4599"
    assert environment["AIRFLOW__API__PORT"] == "8123"
    assert environment["AIRFLOW__CORE__EXECUTION_API_SERVER_URL"] == "http://127.0.0.1:8123/execution/"


def test_airflow_itself_accepts_every_setting(here: Places, keys: Keys) -> None:
    environment = process_environment(here, PORTS, keys)
    names = [name.split("__")[1:] for name in environment if name.startswith("AIRFLOW__")]
    code = (
        "import json, sys; from airflow.configuration import conf\n"
        "from airflow.providers_manager import ProvidersManager\n"
        "ProvidersManager().initialize_providers_configuration()\n"
        "known = conf.configuration_description\n"
        "asked = json.loads(sys.argv[1])\n"
        "print(json.dumps([n for n in asked if n[1].lower() not in known.get(n[0].lower(), {}).get('options', {})]))"
    )
    answer = subprocess.run(
        [sys.executable, "-c", code, json.dumps(names)], env=environment, capture_output=True, text=True, check=True
    )

    # [scheduler] takes these two in place of [core]; the reference lists them under [core] alone.
    per_component = [["SCHEDULER", "MP_START_METHOD"], ["SCHEDULER", "MP_FORKSERVER_PRELOAD"]]
    assert json.loads(answer.stdout.splitlines()[-1]) == per_component


def test_what_task_processes_inherit_can_be_imported_and_opens_no_connection(here: Places, keys: Keys) -> None:
    environment = process_environment(here, PORTS, keys)
    code = (
        f"import importlib; importlib.import_module({environment['AIRFLOW__SCHEDULER__MP_FORKSERVER_PRELOAD']!r})\n"
        "import psutil; print(len(psutil.Process().net_connections()))"
    )
    answer = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)

    assert answer.stdout.splitlines()[-1] == "0"


def test_nobody_else_can_read_the_password(here: Places, keys: Keys) -> None:
    for path in (here.keys_file, here.passwords_file):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert json.loads(here.passwords_file.read_text()) == {"admin": keys.password}


def test_the_keys_stay_the_same(here: Places, keys: Keys) -> None:
    assert load_or_create(here) == keys


def test_the_training_image_runs_from_its_own_environment(here: Places) -> None:
    image = images(here)["lookbook-training:local"]

    assert image["command"] == [str(here.root / ".venv-training/bin/python"), "-m", "lookbook_image"]
    assert image["env"]["PYTHONPATH"] == str(here.root / "training_image")
    assert image["env"][MARK] == str(here.state)


def test_a_process_that_adopts_the_environment_finds_local_aws_and_is_not_marked(
    here: Places, keys: Keys, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        for name, value in os.environ.items():  # put back what adopt changes
            patch.setenv(name, value)
        patch.setattr(os, "environ", {**os.environ, "AWS_PROFILE": "production"})
        adopt(platform_environment(here, PORTS, keys))

        assert os.environ["AWS_ENDPOINT_URL"] == PORTS.aws_url
        assert "AWS_PROFILE" not in os.environ
        assert MARK not in os.environ
