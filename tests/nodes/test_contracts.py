"""Every node of this repository keeps the contract of nodes."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from remotemedia.core.data import RuntimeData
from remotemedia.core.testing import check_node_contract

if TYPE_CHECKING:
    from conftest import Clip

THIRD_PARTY = Path(__file__).parents[1] / "third_party"
LOADS_MODELS_SECS = 60.0
#: The contract has a node made again and again, with its models.
loads_often = pytest.mark.timeout(4 * LOADS_MODELS_SECS)


@pytest.mark.speech
@loads_often
def test_whisper(short_clip: Clip) -> None:
    # A recording: speech that no words are spoken in gives no text.
    speech = [RuntimeData.audio(short_clip.samples, 16_000)]
    check_node_contract("whisper", inputs={"audio": speech}, deadline=LOADS_MODELS_SECS)


@pytest.mark.speech
@loads_often
def test_piper() -> None:
    check_node_contract("piper_tts", deadline=LOADS_MODELS_SECS)


@pytest.mark.models
@loads_often
def test_kokoro() -> None:
    config = {"voice": "jf_alpha", "language": "en-us"}
    check_node_contract("kokoro_tts", config, deadline=LOADS_MODELS_SECS)


def test_the_example() -> None:
    check_node_contract("reply")


def test_a_stranger_s_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(THIRD_PARTY / "acme_gain" / "src"))
    (spec,) = importlib.import_module("acme_gain.plugin").remotemedia_nodes()
    check_node_contract(spec)
