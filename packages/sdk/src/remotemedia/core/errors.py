"""Every error that RemoteMedia raises, under one base.

An error is built from data: its attributes say what happened, its message says the thing, the
reason and the next step.
"""

from __future__ import annotations

import signal as _signal
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

from remotemedia.core.text import sendable

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

__all__ = [
    "BrokenPluginsError",
    "ChannelFullError",
    "ConfigError",
    "DataError",
    "EndOfStream",
    "InitTimeout",
    "ItemTimeout",
    "LoanError",
    "NodeEnvironmentError",
    "NodeError",
    "PipelineError",
    "PluginError",
    "ProcessCrashError",
    "ProcessSpawnError",
    "ReceiveTimeout",
    "RemoteMediaError",
    "ResourceLimitError",
    "SessionClosed",
    "SessionError",
    "WireError",
    "near",
]


def near(name: str, known: Iterable[str]) -> str:
    """Return the half sentence that offers the known names nearest to `name`, or all of a few."""
    names = sorted(known)
    close = get_close_matches(name, names, n=3, cutoff=0.6)
    if close:
        return f"did you mean {' or '.join(map(repr, close))}?"
    if not names:
        return "none is known"
    shown = ", ".join(map(repr, names[:12]))
    return f"known: {shown}" + (", …" if len(names) > 12 else "")


class RemoteMediaError(Exception):
    """The base of every error of RemoteMedia."""

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle attributes and text: arguments of `__init__` can't be had from `args`."""
        return _restored, (self.__class__, self.args), self.__dict__


def _restored(cls: type[RemoteMediaError], args: tuple[Any, ...]) -> RemoteMediaError:
    error = cls.__new__(cls)
    error.args = args
    return error


class DataError(RemoteMediaError, ValueError):
    """A RuntimeData whose payload, type and metadata do not fit each other or the port."""


class WireError(RemoteMediaError):
    """A slice of shared memory that is not a message of this wire format."""


class LoanError(RemoteMediaError):
    """Loaned memory was used against its rules: kept across messages, or sent twice."""


class ConfigError(RemoteMediaError):
    """A configuration key or value that does not exist or has the wrong type.

    Attributes:
        where: The node id, or the file or environment variable that the value came from.
        key: The key, dotted for nested ones; empty when the whole is meant.
        reason: What is wrong, and what would be valid.
        problems: One line for each mistake, where there are several.
    """

    def __init__(self, where: str, key: str, reason: str) -> None:
        self.where: str = where
        self.key: str = key
        self.reason: str = reason
        text = f"{where}: config key {key!r}: {reason}" if key else f"{where}: {reason}"
        self.problems: tuple[str, ...] = (text,)
        super().__init__(text)

    @classmethod
    def of(cls, errors: Sequence[ConfigError]) -> ConfigError:
        """Return one error that tells of all of these; `where` and `key` are of the first."""
        first, *others = errors
        if not others:
            return first
        whole = cls(first.where, first.key, first.reason)
        whole.problems = tuple(dict.fromkeys(line for one in errors for line in one.problems))
        whole.args = (
            f"the configuration has {len(whole.problems)} mistakes:\n"
            + "\n".join(f"  {line}" for line in whole.problems),
        )
        return whole


class PipelineError(RemoteMediaError):
    """A pipeline with mistakes; all of them are in `problems`.

    Attributes:
        problems: One line for each mistake, with its place where that is known.
    """

    def __init__(self, problems: Sequence[str]) -> None:
        self.problems: tuple[str, ...] = tuple(problems)
        count = len(self.problems)
        head = "the pipeline has a mistake" if count == 1 else f"the pipeline has {count} mistakes"
        super().__init__(f"{head}:\n" + "\n".join(f"  {line}" for line in self.problems))


class PluginError(RemoteMediaError):
    """A plugin, or the class that it names, that can't be used.

    Attributes:
        plugin: The entry point's name.
        distribution: The distribution that declares it.
        reason: Why it can't be used.
        version: The distribution's version, where that is known.
        advice: What to do, where that is known.
    """

    def __init__(
        self,
        plugin: str,
        distribution: str,
        reason: str,
        *,
        version: str = "",
        advice: str = "",
    ) -> None:
        self.plugin: str = plugin
        self.distribution: str = distribution
        self.version: str = version
        self.reason: str = reason
        self.advice: str = advice
        origin = f"{distribution} {version}".strip()
        super().__init__(
            f"plugin {plugin!r} of {origin}: {reason}" + (f"; {advice}" if advice else "")
        )


class BrokenPluginsError(RemoteMediaError):
    """Installed plugins can't be used, and the policy is strict.

    Attributes:
        problems: What is wrong with each.
    """

    def __init__(self, problems: Sequence[PluginError]) -> None:
        self.problems: tuple[PluginError, ...] = tuple(problems)
        lines = "\n".join(f"  {problem}" for problem in self.problems)
        super().__init__(
            f"broken plugins are not accepted (plugins.strict is set):\n{lines}\n"
            "mend them, or list them in plugins.block"
        )


class SessionError(RemoteMediaError):
    """A session was asked for something that it can't do in its state."""


class SessionClosed(SessionError):
    """The session has ended; nothing can be sent or received any more."""


class EndOfStream(SessionClosed):
    """The output has delivered everything: its input was closed and all of it was processed.

    Attributes:
        output: The output that has ended, as `node.port`.
    """

    def __init__(self, output: str) -> None:
        self.output = output
        super().__init__(f"output {output!r} has ended: its input was closed and all is delivered")


class ReceiveTimeout(SessionError, TimeoutError):
    """Nothing arrived on an output within the time given to `receive`."""

    def __init__(self, output: str, seconds: float) -> None:
        self.output: str = output
        self.seconds: float = seconds
        super().__init__(
            f"nothing arrived on {output!r} within {seconds:g} s; the session is still running"
        )


class ResourceLimitError(RemoteMediaError):
    """A limit would be exceeded, or was.

    Attributes:
        what: What is limited.
        use: The amount that is used or asked for.
        limit: The amount that is allowed.
        setting: The setting that holds the limit.
        node_id: The node that went over it, where it is one.
    """

    def __init__(
        self, what: str, use: str, limit: str, setting: str, node_id: str | None = None
    ) -> None:
        self.what: str = what
        self.use: str = use
        self.limit: str = limit
        self.setting: str = setting
        self.node_id = node_id
        super().__init__(
            f"{what}: {use} is over the limit of {limit}; raise {setting!r} to allow it"
        )


class ChannelFullError(RemoteMediaError):
    """A message can't be put into a channel.

    Attributes:
        channel: The channel, as `asr_to_s2s`.
        capacity: What is exhausted, in messages or bytes.
        policy: The edge's policy.
        setting: The setting that would make room.
        reason: Why there is none.
    """

    def __init__(
        self, channel: str, capacity: str, policy: str, setting: str, reason: str = ""
    ) -> None:
        self.channel: str = channel
        self.capacity: str = capacity
        self.policy: str = policy
        self.setting: str = setting
        if not reason:
            larger = policy == "block"
            reason = "one message is larger than that" if larger else "backpressure active"
        self.reason = reason
        super().__init__(
            f"Buffer at capacity ({reason}): channel {channel!r} holds {capacity}, policy "
            f"{policy!r}; raise {setting!r} or make the receiver faster"
        )


class NodeError(RemoteMediaError):
    """A node raised an exception while it initialized, processed or cleaned up.

    Attributes:
        node_id: The node.
        stage: `initialize`, `process`, `finish` or `cleanup`.
        remote_type: The name of the exception's class in the node.
        remote_message: The exception's text.
        remote_traceback: The formatted traceback of the node.
        item: The identity of the input in work (`port#sequence`), or an empty string.
    """

    def __init__(
        self,
        node_id: str,
        stage: str,
        remote_type: str,
        remote_message: str,
        remote_traceback: str = "",
        item: str = "",
    ) -> None:
        self.node_id: str = node_id
        self.stage: str = stage
        self.item: str = item
        self.remote_type: str = remote_type
        self.remote_message: str = remote_message
        self.remote_traceback = remote_traceback
        at = f" of {item}" if item else ""
        text = f"Node '{node_id}' failed in {stage}{at}: {remote_type}: {remote_message}"
        super().__init__(text)

    @classmethod
    def of(cls, error: BaseException, node_id: str, stage: str, item: str = "") -> NodeError:
        """Make one of what a node has raised, whatever that is."""
        import traceback

        try:
            message = str(error)
        except Exception:  # noqa: BLE001 - an exception whose text can't be made
            message = "(the exception has no readable message)"
        lines = traceback.format_exception(type(error), error, error.__traceback__)
        name, text, trace = map(sendable, (type(error).__name__, message, "".join(lines)))
        return cls(node_id, stage, name, text, trace, item)

    def __str__(self) -> str:
        """Return the message, and below it the traceback of the node."""
        text: str = self.args[0]
        return f"{text}\n\n{self.remote_traceback.rstrip()}" if self.remote_traceback else text

    @property
    def summary(self) -> str:
        """The message without the traceback."""
        return str(self.args[0])


class ProcessSpawnError(RemoteMediaError):
    """A node's process could not be started.

    Attributes:
        node_id: The node; empty where it is what all of them need.
        reason: Why, and what to do.
    """

    def __init__(self, node_id: str, reason: str) -> None:
        self.node_id: str = node_id
        self.reason: str = reason
        super().__init__(f"{reason} (node {node_id!r})" if node_id else reason)


class NodeEnvironmentError(RemoteMediaError):
    """The environment that a node asks for can't be made, or nodes can't run in it.

    Attributes:
        node_id: The node.
        environment: What it asks for.
        reason: Why that can't be had, and what to do; several lines where the installer explains.
    """

    def __init__(self, node_id: str, environment: str, reason: str) -> None:
        self.node_id: str = node_id
        self.environment: str = environment
        self.reason: str = reason
        super().__init__(f"node {node_id!r} can't have its environment, {environment}: {reason}")


class InitTimeout(RemoteMediaError):
    """A node was not ready within `init_timeout_secs`.

    Attributes:
        node_id: The node.
        seconds: The limit that was exceeded.
        stage: The stage the node was in.
        stack: The Python stacks of the node's process, where they could be had.
    """

    def __init__(self, node_id: str, seconds: float, stage: str, stack: str = "") -> None:
        self.node_id: str = node_id
        self.seconds: float = seconds
        self.stage: str = stage
        self.stack: str = stack
        text = (
            f"Node '{node_id}' failed to initialize within {seconds:g}s (it was {stage}); "
            "raise 'init_timeout_secs' or see what it waits for"
        )
        super().__init__(f"{text}:\n{stack.rstrip()}" if stack else text)


class ItemTimeout(RemoteMediaError):
    """A node has worked on one item for longer than its `item_timeout_secs`.

    Attributes:
        node_id: The node.
        item: The identity of the item (`port#sequence`), or `finish` after all input.
        seconds: How long it has been in work, without waiting for room to send.
        limit: The limit that was exceeded.
        stack: The Python stacks of the node's process; empty if it got done meanwhile.
    """

    def __init__(
        self, node_id: str, item: str, seconds: float, limit: float, stack: str = ""
    ) -> None:
        self.node_id: str = node_id
        self.item: str = item
        self.stack: str = stack
        self.seconds: float = seconds
        self.limit: float = limit
        text = (
            f"Node '{node_id}' has worked on {item} for {seconds:.3g}s, over its limit of "
            f"{limit:g}s; raise 'item_timeout_secs' or see where it is"
        )
        super().__init__(f"{text}:\n{stack.rstrip()}" if stack else text)

    @property
    def summary(self) -> str:
        """The message without the stacks."""
        return str(self.args[0]).partition("\n")[0].rstrip(":")


class ProcessCrashError(RemoteMediaError):
    """A node's process ended without being asked to.

    Attributes:
        node_id: The node.
        exit_code: What a shell would report: 128 + signal for a killed process.
        signal: The signal's name, as `SIGKILL`, or None.
        stage: What the node was doing.
        last_output: The last lines that the process wrote.
        hint: What may have been the reason, where something is known of it.
    """

    def __init__(
        self,
        node_id: str,
        exit_code: int,
        stage: str = "",
        last_output: Sequence[str] = (),
        hint: str = "",
    ) -> None:
        self.node_id: str = node_id
        self.exit_code: int = exit_code
        self.stage: str = stage
        self.last_output: tuple[str, ...] = tuple(last_output)
        self.signal: str | None = None
        if exit_code > 128:
            try:
                self.signal = _signal.Signals(exit_code - 128).name
            except ValueError:
                self.signal = f"signal {exit_code - 128}"
        text = f"Node '{node_id}' exited with code {exit_code}"
        if self.signal:
            text += f" ({self.signal})"
        if stage:
            text += f" while {stage}"
        if self.signal == "SIGKILL" and not hint:
            hint = (
                "if nobody killed it, the kernel did for lack of memory: see its log, use a "
                "smaller model or give the machine more memory"
            )
        self.hint = hint
        if hint:
            text += f"; {hint}"
        if self.last_output:
            text += "; its last output:\n" + "\n".join(f"  {line}" for line in self.last_output)
        super().__init__(text)
