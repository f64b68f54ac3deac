"""Answers what it hears."""
