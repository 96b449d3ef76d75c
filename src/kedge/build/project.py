"""What a project says of its build: ``[build-system]`` of its ``pyproject.toml`` (PEP 517, 518).

A project without that table is built by setuptools as ``python setup.py`` would have (pip's rule).
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from packaging.requirements import InvalidRequirement, Requirement

from kedge.classes import frozen
from kedge.errors import SourceError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

LEGACY_BACKEND = "setuptools.build_meta:__legacy__"
_LEGACY_REQUIRES = ("setuptools>=40.8.0",)


@frozen
class BuildSystem:
    """``requires`` are as written. ``stated`` is whether the project named a backend."""

    requires: tuple[str, ...] = _LEGACY_REQUIRES
    backend: str = LEGACY_BACKEND
    backend_path: tuple[str, ...] = ()
    stated: bool = False


def read_build_system(folder: Path, *, name: str) -> BuildSystem:
    """How the project in ``folder`` is built; ``name`` is what messages call it.

    :raises SourceError: there is no project, or its ``pyproject.toml`` cannot be used.
    """
    path = folder / "pyproject.toml"
    if not path.is_file():
        if not (folder / "setup.py").is_file():
            raise _unusable(name, "has neither a pyproject.toml nor a setup.py")
        return BuildSystem()
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as exc:
        raise _unusable(name, f"has a pyproject.toml that cannot be read ({exc})") from exc
    table = document.get("build-system")
    if table is None:
        return BuildSystem()
    if not isinstance(table, dict):
        raise _unusable(name, "has a build-system in its pyproject.toml that is no table")
    return _build_system(table, name)


def _build_system(table: dict[str, Any], name: str) -> BuildSystem:
    if "requires" not in table:
        raise _unusable(name, "has a [build-system] without requires in its pyproject.toml")
    requires = _strings(table, "requires", name)
    try:
        for requirement in requires:
            Requirement(requirement)
    except InvalidRequirement as exc:
        raise _unusable(name, f"requires {requirement!r} to be built: no requirement") from exc
    backend = table.get("build-backend")
    if backend is not None and not isinstance(backend, str):
        raise _unusable(name, "has a build-backend in its pyproject.toml that is no text")
    return BuildSystem(
        requires=requires,
        backend=backend or LEGACY_BACKEND,
        backend_path=_strings(table, "backend-path", name),
        stated=backend is not None,
    )


def _strings(table: dict[str, Any], key: str, name: str) -> tuple[str, ...]:
    found = table.get(key, [])
    if not isinstance(found, list) or not all(isinstance(one, str) for one in found):
        raise _unusable(name, f"has a {key} in its pyproject.toml that is no list of texts")
    return tuple(found)


def _unusable(name: str, what: str) -> SourceError:
    return SourceError(
        f"{name} {what}.",
        source=name,
        hint="It is no Python project, or another folder of it is (#subdirectory=… in a URL).",
    )
