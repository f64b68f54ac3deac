"""Benchmarks: what a hop, a stream and a start cost, beside raw iceoryx2 and other systems."""
