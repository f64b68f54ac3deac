"""What a runtime asks another environment, and what it is told."""

from __future__ import annotations

from typing import Any

import msgspec

from remotemedia.core.configured import AbsentPort
from remotemedia.core.errors import PluginError
from remotemedia.core.ports import Port
from remotemedia.runtime.plugins import PluginPolicy
from remotemedia.runtime.reference.description import NodeDescription

__all__ = [
    "Answer",
    "BrokenPlugin",
    "FoundType",
    "Greeting",
    "NodeAnswer",
    "NodeQuestion",
    "Questions",
]


class Greeting(msgspec.Struct, frozen=True):
    """The first line of an answer, in JSON: what both sides have to agree on, and where it is from.

    Attributes:
        api: Version of the SDK's API.
        wire: Version of the wire format.
        iceoryx2: Its minor version.
        python: Version of the interpreter.
        sdk: Version of remotemedia-sdk.
        runtime: Version of remotemedia-runtime.
    """

    api: int
    wire: int
    iceoryx2: str
    python: str
    sdk: str
    runtime: str


class NodeQuestion(msgspec.Struct, frozen=True):
    """A node that is to run in the environment.

    Attributes:
        node_id: Its name.
        type: The node type, as the pipeline has it.
        config: Its config, as plain values.
        extra_paths: Where its type may be defined in a source file.
        directory: Where the path of a file begins.
    """

    node_id: str
    type: str
    config: dict[str, Any]
    extra_paths: tuple[str, ...]
    directory: str


class Questions(msgspec.Struct, frozen=True):
    """Everything that an environment is asked at once.

    Attributes:
        policy: Which of its plugins may be used.
        nodes: The nodes that are to run in it.
    """

    policy: PluginPolicy
    nodes: tuple[NodeQuestion, ...] = ()


class FoundType(msgspec.Struct, frozen=True):
    """A node type of the environment.

    Attributes:
        name: Its name.
        target: Its class, as `"module:Class"`.
        inputs: Its input ports.
        outputs: Its output ports.
        summary: One line about it.
        api_version: The SDK API that it was written for.
        distribution: Name and version of its distribution; empty for a source file.
        config_target: Its config struct, as `"module:Class"`; empty where it declares none.
        described: All that there is to tell of it.
    """

    name: str
    target: str
    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]
    summary: str
    api_version: int
    distribution: str
    config_target: str
    described: NodeDescription


class NodeAnswer(msgspec.Struct, frozen=True):
    """What was found out about a node.

    Attributes:
        node_id: Its name.
        type: Its type; None where it isn't there.
        source: The file of its class, where that may not be importable by name.
        paths: Directories that it needs to be imported.
        config: Its config as plain values.
        mistakes: Keys and mistakes of its config.
        problem: Why its type can't be used.
        absent: The ports that it does not have, because of its config.
    """

    node_id: str
    type: FoundType | None = None
    source: str = ""
    paths: tuple[str, ...] = ()
    config: dict[str, Any] = {}
    mistakes: tuple[tuple[str, str], ...] = ()
    problem: str = ""
    absent: tuple[AbsentPort, ...] = ()


class BrokenPlugin(msgspec.Struct, frozen=True):
    """A plugin of the environment that can't be used; see `PluginError`."""

    plugin: str
    distribution: str
    reason: str
    version: str
    advice: str

    def __str__(self) -> str:
        return str(PluginError(**msgspec.structs.asdict(self)))


class Answer(msgspec.Struct, frozen=True):
    """Everything that an environment says of itself, after its greeting.

    Attributes:
        types: The installed node types.
        problems: The plugins that can't be used.
        nodes: What was asked, in the order of the questions.
    """

    types: tuple[FoundType, ...]
    problems: tuple[BrokenPlugin, ...]
    nodes: tuple[NodeAnswer, ...]
