"""What the source knows, remembered: catalogues, metadata, and which file is the likeliest.

Safe to call from several threads: the engine reads here, and so does what looks ahead of it.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from kedge.errors import PageError
from kedge.resolve.catalogue import Catalogue, Wanted
from kedge.resolve.matches import Matches

if TYPE_CHECKING:
    from packaging.requirements import Requirement
    from packaging.specifiers import SpecifierSet
    from packaging.utils import NormalizedName

    from kedge.environment import CoreMetadata, InstalledDistribution
    from kedge.index import IndexFile
    from kedge.model import Hashes
    from kedge.resolve.constraints import Constraint
    from kedge.resolve.problem import Problem, Source
    from kedge.resolve.target import Target


class UnusableFileError(Exception):
    """A file that has to be passed over; the text is a clause that says why.

    Never leaves this layer.
    """


class Library:
    """One resolution's view of the indexes and of what is installed."""

    def __init__(
        self,
        problem: Problem,
        source: Source,
        *,
        target: Target,
        constraints: dict[NormalizedName, Constraint],
        hashes: dict[NormalizedName, Hashes],
    ) -> None:
        self._problem = problem
        self._source = source
        self._target = target
        self._constraints = constraints
        self._hashes = hashes
        self._lock = threading.Lock()
        self._locks: dict[NormalizedName, threading.Lock] = {}
        self._catalogues: dict[NormalizedName, Catalogue] = {}
        self._metadata: dict[str, CoreMetadata] = {}
        self._matches: dict[tuple[object, ...], Matches] = {}
        #: The projects of which the engine read the pages; what looks ahead of it does not count.
        self.asked: set[NormalizedName] = set()

    def catalogue(self, name: NormalizedName) -> Catalogue:
        """The project's files, fetched at the first call; empty when there is no such project."""
        found = self._catalogues.get(name)
        if found is not None:
            return found
        with self._lock:
            lock = self._locks.setdefault(name, threading.Lock())
        with lock:
            if name not in self._catalogues:
                self._catalogues[name] = Catalogue(
                    name, self._source.files(name), problem=self._problem, target=self._target
                )
            return self._catalogues[name]

    def metadata(self, file: IndexFile) -> CoreMetadata:
        """The file's core metadata; :class:`UnusableFileError` when it cannot be read."""
        found = self._metadata.get(file.url)
        if found is not None:
            return found
        try:
            found = self._source.metadata(file)
            for _ in found.relevant():
                pass  # parsed here, so that what is damaged shows here
        except PageError as error:
            raise UnusableFileError(f"its metadata cannot be used: {error.message}") from error
        self._metadata[file.url] = found
        return found

    def wanted(self, name: NormalizedName, specifiers: Iterable[SpecifierSet]) -> Wanted:
        """What the constraints and the user's hashes add to the specifiers."""
        constraint = self._constraints.get(name)
        both = [*specifiers, *(constraint.specifiers if constraint else ())]
        distinct = {str(specifier): specifier for specifier in both if specifier}
        return Wanted(tuple(distinct.values()), self._hashes.get(name))

    def matches(self, name: NormalizedName, wanted: Wanted) -> Matches:
        """The files that match, remembered. For the engine's thread only."""
        key = (name, frozenset(str(specifier) for specifier in wanted.specifiers))
        found = self._matches.get(key)
        if found is None:
            self.asked.add(name)
            found = self._matches[key] = Matches(self.catalogue(name).matching(wanted))
        return found

    def likeliest(self, name: NormalizedName, wanted: Wanted) -> IndexFile | None:
        """What would be chosen first, were nothing else asked of the project."""
        return next(self.catalogue(name).matching(wanted), None)

    def fitting_installed(
        self, name: NormalizedName, wanted: Wanted
    ) -> InstalledDistribution | None:
        """What is installed, if it counts at all and satisfies."""
        if self._problem.force_reinstall or self._problem.ignore_installed:
            return None
        found = self._problem.installed.get(name)
        return found if found is not None and wanted.admits(found.version) else None

    def requirements(
        self, metadata: CoreMetadata, extras: frozenset[NormalizedName]
    ) -> Iterator[Requirement]:
        """What of ``Requires-Dist`` applies here, with those extras; nothing with ``--no-deps``."""
        if self._problem.no_deps:
            return
        for requirement in metadata.relevant(extras):
            if self._target.applies(requirement.marker, extras):
                yield requirement
