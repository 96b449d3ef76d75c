"""Installed distributions as ``kedge list`` shows them: which, and in pip's three formats.

Pure but for the small files that a distribution reads when asked. Knows no index: what is
outdated is told it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from kedge.classes import frozen
from kedge.environment.freeze import STANDARD_LIBRARY, pinned
from kedge.environment.installed import InstalledDistribution
from kedge.environment.interpreter import Interpreter
from kedge.environment.metadata import normalized
from kedge.environment.scheme import scheme_for
from kedge.errors import KedgeError

if TYPE_CHECKING:
    from packaging.utils import NormalizedName


@frozen(kw_only=True)
class Selection:
    """Which distributions: each field narrows, the defaults keep all.

    ``exclude`` holds normalised names. ``editable`` is only those (``True``) or none of them
    (``False``). ``not_required`` keeps what no other of them requires.
    """

    local: bool = False
    user: bool = False
    editable: bool | None = None
    not_required: bool = False
    exclude: Collection[str] = ()


@frozen
class Latest:
    """The newest version that an index has, and its type: ``wheel`` or ``sdist``."""

    version: str
    filetype: str


def select(
    distributions: Iterable[InstalledDistribution],
    selection: Selection,
    *,
    interpreter: Interpreter,
) -> tuple[InstalledDistribution, ...]:
    """The distributions of the selection, by normalised name."""
    kept = [each for each in distributions if each.name not in STANDARD_LIBRARY]
    if selection.local:
        kept = [each for each in kept if is_local(each, interpreter)]
    if selection.user:
        kept = [each for each in kept if is_users(each, interpreter)]
    if selection.editable is not None:
        wanted = selection.editable
        kept = [each for each in kept if (each.editable_location is not None) is wanted]
    if selection.not_required:
        required = _required(kept, interpreter.markers)
        kept = [each for each in kept if each.name not in required]
    kept = [each for each in kept if each.name not in selection.exclude]
    return tuple(sorted(kept, key=lambda each: each.name))


def is_local(distribution: InstalledDistribution, interpreter: Interpreter) -> bool:
    """Whether it lies in the virtual environment; outside of one everything is local.

    The environment's folder of packages may be a link to elsewhere: an install puts them there.
    """
    if not interpreter.is_venv or _below(distribution, interpreter.prefix):
        return True
    return any(_below(distribution, folder) for folder in scheme_for(interpreter).libraries)


def is_users(distribution: InstalledDistribution, interpreter: Interpreter) -> bool:
    """Whether it lies in the user's own folder of this Python."""
    return interpreter.user_site is not None and _below(distribution, interpreter.user_site)


def _below(distribution: InstalledDistribution, folder: Path) -> bool:
    return distribution.installed_location.resolve().is_relative_to(folder.resolve())


def _required(
    distributions: Iterable[InstalledDistribution], markers: Mapping[str, str]
) -> set[NormalizedName]:
    """What they require; one whose metadata cannot be read requires nothing that is known."""
    names: set[NormalizedName] = set()
    for distribution in distributions:
        try:
            requirements = list(distribution.metadata.requirements(markers))
        except KedgeError:
            continue
        names.update(normalized(requirement.name) for requirement in requirements)
    return names


# --------------------------------------------------------------------------------------------
# Formats


def as_columns(
    distributions: Sequence[InstalledDistribution],
    *,
    verbose: bool = False,
    latest: Mapping[NormalizedName, Latest] | None = None,
) -> list[str]:
    """A table with a heading, one line each; nothing for no distributions.

    ``latest`` adds the two columns of ``--outdated``. ``verbose`` adds where each lies and who
    installed it. Columns that would be empty throughout are left out.
    """
    if not distributions:
        return []
    columns: dict[str, list[str]] = {
        "Package": [each.raw_name for each in distributions],
        "Version": [each.metadata.version_text or each.version_text for each in distributions],
    }
    if latest is not None:
        columns["Latest"] = [latest[each.name].version for each in distributions]
        columns["Type"] = [latest[each.name].filetype for each in distributions]
    builds = [build_tag(each) for each in distributions]
    if any(builds):
        columns["Build"] = builds
    editables = [str(each.editable_location or "") for each in distributions]
    if any(editables):
        columns["Editable project location"] = editables
    if verbose:
        columns["Location"] = [str(each.location) for each in distributions]
        columns["Installer"] = [each.installer for each in distributions]
    return _table(columns)


def _table(columns: Mapping[str, Sequence[str]]) -> list[str]:
    sizes = [max(map(len, (heading, *cells))) for heading, cells in columns.items()]
    rows = [
        tuple(columns),
        tuple("-" * size for size in sizes),
        *zip(*columns.values(), strict=True),
    ]
    return [" ".join(map(str.ljust, row, sizes)).rstrip() for row in rows]


def build_tag(distribution: InstalledDistribution) -> str:
    """The build number of the wheel it came from; empty for most."""
    for line in (distribution.read_text("WHEEL") or "").splitlines():
        key, _, value = line.partition(":")
        if key.strip().lower() == "build":
            return value.strip()
    return ""


def as_freeze(
    distributions: Iterable[InstalledDistribution], *, verbose: bool = False
) -> list[str]:
    """``name==version`` each, whatever they were installed from."""
    return [
        f"{pinned(each)} ({each.location})" if verbose else pinned(each) for each in distributions
    ]


def as_json(
    distributions: Iterable[InstalledDistribution],
    *,
    verbose: bool = False,
    latest: Mapping[NormalizedName, Latest] | None = None,
) -> str:
    """A JSON array on one line, with pip's keys."""
    data = []
    for each in distributions:
        entry = {"name": each.raw_name, "version": _display_version(each)}
        if verbose:
            entry |= {"location": str(each.location), "installer": each.installer}
        if latest is not None:
            found = latest[each.name]
            entry |= {"latest_version": found.version, "latest_filetype": found.filetype}
        if each.editable_location is not None:
            entry["editable_project_location"] = os.fspath(each.editable_location)
        data.append(entry)
    return json.dumps(data)


def _display_version(distribution: InstalledDistribution) -> str:
    return pinned(distribution).partition("==")[2].removeprefix("=")
