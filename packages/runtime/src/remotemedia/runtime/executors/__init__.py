"""Executors: what runs a node. Nothing outside of this package knows which one does."""
