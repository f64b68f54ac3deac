"""The template: an interpreter that has imported what all nodes need, and forks on request.

`python -m remotemedia.runtime.processes.template REQUESTS EVENTS PARENT [PRELOAD …]`

Importing alone takes longer than a node may take to start. A fork has everything at once, and
shares the memory of it. The template has a single thread and never runs a node's code itself.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import os
import select
import signal
import socket
import sys

import msgspec

from remotemedia.runtime.processes.child import die_with_parent, run_node
from remotemedia.runtime.processes.messages import (
    EXITED,
    FRAME_HEAD,
    READY,
    REQUEST_FDS,
    SPAWNED,
    TEMPLATE_EVENT,
    SpawnRequest,
)

__all__ = ["main"]


class _Template:
    def __init__(self, requests: socket.socket, events: int) -> None:
        self._requests, self._events = requests, events
        self._pid = os.getpid()
        self._decoder = msgspec.msgpack.Decoder(SpawnRequest)

    def serve(self) -> None:
        """Fork and reap until the parent closes its end."""
        wake_read, wake_write = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(wake_write, warn_on_full_buffer=False)
        self._tell(READY, self._pid, 0)
        while True:
            ready, _, _ = select.select([self._requests.fileno(), wake_read], [], [])
            if wake_read in ready:
                os.read(wake_read, 4096)
                self._reap()
            if self._requests.fileno() in ready and not self._request((wake_read, wake_write)):
                return

    def _request(self, own: tuple[int, int]) -> bool:
        head, fds, _, _ = socket.recv_fds(self._requests, FRAME_HEAD.size, REQUEST_FDS)
        if len(head) < FRAME_HEAD.size or len(fds) < REQUEST_FDS:
            return False
        (size,) = FRAME_HEAD.unpack(head)
        body = b""
        while len(body) < size:
            part = self._requests.recv(size - len(body))
            if not part:
                return False
            body += part
        try:
            pid = os.fork()
        except OSError as error:
            self._tell(SPAWNED, -(error.errno or 1), 0)
        else:
            if pid == 0:
                self._become_node(self._decoder.decode(body), fds, own)
            self._tell(SPAWNED, pid, 0)
        for fd in fds:
            os.close(fd)
        return True

    def _become_node(self, request: SpawnRequest, fds: list[int], own: tuple[int, int]) -> None:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        die_with_parent(self._pid)
        os.setsid()
        self._requests.close()
        for fd in (self._events, *own):
            os.close(fd)
        control, out, err = fds
        os.dup2(out, 1)
        os.dup2(err, 2)
        os.close(out)
        os.close(err)
        os.environb.clear()
        os.environb.update(request.environment)
        os.chdir(request.directory)
        if request.cores:
            os.sched_setaffinity(0, request.cores)
        if request.nice is not None:
            os.setpriority(os.PRIO_PROCESS, 0, request.nice)
        if "numpy.random" in sys.modules:  # else all forks would draw the same numbers
            sys.modules["numpy.random"].seed()
        run_node(control, request.name)

    def _reap(self) -> None:
        while True:
            try:
                found = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOWAIT | os.WNOHANG)
            except ChildProcessError:
                return
            if found is None:
                return
            # Helpers that the node has left; as long as it is not reaped, its group is not reused.
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(found.si_pid, signal.SIGKILL)
            _, status = os.waitpid(found.si_pid, 0)
            self._tell(EXITED, found.si_pid, status)

    def _tell(self, kind: int, pid: int, status: int) -> None:
        with contextlib.suppress(BrokenPipeError):
            os.write(self._events, TEMPLATE_EVENT.pack(kind, pid, status))


def main(arguments: list[str]) -> int:
    """Import, then serve."""
    requests, events, parent = map(int, arguments[:3])
    die_with_parent(parent)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    for name in arguments[3:]:
        importlib.import_module(name)
    gc.collect()
    gc.freeze()  # what all forks share is not to be touched by their collectors
    _Template(socket.socket(fileno=requests), events).serve()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
