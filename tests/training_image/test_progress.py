from __future__ import annotations

import time

import pytest

from lookbook_image.progress import Pace, Progress, report


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


def test_uncounted_work_says_now_and_then_how_far_it_is(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(time, "monotonic", iter([0.0, 5.0, 20.0, 21.0]).__next__)
    pace = Pace("pictures encoded", 400)
    for done in (32, 100, 132):
        pace.say(done)
    assert capsys.readouterr().out == "pictures encoded: 100 of 400, 1:00 left\n"
