"""Environments of their own for nodes: found or made, surveyed, kept and pruned."""
