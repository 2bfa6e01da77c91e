"""Great Expectations: suites, checkpoint, row quarantine, Data Docs."""
