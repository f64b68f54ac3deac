"""Device: where the model computes, and in which arithmetic."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch

from remotemedia.core.errors import ConfigError

__all__ = ["Device", "find_device", "is_out_of_memory"]


class Device(NamedTuple):
    """Where to compute.

    Attributes:
        name: As torch names it.
        dtype: A torch dtype.
    """

    name: str
    dtype: Any  # Any: torch is optional, nothing here may need it to be checked


def find_device(device: str, dtype: str, where: str) -> Device:
    """Return the device that a config means.

    Raises:
        ConfigError: It is not there.
    """
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    kind, _, number = device.partition(":")
    if kind == "cuda":
        count = torch.cuda.device_count() if torch.cuda.is_available() else 0
        if int(number or 0) >= count:
            there = f"{count} of them" if count else "none"
            build = "" if torch.version.cuda else ", which is a build for CPUs"
            raise ConfigError(
                where,
                "device",
                f"{device!r} is not there: torch {torch.__version__}{build} finds {there}; use "
                "'auto' or 'cpu', or install a driver and a torch for it in the node's environment",
            )
    elif kind == "mps" and not torch.backends.mps.is_available():
        raise ConfigError(where, "device", "'mps' is not there; use 'auto' or 'cpu'")
    if dtype == "auto":
        dtype = "float32" if kind == "cpu" else "bfloat16"
    return Device(device, getattr(torch, dtype))


def is_out_of_memory(error: BaseException) -> bool:
    """Say whether a device or the machine had no memory left."""
    return isinstance(error, (MemoryError, torch.OutOfMemoryError)) or (
        isinstance(error, RuntimeError) and "can't allocate memory" in str(error)
    )
