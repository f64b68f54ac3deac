from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = Path(__file__).parents[2] / "benchmarks" / "speech_overhead.py"


@pytest.mark.speech
def test_both_sides_of_the_overhead_benchmark_say_the_same() -> None:
    runs = []
    for side in ("script", "pipeline"):
        command = [sys.executable, str(PROGRAM), "--side", side, "--case", "0"]
        done = subprocess.run(command, check=False, capture_output=True, encoding="utf-8")
        assert done.returncode == 0, done.stderr
        runs.append(json.loads(done.stdout))
    script, pipeline = runs
    assert script["spoken"] == pipeline["spoken"]
    assert pipeline["spoken"] == ["You said: He might even have been made amiable himself."]
    for run in runs:
        assert 0 <= run["waiting"] < run["latency"] < run["wall"]
        assert run["waiting"] <= run["idle"] < run["wall"]
