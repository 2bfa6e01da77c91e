from __future__ import annotations

import logging

import pytest

from lookbook.progress import Progress

log = logging.getLogger("lookbook.test")


def test_the_end_is_always_said(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        progress = Progress(log, "Pictures", total=3, interval_s=1000)
        for _ in range(3):
            progress.advance()
    assert len(caplog.messages) == 1
    assert caplog.messages[0].startswith("Pictures: 3 of 3, ")
    assert caplog.messages[0].endswith("0 s left")


def test_between_it_speaks_when_the_interval_has_passed(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        progress = Progress(log, "Pictures", total=10, interval_s=0)
        progress.advance(4)
    assert caplog.messages[0].startswith("Pictures: 4 of 10, ")
