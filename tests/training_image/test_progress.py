from __future__ import annotations

import time

import pytest

from lookbook_image.progress import Progress, report


def test_figures_are_printed_so_that_a_pattern_can_read_them(capsys: pytest.CaptureFixture[str]) -> None:
    report(epoch=3, step=120, train_loss=0.34123, samples_per_second=410.04)
    assert capsys.readouterr().out == "epoch=3 step=120 train_loss=0.3412 samples_per_second=410.0\n"


def test_progress_says_how_far_and_how_long(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(time, "monotonic", iter([100.0, 130.0]).__next__)
    Progress(total=400).say(100)
    assert capsys.readouterr().out == "step 100 of 400 (25 %), 1:30 left\n"


def test_what_an_earlier_run_did_does_not_count_as_pace(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(time, "monotonic", iter([0.0, 60.0]).__next__)
    Progress(total=400, done=200).say(201)
    assert capsys.readouterr().out == "step 201 of 400 (50 %), 3:19:00 left\n"
