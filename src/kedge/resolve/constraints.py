"""What ``-c`` files add: limits on projects that are needed anyway, never a need of their own."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

from packaging.utils import NormalizedName

from kedge.classes import frozen
from kedge.requirements import check_constraint
from kedge.resolve.candidates import Candidate, ExtrasCandidate, FileCandidate

if TYPE_CHECKING:
    from packaging.specifiers import SpecifierSet

    from kedge.requirements import Requested
    from kedge.resolve.target import Target


@frozen
class Constraint:
    """Everything the constraints say of one project, with where they say it."""

    name: NormalizedName
    lines: tuple[Requested, ...]

    @property
    def specifiers(self) -> tuple[SpecifierSet, ...]:
        return tuple(line.specifier for line in self.lines if line.specifier)

    @property
    def urls(self) -> tuple[str, ...]:
        return tuple(line.url for line in self.lines if line.url)

    def admits(self, candidate: Candidate) -> bool:
        """Whether a candidate that somebody asked for by name or URL may be taken."""
        if self.urls:
            base = candidate.base if isinstance(candidate, ExtrasCandidate) else candidate
            if not isinstance(base, FileCandidate):
                return False
            here = url_key(base.direct or base.file.url)
            if any(url_key(url) != here for url in self.urls):
                return False
        return all(spec.contains(candidate.version, prereleases=True) for spec in self.specifiers)


def collect_constraints(
    lines: Iterable[Requested], target: Target
) -> dict[NormalizedName, Constraint]:
    """The constraints that apply to the target, by project.

    :class:`~kedge.errors.RequirementError` for what pip refuses as a constraint: no name,
    editable, or with extras.
    """
    found: dict[NormalizedName, list[Requested]] = {}
    for line in lines:
        check_constraint(line)
        if line.name is not None and target.applies(line.marker):
            found.setdefault(line.name, []).append(line)
    return {name: Constraint(name, tuple(group)) for name, group in found.items()}


def url_key(url: str) -> object:
    """Equal for URLs that name the same file: userinfo and ``egg=`` do not count (pip's rule)."""
    parts = urlsplit(url)
    netloc = parts.netloc.rpartition("@")[2]
    if parts.scheme == "file" and not netloc:
        netloc = "localhost"
    fragment = parse_qs(parts.fragment)
    told = {key: values[0] for key, values in fragment.items() if key != "egg"}
    query = tuple(sorted((key, tuple(values)) for key, values in parse_qs(parts.query).items()))
    return (parts.scheme.lower(), netloc.lower(), parts.path, query, tuple(sorted(told.items())))
