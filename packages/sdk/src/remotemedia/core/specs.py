"""What a NodeSpec of a stranger has to be before anything else may rely on it."""

from __future__ import annotations

import re
from typing import Any

import msgspec
from msgspec import structs

from remotemedia.core.config import of_plain
from remotemedia.core.errors import near
from remotemedia.core.plugin import API_VERSION, NodeSpec
from remotemedia.core.ports import PORT_TYPES, ConfigValue, Port

__all__ = ["wrong_spec"]

_NAME = re.compile(r"[^\W\d]\w*(?:[.-]\w+)*")
_TARGET = re.compile(r"[^\W\d]\w*(?:\.[^\W\d]\w*)*:[^\W\d]\w*(?:\.[^\W\d]\w*)*")
_PORT = re.compile(r"\w[\w-]*")


def wrong_spec(spec: object, *, whole: bool = True) -> tuple[str, str] | None:
    """Return what is wrong with a node type's description, and what to do about it; or None.

    Args:
        spec: The description.
        whole: Whether all of it is known; else its config may be what is not.
    """
    if not isinstance(spec, NodeSpec):
        return (
            f"remotemedia_nodes() must return NodeSpec objects, not {_kind(spec)}",
            "return remotemedia.core.plugin.NodeSpec(…) for each node type",
        )
    if not (isinstance(spec.name, str) and _NAME.fullmatch(spec.name)):
        return (
            f"node type name {spec.name!r:.60} is not valid",
            "use letters, digits, '_', '-' and '.', beginning with a letter",
        )
    head = f"node type {spec.name!r}"
    # The version first: in another one, the other fields may mean something else.
    if type(spec.api_version) is int and spec.api_version != API_VERSION:
        older = spec.api_version < API_VERSION
        return (
            f"{head} was made for SDK API {spec.api_version}, this runtime has {API_VERSION}",
            "upgrade the plugin" if older else "upgrade remotemedia-sdk and remotemedia-runtime",
        )
    wrong = _wrong_field(spec) or (_wrong_conditions(spec) if whole else None)
    return (f"{head}: {wrong}", "upgrade the plugin, or tell its author") if wrong else None


def _wrong_field(spec: Any) -> str | None:  # noqa: ANN401 - a stranger's
    if type(spec.api_version) is not int:
        return f"api_version must be a whole number, not {spec.api_version!r:.40}"
    if not (isinstance(spec.target, str) and _TARGET.fullmatch(spec.target)):
        return f"target {spec.target!r:.80} must be 'package.module:Class'"
    if not isinstance(spec.summary, str):
        return f"summary must be a text, not {_kind(spec.summary)}"
    return (
        _wrong_ports("inputs", spec.inputs)
        or _wrong_ports("outputs", spec.outputs)
        or _wrong_config(spec.config)
        or _wrong_environment(spec.requirements, spec.python)
    )


def _wrong_ports(side: str, ports: Any) -> str | None:  # noqa: ANN401 - a stranger's
    if not isinstance(ports, (list, tuple)):
        return f"{side} must be a list of Port, not {_kind(ports)}"
    names = set[str]()
    for port in ports:
        if not isinstance(port, Port):
            return f"{side} must hold Port objects, not {port!r:.60}"
        wrong = _wrong_port(port)
        if wrong:
            return f"{side}: {wrong}"
        if port.name in names:
            return f"{side}: two ports are named {port.name!r}"
        names.add(port.name)
    return None


def _wrong_port(port: Any) -> str | None:  # noqa: ANN401 - a stranger's
    if not (isinstance(port.name, str) and _PORT.fullmatch(port.name)):
        return f"port name {port.name!r:.60} is not valid: letters, digits, '_' and '-'"
    if port.type not in PORT_TYPES:
        hint = near(port.type, PORT_TYPES) if isinstance(port.type, str) else ""
        return f"port {port.name!r} has the unknown type {port.type!r:.40}; {hint}"
    usual = port.message_bytes
    if usual is not None and not (type(usual) is int and usual > 0):
        return (
            f"port {port.name!r}: message_bytes must be a positive whole number, not {usual!r:.40}"
        )
    if port.when is not None and not _is_condition(port.when):
        return f"port {port.name!r}: when must be (key, (value, …)), not {port.when!r:.60}"
    return None


def _is_condition(when: object) -> bool:
    return (
        isinstance(when, tuple)
        and len(when) == 2
        and isinstance(when[0], str)
        and isinstance(when[1], tuple)
        and len(when[1]) > 0
        and all(value is None or isinstance(value, (str, int)) for value in when[1])
    )


def _wrong_config(config: Any) -> str | None:  # noqa: ANN401 - a stranger's
    if config is None:
        return None
    if not (isinstance(config, type) and issubclass(config, msgspec.Struct)):
        return f"config must be a msgspec.Struct class, not {config!r:.60}"
    try:
        msgspec.json.Decoder(config)  # which looks at the types of all its fields
    except Exception as error:  # noqa: BLE001 - annotations are evaluated, and those are code
        return f"config {config.__name__}: {type(error).__name__}: {error}"
    return None


def _wrong_conditions(spec: NodeSpec) -> str | None:
    """Return what is wrong with the config keys that ports depend on."""
    fields = {} if spec.config is None else {f.encode_name: f for f in structs.fields(spec.config)}
    for port in (*spec.inputs, *spec.outputs):
        if port.when is None:
            continue
        key, values = port.when
        if key not in fields:
            return f"port {port.name!r} depends on the config key {key!r}; {near(key, fields)}"
        wrong = _unfit(values, fields[key].type)
        if wrong:
            return f"port {port.name!r} depends on the config key {key!r}: {wrong}"
    return None


def _unfit(values: tuple[ConfigValue, ...], kind: Any) -> str:  # noqa: ANN401 - a type
    try:
        of_plain(values, tuple[kind, ...])
    except msgspec.ValidationError as error:
        return str(error)
    return ""


def _wrong_environment(requirements: Any, python: Any) -> str | None:  # noqa: ANN401
    if not isinstance(requirements, (list, tuple)):
        return f"requirements must be a list of texts, not {_kind(requirements)}"
    for requirement in requirements:
        if not isinstance(requirement, str):
            return f"requirements must hold texts, not {requirement!r:.60}"
    if not isinstance(python, str):
        return f'python must be a version as "3.12", not {python!r:.40}'
    return None


def _kind(value: object) -> str:
    return type(value).__name__
