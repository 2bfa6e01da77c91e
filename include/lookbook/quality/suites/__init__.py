"""Versioned suites of expectations; a published suite is never changed, a new one is added beside it."""
