"""Which ports local AWS and Airflow listen on: the usual ones, or the next free ones when others hold them."""

from __future__ import annotations

import errno
import socket
from dataclasses import dataclass

from laptop.errors import LaptopError

HOST = "127.0.0.1"
_TRIES = 100


@dataclass(frozen=True)
class Ports:
    """The ports of the two servers, both on the loopback address."""

    airflow: int = 8080
    aws: int = 4566

    @property
    def airflow_url(self) -> str:
        """Address of Airflow's UI and API."""
        return f"http://{HOST}:{self.airflow}"

    @property
    def aws_url(self) -> str:
        """Address of local AWS, for ``AWS_ENDPOINT_URL``."""
        return f"http://{HOST}:{self.aws}"


def is_free(port: int) -> bool:
    """Say whether a server of ours could listen on ``port`` now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        # Servers set it too: a port whose old connections linger in TIME_WAIT is free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as error:
            if error.errno in {errno.EADDRINUSE, errno.EACCES}:
                return False
            raise
    return True


def next_free(wanted: int, but_not: frozenset[int] = frozenset()) -> int:
    """Return ``wanted`` if it is free, else the first free port above it.

    Raises:
        LaptopError: a hundred ports in a row are taken.
    """
    for port in range(wanted, min(wanted + _TRIES, 65536)):
        if port not in but_not and is_free(port):
            return port
    raise LaptopError(
        f"No free port from {wanted} to {wanted + _TRIES - 1}. Stop what listens there, or choose another with "
        "AIRFLOW_PORT=<port> or AWS_PORT=<port>."
    )


def choose(wanted: Ports) -> Ports:
    """Return free ports, as near to the wanted ones as can be."""
    airflow = next_free(wanted.airflow)
    return Ports(airflow=airflow, aws=next_free(wanted.aws, frozenset({airflow})))
