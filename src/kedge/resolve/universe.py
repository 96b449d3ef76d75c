"""Candidates and demands, made once each: pip's rules for what a requirement stands for.

It turns requirements into demands and demands into candidates, lazily (pip's ``Factory``). In which
order things are decided is the provider's business; why it failed is told by
:mod:`kedge.resolve.explain`. For the engine's thread only.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING

from packaging.utils import NormalizedName, canonicalize_name

from kedge.errors import BuildError, NeedsBuildError, ResolutionError
from kedge.model import Hashes, redact_url
from kedge.resolve.answers import Grounds
from kedge.resolve.candidates import (
    Base,
    Candidate,
    ExtrasCandidate,
    FileCandidate,
    InstalledCandidate,
    PythonCandidate,
    split_identifier,
)
from kedge.resolve.constraints import url_key
from kedge.resolve.demands import (
    Demand,
    ExplicitDemand,
    ImpossibleDemand,
    PythonDemand,
    SpecifierDemand,
)
from kedge.resolve.hashing import check_hashed
from kedge.resolve.library import Library, UnusableFileError
from kedge.resolve.problem import Direct

if TYPE_CHECKING:
    from packaging.specifiers import SpecifierSet

    from kedge.environment import CoreMetadata
    from kedge.index import IndexFile
    from kedge.requirements import Requested
    from kedge.resolve.catalogue import Wanted
    from kedge.resolve.constraints import Constraint
    from kedge.resolve.problem import Problem, Source
    from kedge.resolve.report import ResolveReporter
    from kedge.resolve.target import Target

Extras = frozenset[NormalizedName]
NO_EXTRAS: Extras = frozenset()


class BuildWantedError(Exception):
    """The engine chose something that only a build can describe, and there is none, or it failed.

    Never leaves this layer.
    """

    def __init__(self, candidate: Candidate, error: NeedsBuildError | BuildError) -> None:
        super().__init__(str(candidate))
        self.candidate = candidate
        self.error = error


#: Demands that name their one candidate.
_BY_NAME = (ExplicitDemand, PythonDemand)


class Universe:
    """Everything that could be chosen in one resolution."""

    def __init__(
        self,
        problem: Problem,
        source: Source,
        reporter: ResolveReporter,
        *,
        library: Library,
        target: Target,
        constraints: dict[NormalizedName, Constraint],
        hashes: dict[NormalizedName, Hashes],
    ) -> None:
        self.constraints = constraints
        self._problem = problem
        self._source = source
        self._reporter = reporter
        self._library = library
        self._target = target
        self._hashes = hashes
        self._python = PythonCandidate(target.python)
        self._files: dict[str, FileCandidate] = {}
        self._direct: dict[object, FileCandidate] = {}
        self._installed: dict[NormalizedName, InstalledCandidate] = {}
        self._with_extras: dict[tuple[int, Extras], ExtrasCandidate] = {}
        self._dependencies: dict[int, tuple[Demand, ...]] = {}
        self._unusable: dict[str, ImpossibleDemand] = {}
        self._names: set[NormalizedName] = set()
        self._described: dict[str, IndexFile] = {}
        #: Called with the files that come next, when the first choices were refused.
        self.upcoming: Callable[[Iterable[IndexFile]], None] = lambda files: None
        #: Called with everything that a candidate demands, before any of it is looked at.
        self.announced: Callable[[Iterable[Demand]], None] = lambda demands: None

    # -- demands

    def roots(self) -> tuple[list[Demand], dict[str, int]]:
        """The user's demands, and by identifier the place of each in the user's order."""
        demands: list[Demand] = []
        order: dict[str, int] = {}
        for place, requested in enumerate(self._problem.requested):
            if not self._target.applies(requested.marker):
                self._reporter.notice(
                    f"Ignoring {requested.text}: its marker does not apply to this environment."
                )
                continue
            found = list(self._demands_of_requested(requested))
            order.setdefault(found[0].identifier, place)
            demands.extend(found)
        # Those with extras last, so that the base's limits are known when they are looked at.
        demands.sort(key=lambda demand: demand.identifier != demand.name)
        return demands, order

    def _demands_of_requested(self, requested: Requested) -> Iterator[Demand]:
        extras = frozenset(canonicalize_name(extra) for extra in requested.extras)
        if requested.url is not None:
            yield from self._demands_of_url(requested.name, requested.url, extras, requested)
        elif requested.name is not None:
            specifier = requested.specifier
            yield from self._demands_of_range(requested.name, specifier, extras, requested)

    def _demands_of_range(
        self,
        name: NormalizedName,
        specifier: SpecifierSet,
        extras: Extras,
        requested: Requested | None = None,
    ) -> Iterator[Demand]:
        # A limit on name[extra] is one on name as well: said separately, it is known earlier.
        if extras and specifier:
            yield SpecifierDemand(name, specifier, NO_EXTRAS, requested)
        yield SpecifierDemand(name, specifier, extras, requested)

    def _demands_of_url(
        self, name: str | None, url: str, extras: Extras, requested: Requested | None = None
    ) -> Iterator[Demand]:
        candidate = self._direct_candidate(url, requested)
        if self._target.rank(candidate.file) is None:
            raise ResolutionError(
                f"{candidate.file.filename} is not a wheel for this platform and Python.",
                hint=f"Its tags are {', '.join(sorted(map(str, candidate.file.tags)))}.",
            )
        if name is not None and canonicalize_name(name) != candidate.name:
            reason = f"the file at {redact_url(url)} is {candidate}"
            yield ImpossibleDemand(canonicalize_name(name), reason, requested)
            return
        yield ExplicitDemand(candidate, requested)
        if extras:
            yield ExplicitDemand(self.with_extras(candidate, extras), requested)

    # -- candidates

    def find(
        self,
        identifier: str,
        requirements: Mapping[str, Iterator[Demand]],
        incompatible: Iterable[Candidate],
        *,
        prefer_installed: bool,
    ) -> list[Candidate] | Callable[[], Iterator[Candidate]]:
        """The candidates that satisfy, most preferred first (pip's ``find_candidates``)."""
        name, extras = split_identifier(identifier)
        demands = list(requirements[identifier])
        of_base = list(requirements.get(name, ())) if extras else []
        limits = [one for one in (*demands, *of_base) if isinstance(one, SpecifierDemand)]
        explicit = dict.fromkeys(self._explicit(demands, of_base, extras))
        constraint = self.constraints.get(name)
        if limits and constraint is not None and constraint.urls:
            constrained = self._constrained(constraint, extras)
            if not constrained:
                return []
            explicit.update(dict.fromkeys(constrained))
        excluded = {id(candidate) for candidate in incompatible}
        if explicit:
            return [
                candidate
                for candidate in explicit
                if id(candidate) not in excluded
                and (constraint is None or constraint.admits(candidate))
                and all(demand.is_satisfied_by(candidate) for demand in demands)
            ]
        if not limits:
            return []
        self._names.add(name)
        wanted = self._library.wanted(name, (demand.specifier for demand in limits))
        merge = self._installed_first if prefer_installed else self._newest_first
        return lambda: (
            candidate
            for candidate in merge(name, extras, wanted, excluded)
            if id(candidate) not in excluded
        )

    def _explicit(
        self, demands: list[Demand], of_base: list[Demand], extras: Extras
    ) -> Iterator[Candidate]:
        """The candidates that are demanded by name and no other."""
        for demand in demands:
            if isinstance(demand, _BY_NAME) and demand.candidate is not None:
                yield demand.candidate
        for demand in of_base:
            if isinstance(demand, ExplicitDemand) and isinstance(demand.candidate, Base):
                yield self.with_extras(demand.candidate, extras)

    def _constrained(self, constraint: Constraint, extras: Extras) -> list[Candidate]:
        """The files that URL constraints name; none when one of them does not fit here."""
        found: list[Candidate] = []
        for url in constraint.urls:
            candidate = self._direct_candidate(url)
            if self._target.rank(candidate.file) is None or candidate.name != constraint.name:
                return []
            found.append(self._dressed(candidate, extras))
        return found

    def _installed_first(
        self, name: NormalizedName, extras: Extras, wanted: Wanted, excluded: set[int]
    ) -> Iterator[Candidate]:
        """What is installed, then the index without that version. The index may never be asked."""
        installed = self._installed_candidate(name, extras, wanted, excluded)
        if installed is not None:
            yield installed
        done = installed.version if installed is not None else None
        yield from (
            found for found in self._available(name, extras, wanted) if found.version != done
        )

    def _newest_first(
        self, name: NormalizedName, extras: Extras, wanted: Wanted, excluded: set[int]
    ) -> Iterator[Candidate]:
        """The index, and what is installed in its place: before the same version, if not newest."""
        installed = self._installed_candidate(name, extras, wanted, excluded)
        for candidate in self._available(name, extras, wanted):
            if installed is not None and installed.version >= candidate.version:
                yield installed
                installed = None
            yield candidate
        if installed is not None:
            yield installed

    def _available(
        self, name: NormalizedName, extras: Extras, wanted: Wanted
    ) -> Iterator[Candidate]:
        """The index's candidates, one for each version unless that one proves unusable."""
        matches = self._library.matches(name, wanted)
        done = set()
        for place, file in enumerate(matches):
            if place:
                self.upcoming(matches.peek(place, min(2 * place, 8)))
            if file.version in done or file.url in self._unusable:
                continue
            yield self._dressed(self._file_candidate(file), extras)
            if file.url not in self._unusable:
                done.add(file.version)

    def _installed_candidate(
        self, name: NormalizedName, extras: Extras, wanted: Wanted, excluded: set[int]
    ) -> Candidate | None:
        distribution = self._library.fitting_installed(name, wanted)
        if distribution is None:
            return None
        if name not in self._installed:
            self._installed[name] = InstalledCandidate(name, distribution)
        candidate = self._dressed(self._installed[name], extras)
        return None if id(candidate) in excluded else candidate

    def with_extras(self, base: Base, extras: Extras) -> ExtrasCandidate:
        key = (id(base), extras)
        if key not in self._with_extras:
            self._with_extras[key] = ExtrasCandidate(base, extras)
        return self._with_extras[key]

    def _dressed(self, base: Base, extras: Extras) -> Candidate:
        return self.with_extras(base, extras) if extras else base

    def _file_candidate(self, file: IndexFile) -> FileCandidate:
        if file.url not in self._files:
            self._files[file.url] = FileCandidate(file)
        return self._files[file.url]

    def _direct_candidate(self, url: str, requested: Requested | None = None) -> FileCandidate:
        wanted = Direct(url)
        if requested is not None:
            wanted = Direct(
                url,
                requested.hashes,
                editable=requested.editable,
                name=requested.name,
                config_settings=requested.config_settings,
            )
        key = (url_key(url), wanted.editable)
        if key not in self._direct:
            self._direct[key] = FileCandidate(self._source.direct(wanted), direct=url)
        return self._direct[key]

    # -- what the answer rests on

    def grounds(self) -> Grounds | None:
        """What the engine looked at; ``None`` where that is more than pages and wheels."""
        files = self._described.values()
        if self._direct or self._unusable or not all(file.is_wheel for file in files):
            return None
        return Grounds(self._library.asked, self._names, files)

    # -- what a candidate demands

    def dependencies(self, candidate: Candidate) -> tuple[Demand, ...]:
        """What the candidate demands; its metadata is fetched at the first call."""
        known = self._dependencies.get(id(candidate))
        if known is None:
            try:
                known = tuple(self._demands_of(candidate))
            except UnusableFileError as error:
                known = (self._discard(candidate, str(error)),)
            except (NeedsBuildError, BuildError) as error:
                raise BuildWantedError(candidate, error) from error
            self._dependencies[id(candidate)] = known
            self.announced(known)
        return known

    def _demands_of(self, candidate: Candidate) -> Iterator[Demand]:
        match candidate:
            case PythonCandidate():
                return
            case InstalledCandidate():
                yield from self._requires(candidate.distribution.metadata, NO_EXTRAS)
            case FileCandidate():
                check_hashed(candidate, self._problem, self._hashes)
                metadata = self._metadata(candidate.file)
                if metadata.requires_python and not self._problem.ignore_requires_python:
                    fits = self._target.fits_python(metadata.requires_python)
                    yield PythonDemand(metadata.requires_python, self._python if fits else None)
                yield from self._requires(metadata, NO_EXTRAS)
            case ExtrasCandidate():
                yield from self._demands_with_extras(candidate)

    def _demands_with_extras(self, candidate: ExtrasCandidate) -> Iterator[Demand]:
        base = candidate.base
        yield ExplicitDemand(base)
        if self._problem.no_deps:
            return
        if isinstance(base, FileCandidate):
            check_hashed(base, self._problem, self._hashes)
            metadata = self._metadata(base.file)
        else:
            metadata = base.distribution.metadata
        provided = {canonicalize_name(extra) for extra in metadata.provides_extra}
        for extra in sorted(candidate.extras - provided):
            self._reporter.warn(f"{base.name} {base.version} has no extra named {extra}.")
        yield from self._requires(metadata, candidate.extras & provided)

    def _metadata(self, file: IndexFile) -> CoreMetadata:
        self._described[file.url] = file
        return self._library.metadata(file)

    def _requires(self, metadata: CoreMetadata, extras: Extras) -> Iterator[Demand]:
        for requirement in self._library.requirements(metadata, extras):
            name = canonicalize_name(requirement.name)
            wanted = frozenset(canonicalize_name(extra) for extra in requirement.extras)
            if requirement.url:
                yield from self._demands_of_url(name, requirement.url, wanted)
            else:
                yield from self._demands_of_range(name, requirement.specifier, wanted)

    def _discard(self, candidate: Candidate, reason: str) -> ImpossibleDemand:
        """Remember that the file is of no use, so that another of the same version can be tried."""
        base = candidate.base if isinstance(candidate, ExtrasCandidate) else candidate
        if not isinstance(base, FileCandidate):
            raise TypeError(f"only files have metadata to doubt, not {candidate}")
        url = base.file.url
        if url not in self._unusable:
            self._reporter.warn(f"Ignoring {base.file.filename}: {reason}.")
            self._unusable[url] = ImpossibleDemand(base.name, reason)
        return self._unusable[url]
