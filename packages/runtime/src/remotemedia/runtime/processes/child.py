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

if TYPE_CHECKING:
    from types import FrameType

__all__ = ["die_with_parent", "run_node"]

_PR_SET_PDEATHSIG, _PR_SET_NAME = 1, 15


def die_with_parent(parent: int) -> None:
    """Have the kernel kill this process when the thread that started it ends.

    That also holds while C code has the GIL, when no Python code could notice.
    """
    _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it ended before we could ask
        os._exit(0)


def run_node(control: int, name: str) -> NoReturn:
    """Run one node, and end the process.

    Args:
        control: Descriptor of the socket to the parent.
        name: What `ps` and `top` show.
    """
    _prctl(_PR_SET_NAME, name.encode())
    faulthandler.enable(all_threads=False)  # the last lines of output are to show the guilty one
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the application's to handle
    host = NodeHost(ControlLine(socket.socket(fileno=control)), _orphaned)

    def terminate(_signum: int, _frame: FrameType | None) -> NoReturn:
        raise SystemExit(128 + signal.SIGTERM)

    signal.signal(signal.SIGTERM, terminate)
    code = host.run()
    sys.stdout.flush()
    sys.stderr.flush()
    # Not a return: threads that a model's library has left must not keep the process alive.
    os._exit(code & 0xFF)


def _orphaned() -> NoReturn:
    """End at once: the parent is gone, and with it everyone who could be told."""
    os._exit(0)


def _prctl(option: int, argument: int | bytes) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(option, argument) != 0:
        raise OSError(ctypes.get_errno(), f"prctl({option}) failed")
