"""The five components of the platform: what each is started with and how its health shows."""

from __future__ import annotations

import sys
from dataclasses import dataclass

from laptop.places import Places
from laptop.ports import Ports


@dataclass(frozen=True)
class Component:
    """A component's name, its arguments after the interpreter, and its key in Airflow's health report, if it has one.

    ``docker-compose.yaml`` runs the same arguments.
    """

    name: str
    arguments: tuple[str, ...]
    health_key: str | None = None

    def command(self) -> list[str]:
        """Return the whole command, run with this process's interpreter."""
        return [sys.executable, "-m", *self.arguments]


LOCAL_AWS = "local-aws"
API_SERVER = "api-server"


def local_aws(places: Places, ports: Ports) -> Component:
    """Return local AWS, which keeps its state in the state directory."""
    return Component(
        LOCAL_AWS,
        (
            *("local_aws", "--port", str(ports.aws)),
            *("--state", str(places.aws_state), "--images", str(places.images_file)),
        ),
    )


# Task logs are files that the API server reads itself: no component needs to serve them on a port of its own.
AIRFLOW = (
    Component(API_SERVER, ("airflow", "api-server"), "metadatabase"),
    Component("scheduler", ("airflow", "scheduler", "--skip-serve-logs"), "scheduler"),
    Component("dag-processor", ("airflow", "dag-processor"), "dag_processor"),
    Component("triggerer", ("airflow", "triggerer", "--skip-serve-logs"), "triggerer"),
)


def all_components(places: Places, ports: Ports) -> tuple[Component, ...]:
    """Return every component in the order in which they are started."""
    return (local_aws(places, ports), *AIRFLOW)
