"""What files are chosen for: a Python and its platform, as they are or as options describe others.

``--platform``, ``--python-version``, ``--implementation`` and ``--abi`` describe a Python that need
not be on this machine. The tags are pip's (its ``compatibility_tags.py``); markers follow the
description too, where pip asks the running Python: what is fetched for Windows is what Windows
needs. Pure, apart from what packaging reads of the running Python where nothing else is said.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from packaging.tags import (
    INTERPRETER_SHORT_NAMES,
    Tag,
    android_platforms,
    compatible_tags,
    cpython_tags,
    generic_tags,
    ios_platforms,
    mac_platforms,
)

from kedge.classes import frozen

if TYPE_CHECKING:
    from kedge.environment.interpreter import Interpreter


@frozen(kw_only=True)
class Described:
    """The four options; empty says nothing. ``python_version`` has one to three numbers."""

    platforms: tuple[str, ...] = ()
    python_version: tuple[int, ...] = ()
    implementation: str = ""
    abis: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.platforms or self.python_version or self.implementation or self.abis)


@frozen(kw_only=True)
class Aim:
    """The markers (without ``extra``), the tags, best first, and the version as ``"3.11.7"``."""

    markers: Mapping[str, str]
    tags: Sequence[Tag]
    python_version: str


def aim_at(interpreter: Interpreter, described: Described | None = None) -> Aim:
    """The aim for what is described, and for ``interpreter`` wherever that says nothing."""
    if not described:
        version = ".".join(map(str, interpreter.version))
        return Aim(markers=interpreter.markers, tags=interpreter.tags, python_version=version)
    version = ".".join(map(str, _three(described.python_version or interpreter.version)))
    return Aim(
        markers={**interpreter.markers, **_markers(described, interpreter, version)},
        tags=tuple(dict.fromkeys(_tags(described, interpreter))),
        python_version=version,
    )


def _three(version: Sequence[int]) -> tuple[int, ...]:
    return (*version, 0, 0)[:3]


# --------------------------------------------------------------------------------------------
# Tags


def _tags(described: Described, interpreter: Interpreter) -> Iterator[Tag]:
    own = INTERPRETER_SHORT_NAMES.get(interpreter.implementation, interpreter.implementation)
    name = described.implementation or own
    version = described.python_version[:2] or interpreter.version[:2]
    platforms = list(_platforms(described.platforms) or _own_platforms(interpreter))
    abis = list(described.abis) or None
    if abis is None and version == interpreter.version[:2]:
        abis = _own_abis(interpreter) or None
    short = f"{name}{''.join(map(str, version))}"
    if name == "cp":
        yield from cpython_tags(version, abis, platforms)
    else:
        yield from generic_tags(short, abis, platforms)
    yield from compatible_tags(version, short, platforms)


def _own_platforms(interpreter: Interpreter) -> Iterator[str]:
    return (tag.platform for tag in _distinct(interpreter, "platform") if tag.platform != "any")


def _own_abis(interpreter: Interpreter) -> list[str]:
    """The ABIs of the interpreter itself: those of its first tags, before the common ones."""
    first = interpreter.tags[0].interpreter
    found = [tag.abi for tag in _distinct(interpreter, "abi") if tag.interpreter == first]
    return [abi for abi in found if abi not in ("none", "abi3", "abi3t")]


def _distinct(interpreter: Interpreter, part: str) -> list[Tag]:
    return list({getattr(tag, part): tag for tag in reversed(interpreter.tags)}.values())[::-1]


def _platforms(named: Sequence[str]) -> list[str]:
    """Each platform and, behind it, those whose wheels run on it too, without repetitions."""
    found: dict[str, None] = {}
    for platform in named:
        if platform not in found:
            found |= dict.fromkeys(_implied(platform))
    return list(found)


_APPLE = r"(macosx|ios)[^_]*_(\d+)_(\d+)_(.+)"
_ANDROID = r"android_(\d+)_(.+)"
#: Which older manylinux wheels a newer one's systems run (PEP 599), for x86 alone.
_OLDER = {"manylinux2014": ("manylinux2010", "manylinux1"), "manylinux2010": ("manylinux1",)}


def _implied(platform: str) -> list[str]:
    apple = re.fullmatch(_APPLE, platform)
    if apple:
        version = (int(apple[2]), int(apple[3]))
        of = mac_platforms if apple[1] == "macosx" else ios_platforms
        return list(of(version, apple[4]))
    android = re.fullmatch(_ANDROID, platform)
    if android:
        return list(android_platforms(int(android[1]), android[2]))
    prefix, _, machine = platform.partition("_")
    if prefix == "manylinux2014" and machine not in ("i686", "x86_64"):
        return [platform]
    return [platform, *(f"{older}_{machine}" for older in _OLDER.get(prefix, ()))]


# --------------------------------------------------------------------------------------------
# Markers

_IMPLEMENTATIONS = {"cp": ("cpython", "CPython"), "pp": ("pypy", "PyPy")}
#: By the beginning of a platform tag: ``sys_platform``, ``platform_system``, ``os_name``.
_SYSTEMS = {
    "win": ("win32", "Windows", "nt"),
    "macosx": ("darwin", "Darwin", "posix"),
    "ios": ("ios", "iOS", "posix"),
    "android": ("android", "Android", "posix"),
    "manylinux": ("linux", "Linux", "posix"),
    "musllinux": ("linux", "Linux", "posix"),
    "linux": ("linux", "Linux", "posix"),
}
_MACHINES = {"win_amd64": "AMD64", "win32": "x86", "win_arm64": "ARM64"}
_MACHINE = r"(?:manylinux\d+|\w+?linux_\d+_\d+|linux|macosx_\d+_\d+)_(\w+)"


def _markers(described: Described, interpreter: Interpreter, version: str) -> dict[str, str]:
    """What the description changes of the interpreter's markers."""
    changed: dict[str, str] = {}
    if described.python_version:
        changed["python_version"] = ".".join(version.split(".")[:2])
        changed["python_full_version"] = version
        changed["implementation_version"] = version
    if described.implementation in _IMPLEMENTATIONS:
        name, shown = _IMPLEMENTATIONS[described.implementation]
        changed |= {"implementation_name": name, "platform_python_implementation": shown}
    if described.platforms:
        changed |= _platform_markers(described.platforms[0], interpreter)
    return changed


def _platform_markers(platform: str, interpreter: Interpreter) -> dict[str, str]:
    """What the first platform says; a machine that the tag leaves open stays as it is here."""
    system = next((of for tag, of in _SYSTEMS.items() if platform.startswith(tag)), None)
    if system is None:
        return {}
    changed = dict(zip(("sys_platform", "platform_system", "os_name"), system, strict=True))
    machine = re.fullmatch(_MACHINE, platform)
    if platform in _MACHINES:
        changed["platform_machine"] = _MACHINES[platform]
    elif machine and machine[1] not in ("universal", "universal2", "intel"):
        changed["platform_machine"] = machine[1]
    if system[0] != interpreter.markers["sys_platform"]:
        changed |= {"platform_release": "", "platform_version": ""}
    return changed
