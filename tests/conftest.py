"""What every test may use: an AWS account in memory, and settings that don't leak between tests."""

from __future__ import annotations

import logging
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from moto.server import ThreadedMotoServer
from tests import kept_lookups

from lookbook import aws
from lookbook.settings import get_settings

# Airflow reads these when it is first imported: a home of its own for the tests, without its examples.
_AIRFLOW_HOME = tempfile.TemporaryDirectory(prefix="lookbook-airflow-")
os.environ["AIRFLOW_HOME"] = _AIRFLOW_HOME.name
os.environ["AIRFLOW__CORE__LOAD_EXAMPLES"] = "False"
os.environ["AIRFLOW__CORE__DAGS_FOLDER"] = str(Path(__file__).resolve().parents[1] / "dags")

kept_lookups.keep()

REAL_DATA = Path(__file__).resolve().parents[2] / "shared" / "data"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options for more than every run of the tests has time for."""
    parser.addoption("--damaged-drops", type=int, default=2000, help="damaged drops to ingest (default: %(default)s)")
    parser.addoption("--kills", type=int, default=4, help="times to kill the publishing (default: %(default)s)")
    parser.addoption("--whole-catalogue", action="store_true", help="ingest the whole real catalogue too")


@pytest.fixture(autouse=True)
def fresh_settings(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """Give each test credentials that open nothing, a catalogue of its own, and no cached settings or clients.

    Clients of :func:`aws_server` are kept for the next test that uses it: making one takes a tenth of a second.
    """
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    monkeypatch.setenv("LOOKBOOK_CATALOG_URI", f"sqlite:///{tmp_path}/catalog.db")
    kept = "aws_server" in request.fixturenames
    _forget(clients=not kept)
    yield
    _forget(clients=not kept)


def _forget(*, clients: bool) -> None:
    get_settings.cache_clear()
    if clients:
        for cached in (aws.client, aws.object_store, aws.session):
            cached.cache_clear()


@pytest.fixture(scope="session")
def moto_server() -> Iterator[str]:
    """The address of a moto server, since pyarrow, obstore and asyncio reach AWS past what moto could patch."""
    logging.getLogger("werkzeug").setLevel(logging.ERROR)  # a line a request would bury a failure's own log
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture(scope="session")
def moto_client(moto_server: str) -> Iterator[httpx.Client]:
    """A client of the moto server; making one reads every certificate authority, which takes 60 ms."""
    with httpx.Client(base_url=moto_server) as client:
        yield client


@pytest.fixture
def aws_server(moto_server: str, moto_client: httpx.Client, monkeypatch: pytest.MonkeyPatch) -> str:
    """An empty AWS account with the bucket ``lookbook`` behind a real address; boto3, aiobotocore, pyarrow go there."""
    from tests import kept_tables

    moto_client.post("/moto-api/reset").raise_for_status()
    moto_client.put("/lookbook").raise_for_status()
    monkeypatch.setenv("AWS_ENDPOINT_URL", moto_server)
    monkeypatch.setattr("lookbook.catalog.tables._create", kept_tables.create)
    _forget(clients=aws.client("s3").meta.endpoint_url != moto_server)
    return moto_server


@pytest.fixture
def tables_created_anew(aws_server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Tables that are created as users' are, for tests of just that."""
    from tests import kept_tables

    monkeypatch.setattr("lookbook.catalog.tables._create", kept_tables.create_anew)


@pytest.fixture
def bucket(aws_server: str) -> str:
    """The bucket of :func:`aws_server`, for tests that need no more of it."""
    return "lookbook"
