"""Where everything came from: records, queries."""
