"""What parent and node process say to each other, as msgpack frames on their socket."""

from __future__ import annotations

import platform
import signal
import struct
from functools import cache
from importlib.metadata import version
from typing import Literal

import msgspec

from remotemedia.core.plugin import API_VERSION
from remotemedia.core.wire import WIRE_VERSION
from remotemedia.runtime.channels.plan import Endpoint

__all__ = [
    "DISMISSED",
    "EXITED",
    "FDS_AT_ONCE",
    "FRAME_HEAD",
    "MAX_FRAME",
    "READY",
    "REQUEST_FDS",
    "SPAWNED",
    "STACK_SIGNAL",
    "TEMPLATE_EVENT",
    "Connected",
    "Failed",
    "Finished",
    "FromNode",
    "Hello",
    "Init",
    "Prepare",
    "Progress",
    "Ready",
    "SpawnRequest",
    "Start",
    "Stop",
    "Stopped",
    "ToNode",
    "Versions",
    "frame",
]

FRAME_HEAD = struct.Struct("<I")
#: A longer frame is an error of the peer.
MAX_FRAME = 16 << 20
#: Descriptors that fit into one message of a socket (SCM_MAX_FD of Linux is 253).
FDS_AT_ONCE = 250

Stage = Literal["starting", "loading", "connecting", "ready", "running", "stopping"]


class Versions(msgspec.Struct, frozen=True):
    """What both ends of a session have to agree on."""

    api: int
    wire: int
    iceoryx2: str
    python: str

    @classmethod
    @cache
    def here(cls) -> Versions:
        """Return the versions of this process."""
        minor = ".".join(version("iceoryx2").split(".")[:2])
        return cls(API_VERSION, WIRE_VERSION, minor, platform.python_version())

    def clash(self, other: Versions) -> str | None:
        """Return what the two don't agree on, or None."""
        for name, label in (("api", "SDK API"), ("wire", "wire format"), ("iceoryx2", "iceoryx2")):
            mine, theirs = getattr(self, name), getattr(other, name)
            if mine != theirs:
                return f"{label} {mine} here, {theirs} in the node's environment"
        return None


class _Message(msgspec.Struct, tag_field="kind"):
    pass


class Hello(_Message, tag="hello"):
    """The process is there."""

    versions: Versions
    pid: int


class Progress(_Message, tag="progress"):
    """A step towards ready."""

    status: Stage
    fraction: float
    message: str


class Connected(_Message, tag="connected"):
    """Initialized, and every channel is open."""


class Ready(_Message, tag="ready"):
    """Connected to the other ends of all channels, with memory prepared for the first messages."""


class Failed(_Message, tag="failed"):
    """The node raised an exception.

    Attributes:
        stage: What it was doing.
        type: The exception's class.
        message: Its text.
        traceback: Where it came from.
        item: The identity of the input in work.
        fatal: Whether it ends the node.
        memory: Bytes of private memory in use, where the limit of that is the reason, else 0.
    """

    stage: str
    type: str
    message: str
    traceback: str
    item: str
    fatal: bool
    memory: int = 0


class Finished(_Message, tag="finished"):
    """All input has ended, and everything that came of it has been sent."""


class Stopped(_Message, tag="stopped"):
    """Cleaned up; the process ends now."""


FromNode = Hello | Progress | Connected | Ready | Failed | Finished | Stopped


class Init(_Message, tag="init"):
    """What the node is and what it is connected to.

    Attributes:
        node_id: Its name in the pipeline.
        session_id: The session.
        target: The class, as `"module:Class"`.
        source: The file of the class's module, where that can't be imported by its name; the
            running script, where the module is `__main__`.
        script: The source of the class's module, where no file has it: that of a notebook.
        type_name: The node type, for looking it up among what the module registered.
        config: The checked configuration.
        config_target: The config struct, as `"module:Class"`; empty where none is declared.
        inputs: Names of the input ports.
        outputs: Names and types of the output ports.
        paths: Put before `sys.path`.
        more_paths: Put after it: what the application itself can import from.
        arguments: The application's own, where the node is defined in its script.
        on_error: What an exception in `process` does: `stop` or `continue`.
        endpoint: The channels.
        room: The bell that is rung when a consumer has taken something.
    """

    node_id: str
    session_id: str
    target: str
    source: str
    script: str
    type_name: str
    config: dict[str, object]
    config_target: str
    inputs: tuple[str, ...]
    outputs: dict[str, str]
    paths: tuple[str, ...]
    more_paths: tuple[str, ...]
    arguments: tuple[str, ...]
    on_error: Literal["stop", "continue"]
    endpoint: Endpoint
    room: int


class Prepare(_Message, tag="prepare"):
    """The other ends of all channels are open: prepare them."""


class Start(_Message, tag="start"):
    """All nodes are ready: work."""


class Stop(_Message, tag="stop"):
    """Finish the item in work, clean up and end."""


ToNode = Init | Prepare | Start | Stop

_encoder = msgspec.msgpack.Encoder()


def frame(message: FromNode | ToNode) -> bytes:
    """Return the message as it goes over the socket."""
    body = _encoder.encode(message)
    return FRAME_HEAD.pack(len(body)) + body


# ---- parent and template

#: What a template tells: kind, pid (or a negative errno), wait status, peak of resident KiB.
TEMPLATE_EVENT = struct.Struct("<iiiq")
READY, SPAWNED, EXITED = 0, 1, 2
#: What a template is told instead of a request when it is needed no more.
DISMISSED = b"."
#: Control socket, standard output, standard error and stacks of the new process.
REQUEST_FDS = 4
#: Has a node write the stacks of its threads, whatever they are doing. The C library takes the
#: first realtime signals for itself, and programs that use one take the next.
STACK_SIGNAL = signal.SIGRTMIN + 11


class SpawnRequest(msgspec.Struct):
    """A process that a template is to make.

    Attributes:
        name: For `ps`.
        mark: What all that it starts is known by; see `family`.
        environment: All of its environment.
        directory: The working directory.
        root: The runtime's directory.
        log_level: What the application takes of the node's own logging.
        cores: The cores that it may use; empty for those of the template.
        nice: Its niceness; the template's if None.
        max_memory: Bytes of private memory that it may have; None for no limit.
    """

    name: str
    mark: int
    environment: dict[bytes, bytes]
    directory: str
    root: str
    log_level: int
    cores: tuple[int, ...] = ()
    nice: int | None = None
    max_memory: int | None = None
