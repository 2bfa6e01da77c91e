"""What `make redrive` asks of Airflow, with a client that only listens."""

from __future__ import annotations

from typing import Any

import pytest

from laptop.__main__ import _parser
from laptop.demo import DESCRIBE, Driver
from laptop.errors import LaptopError

Asked = list[tuple[str, str | None, dict[str, Any]]]


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Asked:
    """The runs that the driver starts and follows."""
    started: Asked = []
    monkeypatch.setattr(Driver, "_follow", lambda self, *run: started.append(run))
    return started


@pytest.mark.parametrize(("words", "status"), [([], "both"), (["--status", "withheld"], "withheld")])
def test_a_drops_products_are_described_again(asked: Asked, words: list[str], status: str) -> None:
    options = _parser().parse_args(["redrive", "--drop", "2026-11-16", *words])
    Driver.__new__(Driver).redrive(options.drop, options.status)
    assert asked == [(DESCRIBE, None, {"drop": "2026-11-16", "redrive": status})]


def test_a_day_that_names_no_drop_is_refused(asked: Asked) -> None:
    with pytest.raises(LaptopError, match="names no drop"):
        Driver.__new__(Driver).redrive("2026-11-17", "both")
    assert asked == []
