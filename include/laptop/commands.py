"""What each command of the laptop does."""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
from dataclasses import dataclass

from rich.console import Console
from rich.table import Table

from laptop import bootstrap, record, supervisor
from laptop import demo as driver
from laptop.components import local_aws as local_aws_component
from laptop.environment import images_text, process_environment
from laptop.errors import LaptopError
from laptop.keys import USERNAME, generate, load_or_create
from laptop.places import Places
from laptop.ports import Ports, choose
from laptop.record import Record

_MIB = 2**20


@dataclass(frozen=True)
class Session:
    """What every command gets: where things are, the ports asked for, and where to print."""

    places: Places
    wanted: Ports
    console: Console

    def say(self, text: str) -> None:
        """Print a line for the user."""
        self.console.print(text, markup=False)


def up(session: Session, _options: argparse.Namespace) -> None:
    """Start everything and say where it is."""
    try:
        known = supervisor.up(session.places, session.wanted, session.say)
    except KeyboardInterrupt:
        session.say("Interrupted: everything that had been started was stopped.")
        raise
    _say_login(session, known)


def down(session: Session, _options: argparse.Namespace) -> None:
    """Stop everything."""
    stopped = supervisor.down(session.places)
    session.say("Everything is stopped." if stopped else "Nothing was running.")


def status(session: Session, _options: argparse.Namespace) -> int:
    """Show each process; 1 if the platform is not wholly up."""
    rows = supervisor.status(session.places)
    known = record.load(session.places)
    if known is None:
        session.say("The platform isn't up. Start it with: make up")
        return 1
    table = Table("process", "pid", "address", "health", "memory")
    addresses = {"local-aws": known.ports.aws_url, "api-server": known.ports.airflow_url}
    for row in rows:
        state = row.status if row.alive else "ended"
        table.add_row(row.name, str(row.pid), addresses.get(row.name, ""), state, f"{row.memory / _MIB:.0f} MiB")
    session.console.print(table)
    _say_alarms(session, known)
    _say_login(session, known)
    return 0 if all(row.alive and row.status == "healthy" for row in rows) else 1


def demo(session: Session, options: argparse.Namespace) -> None:
    """Run the whole flow; everything is stopped if it is interrupted."""
    choice = driver.drop_choice(options)
    try:
        known = supervisor.up(session.places, session.wanted, session.say)
        with driver.Driver(session.places, known, session.console) as steps:
            steps.demo(choice)
    except KeyboardInterrupt:
        with _undisturbed():
            session.say("\nInterrupted: stopping everything …")
            supervisor.down(session.places)
            session.say("Everything is stopped. Start again with: make demo")
        raise
    _say_login(session, known)
    session.say("It stays up until: make down")


def ingest(session: Session, options: argparse.Namespace) -> None:
    """Upload a drop and ingest it."""
    choice = driver.drop_choice(options)
    with _driver(session) as steps:
        steps.ingest(choice, force=options.force)


def requeue(session: Session, options: argparse.Namespace) -> None:
    """Judge a drop's quarantined rows again."""
    with _driver(session) as steps:
        steps.requeue(options.drop, options.reason, options.rows)


def retrain(session: Session, options: argparse.Namespace) -> None:
    """Retrain the attribute model."""
    with _driver(session) as steps:
        steps.retrain(force=options.force)


def describe(session: Session, options: argparse.Namespace) -> None:
    """Describe a drop's products."""
    with _driver(session) as steps:
        steps.describe(options.date)


def redrive(session: Session, options: argparse.Namespace) -> None:
    """Describe a drop's withheld and failed products again."""
    with _driver(session) as steps:
        steps.redrive(options.drop, options.status)


def run(session: Session, options: argparse.Namespace) -> int:
    """Run a command in the platform's environment, e.g. ``run -- airflow dags list``."""
    words = [word for word in options.words if word != "--"]
    if not words:
        raise LaptopError("Which command? python -m laptop run -- <command> <arguments>")
    known = supervisor.running(session.places)
    environment = process_environment(session.places, known.ports, load_or_create(session.places))
    command = [sys.executable, *words[1:]] if words[0] == "python" else words
    return subprocess.run(command, env=environment).returncode  # noqa: S603 - what the user asked for


def local_aws(session: Session, _options: argparse.Namespace) -> None:
    """Run only local AWS, until Ctrl-C; it prints what to export."""
    places = session.places
    known = record.load(places)
    if known and any(process.is_alive() for process in known.processes):
        raise LaptopError(f"The platform is up, with local AWS at {known.ports.aws_url}. For it alone: make down first")
    ports = choose(session.wanted)
    environment = process_environment(places, ports, load_or_create(places))
    places.images_file.write_text(images_text(places))
    os.execve(sys.executable, local_aws_component(places, ports).command(), environment)  # noqa: S606 - becomes it


def prepare(session: Session, _options: argparse.Namespace) -> None:
    """Create bucket, base model and tables in the AWS account that the environment names."""
    bootstrap.prepare_aws(session.places.root, session.say)
    session.say("Bucket, base model and tables are there.")


def env_file(session: Session, _options: argparse.Namespace) -> None:
    """Print new keys and passwords in the form of docker compose's ``.env``."""
    keys = generate()
    session.say(f"LOOKBOOK_ADMIN_PASSWORD={keys.password}")
    session.say(f"LOOKBOOK_DATABASE_PASSWORD={generate().password.replace('-', 'x')}")
    session.say(f"LOOKBOOK_FERNET_KEY={keys.fernet_key}")
    session.say(f"LOOKBOOK_API_SECRET={keys.api_secret}")
    session.say(f"LOOKBOOK_JWT_SECRET={keys.jwt_secret}")


def _driver(session: Session) -> driver.Driver:
    return driver.Driver(session.places, supervisor.running(session.places), session.console)


def _say_alarms(session: Session, known: Record) -> None:
    """Say how the endpoint and its alarms stand, in the platform's environment, as on AWS."""
    environment = process_environment(session.places, known.ports, load_or_create(session.places))
    command = [sys.executable, "-m", "lookbook.serving.alarms"]
    told = subprocess.run(command, env=environment, capture_output=True, text=True)  # noqa: S603 - ours alone
    session.say((told.stdout or told.stderr).strip())


def _say_login(session: Session, known: Record) -> None:
    keys = load_or_create(session.places)
    session.say(f"Airflow: {known.ports.airflow_url}  user {USERNAME}, password {keys.password}")


class _undisturbed:  # noqa: N801 - reads as what it does
    """Ignores Ctrl-C and SIGTERM while things are being stopped."""

    def __enter__(self) -> None:
        self._previous = {number: signal.signal(number, signal.SIG_IGN) for number in (signal.SIGINT, signal.SIGTERM)}

    def __exit__(self, *_: object) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)
