"""A build backend that says that it was reached, and waits."""

from __future__ import annotations

import zipfile
from pathlib import Path

_FOLDER = Path("@FOLDER@")
_INFO = "acme_gate-1.0.dist-info"
_FILES = {
    "acme_gate.py": "",
    f"{_INFO}/METADATA": "Metadata-Version: 2.1\nName: acme-gate\nVersion: 1.0\n",
    f"{_INFO}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
}


def build_wheel(
    wheel_directory: str, config_settings: object = None, metadata_directory: object = None
) -> str:
    """Wait at the gate, then build."""
    (_FOLDER / "reached").write_bytes(b"")
    (_FOLDER / "go").read_bytes()
    name = "acme_gate-1.0-py3-none-any.whl"
    with zipfile.ZipFile(Path(wheel_directory) / name, "w") as wheel:
        for path, text in _FILES.items():
            wheel.writestr(path, text)
        record = "".join(f"{path},,\n" for path in (*_FILES, f"{_INFO}/RECORD"))
        wheel.writestr(f"{_INFO}/RECORD", record)
    return name
