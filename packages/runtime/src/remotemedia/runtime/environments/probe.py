"""What runs in another environment to say what is there; no node class is imported.

`python -I -m remotemedia.runtime.environments.probe < questions > answer`
"""

from __future__ import annotations

import os
import sys
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
from msgspec.structs import replace

from remotemedia.core.config import check_config
from remotemedia.runtime.environments.answers import (
    Answer,
    BrokenPlugin,
    FoundType,
    Greeting,
    NodeAnswer,
    NodeQuestion,
    Questions,
)
from remotemedia.runtime.nodetypes import NodeType, UnknownNodeType, resolve_type
from remotemedia.runtime.plugins import discover
from remotemedia.runtime.processes.messages import Versions
from remotemedia.runtime.reference.description import describe

if TYPE_CHECKING:
    from remotemedia.runtime.plugins import Catalog

__all__ = ["main"]


def _greeting() -> Greeting:
    versions = msgspec.structs.asdict(Versions.here())
    return Greeting(
        **versions, sdk=version("remotemedia-sdk"), runtime=version("remotemedia-runtime")
    )


def _describe(found: NodeType, catalog: Catalog) -> FoundType:
    spec = found.spec
    struct = spec.config
    installed = catalog.nodes.get(spec.name)
    from_package = installed is not None and installed.spec is spec
    return FoundType(
        name=spec.name,
        target=spec.target,
        inputs=tuple(spec.inputs),
        outputs=tuple(spec.outputs),
        summary=spec.summary,
        api_version=spec.api_version,
        distribution=installed.plugin.origin if installed and from_package else "",
        config_target="" if struct is None else f"{struct.__module__}:{struct.__qualname__}",
        described=describe(found, catalog),
    )


def _answer(question: NodeQuestion, catalog: Catalog) -> NodeAnswer:
    try:
        paths = [Path(path) for path in question.extra_paths]
        found = resolve_type(question.type, catalog, paths, Path(question.directory))
    except UnknownNodeType as error:
        return NodeAnswer(question.node_id, problem=str(error))
    plain, mistakes = check_config(question.config, found.spec.config)
    described = _describe(found, catalog)
    node = found if mistakes else found.configured(plain)
    return NodeAnswer(
        question.node_id,
        replace(described, inputs=tuple(node.spec.inputs), outputs=tuple(node.spec.outputs)),
        found.source,
        found.paths,
        plain,
        tuple((mistake.key, mistake.text) for mistake in mistakes),
        absent=node.absent,
    )


def main() -> int:
    """Read questions, write the answer."""
    # Plugins may print; the answer is not to be among that.
    answers = os.dup(1)
    os.dup2(2, 1)
    questions = msgspec.msgpack.decode(sys.stdin.buffer.read(), type=Questions)
    with os.fdopen(answers, "wb") as out:
        out.write(msgspec.json.encode(_greeting()) + b"\n")
        out.flush()
        catalog = discover(policy=questions.policy)
        answer = Answer(
            tuple(_describe(NodeType(node.spec), catalog) for node in catalog.nodes.values()),
            tuple(
                BrokenPlugin(p.plugin, p.distribution, p.reason, p.version, p.advice)
                for p in catalog.problems
            ),
            tuple(_answer(question, catalog) for question in questions.nodes),
        )
        out.write(msgspec.msgpack.encode(answer))
    return 0


if __name__ == "__main__":
    sys.exit(main())
