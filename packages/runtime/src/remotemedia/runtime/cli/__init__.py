"""The command line: `remotemedia`."""
