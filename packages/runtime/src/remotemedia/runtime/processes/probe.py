"""Loading a node's class in a process that does nothing else: what `nodes doctor` starts.

`python -m remotemedia.runtime.processes.probe PARENT`, a `Request` on standard input; a `Report`
comes on standard output, everything that the node prints on standard error.
"""

from __future__ import annotations

import asyncio
import importlib
import os
import sys
import time
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from remotemedia.core.config import make_config
from remotemedia.core.loops import complete
from remotemedia.core.node import MultiprocessNode, make_node
from remotemedia.runtime.processes.child import die_with_parent
from remotemedia.runtime.processes.loading import load_node_class

if TYPE_CHECKING:
    from remotemedia.core.data import RuntimeData

__all__ = ["Report", "Request", "main"]


class Request(msgspec.Struct):
    """What is to be loaded.

    Attributes:
        target: The class, as `"module:Class"`.
        source: The file of its module, where that can't be imported by name.
        script: The source of its module, where no file has it.
        type_name: The node type.
        paths: Where its module is looked for first.
        initialize: Also make a node with its default config, initialize it and clean it up.
    """

    target: str
    source: str
    script: str
    type_name: str
    paths: tuple[str, ...]
    initialize: bool


class Report(msgspec.Struct):
    """What came of it.

    Attributes:
        stage: How far it came: `import`, `initialize`, `cleanup` or `done`.
        import_secs: How long importing the class took.
        initialize_secs: How long initializing it took; None where that was not asked for.
        rss: Resident memory of the process after all, in bytes.
        pss: The same, but each shared page counted by its share.
        error: What was raised, with its place; empty if nothing was.
        traceback: Its traceback.
    """

    stage: str = "import"
    import_secs: float | None = None
    initialize_secs: float | None = None
    rss: int = 0
    pss: int = 0
    error: str = ""
    traceback: str = ""


#: Where the frames of a traceback are those of who loads a node, not of the node.
_NOT_OF_NODES = (
    str(Path(__file__).parent),
    str(Path(importlib.__file__).parent),
    make_node.__code__.co_filename,
)


class _Context:
    """The context of a node that nobody listens to."""

    stopping = False

    def report_progress(self, fraction: float, message: str) -> None:
        print(f"{fraction:.0%} {message}", file=sys.stderr)  # noqa: T201 - as a node's output

    def loan(self, blank: RuntimeData) -> RuntimeData:
        del blank
        raise RuntimeError("there is no output yet; loans are for process()")

    def waiting(self, port: str) -> int:
        del port
        return 0


def main(arguments: list[str]) -> int:
    """Read the request, do it, and report."""
    die_with_parent(int(arguments[0]))
    request = msgspec.json.decode(sys.stdin.buffer.read(), type=Request)
    reports = os.dup(1)
    os.dup2(2, 1)
    report = Report()
    try:
        _load(request, report)
    except BaseException as error:  # noqa: BLE001 - SystemExit too: it is a stranger's code
        report.error = _told(error)
        report.traceback = traceback.format_exc()[-20_000:]
    report.rss, report.pss = _memory()
    with os.fdopen(reports, "wb") as out:
        out.write(msgspec.json.encode(report))
    sys.stderr.flush()
    os._exit(0)  # threads that a model's library has left must not keep the process alive


def _load(request: Request, report: Report) -> None:
    began = time.perf_counter()
    cls = load_node_class(
        request.target, request.source, request.type_name, request.paths, script=request.script
    )
    report.import_secs = time.perf_counter() - began
    if request.initialize:
        report.stage = "initialize"
        began = time.perf_counter()
        node = _make(cls, request.type_name)
        loop = asyncio.new_event_loop()
        complete(loop, node.initialize)
        report.initialize_secs = time.perf_counter() - began
        report.stage = "cleanup"
        complete(loop, node.cleanup)
        loop.close()
    report.stage = "done"


def _make(cls: type[MultiprocessNode], type_name: str) -> MultiprocessNode:
    from remotemedia.core.plugin import NodeSpec
    from remotemedia.runtime.plugins import discover

    spec: NodeSpec | None = getattr(cls, "__remotemedia_spec__", None)
    if spec is None:
        installed = discover().nodes.get(type_name)
        spec = installed.spec if installed is not None else None
    config: Any = make_config({}, spec.config if spec is not None else None)
    return make_node(cls, type_name, "doctor", config, _Context())


def _told(error: BaseException) -> str:
    text = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    if isinstance(error, SyntaxError) and error.filename:
        return f"{type(error).__name__}: {error.msg} ({error.filename}, line {error.lineno})"
    ours = ("<", *_NOT_OF_NODES)
    frames = traceback.extract_tb(error.__traceback__)
    places = [frame for frame in frames if not frame.filename.startswith(ours)]
    return f"{text} ({places[-1].filename}, line {places[-1].lineno})" if places else text


def _memory() -> tuple[int, int]:
    found = {}
    for line in Path("/proc/self/smaps_rollup").read_text(encoding="utf-8").splitlines():
        name, _, rest = line.partition(":")
        if name in ("Rss", "Pss"):
            found[name] = int(rest.split()[0]) * 1024
    return found["Rss"], found["Pss"]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
