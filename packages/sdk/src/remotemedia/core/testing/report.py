"""What is wrong with a node, for its author: what, why, and what to do."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["ContractError", "Violation"]


class Violation(NamedTuple):
    """One thing in which a node does not keep the contract.

    Attributes:
        what: What was seen.
        why: What it does to those who use the node.
        advice: What to do.
        detail: Where it happened, as a traceback; may be empty.
    """

    what: str
    why: str
    advice: str
    detail: str = ""

    def __str__(self) -> str:
        lines = [self.what, f"  why: {self.why}", f"  do:  {self.advice}"]
        return "\n".join([*lines, *(f"    {line}" for line in self.detail.splitlines())])


class ContractError(AssertionError):
    """A node does not keep the contract of nodes.

    Attributes:
        node_type: Its name.
        violations: Everything that was found.
    """

    def __init__(self, node_type: str, violations: Sequence[Violation]) -> None:
        self.node_type: str = node_type
        self.violations: tuple[Violation, ...] = tuple(violations)
        text = "\n\n".join(f"{number}. {found}" for number, found in enumerate(violations, 1))
        super().__init__(f"node type {node_type!r} does not keep the contract of nodes:\n\n{text}")
