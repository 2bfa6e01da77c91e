"""Run one Great Expectations checkpoint over a drop's candidates and build its Data Docs.

Great Expectations takes seconds to import: nothing but validation imports this module.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

import great_expectations as gx
import pandas as pd
from great_expectations.checkpoint import UpdateDataDocsAction
from great_expectations.core.run_identifier import RunIdentifier
from great_expectations.data_context import EphemeralDataContext
from great_expectations.data_context.types.base import (
    DataContextConfig,
    InMemoryStoreBackendDefaults,
    ProgressBarsConfig,
)

from lookbook.errors import PermanentError
from lookbook.quality.data_docs.site import noted
from lookbook.quality.suites import v1
from lookbook.quality.suites.v1 import Shares


@dataclass(frozen=True)
class Outcome:
    """What one expectation found: its meta, whether it was met, and the positions of the rows that fail it.

    ``expectation`` is its type (``expect_column_values_to_be_null`` …), ``column`` is ``None`` for one of the table.
    """

    meta: dict[str, Any]
    met: bool
    positions: tuple[int, ...]
    expectation: str
    column: str | None


@dataclass(frozen=True)
class Checked:
    """What all expectations found; ``result_id`` is Great Expectations' name of the result, and its page's place."""

    result_id: str
    outcomes: list[Outcome]


def run(frame: pd.DataFrame, drop_id: str, run_name: str, site: dict[str, Any], earlier: Shares | None) -> Checked:
    """Check ``frame`` against the suite and build the Data Docs that ``site`` configures.

    ``earlier`` has, by column, the share of each value in the drops published before; ``None`` skips drift.

    Raises:
        PermanentError: an expectation could not be evaluated at all.
    """
    context = _context(drop_id, site)
    data = context.data_sources.add_pandas("drops").add_dataframe_asset("candidates")
    batch = data.add_batch_definition_whole_dataframe(drop_id)
    article_types = Counter(frame["article_type"].dropna().tolist())
    expectations = v1.expectations(drop_id, article_types, earlier)
    suite = context.suites.add(gx.ExpectationSuite(name=v1.VERSION, expectations=[noted(one) for one in expectations]))
    definition = context.validation_definitions.add(gx.ValidationDefinition(name=drop_id, data=batch, suite=suite))
    checkpoint = context.checkpoints.add(
        gx.Checkpoint(
            name=drop_id,
            validation_definitions=[definition],
            actions=[UpdateDataDocsAction(name="data_docs")],
            # COMPLETE has the positions of all failing rows. Naming index columns as well costs ten times as much, and
            # a query that lists every position makes megabytes of each page.
            result_format={"result_format": "COMPLETE", "return_unexpected_index_query": False},
        )
    )
    result = checkpoint.run(batch_parameters={"dataframe": frame}, run_id=RunIdentifier(run_name=run_name))
    ((identifier, validation),) = result.run_results.items()
    result_id = "/".join(identifier.to_tuple())  # type: ignore[no-untyped-call]
    return Checked(result_id, [_outcome(one) for one in validation.results])


def _context(drop_id: str, site: dict[str, Any]) -> EphemeralDataContext:
    """Return a context that lives in memory, draws no progress bars and tells nobody that it ran."""
    config = DataContextConfig(
        store_backend_defaults=InMemoryStoreBackendDefaults(init_temp_docs_sites=False),
        data_docs_sites={f"drop {drop_id}": site},
        progress_bars=ProgressBarsConfig(globally=False),
        analytics_enabled=False,
    )
    return gx.get_context(mode="ephemeral", project_config=config)


def _outcome(result: Any) -> Outcome:
    meta = result.expectation_config.meta
    if result.exception_info and result.exception_info.get("raised_exception", _nested_exception(result)):
        raise PermanentError(f"Expectation {meta} could not be evaluated: {result.exception_info}")
    config = result.expectation_config
    positions = tuple(result.result.get("unexpected_index_list") or ())
    return Outcome(meta, bool(result.success), positions, config.type, config.kwargs.get("column"))


def _nested_exception(result: Any) -> bool:
    """Return whether a metric failed: then the information is a dictionary by metric."""
    return any(isinstance(info, dict) and info.get("raised_exception") for info in result.exception_info.values())
