"""The ports that a node of a type has with its config."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Literal

import msgspec

from remotemedia.core.config import of_plain, to_plain
from remotemedia.core.ports import ConfigValue, Port, match_port

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from remotemedia.core.plugin import NodeSpec

__all__ = ["AbsentPort", "configured", "why_absent"]


class AbsentPort(msgspec.Struct, frozen=True):
    """A port that a node does not have, because of its config.

    Attributes:
        side: Where it would be.
        port: What it would be.
        value: What the config key has that it depends on.
    """

    side: Literal["input", "output"]
    port: Port
    value: ConfigValue

    def __str__(self) -> str:
        """Say which port there is not, why, and what to set."""
        key, values = self.port.when or ("", ())
        wanted = " or ".join(map(repr, values))
        return (
            f"no {self.side} {self.port.name!r} while config.{key} is {self.value!r}; "
            f"set it to {wanted}"
        )


def configured(
    spec: NodeSpec, config: Mapping[str, Any]
) -> tuple[NodeSpec, tuple[AbsentPort, ...]]:
    """Return a node type as it is with a config, and which of its ports are not there.

    Args:
        spec: The node type.
        config: Plain values that were checked against its struct.
    """
    if spec.config is None:  # of a type that is known in part only, as from its source
        return spec, ()
    absent: list[AbsentPort] = []
    made = of_plain(config, spec.config)  # with its defaults
    names = {field.encode_name: field.name for field in msgspec.structs.fields(made)}

    def present(side: Literal["input", "output"], ports: Sequence[Port]) -> tuple[Port, ...]:
        there = []
        for port in ports:
            value = None if port.when is None else to_plain(getattr(made, names[port.when[0]]))
            if port.when is None or value in port.when[1]:
                there.append(port)
            else:
                absent.append(AbsentPort(side, port, value))
        return tuple(there)

    inputs, outputs = present("input", spec.inputs), present("output", spec.outputs)
    if not absent:
        return spec, ()
    return replace(spec, inputs=inputs, outputs=outputs), tuple(absent)


def why_absent(
    name: str,
    absent: Sequence[AbsentPort],
    side: Literal["input", "output"],
    other: Port | None = None,
) -> AbsentPort | None:
    """Find the port that `name` would mean if the config were another; see `match_port`."""
    meant = {id(entry.port): entry for entry in absent if entry.side == side}
    found = match_port(name, [entry.port for entry in meant.values()], side, other)
    is_named = name.removesuffix("_in" if side == "input" else "_out") != side
    if found is None or not (is_named or other is None or found.fits(other)):
        return None
    return meant[id(found)]
