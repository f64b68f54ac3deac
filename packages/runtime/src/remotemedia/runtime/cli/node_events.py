"""What `remotemedia nodes … --json` prints, one object a line."""

from __future__ import annotations

from typing import TYPE_CHECKING

from remotemedia.runtime.cli.events import Event

if TYPE_CHECKING:
    from remotemedia.core.errors import PluginError
    from remotemedia.runtime.environments.answers import BrokenPlugin
    from remotemedia.runtime.environments.request import ExistingEnvironment, MadeEnvironment
    from remotemedia.runtime.plugins.catalog import BlockedPlugin
    from remotemedia.runtime.reference.checkup import Finding
    from remotemedia.runtime.reference.description import NodeDescription

__all__ = [
    "BlockedEvent",
    "CheckupEvent",
    "CheckupSummary",
    "ListSummary",
    "NodeEvent",
    "ProblemEvent",
    "blocked_event",
    "checkup_event",
    "node_event",
    "problem_event",
]


class NodeEvent(Event, frozen=True, tag="node"):
    """A node type.

    Attributes:
        type: Its name.
        summary: What it does.
        inputs: Its inputs, as `name: type`.
        outputs: Its outputs.
        plugin: The plugin that provides it; null for a local class.
        distribution: The distribution that it comes from; null for a local class.
        version: The distribution's version.
        source: The file of a local class.
        environment: What its nodes run in; null for the application's own environment.
    """

    type: str
    summary: str
    inputs: dict[str, str]
    outputs: dict[str, str]
    plugin: str | None
    distribution: str | None
    version: str | None
    source: str | None
    environment: str | None


class ProblemEvent(Event, frozen=True, tag="problem"):
    """A plugin, or a file of `extra_paths` (then it alone is not null), that can't be used."""

    plugin: str | None
    distribution: str | None
    version: str | None
    reason: str
    advice: str


class BlockedEvent(Event, frozen=True, tag="blocked"):
    """A plugin that the policy keeps out."""

    plugin: str
    distribution: str
    version: str
    reason: str


class ListSummary(Event, frozen=True, tag="summary"):
    """How many there are of each."""

    nodes: int
    problems: int
    blocked: int


class CheckupEvent(Event, frozen=True, tag="checkup"):
    """A node type, and whether it loads.

    Attributes:
        type: Its name.
        ok: Whether it does.
        import_secs: How long importing its class took; null if it did not come to that.
        initialize_secs: How long initializing it took; null where that was not asked for.
        pss: Memory of its process in bytes, shared pages counted by their share.
        rss: Resident memory.
        problem: Why it does not load.
        advice: What to do.
        traceback: The traceback of what was raised.
        output: The last lines that it printed.
    """

    type: str
    ok: bool
    import_secs: float | None
    initialize_secs: float | None
    pss: int | None
    rss: int | None
    problem: str | None
    advice: str | None
    traceback: str | None
    output: list[str]


class CheckupSummary(Event, frozen=True, tag="summary"):
    """How many of the types load, and how many plugins are broken."""

    ok: int
    failed: int
    problems: int


def node_event(
    node: NodeDescription, environment: ExistingEnvironment | MadeEnvironment | None
) -> NodeEvent:
    """Return the event of a node type."""
    return NodeEvent(
        node.type,
        node.summary,
        {port.name: port.type for port in node.inputs},
        {port.name: port.type for port in node.outputs},
        node.plugin,
        node.distribution,
        node.version,
        node.source,
        None if environment is None else str(environment),
    )


def problem_event(problem: PluginError | BrokenPlugin | str) -> ProblemEvent:
    """Return the event of a plugin that is broken, or of a file that is."""
    if isinstance(problem, str):
        return ProblemEvent(None, None, None, problem, "mend what it names")
    version = problem.version or None
    return ProblemEvent(
        problem.plugin, problem.distribution, version, problem.reason, problem.advice
    )


def blocked_event(blocked: BlockedPlugin) -> BlockedEvent:
    """Return the event of a plugin that the policy keeps out."""
    plugin = blocked.plugin
    return BlockedEvent(plugin.name, plugin.distribution, plugin.version, blocked.reason)


def checkup_event(finding: Finding) -> CheckupEvent:
    """Return the event of a checkup."""
    report = finding.report
    return CheckupEvent(
        type=finding.type,
        ok=not finding.problem,
        import_secs=report.import_secs if report else None,
        initialize_secs=report.initialize_secs if report else None,
        pss=report.pss if report else None,
        rss=report.rss if report else None,
        problem=finding.problem or None,
        advice=finding.advice or None,
        traceback=(report.traceback or None) if report else None,
        output=finding.output,
    )
