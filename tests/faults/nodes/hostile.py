"""Nodes that have been taken over: they say to others what no node says."""

from __future__ import annotations

import ctypes
import gc
import socket
import struct
import sys
import time
from pathlib import Path

import msgspec

from remotemedia.core.data import RuntimeData
from remotemedia.core.multiprocessing import MultiprocessNode
from remotemedia.runtime.channels import writer
from remotemedia.runtime.channels.space import copy_to
from remotemedia.runtime.processes.control import ControlLine

_HEAD = struct.Struct("<I")


def _framed(body: bytes) -> bytes:
    return _HEAD.pack(len(body)) + body


def _frame(message: object) -> bytes:
    return _framed(msgspec.msgpack.encode(message))


_OTHERS = {"api": 99, "wire": 1, "iceoryx2": "0.1", "python": "3.10"}
_STEP = {"kind": "progress", "status": "running", "fraction": 1.0, "message": "x" * 1000}

SPEECHES = {
    "garbage": _framed(b"\xff\xc1\x00garbage"),
    "an empty frame": _framed(b""),
    "no map": _frame([1, 2, 3]),
    "no kind": _frame({"pid": 1}),
    "an unknown kind": _frame({"kind": "execute", "command": "touch /tmp/owned"}),
    "an order": _frame({"kind": "stop"}),
    "wrong types": _frame({"kind": "hello", "versions": {"api": "1"}, "pid": "1"}),
    "an unknown state": _frame({**_STEP, "status": "owned"}),
    "no text": _framed(b"\x81\xa4kind\xa1\xff"),
    "depths": _framed(b"\x81\xa4what" + b"\x91" * 100_000),
    "a huge frame": _HEAD.pack(0xFFFFFFFF) + b"x" * 1000,
    "other versions": _frame({"kind": "hello", "versions": _OTHERS, "pid": 1}),
    "half a frame": _HEAD.pack(100) + b"half",
    "nothing": b"",
}


def control_line() -> socket.socket:
    """Return this process's socket to the application."""
    line = next(found for found in gc.get_objects() if type(found) is ControlLine)
    return line._sock


class Speaks(MultiprocessNode):
    """Says `config["speech"]` to the application, and stays where it is."""

    def process(self, data: RuntimeData) -> None:
        speech = self.config["speech"]
        line = control_line()
        line.sendall(SPEECHES[speech])
        if speech in ("half a frame", "nothing"):
            libc = ctypes.PyDLL(None)  # which keeps the GIL: nothing else of the node can run
            sys.setswitchinterval(60)
            libc.shutdown(line.fileno(), socket.SHUT_WR)
            libc.sleep(60)
        time.sleep(60)


class Floods(MultiprocessNode):
    """Says that it runs, as often as it can."""

    def process(self, data: RuntimeData) -> None:
        line = control_line()
        Path(self.config["reached"]).touch()
        while True:
            line.sendall(_frame(_STEP) * 100)


class SendsGarbage(MultiprocessNode):
    """Sends something through shared memory that is no message."""

    def process(self, data: RuntimeData) -> RuntimeData:
        writer.write = lambda address, _message, _head: copy_to(address, b"\xff" * 64)
        return data


class Scribbles(MultiprocessNode):
    """Writes over the counters of its session."""

    def process(self, data: RuntimeData) -> None:
        for link in Path("/proc/self/maps").read_text(encoding="utf-8").splitlines():
            if "remotemedia-ledger" in link:
                begin, end = (int(part, 16) for part in link.split()[0].split("-"))
                ctypes.memset(begin, self.config["byte"], end - begin)
        Path(self.config["reached"]).touch()
        time.sleep(60)
