"""Start, watch and stop the platform: local AWS and Airflow's four components, each a process of its own.

``airflow standalone`` would start the four as well, but leaves them running when it is asked to end.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import httpx
import psutil

from laptop import bootstrap, record
from laptop.airflow_api import NO_CERTIFICATES, AirflowApi
from laptop.components import AIRFLOW, LOCAL_AWS, Component, all_components, local_aws
from laptop.environment import adopt, images_text, process_environment
from laptop.errors import LaptopError
from laptop.keys import load_or_create
from laptop.places import Places
from laptop.ports import Ports, choose
from laptop.processes import Process, family, memory, start, stop
from laptop.record import Record

Say = Callable[[str], None]

_START_TIMEOUT_S = 180.0
_POLL_S = 0.25
# The scheduler waits for running tasks when it is asked to end; a demo that was interrupted doesn't.
_STOP_GRACE_S = 10.0


@dataclass(frozen=True)
class Health:
    """One component as ``status`` shows it; ``memory`` in bytes, of the process and all it started."""

    name: str
    pid: int
    alive: bool
    status: str
    memory: int


def up(places: Places, wanted: Ports, say: Say) -> Record:
    """Start what isn't running and return when everything answers.

    Raises:
        LaptopError: something did not start; nothing is left running then.
    """
    _check_training_environment(places)
    with record.locked(places):
        known = record.load(places)
        if known and _is_whole(known, places):
            say(f"Already up: Airflow at {known.ports.airflow_url}, local AWS at {known.ports.aws_url}.")
            return known
        _clear_away(places, known, say)
        try:
            return _start_all(places, wanted, say)
        except BaseException:
            _stop_recorded(places)
            raise


def down(places: Places) -> bool:
    """Stop everything of this state directory; return whether anything was running."""
    with record.locked(places):
        known = record.load(places)
        running = bool(family(known.processes if known else (), places.state))
        _stop_recorded(places)
        return running


def running(places: Places) -> Record:
    """Return the record of a platform that is up.

    Raises:
        LaptopError: it isn't, or part of it has died.
    """
    known = record.load(places)
    if known is None:
        raise LaptopError("The platform isn't up. Start it with: make up")
    known.raise_if_dead()
    return known


def status(places: Places) -> list[Health]:
    """Return the state of each recorded process."""
    known = record.load(places)
    if known is None:
        return []
    report = health(known, places)
    return [
        Health(
            process.name,
            process.pid,
            process.is_alive(),
            report.get(process.name, "no answer"),
            memory(_tree(process)),
        )
        for process in known.processes
    ]


def health(known: Record, places: Places) -> dict[str, str]:
    """Return what each component says of itself, ``healthy`` when it is well; one that doesn't answer is absent."""
    answers: dict[str, str] = {}
    try:
        answer = httpx.get(f"{known.ports.aws_url}/_local/health", timeout=5, verify=NO_CERTIFICATES)
        answers[LOCAL_AWS] = "healthy" if answer.is_success else f"HTTP {answer.status_code}"
    except httpx.TransportError:
        pass  # absent: not listening yet, or no longer
    try:
        with AirflowApi(known.ports.airflow_url, load_or_create(places).password, timeout=5) as api:
            statuses = api.health()
    except httpx.TransportError:
        return answers
    return answers | {component.name: statuses.get(component.health_key or "", "absent") for component in AIRFLOW}


def _is_whole(known: Record, places: Places) -> bool:
    expected = {component.name for component in all_components(places, known.ports)}
    if expected != {process.name for process in known.processes} or not known.all_alive():
        return False
    report = health(known, places)
    return all(report.get(name) == "healthy" for name in expected)


def _clear_away(places: Places, known: Record | None, say: Say) -> None:
    left = family(known.processes if known else (), places.state)
    if left or known:
        say(f"Clearing away an earlier run that did not end well ({len(left)} of its processes were left).")
    _stop_recorded(places)


def _stop_recorded(places: Places) -> None:
    known = record.load(places)
    stop(known.processes if known else (), places.state, _STOP_GRACE_S)
    record.forget(places)


def _start_all(places: Places, wanted: Ports, say: Say) -> Record:
    began = time.monotonic()
    ports = choose(wanted)
    _tell_changed_ports(wanted, ports, say)
    keys = load_or_create(places)
    environment = process_environment(places, ports, keys)
    places.images_file.write_text(images_text(places))

    say("Starting local AWS and Airflow …")
    known = _start(places, Record(ports), local_aws(places, ports), environment)
    bootstrap.prepare_database(places, environment)
    for component in AIRFLOW:
        known = _start(places, known, component, environment)
    _wait_for(places, known, [LOCAL_AWS])
    adopt(environment)
    bootstrap.prepare_aws(places.root, say)
    pools = bootstrap.pools(places, environment)
    _wait_for(places, known, [process.name for process in known.processes])
    with AirflowApi(ports.airflow_url, keys.password) as api:
        api.import_pools(pools)
        bootstrap.wait_for_dags(api, places, known)
    say(f"Up after {time.monotonic() - began:.0f} s: Airflow at {ports.airflow_url}, local AWS at {ports.aws_url}.")
    return known


def _start(places: Places, known: Record, component: Component, environment: dict[str, str]) -> Record:
    log = places.logs / f"{component.name}.log"
    known = known.with_process(start(component.name, component.command(), environment, log, places.root))
    record.save(places, known)
    return known


def _wait_for(places: Places, known: Record, names: list[str]) -> None:
    deadline = time.monotonic() + _START_TIMEOUT_S
    while True:
        known.raise_if_dead()
        report = health(known, places)
        missing = [name for name in names if report.get(name) != "healthy"]
        if not missing:
            return
        if time.monotonic() > deadline:
            log = places.logs / f"{missing[0]}.log"
            raise LaptopError(f"{missing[0]} did not become healthy in {_START_TIMEOUT_S:.0f} s; its log is {log}.")
        time.sleep(_POLL_S)


def _tell_changed_ports(wanted: Ports, ports: Ports, say: Say) -> None:
    for name, asked, given in (("Airflow", wanted.airflow, ports.airflow), ("Local AWS", wanted.aws, ports.aws)):
        if asked != given:
            say(f"Port {asked} is taken by another program; {name} takes {given} instead.")


def _check_training_environment(places: Places) -> None:
    if not places.training_python.exists():
        raise LaptopError(
            f"The training image's environment is missing ({places.training_python}). Make it with: make setup"
        )


def _tree(process: Process) -> list[psutil.Process]:
    leader = process.find()
    return [leader, *leader.children(recursive=True)] if leader else []
