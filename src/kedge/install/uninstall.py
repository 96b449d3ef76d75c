"""Which files go when a distribution is removed; decides, and changes nothing.

pip's rules (``req_uninstall.py``): the files that were recorded, what Python compiled of them, and
the folders that are empty then. Files that nobody recorded stay, with their folders. What a
record claims outside the environment is refused, and so is removing what has no record.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from kedge.classes import field, frozen, mutable
from kedge.environment.installed import InstalledDistribution, Kind
from kedge.environment.interpreter import Interpreter
from kedge.environment.scheme import Scheme, scheme_for
from kedge.errors import InstallError, TargetError
from kedge.install import files
from kedge.install.entry_points import parse_entry_points
from kedge.install.plan import InstallReporter


@frozen
class Bounds:
    """Where things may be removed. All paths are real and absolute.

    ``roots`` are the folders below which they may. ``kept`` are folders that stay even when
    nothing is left in them, ``own`` the files without which it is no environment: they belong to
    no distribution, whatever one claims. Distributions in ``standard_library`` are not touched at
    all. ``programs`` maps a folder of packages to where programs go with it.
    """

    roots: tuple[str, ...]
    kept: frozenset[str]
    own: frozenset[str]
    standard_library: frozenset[str]
    programs: Mapping[str, str]

    def holds(self, path: str) -> bool:
        """Whether a real path lies below one of the roots."""
        return any(path.startswith(root + os.sep) or path == root for root in self.roots)


def bounds_of(interpreter: Interpreter, scheme: Scheme) -> Bounds:
    """The bounds of an environment.

    Those of a virtual environment are the environment, and where a link has its packages.
    """
    prefix = files.real(interpreter.prefix)
    own = scheme_for(interpreter)
    schemes = [scheme, own]
    roots = [prefix, *map(files.real, own.libraries)]
    if not interpreter.is_venv:
        if interpreter.user_site is not None and "user" in interpreter.schemes:
            schemes.append(scheme_for(interpreter, user=True))
        roots += [files.real(folder) for one in schemes for folder in _folders(one)]
    kept = {files.real(folder) for one in schemes for folder in _folders(one)}
    kept |= {prefix, os.path.join(prefix, "include"), os.path.join(prefix, "Include")}
    return Bounds(
        roots=tuple(dict.fromkeys(roots)),
        kept=frozenset(kept),
        own=_own_files(interpreter, own),
        standard_library=frozenset(
            {files.real(interpreter.stdlib), files.real(interpreter.platstdlib)}
        ),
        programs={
            files.real(folder): os.fspath(one.scripts)
            for one in schemes
            for folder in (one.purelib, one.platlib)
        },
    )


def _own_files(interpreter: Interpreter, scheme: Scheme) -> frozenset[str]:
    """The Python itself under each of its names, and what makes a folder a virtual environment."""
    major, minor = interpreter.version[:2]
    names = {interpreter.executable.name}
    names |= {f"python{ending}" for ending in ("", major, f"{major}.{minor}")}
    names |= {f"{name}.exe" for name in (*names, "pythonw")} if os.name == "nt" else set()
    folders = {interpreter.executable.parent, scheme.scripts}
    programs = {os.path.join(files.real(folder), name) for folder in folders for name in names}
    return frozenset({*programs, os.path.join(files.real(interpreter.prefix), "pyvenv.cfg")})


def _folders(scheme: Scheme) -> tuple[Path, ...]:
    return scheme.purelib, scheme.platlib, scheme.scripts, scheme.data


@mutable
class Removal:
    """What goes: whole ``trees``, single files by folder, and lines of ``.pth`` files.

    ``names`` maps a real folder to names in it; not all of them need to exist. ``pth`` maps a
    real path to the lines to take out.
    """

    names: dict[str, set[str]] = field(default_factory=dict)
    trees: set[str] = field(default_factory=set)
    pth: dict[str, set[str]] = field(default_factory=dict)
    done: list[InstalledDistribution] = field(default_factory=list)


def decide(
    distributions: Iterable[InstalledDistribution], bounds: Bounds, reporter: InstallReporter
) -> Removal:
    """Everything that goes with these distributions.

    Those outside the environment are left where they are, with a word to the reporter.

    :raises InstallError: one of them cannot be removed, since nobody knows what it consists of.
    """
    removal = Removal()
    for distribution in distributions:
        place = files.real(distribution.installed_location)
        if place in bounds.standard_library:
            reason = "it is part of Python's standard library"
        elif not bounds.holds(place):
            reason = "it is outside the environment"
        else:
            _Collector(distribution, bounds, removal, reporter).collect()
            removal.done.append(distribution)
            continue
        reporter.left_alone(
            distribution.raw_name, f"{distribution} at {place} is not removed: {reason}."
        )
    return removal


class _Collector:
    """Adds what belongs to one distribution."""

    def __init__(
        self,
        distribution: InstalledDistribution,
        bounds: Bounds,
        removal: Removal,
        reporter: InstallReporter,
    ) -> None:
        self._distribution = distribution
        self._bounds = bounds
        self._removal = removal
        self._reporter = reporter
        self._real: dict[str, str] = {}

    def collect(self) -> None:
        distribution = self._distribution
        if distribution.link is not None:
            self._add_develop(distribution.link)
        else:
            match distribution.kind:
                case Kind.DIST_INFO:
                    self._add_recorded()
                case Kind.EGG_INFO:
                    self._add_egg_info()
                case Kind.EGG:
                    self._add_egg()
                case Kind.DISTUTILS:
                    raise InstallError(
                        f"{distribution} cannot be removed: distutils installed it, and did not "
                        "record which files belong to it.",
                        hint="Remove it with what installed it (the system's package manager, "
                        "often), or install over it with --ignore-installed.",
                    )
        if distribution.kind is not Kind.DIST_INFO:
            self._add_programs()

    def _add(self, path: str, *, whole: bool = False) -> None:
        """One path, if it lies within bounds; ``whole``: a folder with all that is in it."""
        folder, name = os.path.split(path)
        real = self._real.get(folder)
        if real is None:
            real = self._real[folder] = files.real(folder)
        final = os.path.join(real, name)
        outside = name in ("", os.curdir, os.pardir) or not self._bounds.holds(real)
        if outside or final in self._bounds.own:
            if os.path.lexists(path):
                self._reporter.refused(Path(path), self._distribution.raw_name)
        elif whole and final not in self._bounds.kept:
            self._removal.trees.add(final)
        else:
            self._removal.names.setdefault(real, set()).add(name)

    def _add_recorded(self) -> None:
        distribution = self._distribution
        entries = self._entries()
        if not entries:
            # Empty, it would let the metadata go and leave the files: nobody would know of them.
            what = "it has no RECORD of its files" if entries is None else "its RECORD is empty"
            who = distribution.installer
            hint = "Install it again over itself first: --ignore-installed --no-deps"
            if who and who not in ("pip", "kedge", "uv"):
                hint = f"Remove it with {who}, which installed it."
            raise InstallError(
                f"{distribution} cannot be removed: {what} ({distribution.dist_info}).",
                hint=hint,
            )
        for path in entries:
            self._add(path)
        # All that is in it says something about the distribution, whoever wrote it.
        self._add(os.fspath(distribution.dist_info), whole=True)

    def _entries(self) -> list[str] | None:
        try:
            found = self._distribution.files()
        except TargetError as exc:
            raise InstallError(
                f"{self._distribution} cannot be removed: {exc.message}", hint=exc.hint
            ) from exc
        return None if found is None else [os.fspath(entry.path) for entry in found]

    def _add_egg_info(self) -> None:
        """What ``setup.py install --single-version-externally-managed`` left."""
        distribution = self._distribution
        entries = self._entries()
        if entries is not None:
            for path in entries:
                self._add(path)
        else:
            place = os.fspath(distribution.location)
            namespaces = (distribution.read_text("namespace_packages.txt") or "").split()
            for name in (distribution.read_text("top_level.txt") or "").split():
                if name not in namespaces and os.path.basename(name) == name:
                    self._add(os.path.join(place, name), whole=True)
                    self._add(os.path.join(place, f"{name}.py"))
        self._add(os.fspath(distribution.dist_info), whole=True)

    def _add_egg(self) -> None:
        """A folder or zip file that ``easy_install`` made, named in ``easy-install.pth``."""
        egg = self._distribution.location
        self._add(os.fspath(egg), whole=True)
        self._add_pth_line(egg.parent, f"./{egg.name}")

    def _add_develop(self, link: Path) -> None:
        """What ``setup.py develop`` left; the project itself stays."""
        self._add(os.fspath(link))
        self._add_pth_line(link.parent, os.fspath(self._distribution.location))

    def _add_pth_line(self, folder: Path, line: str) -> None:
        path = os.path.join(files.real(folder), "easy-install.pth")
        if os.path.isfile(path):
            self._removal.pth.setdefault(path, set()).add(line)

    def _add_programs(self) -> None:
        """Programs that the older formats did not record."""
        place = self._distribution.installed_location
        if self._distribution.kind is Kind.EGG:
            place = place.parent
        programs = self._bounds.programs.get(files.real(place))
        if programs is None:
            return
        text = self._distribution.read_text("entry_points.txt") or ""
        for entry_point in parse_entry_points(text)[0]:
            path = os.path.join(programs, entry_point.name)
            self._add(path)
            if os.name == "nt":
                ending = "-script.pyw" if entry_point.is_gui else "-script.py"
                for suffix in (".exe", ".exe.manifest", ending):
                    self._add(path + suffix)
        for script in _listdir(os.path.join(self._distribution.dist_info, "scripts")):
            self._add(os.path.join(programs, script))


def _listdir(folder: str) -> list[str]:
    try:
        return os.listdir(folder)
    except OSError:
        return []


# --------------------------------------------------------------------------------------------
# Whole folders where possible


def paths_to_move(removal: Removal, kept: frozenset[str]) -> Iterator[str]:
    """The fewest paths whose removal removes it all: folders where nothing of others is left.

    Looks at what is there now. :raises OSError: a folder cannot be read.
    """
    names = {folder: set(inside) for folder, inside in removal.names.items()}
    for tree in removal.trees:
        names.setdefault(os.path.dirname(tree), set()).add(os.path.basename(tree))
    reached, tops = _reached(names, kept)
    pruner = _Pruner(names, frozenset(removal.trees), reached, kept)
    for top in tops:
        _, moves = pruner.look(top)
        yield from moves


def _reached(names: Iterable[str], kept: frozenset[str]) -> tuple[frozenset[str], tuple[str, ...]]:
    """The folders on the way to the names, and those among them to begin with: the kept ones."""
    reached: set[str] = set()
    tops: dict[str, None] = {}
    for folder in names:
        while folder not in reached:
            reached.add(folder)
            parent = os.path.dirname(folder)
            if folder in kept or parent == folder:
                tops[folder] = None
                break
            folder = parent
    return frozenset(reached), tuple(tops)


class _Pruner:
    def __init__(
        self,
        names: dict[str, set[str]],
        trees: frozenset[str],
        reached: frozenset[str],
        kept: frozenset[str],
    ) -> None:
        self._names = names
        self._trees = trees
        self._reached = reached
        self._kept = kept

    def look(
        self, folder: str, compiled_of: frozenset[str] = frozenset()
    ) -> tuple[bool, list[str]]:
        """Whether all in a folder goes, and the paths to move if not all does.

        ``compiled_of`` are the modules whose bytecode goes, if this is their ``__pycache__``.
        """
        names = self._names.get(folder, set())
        modules = frozenset(name[:-3] for name in names if name.endswith(".py"))
        all_goes = True  # of a kept folder nobody asks
        moves: list[str] = []
        foreign: list[str] = []
        try:
            entries = list(os.scandir(folder))
        except (FileNotFoundError, NotADirectoryError):
            return False, []
        for entry in entries:
            name, path = entry.name, entry.path
            inner: list[str] = []
            if not entry.is_dir(follow_symlinks=False):
                goes = name in names or _is_compiled(name, modules, compiled_of)
            elif path in self._trees:
                goes = True
            elif name == "__pycache__" and modules:
                goes, inner = self.look(path, modules)
            elif path in self._reached and path not in self._kept:
                goes, inner = self.look(path)
            else:
                foreign.append(path)
                continue
            moves += [path] if goes else inner
            all_goes = all_goes and goes
        all_goes = all_goes and not any(
            path in self._kept or _holds_files(path) for path in foreign
        )
        return all_goes, moves


def _is_compiled(name: str, beside: frozenset[str], compiled_of: frozenset[str]) -> bool:
    """Whether a file is the bytecode of one of the modules: ``m.pyc`` beside ``m.py``, or
    ``m.<tag>.pyc``, ``m.<tag>.opt-1.pyc`` in ``__pycache__`` (PEP 3147, 488), of any Python.
    """
    if not name.endswith((".pyc", ".pyo")):
        return False
    stem = name[:-4]
    if stem in beside:
        return True
    module, dot, last = stem.rpartition(".")
    if dot and last.startswith("opt-"):
        module = module.rpartition(".")[0]
    return module in compiled_of


def _holds_files(folder: str) -> bool:
    try:
        with os.scandir(folder) as entries:
            return any(
                not entry.is_dir(follow_symlinks=False) or _holds_files(entry.path)
                for entry in entries
            )
    except OSError:
        return True
