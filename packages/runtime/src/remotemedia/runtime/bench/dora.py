"""dora: a dataflow of two Python nodes, which `dora run` starts; their main program is here too."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
from multiprocessing.connection import Client, Listener
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from remotemedia.runtime.bench.pair import End, Pair, Side, play
from remotemedia.runtime.bench.payload import COPIED, IN_PLACE, blank, read, touch

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from remotemedia.runtime.bench.payload import Mode

__all__ = ["DoraPair"]

_MODULE = "remotemedia.runtime.bench.dora"
_END_SECS = 5.0
# The default of 8 MB doesn't hold a message of 10 MB.
_POOL_BYTES = 256 << 20


class DoraPair(Pair):
    """Two nodes of a dataflow.

    Args:
        directory: For the dataflow's description and the sockets to its nodes.
        pin: The CPUs that the two nodes may run on.
    """

    def __init__(self, directory: Path, pin: Sequence[int] | None = None) -> None:
        cpus = pin or ("", "")
        address = str(directory / "dora")
        flow = {
            "nodes": [
                {
                    "id": side,
                    "path": sys.executable,
                    "args": f"-m {_MODULE} {side} {address} {cpu}",
                    "inputs": {"message": {"source": f"{other}/message", "queue_size": 100}},
                    "outputs": ["message"],
                    "env": {"DORA_NODE_SHM_POOL_SIZE": _POOL_BYTES},
                }
                for side, other, cpu in (("near", "far", cpus[0]), ("far", "near", cpus[1]))
            ]
        }
        description = directory / "dataflow.yml"
        description.write_text(json.dumps(flow), encoding="utf-8")  # JSON is YAML
        command = shutil.which("dora") or "dora"
        with Listener(address, backlog=2) as listener:
            self._process = subprocess.Popen(
                [command, "run", str(description)],
                cwd=directory,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )
            lines = {}
            for _ in range(2):
                line = listener.accept()
                lines[line.recv()] = line
        super().__init__("dora", (COPIED, IN_PLACE), [lines["near"], lines["far"]])

    def close(self) -> None:
        """End the dataflow."""
        super().close()
        try:
            self._process.wait(_END_SECS)
        except subprocess.TimeoutExpired:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()


class _DoraEnd(End):
    def __init__(self) -> None:
        import dora

        self._node: Any = dora.Node()  # its types lack some of its methods
        self._source = blank(1)

    def send(self, size: int, mode: Mode) -> None:
        """Send an Arrow array; or fill a sample in place."""
        if mode == COPIED:
            import pyarrow as pa

            if self._source.shape[0] != size:
                self._source = blank(size)
            self._node.send_output("message", pa.array(self._source))
        else:
            sample = self._node.send_output_raw("message", size)
            with sample as memory:
                touch(np.frombuffer(memory, np.uint8))

    def receive(self) -> None:
        """Wait for the next input."""
        while True:
            event = self._node.next()
            if event is None or event["type"] == "STOP":
                raise EOFError
            if event["type"] == "INPUT":
                read(event["value"].to_numpy())
                return


def _main(side: str, address: str, *cpus: str) -> None:
    if cpus:
        os.sched_setaffinity(0, map(int, cpus))
    line: Any = Client(address)
    line.send(side)
    with contextlib.suppress(EOFError, OSError):
        play(_DoraEnd(), cast("Side", side), line)


if __name__ == "__main__":
    _main(*sys.argv[1:])
