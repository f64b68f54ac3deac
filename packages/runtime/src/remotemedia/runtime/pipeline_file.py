"""Pipeline files: TOML to Pipeline, with the place of everything for the messages."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from remotemedia.core.errors import ConfigError, PipelineError, near
from remotemedia.runtime.node_options import OPTIONS, PATH_OPTIONS, anchor_environment
from remotemedia.runtime.pipeline import EdgeSpec, NodeEntry, Pipeline
from remotemedia.runtime.toml_file import key_places, parse_toml, read_text, table_header

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["NODE_KEYS", "read_draft", "read_pipeline"]

_KEYS = ("name", "nodes", "edges", "inputs", "outputs", "extra_paths")
#: The keys of a node.
NODE_KEYS = ("type", "config", "executor", "on_error", *OPTIONS)
_EDGE_KEYS = ("from", "to", "policy", "capacity", "message_bytes")
#: So many lines an edge may take that is written as a table of its own.
_EDGE_LINES = 5


def read_pipeline(path: Path) -> Pipeline:
    """Read a pipeline file.

    Raises:
        ConfigError: The file can't be read, or is not TOML.
        PipelineError: It is no pipeline; every mistake of its form is named.
    """
    pipeline, problems = read_draft(path)
    if problems:
        raise PipelineError(problems)
    return pipeline


def read_draft(path: Path) -> tuple[Pipeline, list[str]]:
    """Read a pipeline file that may have mistakes of form.

    Returns:
        What makes sense of it, and a line for each mistake: so that the rest can be checked too.

    Raises:
        ConfigError: The file can't be read, or is not TOML.
    """
    text = read_text(path)
    problems: list[str] = []
    try:
        table = parse_toml(path, text)
    except ConfigError:
        text, problems = _without_doubles(path, text)
        if not problems:
            raise
        table = parse_toml(path, text)
    reader = _Reader(path, table, text)
    pipeline = reader.pipeline()
    return pipeline, problems + reader.problems


class _Reader:
    def __init__(self, path: Path, table: dict[str, Any], text: str) -> None:
        self.path, self.table = path, table
        self.problems: list[str] = []
        self.text = text.splitlines()
        self.places = key_places(str(path), self.text)
        self.unusable: set[str] = set()  # nodes that can't be checked
        self.found: set[tuple[object, ...]] = set()  # what was found in which line

    def problem(self, place: tuple[str, ...], text: str) -> None:
        while place and place not in self.places:
            place = place[:-1]
        self.problems.append(f"{self.places[place]}: {text}")

    def pipeline(self) -> Pipeline:
        table = self.table
        for key in table:
            if key not in _KEYS:
                self.problem((key,), f"unknown key {key!r}; {near(key, _KEYS)}")
        base = self.path.parent
        pipeline = Pipeline(
            self.string("name") or self.path.stem,
            inputs=self.strings("inputs"),
            outputs=self.strings("outputs"),
            extra_paths=[base / entry for entry in self.strings("extra_paths") or ()],
        )
        pipeline.directory = base
        self.nodes(pipeline)
        self.edges(pipeline)
        for kind in ("inputs", "outputs"):
            names = getattr(pipeline, kind)
            if names is not None:
                usable = [n for n in names if n.partition(".")[0] not in self.unusable]
                setattr(pipeline, kind, usable)
                for name in usable:
                    self.places[kind, name] = self.line_of(kind, name)
        pipeline.places = self.places
        return pipeline

    def nodes(self, pipeline: Pipeline) -> None:
        nodes = self.table.get("nodes", {})
        if not isinstance(nodes, dict):
            self.problem(("nodes",), "nodes must be tables: [nodes.NAME]")
            return
        for name, entry in nodes.items():
            place = ("nodes", name)
            if not isinstance(entry, dict) or not isinstance(entry.get("type"), str):
                self.problem(place, f'node {name!r} needs a type: type = "…"')
                self.unusable.add(name)
                continue
            for key in entry:
                if key not in NODE_KEYS:
                    hint = near(key, NODE_KEYS)
                    if hint.startswith("known"):
                        hint = f"settings of the node itself go under config.{key}"
                    self.problem((*place, key), f"node {name!r}: unknown key {key!r}; {hint}")
            pipeline.nodes[name] = NodeEntry(
                name,
                entry["type"],
                entry.get("config", {}),
                str(entry.get("executor", "multiprocess")),
                str(entry.get("on_error", "stop")),
                self.options(entry),
            )

    def options(self, entry: dict[str, Any]) -> dict[str, Any]:
        """Return what is said of a node's process; its paths are relative to the file."""
        written = {key: entry[key] for key in OPTIONS if key in entry}
        for key in PATH_OPTIONS:
            if isinstance(written.get(key), str):
                written[key] = self.path.parent / written[key]
        anchor_environment(written, self.path.parent.absolute())
        return written

    def edges(self, pipeline: Pipeline) -> None:
        edges = self.table.get("edges", [])
        if not isinstance(edges, list):
            self.problem(("edges",), "edges must be a list")
            return
        for entry in edges:
            ends = [entry]
            if isinstance(entry, dict):
                ends = [entry[key] for key in ("from", "to") if key in entry]
            place = self.line_of("edges", *map(str, ends))
            edge = self.edge(entry, place)
            if edge is not None:
                pipeline.edges.append(edge)
                self.places["edges", str(edge)] = place

    def edge(self, entry: object, place: str) -> EdgeSpec | None:
        policy = capacity = message_bytes = None
        if isinstance(entry, str):
            source, arrow, target = (part.strip() for part in entry.partition("->"))
            if not arrow or not source or not target:
                self.problems.append(f'{place}: edge {entry!r} must read "node.port -> node.port"')
                return None
        elif isinstance(entry, dict) and {"from", "to"} <= entry.keys():
            source, target = str(entry["from"]), str(entry["to"])
            policy, capacity = entry.get("policy"), entry.get("capacity")
            message_bytes = entry.get("message_bytes")
            for key in entry:
                if key not in _EDGE_KEYS:
                    self.problems.append(
                        f"{place}: edge {source} -> {target}: unknown key {key!r}; "
                        f"{near(key, _EDGE_KEYS)}"
                    )
        else:
            self.problems.append(f'{place}: edge {entry!r:.60} needs from and to, or "a.x -> b.y"')
            return None
        ends = [(name, port) for name, _, port in (end.partition(".") for end in (source, target))]
        if self.unusable.intersection(name for name, _ in ends):
            return None  # reported with the node
        return EdgeSpec(ends[0], ends[1], policy, capacity, message_bytes)

    def string(self, key: str) -> str | None:
        value = self.table.get(key)
        if value is None or isinstance(value, str):
            return value
        self.problem((key,), f"{key} must be a string, not {value!r:.60}")
        return None

    def strings(self, key: str) -> list[str] | None:
        value = self.table.get(key)
        if value is None:
            return None
        if isinstance(value, list) and all(isinstance(entry, str) for entry in value):
            return value
        self.problem((key,), f"{key} must be a list of strings, not {value!r:.60}")
        return None

    def line_of(self, key: str, *written: str) -> str:
        """Find the line of values: the first at or below a key that was not found before."""
        known = self.places.get((key,), "")
        first = int(known.rpartition(":")[2]) if known else 1
        quoted = [(json.dumps(text, ensure_ascii=False), f"'{text}'") for text in written]
        for index in range(first - 1, len(self.text)):
            lines = self.text[index : index + _EDGE_LINES]
            found = (index, *written) not in self.found and not lines[0].lstrip().startswith("#")
            if found and quoted and any(text in lines[0] for text in quoted[0]):
                near_by = "\n".join(lines)
                if all(any(text in near_by for text in other) for other in quoted[1:]):
                    self.found.add((index, *written))
                    return f"{self.path}:{index + 1}"
        return known or str(self.path)


def _without_doubles(path: Path, text: str) -> tuple[str, list[str]]:
    """Blank out nodes whose name was there before: TOML forbids them, the rest can be read."""
    lines, first, problems = text.splitlines(), dict[tuple[str, ...], int](), list[str]()
    double = False
    for index, line in enumerate(lines):
        name = table_header(line)
        if name:
            double = name in first and name[:1] == ("nodes",)
            if double and len(name) == 2:
                problems.append(
                    f"{path}:{index + 1}: node {name[1]!r} is there already, in line "
                    f"{first[name]}; give one of the two another name"
                )
            first.setdefault(name, index + 1)
        if double:
            lines[index] = ""
    return "\n".join(lines), problems
