"""The README's commands, so that what is documented is what runs.

python .ci/readme.py show MARK   print the command below `<!-- MARK -->` in README.md
python .ci/readme.py run MARK    run it in a fresh copy of the repository, without a terminal
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
import wave
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SHORTEST_REPLY_S = 0.5


def command(mark: str) -> str:
    """The one line of the code block that follows the mark."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    found = re.findall(rf"<!-- {re.escape(mark)} -->\n+```\w*\n([^\n]+)\n```", text)
    if len(found) != 1:
        message = f"README.md: expected one one-line code block below <!-- {mark} -->"
        raise SystemExit(message)
    return str(found[0])


def compare(mark: str, printed: str) -> None:
    """Check that the lines below the mark were printed, in whatever order; times may differ."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    lines = {without_times(line) for line in printed.splitlines()}
    for shown in re.findall(rf"<!-- {re.escape(mark)} -->\n+```\w*\n(.*?)```", text, re.DOTALL):
        for line in filter(lambda line: line != "…", shown.splitlines()):
            if without_times(line) not in lines:
                message = f"README.md shows a line that was not printed: {line}"
                raise SystemExit(message)


def without_times(line: str) -> str:
    """Replace numbers with a fraction."""
    return re.sub(r"\d+\.\d+", "N", line)


def copy_repository(target: Path) -> None:
    """Copy what git tracks or would track: what a clone has, plus work in progress."""
    listing = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(listing, cwd=ROOT, check=True, capture_output=True).stdout
    for name in filter(None, names.decode().split("\0")):
        if (ROOT / name).is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, target / name)


def run(mark: str) -> None:
    """Run the marked command in a copy; where it writes reply.wav, that must hold sound."""
    line = command(mark)
    # The surrounding virtual environment must not leak in: a user has only python3 and pip.
    environ = {key: value for key, value in os.environ.items() if key != "VIRTUAL_ENV"}
    environ["PATH"] = os.pathsep.join(
        folder
        for folder in os.environ["PATH"].split(os.pathsep)
        if not Path(folder).is_relative_to(sys.prefix)
    )
    with tempfile.TemporaryDirectory() as folder:
        copy_repository(Path(folder))
        print(f"$ {line}", flush=True)
        shell = ["bash", "-euo", "pipefail", "-c", line]
        done = subprocess.run(
            shell,
            cwd=folder,
            env=environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            check=False,
        )
        print(done.stdout, flush=True)
        if done.returncode:
            raise SystemExit(done.returncode)
        compare(mark.replace("command", "output"), done.stdout)
        if "reply.wav" in line:
            with wave.open(str(Path(folder) / "reply.wav")) as reply:
                seconds = reply.getnframes() / reply.getframerate()
            if seconds < SHORTEST_REPLY_S:
                message = f"reply.wav lasts {seconds:.2f} s: nothing was said"
                raise SystemExit(message)
            print(f"reply.wav: {seconds:.2f} s")


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["show", wanted]:
            print(command(wanted))
        case ["run", wanted]:
            run(wanted)
        case _:
            sys.exit(__doc__)
