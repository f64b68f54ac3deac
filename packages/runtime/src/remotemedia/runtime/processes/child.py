"""The main program of a node process: `python -m remotemedia.runtime.processes.child FD PARENT`."""

from __future__ import annotations

import ctypes
import faulthandler
import os
import signal
import socket
import sys
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from types import FrameType

_PR_SET_PDEATHSIG = 1


def die_with_parent(parent: int) -> None:
    """Have the kernel kill this process when the thread that started it ends."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG) failed")
    if os.getppid() != parent:  # it ended before we could ask
        os._exit(0)


def orphaned() -> NoReturn:
    """End at once: the parent is gone, and with it everyone who could be told."""
    os._exit(0)


def main(arguments: list[str]) -> int:
    """Run one node; the arguments are the descriptor of the control socket and the parent's pid."""
    fd, parent = map(int, arguments)
    die_with_parent(parent)
    faulthandler.enable()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the application's to handle
    from remotemedia.runtime.processes.host import ControlLine, NodeHost

    host = NodeHost(ControlLine(socket.socket(fileno=fd)), orphaned)

    def terminate(_signum: int, _frame: FrameType | None) -> NoReturn:
        raise SystemExit(128 + signal.SIGTERM)

    signal.signal(signal.SIGTERM, terminate)
    code = host.run()
    sys.stdout.flush()
    sys.stderr.flush()
    # Not a return: threads that a model's library has left must not keep the process alive.
    os._exit(code & 0xFF)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
