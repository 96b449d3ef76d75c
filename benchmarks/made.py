"""Wheels that are made rather than fetched: a large one, and a pair that cannot agree at once."""

from __future__ import annotations

import base64
import hashlib
import random
import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path

SMALL = "idna"
LARGE = "kedge-benchmark-large"
#: Each version of the one wants its own version of the other.
TORN, PINNED = "kedge-benchmark-torn", "kedge-benchmark-pinned"

_LARGE_FILES = 10
_LARGE_BYTES = 222_000_000
_VERSIONS = 120


def make_wheels(folder: Path) -> list[Path]:
    """All of them; made once."""
    folder.mkdir(parents=True, exist_ok=True)
    done = folder / "complete"
    if not done.is_file():
        _make(folder, LARGE, "1.0", _large_files())
        for number in range(1, _VERSIONS + 1):
            _make(folder, TORN, f"{number}", requires=[f"{PINNED}=={number}"])
            _make(folder, PINNED, f"{number}")
        done.touch()
    return sorted(folder.glob("*.whl"))


def _large_files() -> Iterator[tuple[str, bytes]]:
    """As the libraries in such wheels: half of it compresses well, half does not at all."""
    generator = random.Random(LARGE)  # the same file each time
    half = _LARGE_BYTES // _LARGE_FILES // 2
    for number in range(_LARGE_FILES):
        text = bytes(generator.randrange(64) for _ in range(1024)) * (2 * half // 1024)
        yield f"{_module(LARGE)}/{number}.bin", generator.randbytes(half * 2) + text


def _make(
    folder: Path,
    name: str,
    version: str,
    files: Iterable[tuple[str, bytes]] = (),
    requires: list[str] | None = None,
) -> None:
    module = _module(name)
    info = f"{module}-{version}.dist-info"
    metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
    metadata += "".join(f"Requires-Dist: {each}\n" for each in requires or [])
    tags = "Wheel-Version: 1.0\nGenerator: made\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    record: list[str] = []
    path = folder / f"{module}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for member, data in [
            (f"{module}/__init__.py", b""),
            *files,
            (f"{info}/METADATA", metadata.encode()),
            (f"{info}/WHEEL", tags.encode()),
        ]:
            archive.writestr(member, data)
            digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
            record.append(f"{member},sha256={digest},{len(data)}\n")
        archive.writestr(f"{info}/RECORD", "".join([*record, f"{info}/RECORD,,\n"]))


def _module(name: str) -> str:
    return name.replace("-", "_")
