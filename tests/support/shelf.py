"""A source for the resolver that holds a handful of releases, written down in the test.

::

    shelf = Shelf()
    shelf.add("spam", "1.0", requires=["eggs>=2"])
    shelf.resolve("spam", "eggs<3")

Nothing is fetched or parsed from archives. What was asked of it is kept in ``asked``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from packaging.tags import Tag
from packaging.utils import NormalizedName, canonicalize_name

from kedge.environment import CoreMetadata, InstalledDistribution, parse_metadata
from kedge.environment.installed import Kind
from kedge.errors import KedgeError
from kedge.index import IndexFile, Link, direct_file
from kedge.index.files import files_of
from kedge.model import Hashes, Origin, OriginKind
from kedge.requirements import Requested, parse_argument
from kedge.resolve import Direct, Problem, Resolution, ResolveReporter, resolve
from support.wheels import core_metadata

PLATFORM = "linux_x86_64"
TAGS = [
    Tag("cp311", "cp311", PLATFORM),
    Tag("cp311", "abi3", PLATFORM),
    Tag("cp311", "none", "any"),
    Tag("py3", "none", "any"),
    Tag("py2", "none", "any"),
]
MARKERS = {
    "implementation_name": "cpython",
    "implementation_version": "3.11.7",
    "os_name": "posix",
    "platform_machine": "x86_64",
    "platform_python_implementation": "CPython",
    "platform_release": "6.1",
    "platform_system": "Linux",
    "platform_version": "1",
    "python_full_version": "3.11.7",
    "python_version": "3.11",
    "sys_platform": "linux",
}


class Shelf:
    """Releases by name, as a :class:`~kedge.resolve.Source`."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        #: Raised instead of answering, by project name or file name.
        self.failures: dict[str, KedgeError] = {}
        self._files: dict[NormalizedName, list[IndexFile]] = {}
        self._metadata: dict[str, bytes] = {}

    # -- putting things on it

    def add(
        self,
        name: str,
        *versions: str,
        requires: Sequence[str] = (),
        extras: Mapping[str, Sequence[str]] | None = None,
        requires_python: str | None = None,
        stated_python: str | None = None,
        tag: str = "py3-none-any",
        build: str = "",
        yanked: str | None = None,
        sdist: bool = False,
        hashes: tuple[tuple[str, str], ...] = (),
        index: str = "https://index.test/simple",
        metadata: bytes | None = None,
    ) -> Shelf:
        """One file for each version. ``stated_python`` is what the index says of it."""
        for version in versions:
            stem = f"{name.replace('-', '_')}-{version}"
            middle = f"-{build}" if build else ""
            filename = f"{stem}.tar.gz" if sdist else f"{stem}{middle}-{tag}.whl"
            link = Link(
                url=f"{index}/{filename}",
                filename=filename,
                requires_python=stated_python,
                yanked=yanked,
                hashes=hashes,
            )
            project = canonicalize_name(name)
            (file,) = files_of(project, [link], index=index, page_verified=True)
            self._files.setdefault(file.name, []).append(file)
            self._metadata[filename] = metadata or core_metadata(
                name, version, requires=requires, extras=extras, requires_python=requires_python
            )
        return self

    # -- what the resolver asks

    def files(self, name: NormalizedName) -> Sequence[IndexFile]:
        self._note(name)
        return self._files.get(name, [])

    def metadata(self, file: IndexFile) -> CoreMetadata:
        self._note(file.filename)
        return parse_metadata(self._metadata[file.filename], where=file.filename)

    def direct(self, requested: Direct) -> IndexFile:
        self._note(requested.url)
        return direct_file(requested.url, hashes=requested.hashes)

    def searched(self) -> Sequence[str]:
        return ["https://index.test/simple"]

    def _note(self, what: str) -> None:
        self.asked.append(what)
        if what in self.failures:
            raise self.failures[what]

    # -- asking the resolver

    def resolve(
        self,
        *requested: str | Requested,
        installed: Sequence[InstalledDistribution] = (),
        constraints: Sequence[str | Requested] = (),
        reporter: ResolveReporter | None = None,
        threads: int = 0,
        max_rounds: int = 2000,
        **facts: object,
    ) -> Resolution:
        """``facts`` are further fields of :class:`~kedge.resolve.Problem`."""
        problem = Problem(
            requested=tuple(map(asked_for, requested)),
            constraints=tuple(map(asked_for, constraints)),
            installed={one.name: one for one in installed},
            markers=MARKERS,
            tags=TAGS,
            python_version="3.11.7",
        )
        return resolve(
            replace(problem, **facts),  # type: ignore[arg-type]
            self,
            reporter,
            threads=threads,
            max_rounds=max_rounds,
        )

    def versions(self, *requested: str | Requested, **facts: object) -> dict[str, str]:
        """The answer, by name; what stays as it is is marked with ``=``."""
        found = self.resolve(*requested, **facts)  # type: ignore[arg-type]
        return {pin.name: f"{'=' if pin.kept else ''}{pin.version}" for pin in found.pins}


def asked_for(
    requirement: str | Requested, *, line: int | None = None, hashes: Sequence[str] = ()
) -> Requested:
    """What the user wrote: on the command line, or in that line of ``requirements.txt``."""
    if isinstance(requirement, Requested):
        return requirement
    origin = Origin(OriginKind.COMMAND_LINE, requirement)
    if line is not None:
        origin = Origin(OriginKind.FILE, path="requirements.txt", line=line)
    allowed = Hashes(frozenset(("sha256", digest) for digest in hashes))
    return parse_argument(requirement, origin, hashes=allowed)


def on_disk(
    folder: Path,
    name: str,
    version: str,
    *,
    requires: Sequence[str] = (),
    extras: Mapping[str, Sequence[str]] | None = None,
    direct_url: str | None = None,
) -> InstalledDistribution:
    """A distribution that is installed in ``folder``."""
    normal = canonicalize_name(name)
    info = folder / f"{normal.replace('-', '_')}-{version}.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_bytes(core_metadata(name, version, requires=requires, extras=extras))
    (info / "RECORD").write_text("")
    if direct_url is not None:
        (info / "direct_url.json").write_text(direct_url)
    return InstalledDistribution(normal, Kind.DIST_INFO, info, folder)
