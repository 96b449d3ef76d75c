"""The files of one project, in the order in which they are preferred.

The rules are those of pip's ``CandidateEvaluator`` and ``LinkEvaluator`` and of the packaging
specifications: wheel tags and build tags, ``Requires-Python`` of the index, yanked files (PEP 592),
pre-releases (PEP 440), ``--only-binary`` and its kin, hashes that the user gave.

Everything is evaluated version by version from the newest down and only as far as somebody reads,
because a project can have thousands of files and the first is nearly always the one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from enum import Enum
from typing import TYPE_CHECKING

from packaging.version import Version

from kedge.classes import frozen
from kedge.errors import ResolutionError
from kedge.index import Releases

if TYPE_CHECKING:
    from packaging.specifiers import SpecifierSet
    from packaging.utils import NormalizedName

    from kedge.index import IndexFile
    from kedge.model import Hashes
    from kedge.resolve.problem import Problem
    from kedge.resolve.target import Target


class Unfit(Enum):
    """Why a file cannot be chosen here, whatever is asked for."""

    PYTHON = "needs another Python"
    PLATFORM = "is for another platform"
    NO_WHEELS = "is a wheel, and --no-binary excludes it"
    TOO_NEW = "was uploaded too late"
    NO_SDISTS = "is a source distribution, and --only-binary excludes it"


@frozen
class Wanted:
    """What a file must satisfy: every specifier (the constraint's among them), and the hashes."""

    specifiers: tuple[SpecifierSet, ...] = ()
    hashes: Hashes | None = None

    def admits(self, version: Version) -> bool:
        """Whether every specifier does; pre-releases are a question of their own."""
        return all(spec.contains(version, prereleases=True) for spec in self.specifiers)

    @property
    def names_prerelease(self) -> bool:
        """Whether a specifier mentions one, as ``>=2.0b1``: all of them are then welcome."""
        return any(spec.prereleases for spec in self.specifiers)

    @property
    def is_pinned(self) -> bool:
        """``==`` without a wildcard, or ``===``: what alone brings a yanked file in (PEP 592)."""
        return any(
            one.operator == "===" or (one.operator == "==" and not one.version.endswith(".*"))
            for spec in self.specifiers
            for one in spec
        )

    @property
    def pin(self) -> Version | None:
        """What every version that is admitted is equal to, but for a local part; if known."""
        for spec in self.specifiers:
            for one in spec:
                if one.operator == "==" and not one.version.endswith(".*"):
                    return _public(Version(one.version))
        return None


def _public(version: Version) -> Version:
    return version if version.local is None else Version(version.public)


class Catalogue:
    """One project's files under one problem."""

    def __init__(
        self, name: NormalizedName, files: Sequence[IndexFile], *, problem: Problem, target: Target
    ) -> None:
        self.name = name
        self.files = files
        self._target = target
        self._wheels = problem.formats.allows_wheels(name)
        self._sdists = problem.formats.allows_sdists(name)
        self._prereleases = problem.releases.allows_prereleases(name)
        self._prefer_binary = problem.prefer_binary
        self._ignore_requires_python = problem.ignore_requires_python
        self._uploaded_prior_to = problem.uploaded_prior_to
        self._releases = files if isinstance(files, Releases) else Releases(files)
        self._versions = self._releases.versions()
        self._usable: dict[Version, tuple[IndexFile, ...]] = {}
        self._by_public: dict[Version, list[Version]] | None = None

    @property
    def versions(self) -> Sequence[Version]:
        """Every version that the indexes have, newest first, usable here or not."""
        return [version for version in self._versions if self._releases.of(version)]

    @property
    def only_final(self) -> bool:
        """Whether ``--only-final`` covers this project."""
        return self._prereleases is False

    def unfit(self, file: IndexFile) -> Unfit | None:
        """Why the file cannot be chosen here, or ``None``. Yanking is another question.

        Raises :class:`~kedge.errors.ResolutionError` where ``--uploaded-prior-to`` asks what the
        index does not say: passing the file over would choose by chance (pip's rule).
        """
        if file.is_wheel and not self._wheels:
            return Unfit.NO_WHEELS
        if self._target.rank(file) is None:
            return Unfit.PLATFORM
        if self._uploaded_prior_to is not None and self._is_too_new(file):
            return Unfit.TOO_NEW
        if not file.is_wheel and not self._sdists:
            return Unfit.NO_SDISTS
        if not self._ignore_requires_python and not self._target.fits_python(file.requires_python):
            return Unfit.PYTHON
        return None

    def _is_too_new(self, file: IndexFile) -> bool:
        """What lies on this machine was uploaded nowhere."""
        if file.local is not None or self._uploaded_prior_to is None:
            return False
        if file.upload_time is None:
            raise ResolutionError(
                f"{file.index} does not say when {file.filename} was uploaded, and "
                "--uploaded-prior-to cannot do without.",
                hint="Use an index that tells upload times, or leave the option out.",
            )
        return file.upload_time >= self._uploaded_prior_to

    def usable(self, version: Version) -> Sequence[IndexFile]:
        """The files of one version that can be chosen here, best first, yanked ones too."""
        try:
            return self._usable[version]
        except KeyError:
            pass
        fit = [file for file in self._releases.of(version) if self.unfit(file) is None]
        fit.sort(key=self._quality)
        # Reversed rather than sorted descending: of equals pip takes the last.
        answer = self._usable[version] = tuple(reversed(fit))
        return answer

    def matching(self, wanted: Wanted) -> Iterator[IndexFile]:
        """The files that can be chosen for ``wanted``, most preferred first, lazily."""
        if wanted.hashes or wanted.is_pinned or self._prefer_binary:
            return iter(self._ranked(wanted))
        groups = self._allowed(self._admitted(wanted), wanted)
        return (file for group in groups for file in group if file.yanked is None)

    def _admitted(self, wanted: Wanted) -> Iterator[Sequence[IndexFile]]:
        """The usable files of each version that the specifiers admit, newest first."""
        pin = wanted.pin
        versions = self._versions if pin is None else self._equal_to(pin)
        return (self.usable(version) for version in versions if wanted.admits(version))

    def _equal_to(self, pin: Version) -> Sequence[Version]:
        if self._by_public is None:
            found: dict[Version, list[Version]] = {}
            for version in self._versions:
                found.setdefault(_public(version), []).append(version)
            self._by_public = found
        return self._by_public.get(pin, ())

    def _ranked(self, wanted: Wanted) -> list[IndexFile]:
        """The same for what needs sight of every matching file before the first is known."""
        groups = self._allowed(self._admitted(wanted), wanted)
        files = [file for group in groups for file in group]
        files = _by_hash(files, wanted.hashes)
        if not (wanted.is_pinned and all(file.yanked is not None for file in files)):
            files = [file for file in files if file.yanked is None]
        files.sort(key=lambda file: self._rank_over_versions(file, wanted), reverse=True)
        return files

    def _rank_over_versions(self, file: IndexFile, wanted: Wanted) -> tuple[bool, bool]:
        """What comes before the version; stable sorting keeps the rest of the order."""
        hashes = wanted.hashes
        return (
            hashes is not None and bool(hashes.allowed & file.hashes.allowed),
            self._prefer_binary and file.is_wheel,
        )

    def _allowed(
        self, groups: Iterable[Sequence[IndexFile]], wanted: Wanted
    ) -> Iterator[Sequence[IndexFile]]:
        """PEP 440's rule: pre-releases where asked for, else where no final release matches.

        A yanked final release counts as one here, although it is passed over later: so does pip.
        """
        allowed = self._prereleases
        if allowed is None and wanted.names_prerelease:
            allowed = True
        held_back: list[Sequence[IndexFile]] = []
        final = False
        for group in groups:
            if not group:
                continue
            if allowed or not group[0].version.is_prerelease:
                final = True
                yield group
            elif allowed is None and not final:
                held_back.append(group)
        if not final:
            yield from held_back

    def _quality(self, file: IndexFile) -> tuple[int, tuple[int, str] | tuple[()]]:
        """Worst first: the tag's rank, then the build tag."""
        rank = self._target.rank(file)
        return (-(rank or 0), file.build)


def _by_hash(files: list[IndexFile], hashes: Hashes | None) -> list[IndexFile]:
    """Without the files that cannot have an allowed digest, if any file is known to have one.

    If none is, all stay: the download then fails with the digest that was found, which is what
    someone who has to update a ``--hash`` wants to read (pip's rule).
    """
    if not hashes:
        return files
    if not any(hashes.allowed & file.hashes.allowed for file in files):
        return files
    return [file for file in files if not file.hashes or hashes.allowed & file.hashes.allowed]
