"""Asking one plugin for its node types: a stranger's code, which may do anything."""

from __future__ import annotations

import contextlib
import itertools
import os
import queue
import sys
import threading
import traceback
from collections.abc import Coroutine
from importlib import import_module
from typing import TYPE_CHECKING, Any

import pluggy

from remotemedia.core import plugin as contract
from remotemedia.core.errors import near
from remotemedia.core.specs import wrong_spec

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from importlib.metadata import EntryPoint

    from remotemedia.core.plugin import NodeSpec

__all__ = ["Interviewer", "Unusable"]

_HOOK = "remotemedia_nodes"
_MOST_SPECS = 1000  # a hook that yields for ever has to end somewhere
_MOST_OF_TEXT = 300  # characters of what an exception says


class Unusable(Exception):
    """A plugin, or one of its node types, can't be used.

    Attributes:
        reason: Why.
        advice: What to do.
    """

    def __init__(self, reason: str, advice: str = "") -> None:
        self.reason, self.advice = reason, advice
        super().__init__(reason)


class Interviewer:
    """Asks plugins, one after the other, each within a deadline.

    They run in a thread of its own: one that hangs is interrupted, or left behind there where it
    can't be, and the next one gets a fresh thread. Only a process of its own could stop that one,
    and would cost more than all the others.

    Args:
        timeout: Seconds for each plugin.
    """

    def __init__(self, timeout: float) -> None:
        self._timeout = timeout
        self._thread: _Thread | None = None

    def ask(self, entry: EntryPoint) -> list[NodeSpec]:
        """Return the node types of a plugin; each has been checked.

        Raises:
            Unusable: It can't be used.
        """
        if self._thread is None:
            self._thread = _Thread()
        try:
            with _same_directory():
                answer = self._thread.do(lambda: _specs(entry), self._timeout)
        except TimeoutError:
            place = self._thread.place()
            self._thread.interrupt()
            self.close()
            raise Unusable(
                f"it did not answer within {self._timeout:g} s (it was in {place})",
                "a plugin module must not wait for anything; block it, or upgrade it",
            ) from None
        if isinstance(answer, BaseException):
            raise _explained(answer, entry)
        found: list[NodeSpec] = answer
        return found

    def close(self) -> None:
        """Let the thread end."""
        if self._thread is not None:
            self._thread.end()
            self._thread = None


class _Thread:
    """A thread that does what it is given."""

    def __init__(self) -> None:
        self._work: queue.SimpleQueue[Callable[[], Any] | None] = queue.SimpleQueue()
        self._done: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="remotemedia-plugins", daemon=True)
        self._thread.start()

    def do(self, work: Callable[[], Any], timeout: float) -> Any:  # noqa: ANN401
        self._work.put(work)
        try:
            return self._done.get(timeout=timeout)
        except queue.Empty:
            raise TimeoutError from None

    def place(self) -> str:
        frame = sys._current_frames().get(self._thread.ident or 0)  # noqa: SLF001 - documented
        stack = traceback.extract_stack(frame)
        return _place(stack) or "the interpreter"

    def interrupt(self) -> None:
        """Have what it does end with SystemExit, once that is in Python; what waits in C goes on.

        One that computes without end would take its share of the interpreter for ever.
        """
        import ctypes

        thread = ctypes.c_ulong(self._thread.ident or 0)
        ctypes.pythonapi.PyThreadState_SetAsyncExc(thread, ctypes.py_object(SystemExit))

    def end(self) -> None:
        self._work.put(None)

    def _run(self) -> None:
        while (work := self._work.get()) is not None:
            try:
                self._done.put(work())
            except BaseException as error:  # noqa: BLE001 - SystemExit too: it is a stranger's code
                self._done.put(error)
            del work


@contextlib.contextmanager
def _same_directory() -> Iterator[None]:
    """Go back to the working directory, which all relative paths of a user begin at."""
    try:
        before = os.open(".", os.O_RDONLY)
    except OSError:  # it may be gone, or unreadable
        yield
        return
    try:
        yield
    finally:
        with contextlib.suppress(OSError):  # a plugin may have closed what is not its own
            os.fchdir(before)
            os.close(before)


def _specs(entry: EntryPoint) -> list[NodeSpec]:
    plugin = _load(entry)
    # A manager for each, so that none can wrap, order or shadow the hooks of another.
    manager = pluggy.PluginManager("remotemedia")
    manager.add_hookspecs(contract.HookSpecs)
    try:
        manager.register(plugin, name=entry.name)
        manager.check_pending()
    except pluggy.PluginValidationError as error:
        raise _misspelt(manager, plugin, error) from error
    implementations = manager.hook.remotemedia_nodes.get_hookimpls()
    if not implementations:
        raise Unusable(
            f"{entry.value} has no function {_HOOK}() marked with remotemedia.core.plugin.hookimpl",
            "add it, or remove the entry point",
        )
    answers: list[Any] = manager.hook.remotemedia_nodes() or [None]
    answer = answers[0]
    if isinstance(answer, Coroutine):
        answer.close()
        raise Unusable(f"{_HOOK}() is a coroutine", f"write it as def {_HOOK}(), without async")
    if isinstance(answer, (str, bytes, dict)) or not hasattr(answer, "__iter__"):
        raise Unusable(
            f"{_HOOK}() must return a list of NodeSpec, not {type(answer).__name__}",
            "put it into a list" if hasattr(answer, "target") else "return a list",
        )
    found = list(itertools.islice(answer, _MOST_SPECS + 1))
    if len(found) > _MOST_SPECS:
        raise Unusable(
            f"{_HOOK}() returns more than {_MOST_SPECS} node types",
            "return a list that ends; block it, or tell its author",
        )
    for spec in found:
        wrong = wrong_spec(spec)
        if wrong:
            raise Unusable(*wrong)
    return found


def _load(entry: EntryPoint) -> Any:  # noqa: ANN401 - whatever it names
    name = entry.module
    try:
        found: Any = import_module(name)
    except ModuleNotFoundError as error:
        if error.name is not None and f"{name}.".startswith(f"{error.name}."):
            raise Unusable(
                f"its entry point {entry.name!r} names the module {name!r}, and there is no "
                f"{error.name!r}",
                "install the package again; its author has to correct the entry point",
            ) from error
        raise
    for part in filter(None, (entry.attr or "").split(".")):
        if not hasattr(found, part):
            raise Unusable(
                f"its entry point {entry.name!r} names {entry.value!r}, and there is no {part!r}",
                "its author has to correct the entry point",
            )
        found = getattr(found, part)
    return found


def _misspelt(
    manager: pluggy.PluginManager, plugin: object, error: pluggy.PluginValidationError
) -> Unusable:
    """Explain a hook that is unknown, or that takes arguments which are not there."""
    known = [name for name in dir(contract.HookSpecs) if not name.startswith("_")]
    for name in dir(plugin):
        if name not in known and manager.parse_hookimpl_opts(plugin, name) is not None:
            return Unusable(
                f"there is no hook {name!r}; {near(name, known)}",
                "rename it; if it is new in a later SDK, mark it with hookimpl(optionalhook=True)",
            )
    return Unusable(
        str(error).partition("\n")[2].strip().replace("\n", "; ") or str(error),
        f"write it as def {_HOOK}()",
    )


def _explained(error: BaseException, entry: EntryPoint) -> Unusable:
    """Say what has happened, where, and what to do."""
    if isinstance(error, Unusable):
        return error
    place = _place(traceback.extract_tb(error.__traceback__))
    if isinstance(error, SyntaxError) and error.filename:
        place = f"{error.filename}, line {error.lineno}"
    what = ": ".join(filter(None, (type(error).__name__, _in_a_line(error))))
    reason = f"{what} ({place})" if place else what
    if isinstance(error, SystemExit):
        return Unusable(f"it calls sys.exit: {reason}", "upgrade it, or block it")
    ours = isinstance(error, (ImportError, AttributeError, TypeError)) and "remotemedia.core" in (
        f"{error} {getattr(error, 'name', '')}"
    )
    if ours or (isinstance(error, TypeError) and "NodeSpec" in str(error)):
        return Unusable(reason, f"it was made for another SDK: {_wanted_sdk(entry)}")
    if isinstance(error, ImportError):
        return Unusable(reason, "install what it needs, or upgrade the plugin")
    return Unusable(reason, "upgrade it, block it, or tell its author")


def _in_a_line(error: BaseException) -> str:
    """Return what an exception says as one line that a terminal can show."""
    try:
        text = str(error)
    except Exception:  # noqa: BLE001 - a stranger's code
        return ""
    text = "".join(c if c.isprintable() else " " for c in text[: 2 * _MOST_OF_TEXT])
    text = " ".join(text.split())
    return text if len(text) <= _MOST_OF_TEXT else f"{text[:_MOST_OF_TEXT]}…"


def _wanted_sdk(entry: EntryPoint) -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        here = version("remotemedia-sdk")
    except PackageNotFoundError:
        here = "none"
    wanted = [r for r in (entry.dist.requires or () if entry.dist else ()) if "remotemedia" in r]
    return f"it wants {' and '.join(wanted) or 'one that it does not name'}, installed is {here}"


def _place(stack: traceback.StackSummary) -> str:
    """Return the innermost place that is neither ours nor the interpreter's."""
    own = os.path.dirname(__file__)  # noqa: PTH120 - compared with what a traceback says
    for frame in reversed(stack):
        name = frame.filename
        if not name.startswith(("<", own)) and not name.startswith(
            (os.path.dirname(os.__file__) + os.sep + "importlib", os.path.dirname(pluggy.__file__))  # noqa: PTH120
        ):
            return f"{name}, line {frame.lineno}"
    return ""
