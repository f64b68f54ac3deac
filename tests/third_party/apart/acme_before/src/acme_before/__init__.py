"""Says which libraries it got."""
