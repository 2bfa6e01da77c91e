"""When an alarm is in ALARM."""

from __future__ import annotations

from typing import Any

import pytest

from local_aws.alarms import Weighted, judge, percentile, statistics

NOW = 1_000.0
ALARM = {
    "StateValue": "OK",
    "Statistic": "Average",
    "Period": 60,
    "EvaluationPeriods": 1,
    "Threshold": 0.5,
    "ComparisonOperator": "GreaterThanThreshold",
}


def _state(*ages_and_values: tuple[float, float], **alarm: Any) -> str:
    points = [{"Timestamp": NOW - age, "Value": value} for age, value in ages_and_values]
    return judge({**ALARM, **alarm}, points, NOW).state


def test_the_statistic_of_the_last_period_is_compared_with_the_threshold() -> None:
    assert _state((1, 1.0), (2, 1.0), (3, 0.0)) == "ALARM"
    assert _state((1, 1.0), (2, 0.0), (3, 0.0)) == "OK"


def test_what_is_older_than_the_periods_does_not_count() -> None:
    assert _state((1, 0.0), (61, 1.0), (62, 1.0)) == "OK"


@pytest.mark.parametrize(
    ("comparison", "state"),
    [
        ("GreaterThanOrEqualToThreshold", "ALARM"),
        ("GreaterThanThreshold", "OK"),
        ("LessThanThreshold", "OK"),
        ("LessThanOrEqualToThreshold", "ALARM"),
    ],
)
def test_a_value_at_the_threshold_breaches_as_the_comparison_says(comparison: str, state: str) -> None:
    assert _state((1, 0.5), ComparisonOperator=comparison) == state


def test_so_many_of_so_many_periods_must_breach() -> None:
    periods = {"EvaluationPeriods": 3, "DatapointsToAlarm": 2}
    assert _state((1, 1.0), (61, 0.0), (121, 1.0), **periods) == "ALARM"
    assert _state((1, 1.0), (61, 0.0), (121, 0.0), **periods) == "OK"


@pytest.mark.parametrize(
    ("treated", "state"),
    [("missing", "INSUFFICIENT_DATA"), ("notBreaching", "OK"), ("breaching", "ALARM"), ("ignore", "ALARM")],
)
def test_without_data_it_depends_on_how_missing_data_is_treated(treated: str, state: str) -> None:
    assert _state(StateValue="ALARM", TreatMissingData=treated) == state


@pytest.mark.parametrize(
    ("treated", "state"), [("missing", "ALARM"), ("notBreaching", "OK"), ("breaching", "ALARM"), ("ignore", "OK")]
)
def test_with_too_little_data_too(treated: str, state: str) -> None:
    assert _state((61, 1.0), EvaluationPeriods=3, TreatMissingData=treated) == state


def test_values_count_as_often_as_they_were_measured() -> None:
    values = [Weighted(0.0, 90), Weighted(1.0, 9), 11.0]
    assert statistics(values) == {
        "SampleCount": 100.0,
        "Sum": 20.0,
        "Average": 0.2,
        "Minimum": 0.0,
        "Maximum": 11.0,
    }
    assert percentile(values, 50) == 0.0
    assert percentile(values, 95) == 1.0
    assert percentile([1.0, 2.0], 50) == 1.5


def test_a_percentile_can_be_the_statistic() -> None:
    assert _state((1, 0.0), (2, 0.0), (3, 1.0), ExtendedStatistic="p99", Statistic=None) == "ALARM"


def test_the_reason_names_the_values_and_the_threshold() -> None:
    points = [{"Timestamp": NOW - 1, "Value": 1.0}]
    assert (
        judge(ALARM, points, NOW).reason == "Threshold Crossed: datapoints [1] were greater than the threshold (0.5)."
    )
