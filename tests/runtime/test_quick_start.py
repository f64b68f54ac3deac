"""The client of the quick start, as it is written there: node types and files aside."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from remotemedia.core.data import RuntimeData
from remotemedia.runtime import (
    MultiprocessConfig,
    MultiprocessExecutor,
    Pipeline,
    Runtime,
    Session,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

NODE = '''
from remotemedia.core.multiprocessing import MultiprocessNode, register_node
from remotemedia.core.data import RuntimeData, DataType, AudioMetadata
import numpy as np

@register_node("audio_processor")
class AudioProcessorNode(MultiprocessNode):
    """Example audio processing node."""

    async def initialize(self):
        """Load models or resources."""
        print(f"Initializing {self.node_id}")
        # Load any ML models, initialize resources
        self.sample_rate = self.config.get("sample_rate", 24000)

    async def process(self, data: RuntimeData) -> RuntimeData:
        """Process audio data."""
        if data.type == DataType.AUDIO:
            # Get audio as numpy array (zero-copy)
            audio = data.as_numpy()

            # Process audio (example: amplify)
            processed = audio * 1.5

            # Return processed data
            return RuntimeData(
                type=DataType.AUDIO,
                payload=processed,
                session_id=data.session_id,
                timestamp=data.timestamp,
                metadata=AudioMetadata(
                    sample_rate=self.sample_rate,
                    channels=1,
                    format="f32"
                )
            )
        return None

    async def cleanup(self):
        """Clean up resources."""
        print(f"Cleaning up {self.node_id}")
'''

CLIENT = """
import asyncio
from remotemedia.core.multiprocessing import Session, Pipeline

async def main():
    # Create pipeline with multiple Python nodes
    pipeline = (Pipeline(EXTRA)
        .add_node("TYPE", "asr", {"sample_rate": 16000})
        .add_node("TYPE", "s2s", {"sample_rate": 22050})
        .add_node("TYPE", "tts")
        .connect("asr", "text", "s2s", "input")
        .connect("s2s", "output", "tts", "input"))

    # Create session (spawns processes)
    session = Session("session_123", pipeline)

    # Track initialization progress
    def on_progress(progress):
        print(f"{progress.node_id}: {progress.status} ({progress.progress:.0%})")

    await session.initialize(progress_callback=on_progress)

    # Start processing
    await session.start()

    # Send audio data
    audio = RuntimeData.audio(np.ones(100, np.float32), 16000)
    await session.send("asr", audio)

    # Get result
    result = await session.receive("tts")
    on_time = result.timestamp == audio.timestamp
    print("got", result.as_numpy()[:2], result.metadata.sample_rate, on_time)

    # Cleanup (terminates all processes)
    await session.cleanup()

RUN
"""
IMPORTS = "import numpy as np\nfrom remotemedia.core.data import RuntimeData\n"
RUN = {
    "unguarded": "asyncio.run(main())",
    "guarded": 'if __name__ == "__main__":\n    asyncio.run(main())',
    "trio": "import trio\ntrio.run(main)",
    "task group": (
        "async def grouped():\n"
        "    async with anyio.create_task_group() as group:\n"
        "        group.start_soon(main)\n"
        "import anyio\nanyio.run(grouped)"
    ),
}


def client(how: str = "guarded", type_: str = "audio_processor", extra: str = "") -> str:
    source = CLIENT.replace("TYPE", type_).replace("EXTRA", extra).replace("RUN", RUN[how])
    return IMPORTS + source


def check(output: str) -> None:
    lines = output.splitlines()
    for node in ("asr", "s2s", "tts"):
        assert f"{node}: starting (0%)" in lines
        assert f"{node}: ready (100%)" in lines
    assert "got [3.375 3.375] 24000 True" in lines


@pytest.mark.parametrize("how", RUN)
def test_nodes_that_are_defined_in_the_script_itself(
    run_program: Callable[..., str], how: str
) -> None:
    check(run_program(NODE + client(how)))


def test_nodes_that_are_found_through_extra_paths(
    run_program: Callable[..., str], tmp_path: Path
) -> None:
    (tmp_path / "nodes").mkdir()
    (tmp_path / "nodes" / "my_audio_processor.py").write_text(NODE, encoding="utf-8")
    check(run_program(client("unguarded", extra='extra_paths=["nodes"]')))


def test_extra_paths_of_the_configuration_file(
    run_program: Callable[..., str], tmp_path: Path
) -> None:
    (tmp_path / "nodes").mkdir()
    (tmp_path / "nodes" / "my_audio_processor.py").write_text(NODE, encoding="utf-8")
    (tmp_path / "runtime.toml").write_text(
        '[multiprocess.python]\nextra_paths = ["./nodes"]\n', encoding="utf-8"
    )
    check(run_program(client("unguarded")))


@pytest.mark.parametrize("type_", ["my_nodes:AudioProcessorNode", "my_nodes.py:AudioProcessorNode"])
def test_nodes_that_are_named_by_module_and_class(
    run_program: Callable[..., str], tmp_path: Path, type_: str
) -> None:
    (tmp_path / "my_nodes.py").write_text(NODE, encoding="utf-8")
    check(run_program(client("unguarded", type_)))


def test_nodes_in_a_package(run_program: Callable[..., str], tmp_path: Path) -> None:
    package = tmp_path / "acme" / "audio"
    package.mkdir(parents=True)
    for folder in (package, package.parent):
        (folder / "__init__.py").touch()
    (package / "node.py").write_text("from . import gain\n" + NODE, encoding="utf-8")
    (package / "gain.py").touch()
    check(run_program(client("unguarded", "acme.audio.node:AudioProcessorNode")))


def test_a_script_that_reads_its_arguments(run_program: Callable[..., str]) -> None:
    source = "import argparse\nparser = argparse.ArgumentParser()\nparser.add_argument('name')\n"
    check(run_program(NODE + source + "parser.parse_args()\n" + client("unguarded"), "something"))


# ---- the Rust half, in Python


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ["asyncio", "trio"])
async def test_a_runtime_that_is_configured_through_its_executor(nodes: Path) -> None:
    executor = MultiprocessExecutor(
        MultiprocessConfig(
            max_processes_per_session=10,
            channel_capacity=100,
            init_timeout_secs=30,
            python_executable=sys.executable,
            enable_backpressure=True,
            extra_paths=(nodes,),
        )
    )
    runtime = Runtime().register_executor("python", executor)
    await runtime.start()
    try:
        pipeline = (
            Pipeline()
            .add_node("shout", "asr", {"mark": "?"})
            .with_executor("python")
            .add_node("shout", "s2s", {"mark": "!"})
            .with_executor("python")
            .add_node("samples:Echo", "tts")
            .with_executor("python")
            .connect("asr", "text_out", "s2s", "text_in")
            .connect("s2s", "text", "tts", "audio_in")
        )
        session = await runtime.create_session("session_123", pipeline)
        await session.send_input("asr", RuntimeData.text("hello"))
        output = await session.receive_output("tts")
        assert output.payload == "HELLO?!"
        assert output.size == 7
    finally:
        await runtime.shutdown()


def test_add_node_takes_a_class(run_program: Callable[..., str]) -> None:
    source = client("unguarded").replace('"audio_processor"', "AudioProcessorNode")
    check(run_program(NODE.replace('@register_node("audio_processor")', "") + source))


@pytest.mark.parametrize(
    ("source_port", "target_port"),
    [("text_out", "text_in"), ("text", "input"), ("output", "input"), ("text_out", "text")],
)
def test_every_spelling_of_the_quick_start_connects(
    source_port: str, target_port: str, nodes: Path
) -> None:
    for one in ("shout", "samples:Echo"):
        for other in ("shout", "samples:Echo"):
            pipeline = Pipeline(extra_paths=[nodes]).add_node(one, "a").add_node(other, "b")
            graph = Runtime().check(pipeline.connect("a", source_port, "b", target_port))
            assert len(graph.edges) == 1


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ["asyncio", "trio"])
async def test_a_session_is_a_context_manager_and_its_outputs_are_iterated(
    chain: Callable[..., Pipeline],
) -> None:
    async with Session("s", chain("Echo")) as session:
        for word in ("a", "b"):
            await session.send("a", word)
        await session.close_input()
        assert [item.payload async for item in session.stream("a")] == ["a", "b"]
