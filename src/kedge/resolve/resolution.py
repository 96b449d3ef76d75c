"""The answer: which versions, from which files, in which order; and how it is read off the engine.

Pure: decides by pip's rules what of the answer has to be installed, and what stays as it is.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from kedge.classes import field, frozen, replace
from kedge.model import Hashes
from kedge.resolve.candidates import (
    Candidate,
    ExtrasCandidate,
    FileCandidate,
    InstalledCandidate,
    PythonCandidate,
)
from kedge.resolve.order import installation_order

if TYPE_CHECKING:
    from packaging.utils import NormalizedName
    from packaging.version import Version
    from resolvelib.structs import State

    from kedge.environment import InstalledDistribution
    from kedge.index import IndexFile
    from kedge.resolve.demands import Demand
    from kedge.resolve.problem import Problem


@frozen(kw_only=True)
class Pin:
    """One distribution of the answer.

    ``file`` is what to install, or the installed distribution that stays. ``replaces`` is what has
    to go first, if anything. ``hashes`` are the digests that a file to install must match: the
    user's where there are any (``hashes_by_user``), else those that the index states. ``direct``
    is the URL that was asked for instead of an index (``direct_url.json`` records it).
    ``requested`` is whether the user named it, ``requires`` the projects it needs here.
    """

    name: NormalizedName
    version: Version
    file: IndexFile | InstalledDistribution
    extras: frozenset[NormalizedName] = frozenset()
    requested: bool = False
    direct: str | None = None
    hashes: Hashes = field(default_factory=Hashes)
    hashes_by_user: bool = False
    replaces: InstalledDistribution | None = None
    requires: tuple[NormalizedName, ...] = ()
    kept: bool = False

    def __str__(self) -> str:
        return f"{self.name} {self.version}"


@frozen
class Resolution:
    """Every pin, dependencies before what needs them (cycles are cut at one place)."""

    pins: tuple[Pin, ...]

    @property
    def to_install(self) -> tuple[Pin, ...]:
        return tuple(pin for pin in self.pins if not pin.kept)

    @property
    def kept(self) -> tuple[Pin, ...]:
        return tuple(pin for pin in self.pins if pin.kept)


def read_off(
    state: State[Demand, Candidate, str], problem: Problem, hashes: Mapping[NormalizedName, Hashes]
) -> Resolution:
    """The engine's last state as pins. ``hashes`` are the user's, by project.

    With ``--only-deps`` without what the user named, whoever else requires it (pip's rule).
    """
    edges = _edges_from_root(state)
    mapping = {child: state.mapping[child] for _, child in edges}
    bases = {
        candidate.name: candidate
        for candidate in mapping.values()
        if isinstance(candidate, FileCandidate | InstalledCandidate)
    }
    extras: dict[NormalizedName, frozenset[NormalizedName]] = {}
    for candidate in mapping.values():
        if isinstance(candidate, ExtrasCandidate):
            name = candidate.name
            extras[name] = extras.get(name, frozenset()) | candidate.extras
    requires = _required_projects(mapping, edges)
    return Resolution(
        tuple(
            replace(
                pin_of(bases[name], problem, hashes),
                extras=extras.get(name, frozenset()),
                requested=name in requires[None],
                requires=tuple(sorted(requires.get(name, ()))),
            )
            for name in installation_order(bases, edges)
            if not (problem.only_deps and name in requires[None])
        )
    )


def _edges_from_root(state: State[Demand, Candidate, str]) -> list[tuple[str | None, str]]:
    """Who requires whom, for what the user's request (``None``) leads to.

    What was pinned on the way and is required no more stays in the engine's state, sometimes as a
    cycle; resolvelib's own result does not come to an end there.
    """
    names: dict[int, str | None] = {id(pin): name for name, pin in state.mapping.items()}
    names[id(None)] = None
    children: dict[str | None, dict[str, None]] = {}
    for name, criterion in state.criteria.items():
        for parent in criterion.iter_parent():
            if id(parent) in names:
                children.setdefault(names[id(parent)], {})[name] = None
    edges: list[tuple[str | None, str]] = []
    reached: set[str] = set()
    queue: list[str | None] = [None]
    while queue:
        by = queue.pop()
        for child in children.get(by, ()):
            edges.append((by, child))
            if child not in reached:
                reached.add(child)
                queue.append(child)
    return edges


def pin_of(
    candidate: FileCandidate | InstalledCandidate,
    problem: Problem,
    hashes: Mapping[NormalizedName, Hashes],
) -> Pin:
    """What choosing that candidate comes to, whoever requires it."""
    name, version = candidate.name, candidate.version
    if isinstance(candidate, InstalledCandidate):
        return Pin(name=name, version=version, file=candidate.distribution, kept=True)
    installed = None if problem.ignore_installed else problem.installed.get(name)
    if installed is not None and _stays(candidate, installed, force=problem.force_reinstall):
        return Pin(name=name, version=version, file=installed, kept=True)
    return pin_of_file(candidate.file, problem, hashes, direct=candidate.direct)


def pin_of_file(
    file: IndexFile,
    problem: Problem,
    hashes: Mapping[NormalizedName, Hashes],
    *,
    direct: str | None = None,
) -> Pin:
    """What is to be installed from that file, in the place of what is installed."""
    by_user = hashes.get(file.name)
    return Pin(
        name=file.name,
        version=file.version,
        file=file,
        direct=direct,
        hashes=by_user or file.hashes,
        hashes_by_user=bool(by_user),
        replaces=None if problem.ignore_installed else problem.installed.get(file.name),
    )


def _stays(candidate: FileCandidate, installed: InstalledDistribution, *, force: bool) -> bool:
    """pip's rules for a chosen file whose project is installed: the same version stays.

    Unless it is forced, editable before or after, or chosen from a source that may have changed.
    """
    if force or installed.version != candidate.version:
        return False
    if candidate.file.editable or installed.editable_location is not None:
        return False
    return candidate.file.is_wheel or candidate.file.local is None


def _required_projects(
    mapping: Mapping[str, Candidate], edges: Iterable[tuple[str | None, str]]
) -> dict[NormalizedName | None, set[NormalizedName]]:
    """For each project (``None``: the user) those that it requires; nodes for extras are merged."""
    requires: dict[NormalizedName | None, set[NormalizedName]] = {None: set()}
    for parent, child in edges:
        needed = mapping[child]
        by = mapping[parent].name if parent is not None else None
        if not isinstance(needed, PythonCandidate) and needed.name != by:
            requires.setdefault(by, set()).add(needed.name)
    return requires
