"""Why no file of a project will do, in a sentence: what there is instead, and what excludes it.

Pure: reads one :class:`~kedge.resolve.catalogue.Catalogue`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import TYPE_CHECKING

from kedge.classes import frozen
from kedge.resolve.catalogue import Catalogue, Unfit

if TYPE_CHECKING:
    from packaging.version import Version

    from kedge.index import IndexFile
    from kedge.resolve.constraints import Constraint
    from kedge.resolve.demands import SpecifierDemand
    from kedge.resolve.target import Target

#: How many versions, tags or places a sentence lists before it says how many more there are.
_LISTED = 8


@frozen
class Absence:
    """A clause without a full stop, and what to do."""

    text: str
    hint: str | None = None


def why_absent(
    demand: SpecifierDemand,
    catalogue: Catalogue,
    *,
    constraint: Constraint | None,
    target: Target,
    searched: Collection[str],
) -> Absence:
    """Why no file satisfies ``demand`` under ``constraint``, none being chosen for it."""
    name = demand.name
    if not catalogue.files:
        return _no_project(name, searched)
    asked = [version for version in catalogue.versions if _admits(demand, version)]
    if not asked:
        return Absence(f"No version of {name} satisfies {demand}: {_there_are(catalogue)}")
    allowed = asked
    if constraint is not None:
        limits = constraint.specifiers
        allowed = [v for v in asked if all(limit.contains(v, prereleases=True) for limit in limits)]
    if constraint is not None and not allowed:
        lines = " and ".join(f"{line} ({line.origin})" for line in constraint.lines)
        return Absence(
            f"The constraint {lines} excludes every version of {name} that satisfies {demand}, "
            f"such as {list_some(asked)}"
        )
    usable = [version for version in allowed if catalogue.usable(version)]
    if usable:
        return _held_back(demand, catalogue, usable)
    return _unfit(catalogue, allowed, target)


def _admits(demand: SpecifierDemand, version: Version) -> bool:
    return demand.specifier.contains(version, prereleases=True)


def _no_project(name: str, searched: Collection[str]) -> Absence:
    if name == "requirements-txt":
        return Absence("There is no project named requirements.txt", "Did you mean -r?")
    if not searched:
        return Absence(
            f"{name} cannot be found, because there is no place to look",
            "With --no-index, --find-links says where the files are.",
        )
    places = list_some(searched, "or")
    return Absence(f"There is no project named {name} at {places}", "Is the name spelled right?")


def _there_are(catalogue: Catalogue) -> str:
    """The versions that could be chosen here; all of them where none could."""
    usable = [version for version in catalogue.versions if catalogue.usable(version)]
    shown = usable or catalogue.versions
    return f"there {'is' if len(shown) == 1 else 'are'} {list_some(shown)}"


def _held_back(demand: SpecifierDemand, catalogue: Catalogue, usable: Sequence[Version]) -> Absence:
    """Files fit, but are yanked, or are pre-releases that do not count."""
    name = demand.name
    if catalogue.only_final and all(version.is_prerelease for version in usable):
        return Absence(
            f"Only pre-releases of {name} satisfy {demand} ({list_some(usable)}), and only final "
            "releases were asked for",
            f"--all-releases {name} lets them in.",
        )
    yanked = [version for version in usable if not _unyanked(catalogue.usable(version))]
    if len(yanked) == len(usable):
        return Absence(
            f"Every version of {name} that satisfies {demand} was yanked by its authors: "
            f"{list_some(_with_reason(version, catalogue.usable(version)) for version in yanked)}",
            f"{name}=={yanked[0]} installs one all the same.",
        )
    return Absence(
        f"The final versions of {name} that satisfy {demand} were yanked by their authors "
        f"({list_some(yanked)}), and pre-releases do not count where there is a final one",
        "--pre lets pre-releases in.",
    )


def _unyanked(files: Iterable[IndexFile]) -> bool:
    return any(file.yanked is None for file in files)


def _with_reason(version: Version, files: Sequence[IndexFile]) -> str:
    reason = next((file.yanked for file in files if file.yanked), None)
    return f"{version} ({reason})" if reason else str(version)


def _unfit(catalogue: Catalogue, allowed: Sequence[Version], target: Target) -> Absence:
    """No file fits this environment or the formats that were asked for."""
    newest = allowed[0]
    files = [file for file in catalogue.files if file.version == newest]
    reasons = {reason for file in files if (reason := catalogue.unfit(file)) is not None}
    clauses = [_clause(reason, files, catalogue, target) for reason in Unfit if reason in reasons]
    text = f"{catalogue.name} {newest} {' and '.join(clauses)}"
    if len(allowed) > 1:
        text += f"; none of the other {len(allowed) - 1} versions that match fits either"
    usable = [version for version in catalogue.versions if catalogue.usable(version)]
    hint = f"Versions that fit here: {list_some(usable)}." if usable else None
    return Absence(text, hint)


def _clause(reason: Unfit, files: Sequence[IndexFile], catalogue: Catalogue, target: Target) -> str:
    concerned = [file for file in files if catalogue.unfit(file) is reason]
    match reason:
        case Unfit.PYTHON:
            needs = dict.fromkeys(file.requires_python or "" for file in concerned)
            return f"needs Python {' or '.join(needs)}, and this is {target.python}"
        case Unfit.PLATFORM:
            only = "only " if len(concerned) == len(files) else ""
            return f"has wheels {only}for {list_some(_platforms(concerned))}"
        case Unfit.NO_WHEELS:
            return "has wheels, which --no-binary excludes"
        case Unfit.TOO_NEW:
            return "was uploaded too late for --uploaded-prior-to"
        case Unfit.NO_SDISTS:
            return "has a source distribution, which --only-binary excludes"


def _platforms(files: Iterable[IndexFile]) -> list[str]:
    """The tags as the file names have them: ``cp312-cp312-win_amd64``."""
    return sorted({"-".join(file.filename[: -len(".whl")].split("-")[-3:]) for file in files})


def list_some(items: Iterable[object], last: str = "and") -> str:
    """The first few, and how many more: ``3, 2 and 1``.

    >>> list_some(range(20), "or")
    '0, 1, 2, 3, 4, 5, 6, 7 or 12 more'
    """
    words = [str(item) for item in items]
    if len(words) > _LISTED + 1:
        words = [*words[:_LISTED], f"{len(words) - _LISTED} more"]
    if len(words) < 2:
        return "".join(words)
    return f"{', '.join(words[:-1])} {last} {words[-1]}"
