"""An application: what a stranger's checker says of the public API."""

from __future__ import annotations

import asyncio

import numpy as np

from remotemedia.core.data import AudioMetadata, RuntimeData
from remotemedia.core.errors import NodeError, ProcessCrashError, RemoteMediaError
from remotemedia.runtime import (
    MultiprocessConfig,
    MultiprocessExecutor,
    Pipeline,
    Progress,
    Runtime,
    Session,
)


def on_progress(progress: Progress) -> None:
    print(f"{progress.node_id}: {progress.status} {progress.progress:.0%} {progress.message}")


async def main() -> None:
    config = MultiprocessConfig(max_processes_per_session=10, channel_capacity=100)
    runtime = Runtime().register_executor("python", MultiprocessExecutor(config))
    runtime.on_process_crash(lambda event: print(event.node_id, event.exit_code))
    pipeline = (
        Pipeline()
        .add_node("acme_gain", "gain", {"factor": 2.0})
        .with_executor("python")
        .add_node("acme_gain", "more", on_error="continue")
        .connect("gain", "audio_out", "more", "audio_in")
    )
    session = await runtime.create_session("s", pipeline, progress_callback=on_progress)
    try:
        await session.send("gain", RuntimeData.audio(np.ones(10, np.float32), 24_000))
        got = await session.receive("more", timeout=10)
        total: float = float(got.as_numpy().sum())
        if isinstance(got.metadata, AudioMetadata):
            print(got.metadata.sample_rate, total, got.port, got.timestamp)
        status = await session.get_status()
        for node_id, node in status.nodes.items():
            print(node_id, node.state.value)
        metrics = await session.get_metrics()
        print(metrics.process_count, metrics.memory_mb)
        stats = await session.get_channel_stats("gain_to_more")
        print(stats.message_count, stats.bytes_transferred, stats.capacity)
    except ProcessCrashError as error:
        print(error.node_id, error.exit_code, error.signal)
    except NodeError as error:
        print(error.node_id)
    except RemoteMediaError as error:
        print(error)
    finally:
        await session.cleanup()
    async with Session("streaming", pipeline) as streaming:
        await streaming.send("gain", RuntimeData.audio(np.ones(10, np.float32), 24_000))
        await streaming.close_input()
        async for item in streaming.stream("more"):
            print(item.size)
    await runtime.shutdown()


asyncio.run(main())
