"""Whether what is installed fits together: what ``pip check`` asks, before or after a change.

Pure over names, versions and requirements; knows neither files nor how they were read.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import TYPE_CHECKING

from kedge.classes import frozen
from kedge.environment.installed import InstalledDistribution
from kedge.environment.metadata import normalized
from kedge.errors import KedgeError

if TYPE_CHECKING:
    from packaging.requirements import Requirement
    from packaging.utils import NormalizedName
    from packaging.version import Version


@frozen
class Package:
    """One installed package: ``requires`` are the requirements that apply to it here."""

    name: NormalizedName
    version: Version
    requires: tuple[Requirement, ...]


@frozen
class Conflict:
    """A requirement of ``package`` that is not met; ``found`` is ``None`` when it is missing."""

    package: Package
    requirement: Requirement
    found: Version | None

    def __str__(self) -> str:
        who = f"{self.package.name} {self.package.version}"
        if self.found is None:
            return f"{who} requires {self.requirement}, which is not installed."
        name = normalized(self.requirement.name)
        return f"{who} requires {self.requirement}, but {name} {self.found} is installed."


def packages_of(
    distributions: Iterable[InstalledDistribution],
    markers: Mapping[str, str],
    *,
    fitting: Collection[str] = (),
) -> tuple[dict[NormalizedName, Package], tuple[str, ...]]:
    """The packages to check, and a sentence for each whose metadata cannot be read.

    Of those named in ``fitting`` it is known that what they require is there, and not asked.
    """
    packages: dict[NormalizedName, Package] = {}
    unreadable = []
    for distribution in distributions:
        package = _package(distribution, markers, fits=distribution.name in fitting)
        if isinstance(package, Package):
            packages[distribution.name] = package
        else:
            unreadable.append(f"{distribution.name} was not checked: {package.message}")
    return packages, tuple(unreadable)


def _package(
    distribution: InstalledDistribution, markers: Mapping[str, str], *, fits: bool
) -> Package | KedgeError:
    try:
        requires = () if fits else tuple(distribution.metadata.requirements(markers))
        return Package(distribution.name, distribution.version, requires)
    except KedgeError as exc:
        return exc


def conflicts(
    packages: Mapping[NormalizedName, Package],
    *,
    concerning: Collection[NormalizedName] | None = None,
) -> tuple[Conflict, ...]:
    """The unmet requirements, by package name. Pre-releases count as versions like any other.

    With ``concerning``, only those of these packages and of what requires one of them: what a
    change can have broken (as pip warns after an install).
    """
    found = []
    for name in sorted(packages):
        package = packages[name]
        if concerning is not None and not _concerns(package, concerning):
            continue
        for requirement in sorted(set(package.requires), key=str):
            other = packages.get(normalized(requirement.name))
            if other is None:
                found.append(Conflict(package, requirement, None))
            elif not requirement.specifier.contains(other.version, prereleases=True):
                found.append(Conflict(package, requirement, other.version))
    return tuple(found)


def _concerns(package: Package, names: Collection[NormalizedName]) -> bool:
    return package.name in names or any(
        normalized(requirement.name) in names for requirement in package.requires
    )
