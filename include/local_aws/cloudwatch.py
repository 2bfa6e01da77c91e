"""CloudWatch's metrics and alarms: ministack keeps and serves them; what its own judgement leaves out is put in here.

ministack judges an alarm by every metric of the alarm's name, whatever its dimensions, and only when a metric is put.
An alarm that guards a deployment has to look at one variant of one endpoint, now. And metrics of thousands of requests
are kept by value and count, which ministack has no form for.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from local_aws.alarms import Weighted, judge, percentile, statistics

# Values of as many seconds share their time: alarms have periods of ten seconds and more.
_SLOT = 5


class CloudWatch:
    """The metrics and alarms of ministack's service; to be used from its event loop only.

    Args:
        service: the module ``ministack.services.cloudwatch``.
    """

    def __init__(self, service: Any) -> None:
        self._service = service
        self._slot = 0
        self._points: dict[tuple[tuple[str, str, str], float], dict[str, Any]] = {}
        self._put_alarm = service._put_metric_alarm
        service._put_metric_alarm = self._put_or_refuse
        service._evaluate_alarm = self._evaluate
        service._calc_stats = statistics
        service._percentile = percentile
        self._restore()

    def record(
        self, namespace: str, dimensions: Mapping[str, str], values: Mapping[str, tuple[float, str]], times: int = 1
    ) -> None:
        """Count values in that were measured so many times: by metric name, each with its unit."""
        slot = int(time.time()) // _SLOT
        if slot != self._slot:
            self._slot, self._points = slot, {}
        for name, (value, unit) in values.items():
            key = (namespace, name, self._service._dims_key(dict(dimensions)))
            point = self._points.get((key, value)) or self._new_point(key, value, unit, dimensions)
            point["Count"] += times
            point["Value"] = Weighted(value, point["Count"])

    def evaluate(self) -> bool:
        """Judge every alarm; say whether one changed its state."""
        before = self._states()
        self._service._evaluate_all_alarms()
        return self._states() != before

    def _states(self) -> dict[str, str]:
        return {name: alarm["StateValue"] for name, alarm in self._service._alarms.items()}

    def _new_point(
        self, key: tuple[str, str, str], value: float, unit: str, dimensions: Mapping[str, str]
    ) -> dict[str, Any]:
        point = {"Timestamp": time.time(), "Value": value, "Count": 0, "Unit": unit, "Dimensions": dict(dimensions)}
        self._service._metric_bucket(key).append(point)
        self._points[key, value] = point
        return point

    def _restore(self) -> None:
        """Give the values that were read from disk their counts again."""
        for points in self._service._metrics.values():
            for point in points:
                if "Count" in point:
                    point["Value"] = Weighted(point["Value"], point["Count"])

    def _evaluate(self, alarm: dict[str, Any]) -> None:
        service, old = self._service, alarm["StateValue"]
        dimensions = service._dims_key(service._dims_from_list(alarm["Dimensions"]))
        points = service._metrics.get((alarm["Namespace"], alarm["MetricName"], dimensions)) or []
        found = judge(alarm, points, time.time())
        if found.state == old:
            return
        alarm.update(StateValue=found.state, StateReason=found.reason, StateUpdatedTimestamp=int(time.time()))
        service._record_history(alarm["AlarmName"], old, found.state, found.reason)
        service._dispatch_alarm_actions(alarm, old, found.state, found.reason)

    def _put_or_refuse(self, params: Any, data: Any, is_cbor: bool, is_json: bool = False) -> Any:
        if not (data or params).get("MetricName"):
            told = "Local AWS knows alarms of one metric only; metric math is not supported (docs/local-aws.md)."
            return self._service._error("ValidationError", told, 400, use_json=is_json, use_cbor=is_cbor)
        return self._put_alarm(params, data, is_cbor, is_json)
