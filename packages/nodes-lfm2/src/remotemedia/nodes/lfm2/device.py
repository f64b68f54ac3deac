"""Devices: where the model computes, and with which numbers."""

from __future__ import annotations

from typing import Any

from remotemedia.core.errors import ConfigError

__all__ = ["find_device", "find_dtype"]


def find_device(torch: Any, asked: str, where: str) -> str:  # noqa: ANN401 - the module, optional
    """Return the device that the config asks for, as torch names it.

    Args:
        torch: The module.
        asked: `auto`, `cpu`, `cuda` or `cuda:1`.
        where: The node's id, for errors.

    Raises:
        ConfigError: There is no such device.
    """
    if asked == "cpu" or (asked == "auto" and not torch.cuda.is_available()):
        return "cpu"
    if not torch.cuda.is_available():
        raise ConfigError(
            where,
            "device",
            f"{asked!r} was asked for, but no CUDA device is visible; use device='cpu' or 'auto', "
            "or check the driver and CUDA_VISIBLE_DEVICES",
        )
    number, count = int(asked.partition(":")[2] or 0), torch.cuda.device_count()
    if number >= count:
        raise ConfigError(
            where,
            "device",
            f"there is no {asked!r}: {count} CUDA devices are visible, counted from 0",
        )
    return f"cuda:{number}"


def find_dtype(torch: Any, asked: str, device: str) -> Any:  # noqa: ANN401 - torch's
    """Return torch's name of the arithmetic that the config asks for."""
    if asked == "auto":
        asked = "float32" if device == "cpu" else "bfloat16"
    return getattr(torch, asked)
