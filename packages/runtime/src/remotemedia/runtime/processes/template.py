"""The template: an interpreter that has imported what all nodes need, and forks on request.

`python -m remotemedia.runtime.processes.template REQUESTS EVENTS PARENT [PRELOAD …]`

Importing alone takes longer than a node may take to start. A fork has everything at once, and
shares the memory of it. The template has a single thread and never runs a node's code itself.

It also sees to it that nothing outlives its node: whatever a node has started comes to the template
when its own parent ends, and is killed when its node is dead. When the application dies, all are,
and what they and the application have left in shared memory is removed.
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
import time
import warnings
from pathlib import Path

import msgspec

from remotemedia.runtime.processes.child import adopt_orphans, die_with_parent, run_node
from remotemedia.runtime.processes.family import children, mark_of, mark_this_process
from remotemedia.runtime.processes.messages import (
    DISMISSED,
    EXITED,
    FRAME_HEAD,
    READY,
    REQUEST_FDS,
    SPAWNED,
    TEMPLATE_EVENT,
    SpawnRequest,
    Versions,
)

__all__ = ["main"]

# What the kernel can't end in this time hangs in a driver; nobody can do anything about it.
_END_SECS = 0.8
_SIGNALS = (signal.SIGCHLD, signal.SIGTERM)


class _Template:
    def __init__(self, requests: socket.socket, events: int) -> None:
        self._requests, self._events = requests, events
        self._pid = os.getpid()
        self._decoder = msgspec.msgpack.Decoder(SpawnRequest)
        self._nodes: dict[int, int] = {}  # the mark of each, by pid
        self._own = children(self._pid)  # what a preloaded module has started is no orphan
        self._roots: set[str] = set()
        self._asked_to_end = self._dismissed = False
        self._wake_read, self._wake_write = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)

    def serve(self, parent: int) -> None:
        """Fork and reap until the parent closes its end, or ends itself; then end everything."""
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.signal(signal.SIGTERM, self._ask_to_end)
        signal.set_wakeup_fd(self._wake_write, warn_on_full_buffer=False)
        # Somebody else may hold the parent's end, a child that it has forked: its end-of-file is
        # not to be relied on.
        self._application = os.pidfd_open(parent)
        die_with_parent(parent, signal.SIGTERM)
        self._tell(READY, self._pid)
        while not self._asked_to_end:
            ready, _, _ = select.select([self._requests.fileno(), self._wake_read], [], [])
            if self._wake_read in ready:
                self._woken()
            if self._requests.fileno() in ready and not self._request():
                break
        deadline = time.monotonic() + _END_SECS
        self._end_everything(deadline)
        if not self._dismissed:
            self._remove_files(deadline)

    def _ask_to_end(self, *_: object) -> None:
        self._asked_to_end = True

    # ---- making nodes

    def _request(self) -> bool:
        head, fds, _, _ = socket.recv_fds(self._requests, FRAME_HEAD.size, REQUEST_FDS)
        if len(head) < FRAME_HEAD.size or len(fds) < REQUEST_FDS:
            self._dismissed = head == DISMISSED  # else the application has died
            return False
        (size,) = FRAME_HEAD.unpack(head)
        body = b""
        while len(body) < size:
            part = self._requests.recv(size - len(body))
            if not part:
                return False
            body += part
        request = self._decoder.decode(body)
        self._roots.add(request.root)
        # A signal for the fork must not meet the handlers of the template.
        signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
        try:
            pid = _fork()
        except OSError as error:
            self._tell(SPAWNED, -(error.errno or 1))
        else:
            if pid == 0:
                self._become_node(request, fds)
            self._nodes[pid] = request.mark
            self._tell(SPAWNED, pid)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
        for fd in fds:
            os.close(fd)
        return True

    def _become_node(self, request: SpawnRequest, fds: list[int]) -> None:
        signal.set_wakeup_fd(-1)
        for number in _SIGNALS:
            signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
        die_with_parent(self._pid)
        mark_this_process(request.mark)
        os.setsid()
        self._requests.close()
        for fd in (self._events, self._wake_read, self._wake_write, self._application):
            os.close(fd)
        control, out, err, stacks = fds
        os.dup2(out, 1)
        os.dup2(err, 2)
        os.close(out)
        os.close(err)
        os.environb.clear()
        os.environb.update(request.environment)
        if "numpy.random" in sys.modules:  # else all forks would draw the same numbers
            sys.modules["numpy.random"].seed()
        run_node(request, control, stacks)

    # ---- ending what is left of them

    def _woken(self) -> None:
        os.read(self._wake_read, 4096)
        if self._reap():
            self._kill_orphans()

    def _reap(self) -> bool:
        """Reap what has ended; returns whether anything had."""
        reaped = False
        with contextlib.suppress(ChildProcessError):
            while found := os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOWAIT | os.WNOHANG):
                pid = found.si_pid
                if pid in self._nodes:
                    # Its helpers; as long as it is not reaped, its group is not reused.
                    with contextlib.suppress(ProcessLookupError, PermissionError):
                        os.killpg(pid, signal.SIGKILL)
                _, status, usage = os.wait4(pid, 0)
                self._own.discard(pid)
                if self._nodes.pop(pid, None) is not None:
                    self._tell(EXITED, pid, status, usage.ru_maxrss)
                reaped = True
        return reaped

    def _kill_orphans(self) -> None:
        """Kill the orphans of dead nodes; each one's end brings those that it has left itself."""
        orphans = children(self._pid) - self._nodes.keys() - self._own
        living = {*self._nodes.values()} if orphans else set()
        for pid in orphans:
            if mark_of(pid) not in living:
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.kill(pid, signal.SIGKILL)

    def _remove_files(self, deadline: float) -> None:
        """Remove what the application has left, once it is dead: it had no time to do it itself."""
        from remotemedia.runtime.space_files import reclaim_one

        seconds = max(deadline - time.monotonic(), 0.0)
        if select.select([self._application], [], [], seconds)[0]:
            for root in self._roots:
                reclaim_one(Path(root))

    def _end_everything(self, deadline: float) -> None:
        """Kill all nodes and all that they have started, and wait for their end."""
        self._requests.close()
        while True:
            self._reap()
            left = children(self._pid)
            for pid in left:
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    if pid in self._nodes:
                        os.killpg(pid, signal.SIGKILL)
                    os.kill(pid, signal.SIGKILL)
            seconds = deadline - time.monotonic()
            if not left or seconds <= 0:
                return
            if select.select([self._wake_read], [], [], seconds)[0]:
                os.read(self._wake_read, 4096)

    def _tell(self, kind: int, pid: int, status: int = 0, peak: int = 0) -> None:
        with contextlib.suppress(BrokenPipeError):
            os.write(self._events, TEMPLATE_EVENT.pack(kind, pid, status, peak))


def _fork() -> int:
    """Fork; Python need not warn of threads.

    The only ones are those of numpy's OpenBLAS, which ends them before a fork and waits for that;
    the kernel may count one a moment longer.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        return os.fork()


def main(arguments: list[str]) -> int:
    """Import, then serve."""
    requests, events, parent = map(int, arguments[:3])
    die_with_parent(parent)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    adopt_orphans()
    for name in arguments[3:]:
        importlib.import_module(name)
    Versions.here()  # looked up once
    gc.collect()
    gc.freeze()  # what all forks share is not to be touched by their collectors
    _Template(socket.socket(fileno=requests), events).serve(parent)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
