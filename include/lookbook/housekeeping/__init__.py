"""What nothing refers to any more: found, planned, shown and deleted; and what everything costs."""
