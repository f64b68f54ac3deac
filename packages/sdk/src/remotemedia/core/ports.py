"""Ports: the named, typed places where data enters and leaves a node."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, TypeAlias

import msgspec

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["PORT_TYPES", "ConfigValue", "Port", "PortType", "match_port"]

#: What a config key can have where a port depends on it.
ConfigValue: TypeAlias = str | int | bool | None
PortType = Literal["any", "audio", "video", "text", "tensor", "json", "bytes"]
#: The values that a port's type can have: those of `DataType`, and `any`.
PORT_TYPES: tuple[PortType, ...] = ("any", "audio", "video", "text", "tensor", "json", "bytes")


class Port(msgspec.Struct, frozen=True):
    """A named place where data enters or leaves a node.

    Attributes:
        name: Unique on its side of the node.
        type: The only type that passes, or `any`.
        required: An input that must be connected when another input of its node is.
        doc: One line for the people who connect it.
        message_bytes: The payload of a message that is usual here, in bytes. Memory for some of
            them is prepared when a session starts, so that the first is no slower than the
            others. Larger ones pass too. An edge can say otherwise.
        main: Where there are several: `input` or `output` means this one. Several may be main;
            then the one is meant that takes what the other end of the edge gives.
        when: A config key, and the values of it with which the node has this port; it has it
            always if None. `when=("mode", ("read", "write"))`: with any other `mode`, an edge to it
            is a mistake of the pipeline.
    """

    name: str
    type: PortType = "any"
    required: bool = True
    doc: str = ""
    message_bytes: int | None = None
    main: bool = False
    when: tuple[str, tuple[ConfigValue, ...]] | None = None

    def accepts(self, data_type: str) -> bool:
        """Say whether data of this type may pass."""
        return self.type in ("any", data_type)

    def fits(self, other: Port) -> bool:
        """Say whether an edge between the two can carry anything."""
        return "any" in (self.type, other.type) or self.type == other.type


def match_port(
    name: str,
    ports: Sequence[Port],
    side: Literal["input", "output"],
    other: Port | None = None,
) -> Port | None:
    """Find the port that `name` means.

    A port is meant by its name, by its name with `_in` or `_out` added, and where it is the only
    one on its side also by `input` or `output` and by the name of its data type (of any, where it
    takes any), each with `_in` or `_out` or without. Of several, `input` and `output` mean the one
    that is main.

    Args:
        name: What was said.
        ports: All ports of the node on that side.
        side: Which side that is.
        other: What it is to be connected to: of several main ports, the one is meant that fits it.

    Returns:
        The port, or None where no port or no single one is meant.
    """
    suffix = "_in" if side == "input" else "_out"
    bare = name.removesuffix(suffix)
    for candidate in (name, bare, name + suffix):
        for port in ports:
            if port.name == candidate:
                return port
    if len(ports) == 1:
        only = ports[0]
        if bare == side or (bare in PORT_TYPES and only.accepts(bare)):
            return only
    elif bare == side:
        meant = [port for port in ports if port.main and (other is None or port.fits(other))]
        return meant[0] if len(meant) == 1 else None
    return None
