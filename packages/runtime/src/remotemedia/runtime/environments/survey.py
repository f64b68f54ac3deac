"""Asking an environment what is in it, before anything is started there."""

from __future__ import annotations

import asyncio
import logging
import os
import sys
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING

import msgspec

from remotemedia.runtime.environments.answers import Answer, Greeting
from remotemedia.runtime.environments.program import run_program
from remotemedia.runtime.processes.messages import Versions

if TYPE_CHECKING:
    from remotemedia.runtime.environments.answers import Questions
    from remotemedia.runtime.environments.environment import Environment
    from remotemedia.runtime.environments.program import Ended

__all__ = ["Unusable", "survey"]

_logger = logging.getLogger(__name__)
_PROBE = "remotemedia.runtime.environments.probe"


class Unusable(Exception):
    """Nodes can't run in an environment; the text says why and what to do."""


async def survey(environment: Environment, questions: Questions, timeout: float) -> Answer:
    """Ask an environment for its node types, and about some nodes.

    Args:
        environment: Whom.
        questions: Which plugins may be used there, and the nodes.
        timeout: Seconds that it may take: its plugins are a stranger's code.

    Raises:
        Unusable: It does not fit the application, has no runtime, or a broken plugin where the
            policy is strict.
    """
    try:
        ended = await asyncio.wait_for(
            run_program(
                environment.command("-m", _PROBE),
                variables=environment.variables(os.environ),
                given=msgspec.msgpack.encode(questions),
            ),
            timeout,
        )
    except OSError as error:
        raise Unusable(f"{environment.executable} can't be run: {error.strerror}") from error
    except asyncio.TimeoutError as error:
        raise Unusable(
            f"{environment.executable} did not say within {timeout:g} s which nodes it has; see "
            "what its plugins import, or raise 'init_timeout_secs'"
        ) from error
    line, _, body = ended.output.partition(b"\n")
    try:
        greeting = msgspec.json.decode(line, type=Greeting)
    except msgspec.MsgspecError:
        raise Unusable(_why_silent(environment, ended)) from None
    clash = _clash(greeting, environment)
    if clash:
        raise Unusable(clash)
    try:
        answer = msgspec.msgpack.decode(body, type=Answer)
    except msgspec.MsgspecError as error:
        if ended.code != 0:
            raise Unusable(_failure(environment, ended)) from None
        raise Unusable(
            f"{environment.executable} has remotemedia-runtime {greeting.runtime}, this is "
            f"{_installed('remotemedia-runtime')}: they don't understand each other ({error}); "
            "install the same one in both environments"
        ) from error
    if questions.policy.strict and answer.problems:
        raise Unusable("\n".join(map(str, answer.problems)))
    for problem in answer.problems:
        _logger.warning("%s (in %s)", problem, environment)
    return answer


def _clash(greeting: Greeting, environment: Environment) -> str | None:
    theirs = Versions(greeting.api, greeting.wire, greeting.iceoryx2, greeting.python)
    clash = Versions.here().clash(theirs)
    if clash is None:
        return None
    return (
        f"versions don't fit: {clash}. Here: {_side(sys.executable)}; there: "
        f"remotemedia-sdk {greeting.sdk}, remotemedia-runtime {greeting.runtime} in "
        f"{environment.executable}; install the same ones in both environments"
    )


def _side(executable: str) -> str:
    names = ("remotemedia-sdk", "remotemedia-runtime")
    return ", ".join(f"{name} {_installed(name)}" for name in names) + f" in {executable}"


def _installed(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "(not installed)"


def _why_silent(environment: Environment, ended: Ended) -> str:
    last = ended.messages[-1] if ended.messages else f"exit code {ended.code}"
    missing = [name for name in ("remotemedia", "msgspec", "iceoryx2") if f"'{name}" in last]
    if "No module named" in last and missing:
        return (
            f"{environment.executable} has no remotemedia-runtime ({last.partition(': ')[2]}); "
            f"install it there: {environment.executable} -m pip install "
            f"remotemedia-runtime=={_installed('remotemedia-runtime')}"
        )
    return _failure(environment, ended)


def _failure(environment: Environment, ended: Ended) -> str:
    last = "\n".join(ended.messages[-12:]) or f"exit code {ended.code}"
    return f"{environment.executable} can't say which nodes it has:\n{last}"
