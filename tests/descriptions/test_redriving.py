"""What a redrive would ask about again."""

from __future__ import annotations

import pytest
from tests.descriptions.conftest import DROP, describe_all, planned_items, product, publish_products

from lookbook.descriptions import __main__ as command

pytestmark = pytest.mark.usefixtures("aws_server")


def test_the_command_shows_what_waits_why_and_how_to_start_it(capsys: pytest.CaptureFixture[str]) -> None:
    publish_products(*(product(str(number)) for number in range(4)))
    first, second, third, fourth = planned_items()
    describe_all("withheld", first, second, reasons=["contradicts Fabric: silk"])
    describe_all("failed", third, reasons=["no answer"])
    describe_all("published", fourth)
    assert command.main(["redrive", DROP]) == 0
    assert capsys.readouterr().out == (
        f"Drop {DROP}: 3 to drive again\n"
        "     2  withheld: contradicts Fabric: silk\n"
        "     1  failed: no answer\n"
        f'Start it: airflow dags trigger describe_products --conf \'{{"drop": "{DROP}", "redrive": "both"}}\'\n'
    )
    assert command.main(["redrive", DROP, "--status", "failed"]) == 0
    assert "1 to drive again" in capsys.readouterr().out


def test_a_drop_without_any_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["redrive", DROP]) == 0
    assert capsys.readouterr().out == f"Drop {DROP}: nothing to drive again.\n"
