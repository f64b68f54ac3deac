from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = Path(__file__).parents[2] / "examples" / "speech.py"


@pytest.mark.speech
def test_the_program_of_the_readme_hears_and_speaks() -> None:
    done = subprocess.run(
        [sys.executable, str(PROGRAM)], check=False, capture_output=True, encoding="utf-8"
    )
    assert done.returncode == 0, done.stderr
    heard, said = done.stdout.splitlines()
    assert heard == "heard: He might even have been made amiable himself."
    assert float(said.removeprefix("said: ").removesuffix(" s")) > 1
