"""Becoming a node process, and ending as one."""

from __future__ import annotations

import ctypes
import faulthandler
import os
import signal
import socket
import sys
from typing import TYPE_CHECKING, NoReturn

from remotemedia.runtime.processes.control import ControlLine
from remotemedia.runtime.processes.host import NodeHost
from remotemedia.runtime.processes.log_lines import log_to_parent
from remotemedia.runtime.processes.memory import MemoryLimit
from remotemedia.runtime.processes.messages import STACK_SIGNAL

if TYPE_CHECKING:
    from types import FrameType

    from remotemedia.runtime.processes.messages import SpawnRequest

__all__ = ["adopt_orphans", "die_with_parent", "run_node"]

_PR_SET_PDEATHSIG, _PR_SET_NAME, _PR_SET_CHILD_SUBREAPER = 1, 15, 36


def die_with_parent(parent: int, how: signal.Signals = signal.SIGKILL) -> None:
    """Have the kernel send this process a signal when the thread that started it ends.

    If it is SIGKILL, that also holds while C code has the GIL, when no Python code could notice.
    """
    _prctl(_PR_SET_PDEATHSIG, how)
    if os.getppid() != parent:  # it ended before we could ask
        os._exit(0)


def adopt_orphans() -> None:
    """Become the parent of every descendant whose own parent ends."""
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)


def run_node(request: SpawnRequest, control: int, stacks: int) -> NoReturn:
    """Run one node, and end the process.

    Args:
        request: What the process is to be.
        control: Descriptor of the socket to the parent.
        stacks: Descriptor of what stacks are written to, when the parent asks by `STACK_SIGNAL`.
    """
    _prctl(_PR_SET_NAME, request.name.encode())
    _write_lines_at_once()
    log_to_parent(request.log_level)
    faulthandler.enable()
    faulthandler.register(STACK_SIGNAL, stacks, all_threads=True)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the application's to handle
    memory = MemoryLimit(request.max_memory)

    def settle() -> None:
        os.chdir(request.directory)
        if request.cores:
            os.sched_setaffinity(0, request.cores)
        if request.nice is not None:
            os.setpriority(os.PRIO_PROCESS, 0, request.nice)
        memory.enforce()

    host = NodeHost(ControlLine(socket.socket(fileno=control)), _orphaned, settle, memory)

    def terminate(_signum: int, _frame: FrameType | None) -> NoReturn:
        raise SystemExit(128 + signal.SIGTERM)

    signal.signal(signal.SIGTERM, terminate)
    code = host.run()
    sys.stdout.flush()
    sys.stderr.flush()
    # Not a return: threads that a model's library has left must not keep the process alive.
    os._exit(code & 0xFF)


def _write_lines_at_once() -> None:
    """Have C code write each line when it is complete: what it keeps is lost in a crash."""
    libc = ctypes.CDLL(None)
    line_buffered = 1  # _IOLBF, in all C libraries for Linux
    libc.setvbuf(ctypes.c_void_p.in_dll(libc, "stdout"), None, line_buffered, 0)


def _orphaned() -> NoReturn:
    """End at once: the parent is gone, and with it everyone who could be told."""
    os._exit(0)


def _prctl(option: int, argument: int | bytes) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(option, argument) != 0:
        raise OSError(ctypes.get_errno(), f"prctl({option}) failed")
