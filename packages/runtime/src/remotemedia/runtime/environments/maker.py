"""Making environments, each once, whoever else wants it at the same time."""

from __future__ import annotations

import contextlib
import errno
import os
import time
from typing import TYPE_CHECKING

from remotemedia.runtime.environments import uv
from remotemedia.runtime.environments.answers import Questions
from remotemedia.runtime.environments.environment import Environment
from remotemedia.runtime.environments.packing import pack
from remotemedia.runtime.environments.pythons import is_version, version_to_find
from remotemedia.runtime.environments.store import Record, Store
from remotemedia.runtime.environments.survey import Unusable, survey

if TYPE_CHECKING:
    from collections.abc import Callable

    from remotemedia.runtime.environments.answers import Answer
    from remotemedia.runtime.environments.lock import EnvironmentLock
    from remotemedia.runtime.environments.request import MadeEnvironment
    from remotemedia.runtime.plugins import PluginPolicy

__all__ = ["CannotMake", "provide"]

_SURVEY_SECS = 120.0  # the first import of everything, perhaps on a slow disk
_NO_NETWORK = ("dns error", "error sending request", "Failed to fetch", "network was disabled")
_FULL = {errno.ENOSPC, errno.EDQUOT}


class CannotMake(Exception):
    """An environment can't be made; the text says why and what to do."""


async def provide(
    wanted: MadeEnvironment,
    store: Store,
    policy: PluginPolicy,
    on_step: Callable[[float, str], object],
) -> Environment:
    """Return an environment, made now if it is not there; it is kept until its lock is closed.

    Args:
        wanted: What it is to be.
        store: Where it is kept.
        policy: Which plugins may be used in it.
        on_step: Called with a fraction and a message, if it has to be made or waited for.

    Raises:
        CannotMake: It can't be made.
    """
    key = wanted.key
    try:
        lock = store.lock(key)
    except OSError as error:
        if store.record(key) is not None:  # nobody can remove it, where nothing can be written
            return Environment(str(store.executable(key)), str(wanted))
        raise CannotMake(_cannot_write(store, error)) from error

    def waiting(pid: str) -> None:
        who = f"process {pid}" if pid.isdigit() else "another process"
        on_step(0.0, f"waiting for {who}, which makes or removes the environment")

    try:
        while True:
            await lock.shared(waiting)
            if store.record(key) is not None:
                lock.touch()
                return Environment(str(store.executable(key)), str(wanted), lock)
            _check_nobody_needs_it(key, store, lock)
            await lock.exclusive(waiting)
            if store.record(key) is None:
                await _make(wanted, store, lock, policy, on_step)
    except OSError as error:
        lock.close()
        raise CannotMake(_cannot_write(store, error)) from error
    except BaseException:
        lock.close()
        raise


def _check_nobody_needs_it(key: str, store: Store, lock: EnvironmentLock) -> None:
    """Refuse to wait for the users of what was complete once: this process may be one of them."""
    if store.was_complete(key) and not lock.is_free():
        raise CannotMake(
            f"{store.directory(key)} has lost the Python that it was made from, and a living "
            "process still uses it; end that process, and try again"
        )


async def _make(
    wanted: MadeEnvironment,
    store: Store,
    lock: EnvironmentLock,
    policy: PluginPolicy,
    on_step: Callable[[float, str], object],
) -> None:
    key = wanted.key
    on_step(0.0, "making the environment")
    store.discard(key)  # what a killed maker has left
    try:
        await _fill(wanted, store, lock, on_step)
        answer = await _look_into(Environment(str(store.executable(key)), str(wanted)), policy)
    except BaseException:
        with contextlib.suppress(OSError):
            store.discard(key, lock=True)
        raise
    record = Record(wanted, time.time(), answer.types, answer.problems)
    store.complete(key, record)


async def _look_into(environment: Environment, policy: PluginPolicy) -> Answer:
    try:
        return await survey(environment, Questions(policy), _SURVEY_SECS)
    except Unusable as error:
        raise CannotMake(str(error)) from error


async def _fill(
    wanted: MadeEnvironment,
    store: Store,
    lock: EnvironmentLock,
    on_step: Callable[[float, str], object],
) -> None:
    directory = str(store.directory(wanted.key))
    python = version_to_find(wanted.python) if is_version(wanted.python) else wanted.python
    await _uv("venv", "--no-project", "--python", python, directory, lock=lock)
    files = store.own_files(wanted.key)
    files.mkdir()
    requirements = [pack(name, files) for name in wanted.packed]
    listing = files / "requirements.txt"
    listing.write_text("\n".join((*requirements, *wanted.requirements, "")), encoding="utf-8")
    steps, failed = 0, False

    def heard(line: str) -> None:
        nonlocal steps, failed
        failed = failed or line.startswith("error")  # what follows is told with the error
        if not failed and not line.startswith(("Using Python", " + ")):
            steps += 1  # nobody knows how many come; the bar only shows that it goes on
            on_step(round(0.9 - 0.8 * 0.8**steps, 2), f"making the environment: {line.strip()}")

    await _uv(
        "pip",
        "install",
        "--python",
        str(store.executable(wanted.key)),
        "--requirements",
        str(listing),
        lock=lock,
        on_line=heard,
    )


async def _uv(
    *arguments: str, lock: EnvironmentLock, on_line: Callable[[str], object] = lambda _: None
) -> None:
    try:
        ended = await uv.call(*arguments, lock=lock.fd, on_line=on_line)
    except uv.MissingInstaller as error:
        raise CannotMake(str(error)) from error
    if ended.code != 0:
        lines = [line for line in ended.messages if not line.startswith("Using Python")]
        first = next((at for at, line in enumerate(lines) if line.startswith("error")), 0)
        said = "\n".join(lines[first:])
        raise CannotMake(f"{said or f'uv ended with code {ended.code}'}{_advice(said)}")


def _advice(said: str) -> str:
    """Return what to do about what uv said."""
    if "No space left" in said or "os error 28" in said:
        return "\nfree some space, or 'remotemedia env prune' what is no longer used"
    if "No interpreter found" in said or "python-build-standalone" in said:
        return (
            "\nthis Python is not installed: install it, put it on PATH, or give the path of "
            "another with python"
        )
    if any(sign in said for sign in _NO_NETWORK):
        return (
            "\nthe package index can't be reached; once made, the environment needs no network. "
            "Wheels in a folder are found with UV_FIND_LINKS=FOLDER (and UV_OFFLINE=1)"
        )
    return "\ncorrect the node's requirements"


def _cannot_write(store: Store, error: OSError) -> str:
    if error.errno in _FULL:
        return f"{store.root}: {error.strerror}{_advice('os error 28')}"
    where = error.filename or store.root
    return (
        f"{os.fspath(where)} can't be written: {error.strerror}; set 'environments_dir' (or "
        "REMOTEMEDIA_ENVIRONMENTS_DIR) to a directory that can"
    )
