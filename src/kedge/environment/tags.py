"""Which wheel tags a Python accepts, best first, from what it reported about itself.

For kedge's own Python :func:`packaging.tags.sys_tags` answers; it has no way to answer for
another one, so the same lists are made here from that one's facts with packaging's public
functions, and for Linux from PEP 600 and PEP 656. Runs nothing but a musl loader (its version
is told nowhere else).
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from packaging.tags import (
    INTERPRETER_SHORT_NAMES,
    Tag,
    compatible_tags,
    cpython_tags,
    generic_tags,
    mac_platforms,
    sys_tags,
)

from kedge.environment.elf import read_elf

_MANYLINUX_64_BIT = {"x86_64", "aarch64", "ppc64", "ppc64le", "s390x", "loongarch64", "riscv64"}
_LEGACY_NAMES = {(2, 17): "manylinux2014", (2, 12): "manylinux2010", (2, 5): "manylinux1"}


def own_tags() -> tuple[Tag, ...]:
    """The tags of the Python that runs kedge."""
    return tuple(sys_tags())


def tags_from(
    facts: Mapping[str, Any], *, version: Sequence[int], implementation: str, executable: Path
) -> tuple[Tag, ...]:
    """The tags of another Python on this machine; ``facts`` is ``probe.tag_facts()`` of it."""
    version = tuple(version[:2])
    platforms = list(_platforms(facts, executable))
    name = INTERPRETER_SHORT_NAMES.get(implementation, implementation)
    nodot = str(facts["nodot"] or "".join(map(str, version)))
    if name == "cp":
        own = cpython_tags(version, _cpython_abis(facts, version), platforms)
        interpreter: str | None = "cp" + nodot
    else:
        own = generic_tags(name + nodot, _generic_abis(facts), platforms)
        interpreter = "pp3" if name == "pp" else None
    return (*own, *compatible_tags(version, interpreter, platforms))


def _cpython_abis(facts: Mapping[str, Any], version: Sequence[int]) -> list[str]:
    """A debug build also loads what was made for the ordinary one (since 3.8)."""
    threading = "t" if facts["free_threaded"] else ""
    plain = f"cp{''.join(map(str, version))}{threading}"
    return [plain + "d", plain] if facts["debug"] else [plain]


def _generic_abis(facts: Mapping[str, Any]) -> list[str]:
    """From the extension suffix: ``.pypy310-pp73-x86_64-linux-gnu.so`` gives ``pypy310_pp73``."""
    parts = str(facts["ext_suffix"] or "").split(".")
    words = parts[1].split("-") if len(parts) >= 3 else []
    if not words or not words[0]:
        return []
    kept = 2 if words[0].startswith("pypy") else 3 if words[0].startswith("graalpy") else len(words)
    return ["_".join(words[:kept])]


def _platforms(facts: Mapping[str, Any], executable: Path) -> Iterator[str]:
    if facts["system"] == "Darwin":
        # Version None: the same machine, so packaging may ask it here.
        return mac_platforms(None, _mac_arch(facts))
    if facts["archs"]:
        return _linux_platforms(facts, executable)
    return iter([re.sub(r"[-. ]", "_", facts["platform"])])


def _mac_arch(facts: Mapping[str, Any]) -> str:
    machine = str(facts["machine"])
    if facts["bits"] == 64:
        return machine
    return "ppc" if machine.startswith("ppc") else "i386"


def _linux_platforms(facts: Mapping[str, Any], executable: Path) -> Iterator[str]:
    archs: list[str] = facts["archs"]
    yield from (f"linux_{arch}" for arch in archs)
    if facts["glibc"] and _manylinux_abi(executable, archs):
        refused = {tuple(entry) for entry in facts["manylinux_refused"]}
        major, newest = facts["glibc"]
        oldest = 5 if {"x86_64", "i686"} & set(archs) else 17
        for arch in archs:
            for minor in range(newest, oldest - 1, -1):
                if (major, minor, arch) in refused:
                    continue
                yield f"manylinux_{major}_{minor}_{arch}"
                if (major, minor) in _LEGACY_NAMES:
                    yield f"{_LEGACY_NAMES[major, minor]}_{arch}"
    musl = _musl_version(executable)
    if musl is not None:
        major, newest = musl
        for arch in archs:
            yield from (f"musllinux_{major}_{minor}_{arch}" for minor in range(newest, -1, -1))


def _manylinux_abi(executable: Path, archs: Sequence[str]) -> bool:
    """Whether the executable has the ABI that manylinux wheels of its architecture are for."""
    if "armv7l" in archs:
        elf = read_elf(executable)
        return elf is not None and elf.is_armhf
    if "i686" in archs:
        elf = read_elf(executable)
        return elf is not None and elf.is_i686
    return any(arch in _MANYLINUX_64_BIT for arch in archs)


def _musl_version(executable: Path) -> tuple[int, int] | None:
    elf = read_elf(executable)
    if elf is None or elf.loader is None or "musl" not in elf.loader:
        return None
    # A musl loader run without a program prints its version to stderr and fails (PEP 656).
    run = subprocess.run([elf.loader], check=False, stderr=subprocess.PIPE, text=True)
    match = re.search(r"^Version (\d+)\.(\d+)", run.stderr, re.MULTILINE)
    return (int(match[1]), int(match[2])) if match else None
