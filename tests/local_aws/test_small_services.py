"""How often the small services' state is written."""

from __future__ import annotations

import pytest

from local_aws.small_services import pause_before_saving


@pytest.mark.parametrize(("last_took", "pause"), [(0.0, 1.0), (0.02, 1.0), (0.5, 25.0)])
def test_saving_takes_a_fiftieth_of_the_time_however_much_there_is(last_took: float, pause: float) -> None:
    assert pause_before_saving(last_took) == pytest.approx(pause)
