"""Installed distributions as requirements that would install them again: ``kedge freeze``.

Decides the text of each, as pip writes it (``operations/freeze.py``). What an editable project's
repository is, it asks of whoever calls.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from kedge.environment.direct_url import reference
from kedge.environment.installed import InstalledDistribution
from kedge.environment.repository import (
    NAMES,
    ProgramMissing,
    Repository,
    RepositoryUnreadable,
)

if TYPE_CHECKING:
    from packaging.utils import NormalizedName

#: Distributions that the standard library may bring along, and that nobody installed.
STANDARD_LIBRARY = frozenset({"python", "wsgiref", "argparse"})

#: Which repository a project's folder lies in, if any; raises as ``repository_of`` does.
Locate = Callable[[Path], "Repository | None"]


def installers_left_out(python: tuple[int, ...]) -> frozenset[str]:
    """What freeze passes over unless asked for everything: what a fresh environment has anyway.

    A virtual environment brings setuptools and wheel before Python 3.12, as pip has it.
    """
    return frozenset({"pip"} if python >= (3, 12) else {"pip", "setuptools", "distribute", "wheel"})


def freeze(
    distributions: Iterable[InstalledDistribution],
    *,
    skip: Collection[str] = (),
    exclude_editable: bool = False,
    locate: Locate,
    warn: Callable[[str], None] = lambda _: None,
) -> Iterator[str]:
    """The lines of a requirements file, without line ends, by name; comments stand before theirs.

    ``skip`` holds normalised names (:func:`installers_left_out`, and what the user excludes).
    """
    kept = (each for each in distributions if each.name not in skip)
    for distribution in sorted(kept, key=lambda each: each.raw_name.lower()):
        if distribution.editable_location is not None:
            if not exclude_editable:
                yield from _editable(distribution, distribution.editable_location, locate, warn)
        elif distribution.direct_url is not None:
            yield reference(distribution.direct_url, distribution.raw_name)
        else:
            yield pinned(distribution)


def pinned(distribution: InstalledDistribution) -> str:
    """``name==version``; ``===`` for a version that PEP 440 does not know."""
    from packaging.version import Version

    try:
        return f"{distribution.raw_name}=={Version(distribution.version_text)}"
    except ValueError:  # InvalidVersion, or a number with too many digits
        return f"{distribution.raw_name}==={distribution.version_text}"


def _editable(
    distribution: InstalledDistribution,
    project: Path,
    locate: Locate,
    warn: Callable[[str], None],
) -> Iterator[str]:
    location = os.path.normcase(os.path.abspath(project))  # noqa: PTH100 - links are kept
    try:
        repository = locate(Path(location))
    except (ProgramMissing, RepositoryUnreadable) as exc:
        warn(f"The version of the editable project in {location} is not known: {exc}.")
        if isinstance(exc, RepositoryUnreadable):
            yield "## !! Could not determine repository location"
        yield f"-e {location}"
        return
    if repository is not None and repository.url is not None:
        yield f"-e {_vcs_reference(repository, repository.url, distribution.raw_name)}"
        return
    yield from _why_no_reference(repository, pinned(distribution))
    yield f"-e {location}"


def _why_no_reference(repository: Repository | None, display: str) -> Iterator[str]:
    if repository is None:
        yield f"# Editable install with no version control ({display})"
    elif repository.remote is None:
        yield f"# Editable {NAMES[repository.vcs]} install with no remote ({display})"
    else:
        problem = "either a deleted local remote or invalid URI"
        yield f"# Editable {NAMES[repository.vcs]} install ({display}) with {problem}:"
        yield f"# '{repository.remote}'"


def _vcs_reference(repository: Repository, url: str, name: str) -> str:
    line = f"{repository.vcs}+{url}@{quote(repository.commit, '/')}#egg={name.replace('-', '_')}"
    return f"{line}&subdirectory={repository.subdirectory}" if repository.subdirectory else line


def skipped(
    python: tuple[int, ...], *, everything: bool, exclude: Iterable[NormalizedName] = ()
) -> frozenset[str]:
    """The names that freeze leaves out: the user's, the standard library's, the installers'."""
    usual = frozenset() if everything else installers_left_out(python)
    return frozenset(exclude) | STANDARD_LIBRARY | usual
