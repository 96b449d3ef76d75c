"""What the engine chooses from: one class for each kind of thing that can be pinned.

A candidate is compared by identity; :class:`~kedge.resolve.universe.Universe` makes each once. It
holds no rules: what it requires is the universe's business.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from packaging.utils import NormalizedName

if TYPE_CHECKING:
    from packaging.version import Version

    from kedge.environment import InstalledDistribution
    from kedge.index import IndexFile

#: The identifier of the interpreter; no project can be called so.
PYTHON = NormalizedName("<Python from Requires-Python>")


def identifier(name: str, extras: frozenset[NormalizedName] = frozenset()) -> str:
    """What the engine calls a project, or a project with those extras: ``name[a,b]``."""
    return f"{name}[{','.join(sorted(extras))}]" if extras else name


def split_identifier(text: str) -> tuple[NormalizedName, frozenset[NormalizedName]]:
    """The reverse.

    >>> name, extras = split_identifier("spam[ham,eggs]")
    >>> name, sorted(extras)
    ('spam', ['eggs', 'ham'])
    """
    name, bracket, extras = text.partition("[")
    found = extras.rstrip("]").split(",") if bracket else ()
    return NormalizedName(name), frozenset(NormalizedName(extra) for extra in found)


class FileCandidate:
    """A file from an index, from ``--find-links`` or from a URL of its own (``direct``)."""

    __slots__ = ("direct", "file", "identifier", "name", "version")

    def __init__(self, file: IndexFile, direct: str | None = None) -> None:
        self.file = file
        self.direct = direct
        self.name = file.name
        self.identifier: str = file.name
        self.version = file.version

    def __str__(self) -> str:
        return f"{self.name} {self.version}"


class InstalledCandidate:
    """What is installed, kept as it is."""

    __slots__ = ("distribution", "identifier", "name", "version")

    def __init__(self, name: NormalizedName, distribution: InstalledDistribution) -> None:
        self.distribution = distribution
        self.name = name
        self.identifier: str = name
        self.version = distribution.version

    def __str__(self) -> str:
        return f"{self.name} {self.version} (installed)"


Base: TypeAlias = FileCandidate | InstalledCandidate


class ExtrasCandidate:
    """A base candidate together with extras: it requires exactly that base, and more.

    A node of its own, so that ``spam[a]`` and ``spam[b]`` cannot end at two versions of ``spam``.
    """

    __slots__ = ("base", "extras", "identifier", "name", "version")

    def __init__(self, base: Base, extras: frozenset[NormalizedName]) -> None:
        self.base = base
        self.extras = extras
        self.name = base.name
        self.identifier = identifier(base.name, extras)
        self.version = base.version

    def __str__(self) -> str:
        return f"{self.identifier} {self.version}"


class PythonCandidate:
    """The target's interpreter, of which there is one version to choose."""

    __slots__ = ("identifier", "name", "version")

    def __init__(self, version: Version) -> None:
        self.name = PYTHON
        self.identifier: str = PYTHON
        self.version = version

    def __str__(self) -> str:
        return f"Python {self.version}"


Candidate: TypeAlias = FileCandidate | InstalledCandidate | ExtrasCandidate | PythonCandidate
