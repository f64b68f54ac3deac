"""Installed distributions, packed into wheels again: the same code for another environment.

What runs here and what runs there have to be the same. An index may not have this version, a wheel
may be gone, a checkout may have changed since; what is installed is there. An editable
installation is packed as such: its environment follows the sources too.
"""

from __future__ import annotations

import base64
import email.message
import email.parser
import email.policy
import hashlib
import zipfile
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["identity_of", "pack"]

# What only an application needs of the runtime. Nodes would have to agree with it on versions.
_NOT_FOR_NODES = {
    "remotemedia-runtime": {
        "anyio",
        "click",
        "packaging",
        "psutil",
        "rich",
        "soundfile",
        "soxr",
    }
}
# How it came here says nothing about what it is.
_OF_THE_INSTALLER = {
    "INSTALLER",
    "RECORD",
    "REQUESTED",
    "direct_url.json",
    "uv_build.json",
    "uv_cache.json",
}


def identity_of(name: str) -> str:
    """Return what tells this installed distribution from others of its name."""
    dist = _find(name)
    if dist is None:
        return name
    files = sorted(f"{path} {checksum}" for path, checksum in _contents(dist))
    return hashlib.sha256("\n".join([name, dist.version, *files]).encode()).hexdigest()


def pack(name: str, folder: Path) -> str:
    """Pack an installed distribution.

    Args:
        name: Its name.
        folder: Where the wheel is written.

    Returns:
        The requirement that installs it: of the wheel; of its version, where it holds compiled
        code or nobody recorded what belongs to it.
    """
    dist = _find(name)
    if dist is None:
        return name
    tag = _pure_tag(dist)
    if dist.files is None or tag is None:
        return f"{name}=={dist.version}"
    stem = name.replace("-", "_")
    path = folder / f"{stem}-{dist.version}-{tag}.whl"
    info = f"{stem}-{dist.version}.dist-info"
    record = []
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as wheel:
        for member, _ in _contents(dist):
            content = dist.locate_file(member).read_bytes()  # type: ignore[attr-defined]
            inner = member
            head, _, tail = member.partition("/")
            if head.endswith(".dist-info"):
                inner = f"{info}/{tail}"
                if tail == "METADATA":
                    content = _metadata(name, content)
                elif tail == "entry_points.txt" and name in _NOT_FOR_NODES:
                    continue  # the command, which needs what is left out
            wheel.writestr(zipfile.ZipInfo(inner), content)
            digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=")
            record.append(f"{inner},sha256={digest.decode()},{len(content)}")
        record.append(f"{info}/RECORD,,\n")
        wheel.writestr(zipfile.ZipInfo(f"{info}/RECORD"), "\n".join(record))
    return f"{name} @ {path.as_uri()}"


def _find(name: str) -> Distribution | None:
    try:
        return distribution(name)
    except PackageNotFoundError:
        return None


def _contents(dist: Distribution) -> Iterator[tuple[str, str]]:
    """Return paths and checksums of what belongs into a wheel."""
    for file in dist.files or ():
        outside = file.is_absolute() or ".." in file.parts
        if not outside and "__pycache__" not in file.parts and file.name not in _OF_THE_INSTALLER:
            yield file.as_posix(), file.hash.value if file.hash is not None else ""


def _pure_tag(dist: Distribution) -> str | None:
    """Return the tag of a wheel that any Python can install, or None."""
    wheel = email.message_from_string(dist.read_text("WHEEL") or "")
    tags = [tag for tag in wheel.get_all("Tag", []) if tag.endswith("-none-any")]
    pure = str(wheel.get("Root-Is-Purelib", "")).lower() == "true"
    return str(tags[0]) if pure and tags else None


def _metadata(name: str, content: bytes) -> bytes:
    """Return METADATA without the dependencies that nodes don't need."""
    from packaging.requirements import Requirement
    from packaging.utils import canonicalize_name

    unneeded = _NOT_FOR_NODES.get(name, set())
    message = email.parser.BytesParser(policy=email.policy.compat32).parsebytes(content)
    needed = [
        text
        for text in message.get_all("Requires-Dist", [])
        if canonicalize_name(Requirement(text).name) not in unneeded
    ]
    del message["Requires-Dist"]
    for text in needed:
        message["Requires-Dist"] = text
    return message.as_bytes()
