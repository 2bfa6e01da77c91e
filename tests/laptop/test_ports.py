"""Ports: the usual ones, or the next free ones when others hold them."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from laptop.errors import LaptopError
from laptop.ports import HOST, Ports, choose, is_free, next_free


@pytest.fixture
def taken() -> Iterator[int]:
    with socket.create_server((HOST, 0)) as server:
        yield server.getsockname()[1]


def test_a_port_that_another_program_listens_on_is_not_free(taken: int) -> None:
    assert not is_free(taken)


def test_the_next_free_port_is_taken_instead(taken: int) -> None:
    assert next_free(taken) > taken


def test_a_port_that_listens_on_every_address_is_not_free() -> None:
    with socket.create_server(("0.0.0.0", 0)) as server:
        assert not is_free(server.getsockname()[1])


def test_a_port_whose_last_connection_was_closed_a_moment_ago_is_free(taken: int) -> None:
    with socket.create_server((HOST, 0)) as server:
        port = server.getsockname()[1]
        client = socket.create_connection((HOST, port))
        connection, _ = server.accept()
        connection.close()  # the side that closes first keeps the port in TIME_WAIT
        client.close()

    assert is_free(port)


def test_the_two_servers_never_get_the_same_port(taken: int) -> None:
    ports = choose(Ports(airflow=taken, aws=taken))

    assert len({taken, ports.airflow, ports.aws}) == 3


def test_a_hundred_taken_ports_are_reported_with_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("laptop.ports.is_free", lambda port: False)

    with pytest.raises(LaptopError, match="AIRFLOW_PORT"):
        next_free(8080)
