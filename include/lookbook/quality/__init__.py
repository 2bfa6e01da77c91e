"""Great Expectations suites (versioned), one checkpoint a drop, row quarantine, Data Docs."""

from lookbook.quality.validating import Validation, validate

__all__ = ["Validation", "validate"]
