"""What is to be resolved: the question, as one frozen value, and the rules that belong to it.

Nothing here looks anything up: no index, no file, no running interpreter. The meanings are those of
pip's options, which each docstring names.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import TYPE_CHECKING, Protocol

from packaging.utils import NormalizedName, canonicalize_name

from kedge.classes import field, frozen
from kedge.model import Hashes

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from packaging.tags import Tag

    from kedge.environment import CoreMetadata, InstalledDistribution
    from kedge.index import IndexFile
    from kedge.requirements import Requested


@frozen
class Direct:
    """A direct URL, and what stood beside it: the project's name, if it was written.

    ``config_settings`` are for a build backend.
    """

    url: str
    hashes: Hashes = field(default_factory=Hashes)
    editable: bool = False
    name: NormalizedName | None = None
    config_settings: Mapping[str, str | tuple[str, ...]] = field(default_factory=dict, hash=False)


class Source(Protocol):
    """What the resolver needs to know of the indexes. Calls come from several threads at once.

    Every method may raise what the network and the files behind it give rise to
    (:class:`~kedge.errors.TransportError`, :class:`~kedge.errors.HashMismatchError`, ...): the
    resolver lets that pass, and never takes it for "not found".
    """

    def files(self, name: NormalizedName) -> Sequence[IndexFile]:
        """Every file of the project: those of ``--find-links`` first, then index by index.

        Empty when no place has the project. Among files that are equal in everything the
        resolver looks at, the *last* is preferred, as in pip.
        """

    def metadata(self, file: IndexFile) -> CoreMetadata:
        """The core metadata, whose name and version are the file's.

        :class:`~kedge.errors.PageError` when it cannot be read: the file is then passed over, as
        pip does. A source distribution may be built for it, so this is asked of one only when it
        is chosen, and by the caller's thread alone; :class:`~kedge.errors.BuildError` ends the
        search.
        """

    def direct(self, requested: Direct) -> IndexFile:
        """The file behind a direct URL (``file:`` for a local path). A wheel need not be fetched
        yet; sources tell their name and version only when they are built. For the caller's thread.
        """

    def searched(self) -> Sequence[str]:
        """The places that were looked at, for a message: redacted URLs and paths."""


class UpgradeStrategy(Enum):
    """``--upgrade`` and ``--upgrade-strategy``: which installed distributions may be replaced."""

    #: Without ``--upgrade``: what is installed stays, as long as it satisfies.
    NONE = "to-satisfy-only"
    #: What was named is upgraded, its dependencies only where they no longer satisfy.
    ONLY_IF_NEEDED = "only-if-needed"
    #: Everything is upgraded.
    EAGER = "eager"


ALL = ":all:"
_NONE = ":none:"


@frozen
class _Names:
    """Two sets of project names, either of which may be ``:all:``; a name is in one at most."""

    first: frozenset[str] = frozenset()
    second: frozenset[str] = frozenset()

    def says(self, name: NormalizedName) -> int:
        """1 or 2 for the set that covers ``name`` (an exact name beats ``:all:``), else 0."""
        if name in self.first:
            return 1
        if name in self.second:
            return 2
        if ALL in self.first:
            return 1
        return 2 if ALL in self.second else 0

    def __str__(self) -> str:
        return f"{','.join(sorted(self.first))};{','.join(sorted(self.second))}"

    def add_first(self, value: str) -> _Names:
        return _Names(*_fold(value, self.first, self.second))

    def add_second(self, value: str) -> _Names:
        second, first = _fold(value, self.second, self.first)
        return _Names(first, second)


def fold_names(value: str, names: frozenset[str]) -> frozenset[str]:
    """Names with one more option value: ``:all:`` and ``:none:`` reset, others are added.

    >>> sorted(fold_names("Spam,eggs", frozenset(["ham"])))
    ['eggs', 'ham', 'spam']
    """
    return _fold(value, names, frozenset())[0]


def _fold(
    value: str, target: frozenset[str], other: frozenset[str]
) -> tuple[frozenset[str], frozenset[str]]:
    """pip's rule for one option value: ``:all:`` and ``:none:`` reset, a name moves over."""
    names = value.split(",")
    while ALL in names:
        target, other = frozenset([ALL]), frozenset()
        names = names[names.index(ALL) + 1 :]
        if _NONE not in names:
            return target, other
    for name in names:
        if name == _NONE:
            target = frozenset()
            continue
        normal = canonicalize_name(name.strip())
        target, other = target | {normal}, other - {normal}
    return target, other


@frozen
class FormatControl:
    """``--no-binary`` and ``--only-binary``: which kinds of file a project may come from.

    Values are folded in the order in which they were given, since the later one wins.

    >>> control = FormatControl().only_binary(":all:").no_binary("Spam,eggs")
    >>> control.allows_wheels("spam"), control.allows_sdists("spam")
    (False, True)
    >>> control.allows_wheels("ham"), control.allows_sdists("ham")
    (True, False)
    """

    _names: _Names = field(default_factory=_Names)

    def no_binary(self, value: str) -> FormatControl:
        return FormatControl(self._names.add_first(value))

    def only_binary(self, value: str) -> FormatControl:
        return FormatControl(self._names.add_second(value))

    def __str__(self) -> str:
        return str(self._names)

    def allows_wheels(self, name: str) -> bool:
        return self._names.says(canonicalize_name(name)) != 1

    def allows_sdists(self, name: str) -> bool:
        return self._names.says(canonicalize_name(name)) != 2


@frozen
class ReleaseControl:
    """``--all-releases`` (``--pre`` is ``--all-releases :all:``) and ``--only-final``.

    >>> control = ReleaseControl().all_releases(":all:").only_final("spam")
    >>> control.allows_prereleases("spam"), control.allows_prereleases("eggs")
    (False, True)
    >>> ReleaseControl().allows_prereleases("eggs") is None
    True
    """

    _names: _Names = field(default_factory=_Names)

    def all_releases(self, value: str) -> ReleaseControl:
        return ReleaseControl(self._names.add_first(value))

    def only_final(self, value: str) -> ReleaseControl:
        return ReleaseControl(self._names.add_second(value))

    def __str__(self) -> str:
        return str(self._names)

    def allows_prereleases(self, name: str) -> bool | None:
        """Whether pre-releases count; ``None``: where nothing else matches (PEP 440)."""
        return {1: True, 2: False}.get(self._names.says(canonicalize_name(name)))


@frozen(kw_only=True)
class Problem:
    """One request to the resolver.

    ``requested`` is in the order that decides between equals (pip's: arguments, then ``-e``, then
    requirement files). ``installed`` is what the target environment holds, by normalised name.
    ``markers`` is the target's PEP 508 environment (without ``extra``), ``tags`` its wheel tags,
    best first, and ``python_version`` its three numbers, as ``"3.11.7"``. ``only_deps`` leaves out
    of the answer what is ``requested``. ``uploaded_prior_to`` has a time zone.
    """

    requested: tuple[Requested, ...]
    constraints: tuple[Requested, ...] = ()
    installed: Mapping[NormalizedName, InstalledDistribution] = field(default_factory=dict)
    markers: Mapping[str, str]
    tags: Sequence[Tag]
    python_version: str
    upgrade: UpgradeStrategy = UpgradeStrategy.NONE
    formats: FormatControl = field(default_factory=FormatControl)
    releases: ReleaseControl = field(default_factory=ReleaseControl)
    prefer_binary: bool = False
    ignore_requires_python: bool = False
    no_deps: bool = False
    only_deps: bool = False
    uploaded_prior_to: datetime | None = None
    require_hashes: bool = False
    ignore_installed: bool = False
    force_reinstall: bool = False

    @property
    def checks_hashes(self) -> bool:
        """Hash-checking mode: asked for, or switched on by any ``--hash`` (pip's rule)."""
        lines = (*self.requested, *self.constraints)
        return self.require_hashes or any(line.hash_option for line in lines)
