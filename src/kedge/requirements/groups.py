"""Dependency groups of a ``pyproject.toml`` (PEP 735), and a script's inline metadata (PEP 723)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from packaging.specifiers import InvalidSpecifier, SpecifierSet

from kedge.errors import RequirementError
from kedge.model import Origin, OriginKind
from kedge.requirements.arguments import parse_argument
from kedge.requirements.files import read_local

if TYPE_CHECKING:
    from kedge.requirements.requested import Requested

_TABLE = "dependency-groups"
#: The specification's own expression for a block (PEP 723).
_BLOCK = re.compile(r"(?m)^# /// (?P<type>[a-zA-Z0-9-]+)$\s(?P<content>(^#(| .*)$\s)+)^# ///$")


def read_group(path: str, group: str, origin: Origin) -> tuple[Requested, ...]:
    """What the group asks for, groups that it includes among it, in their order.

    Nothing of the project itself is read. ``origin`` is the setting that named the group. Raises
    :class:`~kedge.errors.RequirementError`.
    """
    from packaging.dependency_groups import DependencyGroupResolver
    from packaging.errors import ExceptionGroup

    from kedge.requirements.toml import read_toml

    document = read_toml(read_local(path, "project", origin), shown=path, origin=origin)
    groups = document.get(_TABLE)
    if not isinstance(groups, dict):
        raise RequirementError(f"{path} has no table [{_TABLE}] ({origin}).", origin=origin)
    try:
        found = DependencyGroupResolver(groups).resolve(group)
    except ExceptionGroup as exc:
        reasons = "; ".join(map(str, exc.exceptions))
        raise RequirementError(
            f"The dependency group {group!r} of {path} cannot be used: {reasons} ({origin}).",
            origin=origin,
            hint=f"{path} has the groups {', '.join(sorted(groups))}." if groups else None,
        ) from exc
    here = Origin(OriginKind.FILE, name=group, path=path, section=_TABLE)
    return tuple(parse_argument(str(one), here) for one in found)


def read_script(
    path: str, origin: Origin, *, python_version: str, ignore_requires_python: bool
) -> tuple[Requested, ...]:
    """What the script's ``# /// script`` block asks for.

    ``python_version`` is the target's, with which the block's ``requires-python`` is compared.
    Raises :class:`~kedge.errors.RequirementError`.
    """
    from kedge.requirements.toml import read_toml

    text = read_local(path, "script", origin).decode("utf-8", "replace").replace("\r\n", "\n")
    blocks = [found for found in _BLOCK.finditer(text) if found["type"] == "script"]
    if len(blocks) != 1:
        problem = "no" if not blocks else "more than one"
        raise RequirementError(
            f"{path} has {problem} block of inline metadata ({origin}).",
            origin=origin,
            hint="It begins with '# /// script', ends with '# ///', and is TOML behind '# '.",
        )
    lines = blocks[0]["content"].splitlines(keepends=True)
    content = "".join(line[2:] if line.startswith("# ") else line[1:] for line in lines)
    metadata = read_toml(content.encode(), shown=f"the metadata in {path}", origin=origin)
    if not ignore_requires_python:
        _check_python(metadata.get("requires-python"), path, origin, python_version)
    here = Origin(OriginKind.FILE, path=path)
    return tuple(parse_argument(one, here) for one in _dependencies(metadata, path, origin))


def _dependencies(metadata: dict[str, Any], path: str, origin: Origin) -> list[str]:
    found = metadata.get("dependencies", [])
    if not isinstance(found, list) or not all(isinstance(one, str) for one in found):
        raise RequirementError(
            f"The dependencies in the metadata of {path} are not a list of texts ({origin}).",
            origin=origin,
        )
    return found


def _check_python(wanted: Any, path: str, origin: Origin, python_version: str) -> None:
    if wanted is None:
        return
    try:
        fits = SpecifierSet(wanted).contains(python_version, prereleases=True)
    except (InvalidSpecifier, AttributeError, TypeError) as exc:
        raise RequirementError(
            f"requires-python in the metadata of {path} is no specifier: {wanted!r} ({origin}).",
            origin=origin,
        ) from exc
    if not fits:
        raise RequirementError(
            f"{path} needs Python {wanted}, and this is {python_version} ({origin}).",
            origin=origin,
            hint="Name another Python with --python, or add --ignore-requires-python.",
        )
