"""check_node_contract: what every node must keep, whatever it does."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from remotemedia.core.testing.behaviour import Behaviour
from remotemedia.core.testing.description import check_description
from remotemedia.core.testing.report import ContractError
from remotemedia.core.testing.subject import find_subject

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from remotemedia.core.testing.subject import Node

__all__ = ["check_node_contract"]


def check_node_contract(
    node: Node,
    config: Mapping[str, Any] | None = None,
    *,
    inputs: Mapping[str, Sequence[Any]] | None = None,
    quiet: Collection[str] = (),
    deadline: float | None = 30.0,
) -> None:
    """Check that a node keeps what every node must, whatever it does.

    It is made several times, in this process, and gets ordinary data, strange data of the right
    type, and data again; it is stopped in the middle, and fails to initialize.

    - Its description is valid, for this SDK's API, and has a summary; its plugin module gives it
      without importing the class or numpy; its class is there.
    - The defaults of its config are valid, and can be described to editors.
    - It takes ordinary data. What it gives fits the outputs that it declares, and every output
      gives something. What it was given, it leaves as it is.
    - Strange data is answered or refused with an error, in time; it works as before afterwards.
      An input of any type swallows no type in silence that it can't use.
    - `cleanup` works also when `initialize` has not begun, or failed at any report of progress.
    - Stopped in the middle of a stream, and after its cleanup, nothing more comes from it, and no
      thread of it runs on.

    Args:
        node: A node type's name, `"module:Class"`, its NodeSpec, or the class.
        config: What it is run with; its defaults if None.
        inputs: Items to feed to each input, where the ordinary ones (speech without words, a
            sentence, a small array, …) are not what it takes.
        quiet: Outputs that may give nothing for these items.
        deadline: Seconds for each step.

    Raises:
        ContractError: With everything that it does not keep.
    """
    subject = find_subject(node)
    violations = list(check_description(subject, config))
    if not violations:
        violations = Behaviour(subject, config, inputs or {}, quiet, deadline).check()
    if violations:
        raise ContractError(subject.spec.name, violations)
