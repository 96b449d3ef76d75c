"""Everything that a plan adds, laid out ready beside the environment, in which nothing changes yet.

Each file lies in the staging folder of its file system at the place that it will have, so that
whole folders can be renamed. What an installation rewrites (programs, RECORD) is written here and
never shared with the cache.
"""

from __future__ import annotations

import hashlib
import os
import stat
import sysconfig
from collections import Counter, deque
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path

from kedge.cache import Bytecode, Linked, ManifestEntry
from kedge.environment.interpreter import Interpreter
from kedge.environment.scheme import Scheme
from kedge.install import files, partner
from kedge.install.contents import contents_of
from kedge.install.entry_points import EntryPoint, parse_entry_points
from kedge.install.link import Linker
from kedge.install.partner import Part, Partner, is_possible
from kedge.install.plan import Addition, Existing, InstallReporter, LinkMode, Plan
from kedge.install.ready import made_ready
from kedge.install.records import direct_url_json, record_line, spelled
from kedge.install.scripts import launcher_kind, replaces_wrapper, with_shebang, wrapper
from kedge.install.workspace import Area, Workspace

#: What ``INSTALLER`` says.
INSTALLER = "kedge"


# A distribution, and what of it is linked as it is.
Waiting = tuple[Addition, tuple[Part, ...]]


class Places:
    """Where the five parts of wheels go, as real paths, by the keys of ``.data`` folders."""

    def __init__(self, scheme: Scheme) -> None:
        self._common = {
            "purelib": files.real(scheme.purelib),
            "platlib": files.real(scheme.platlib),
            "scripts": files.real(scheme.scripts),
            "data": files.real(scheme.data),
        }
        self._headers = files.real(scheme.headers)

    def of(self, name: str) -> dict[str, str]:
        """Those of one distribution; headers have a folder for each."""
        return {**self._common, "headers": os.path.join(self._headers, name)}


def keys_used(addition: Addition) -> set[str]:
    """Which of the five parts the wheel has something for."""
    manifest = addition.wheel.manifest
    used = {"purelib" if manifest.root_is_purelib else "platlib"}
    for entry in manifest.others:
        top, _, rest = entry.path.partition("/")
        if top.endswith(".data"):
            used.add(rest.partition("/")[0])
    if manifest.entry_points:
        used.add("scripts")
    return used


class Staging:
    """Stages the additions of one plan.

    ``bytecode`` is keyed by the wheel's SHA-256. ``lock`` is the environment's, which a process
    that helps holds as well; without one none does.
    """

    def __init__(
        self,
        plan: Plan,
        workspace: Workspace,
        *,
        bytecode: Mapping[str, Bytecode],
        reporter: InstallReporter,
        lock: int | None = None,
    ) -> None:
        self._plan = plan
        self._places_of = Places(plan.scheme).of
        self._workspace = workspace
        self._bytecode = bytecode
        self._reporter = reporter
        self._made: set[str] = set()
        self._places: dict[str, str] = {}
        self._areas: dict[str, Area] = {}
        self._umask = files.current_umask()
        self._linkers: dict[str, Linker] = {}
        self._lock = lock
        self._name: str | None = ""

    def run(self) -> None:
        """Lay out all the distributions: those with a later place in the plan count where two
        bring the same file.

        :raises DamagedEntryError: the cache's entry of one is not what it was.
        :raises OSError: the staging folder cannot be written.
        """
        waiting = deque((each, self._parts(each)) for each in self._plan.additions)
        helper = self._partner(waiting)
        if helper is None:
            self._stage_first(waiting, len(waiting))
            return
        with helper:
            may_help = self._prepare_for_two(waiting)  # while it starts
            self._stage_first(waiting, 1)  # tells which way of linking there is
            ways = {linker.way for linker in self._linkers.values()}
            if may_help and ways == {LinkMode.HARDLINK}:
                helper.begin()
            while waiting:
                self._stage_first(waiting, 1)
                while done := helper.done(wait=False):
                    self._complete(*done)
            while done := helper.done(wait=True):
                self._complete(*done)

    def _stage_first(self, waiting: deque[Waiting], number: int) -> None:
        for _ in range(number):
            try:
                addition, parts = waiting.popleft()
            except IndexError:  # the partner has taken the last one
                return
            self._stage(addition, parts)

    def _stage(self, addition: Addition, parts: Iterable[Part]) -> None:
        self._name = addition.name
        wheel = self._wheel(addition)
        for part in parts:
            self.link(addition.wheel.sha256, wheel.library, part)
        wheel.run()
        self._reporter.staged(addition.name, addition.version)

    def _complete(self, addition: Addition, left: Iterable[Part]) -> None:
        """What the partner linked of a wheel lies there; the rest is done here."""
        self._name = None  # what is there already it has just made
        for part in left:
            self.link(addition.wheel.sha256, self._wheel(addition).library, part)
        self._stage(addition, ())

    def _wheel(self, addition: Addition) -> _StagedWheel:
        return _StagedWheel(self, addition, self._places_of(addition.wheel.manifest.name))

    def _parts(self, addition: Addition) -> tuple[Part, ...]:
        """What is linked as it is, of the wheel and of its bytecode."""
        bytecode = self.bytecode_of(addition)
        place = self.place(self._wheel(addition).library)
        trees = [(addition.wheel.tree, addition.wheel.manifest.linked)]
        if bytecode is not None:
            trees.append((bytecode.tree, bytecode.linked))
        return tuple(
            Part(os.fspath(tree), place, linked.folders, linked.rows)
            for tree, linked in trees
            if linked.rows
        )

    def _partner(self, waiting: deque[Waiting]) -> Partner[Addition] | None:
        """A second process, where it is worth it."""
        if self._lock is None or not is_possible() or self._plan.existing is not Existing.MERGE:
            return None
        if self._plan.link_mode not in (LinkMode.AUTO, LinkMode.HARDLINK):
            return None
        if sum(len(part.rows) for _, parts in waiting for part in parts) < partner.WORTH_IT:
            return None
        regular = stat.S_IFREG
        modes = regular | 0o666 & ~self._umask, regular | (0o777 & ~self._umask) | 0o111
        try:
            return Partner(waiting, modes=modes, lock=self._lock)
        except OSError:  # no process to be had
            return None

    def _prepare_for_two(self, waiting: deque[Waiting]) -> bool:
        """Put it in the order for two, unless somebody has to decide between two files."""
        if self._is_any_brought_twice(waiting):
            return False
        for place in {part.destination for _, parts in waiting for part in parts}:
            self.make(place)
        _balance(waiting)
        return True

    def _is_any_brought_twice(self, waiting: Iterable[Waiting]) -> bool:
        """Whether two bring the same file to the folder of modules; most folders there are one's
        alone, and then so is what is in them.
        """
        each = [(part, _tops(part)) for _, parts in waiting for part in parts]
        paths = [path for addition, _ in waiting for path in self._also_there(addition)]
        owners = Counter(path.partition("/")[0] for path in paths)
        for _, tops in each:
            owners.update(tops)
        for part, tops in each:
            if any(owners[top] > 1 for top in tops):
                paths += [row[0] for row in part.rows]
        return len(set(paths)) < len(paths)

    def _also_there(self, addition: Addition) -> Iterator[str]:
        """What comes to the folder of modules by way of a ``.data`` folder."""
        wheel = self._wheel(addition)
        library = f"{wheel.library}/"
        for entry in addition.wheel.manifest.others:
            top, _, inside = entry.path.partition("/")
            key, _, rest = inside.partition("/")
            final = f"{wheel.roots.get(key)}/{rest}"
            if top.endswith(".data") and final.startswith(library):
                yield final[len(library) :]

    # What the parts of one wheel need of the whole

    @property
    def plan(self) -> Plan:
        return self._plan

    def bytecode_of(self, addition: Addition) -> Bytecode | None:
        return self._bytecode.get(addition.wheel.sha256)

    def place(self, root: str) -> str:
        """The staged counterpart of a folder of the environment."""
        place = self._places.get(root)
        if place is None:
            place = self._places[root] = self._area(root).staged(root)
        return place

    def make(self, folder: str) -> None:
        """Make a staged folder and those above it."""
        if folder in self._made:
            return
        try:
            os.mkdir(folder)
        except FileExistsError:
            pass
        except FileNotFoundError:
            self.make(os.path.dirname(folder))
            with suppress(FileExistsError):
                os.mkdir(folder)
        self._made.add(folder)

    def link(self, sha256: str, root: str, part: Part) -> None:
        """Files of the cache, to below a root; their folders are made."""
        place = part.destination
        self.make(place)
        area = self._area(root)
        linker = self._linkers.get(area.folder)
        if linker is None:
            linker = Linker(self._plan.link_mode, umask=self._umask, contested=self._contested)
            self._linkers[area.folder] = linker
        before = linker.way
        linker.place(sha256, part.source, place, part.rows, folders=part.folders)
        if linker.way is not before and self._plan.link_mode is not LinkMode.AUTO:
            self._reporter.link_mode(linker.way)

    def _area(self, root: str) -> Area:
        area = self._areas.get(root)
        if area is None:
            area = self._workspace.area_of(files.nearest_existing(root))
            self._areas[root] = area
        return area

    def write(self, path: str, data: bytes, *, executable: bool = False) -> None:
        mode = (0o777 & ~self._umask) | 0o111 if executable else 0o666 & ~self._umask
        try:
            files.write_new(path, data, mode=mode)
            return
        except FileNotFoundError:
            self.make(os.path.dirname(path))
        except FileExistsError:
            self._contested(path)
            os.unlink(path)
        files.write_new(path, data, mode=mode)

    def _contested(self, staged: str) -> None:
        if self._name is None:
            return
        for area in self._workspace.areas:
            if staged.startswith(area.stage + os.sep):
                final = os.path.join(area.anchor, staged[len(area.stage) + 1 :])
                self._reporter.contested(Path(final), self._name)


class _StagedWheel:
    """One wheel, on its way into the staging folders; gathers the lines of its RECORD."""

    def __init__(self, staging: Staging, addition: Addition, roots: Mapping[str, str]) -> None:
        self._staging = staging
        self._addition = addition
        self._manifest = addition.wheel.manifest
        self._tree = os.fspath(addition.wheel.tree)
        self.roots = roots
        self.library = roots["purelib" if self._manifest.root_is_purelib else "platlib"]
        # Of RECORD, by path, beyond those made ready: a later file replaces an earlier.
        self._lines: dict[str, str] = {}

    def run(self) -> None:
        """All but the files that are linked as they are to the folder of modules."""
        bytecode = self._staging.bytecode_of(self._addition)
        programs = parse_entry_points(self._manifest.entry_points)[0]
        self._put_elsewhere({program.name for program in programs})
        self._write_programs(programs)
        self._write_info(Linked() if bytecode is None else bytecode.linked)

    def _put_elsewhere(self, wrapped: Collection[str]) -> None:
        """What the wheel has in ``.data`` folders. ``wrapped`` are programs that are written."""
        found: dict[tuple[str, str], list[ManifestEntry]] = {}
        for entry in self._manifest.others:
            top, _, inside = entry.path.partition("/")
            if top.endswith(".data"):
                key, _, rest = inside.partition("/")
                if key != "scripts":
                    found.setdefault((top, key), []).append(entry._replace(path=rest))
                elif not replaces_wrapper(rest, wrapped):
                    self._write_script(rest, entry)
        for (top, key), entries in found.items():
            source = f"{self._tree}/{top}/{key}"
            prefix = self._prefix(self.roots[key])
            for entry in entries:
                recorded = prefix + entry.path
                self._lines[recorded] = record_line(recorded, entry.digest, entry.size)
            ready, place = made_ready(entries), self._staging.place(self.roots[key])
            part = Part(source, place, ready.folders, ready.rows)
            self._staging.link(self._addition.wheel.sha256, self.roots[key], part)

    def _prefix(self, root: str) -> str:
        """What RECORD puts before paths below a root: paths count from the modules' folder."""
        if root == self.library:
            return ""
        try:
            relative = os.path.relpath(root, self.library)
        except ValueError:
            relative = root  # another drive: pip writes the whole path too
        return "" if relative == os.curdir else relative.replace(os.sep, "/") + "/"

    def _write(self, root: str, path: str, data: bytes, *, executable: bool = False) -> None:
        self._staging.write(f"{self._staging.place(root)}/{path}", data, executable=executable)
        digest = spelled(hashlib.sha256(data).digest())
        recorded = self._prefix(root) + path
        self._lines[recorded] = record_line(recorded, digest, len(data))

    # Programs

    def _write_script(self, path: str, entry: ManifestEntry) -> None:
        # Made executable whatever the archive says: those built on Windows say nothing.
        interpreter = self._staging.plan.interpreter
        data = with_shebang(
            contents_of(self._addition.wheel, entry),
            executable=os.fspath(interpreter.executable),
            windows=os.name == "nt",
        )
        self._write(self.roots["scripts"], path, data, executable=True)

    def _write_programs(self, programs: tuple[EntryPoint, ...]) -> None:
        if not programs:
            return
        interpreter = self._staging.plan.interpreter
        launcher = launcher_kind(_platform(interpreter))
        named = {}
        for program in programs:
            name, data = wrapper(
                program, executable=os.fspath(interpreter.executable), launcher=launcher
            )
            named[name] = data
        for name, data in named.items():
            self._write(self.roots["scripts"], name, data, executable=True)

    # The rest

    def _write_info(self, compiled: Linked) -> None:
        info = self._manifest.dist_info
        self._write(self.library, f"{info}/INSTALLER", f"{INSTALLER}\n".encode())
        if self._addition.requested:
            self._write(self.library, f"{info}/REQUESTED", b"")
        if self._addition.direct_url is not None:
            data = direct_url_json(self._addition.direct_url)
            self._write(self.library, f"{info}/direct_url.json", data)
        self._lines[f"{info}/RECORD"] = record_line(f"{info}/RECORD")
        path = f"{self._staging.place(self.library)}/{info}/RECORD"
        self._staging.write(path, self._record(compiled).encode())

    def _record(self, compiled: Linked) -> str:
        """The whole RECORD: what was made ready, and then the lines of this installation."""
        rest = "".join(self._lines[path] for path in sorted(self._lines))
        linked = self._manifest.linked
        info = f"{self._manifest.dist_info}/"
        replaced = {path for path in self._lines if not path.startswith(("../", info))}
        if "__pycache__" in linked.record:
            replaced.update(row[0] for row in compiled.rows)
        record = linked.record
        if replaced:
            record = made_ready(file for file in linked.files if file.path not in replaced).record
        return record + compiled.record + rest


def _tops(part: Part) -> set[str]:
    """What it brings to the folder itself, be it a file or a folder with files."""
    tops = {folder for folder in part.folders if "/" not in folder}
    tops.update([row[0] for row in part.rows if "/" not in row[0]])
    return tops


def _balance(waiting: deque[Waiting]) -> None:
    """Order it for two that take from its ends: both begin with what is large and come to the
    small in its middle at the same time. The smallest of all is the first.
    """
    ordered = sorted(
        waiting, key=lambda each: sum(len(part.rows) for part in each[1]), reverse=True
    )
    smallest, others = ordered[-1:], ordered[:-1]
    waiting.clear()
    waiting.extend([*smallest, *others[1::2], *reversed(others[::2])])


def _platform(interpreter: Interpreter) -> str:
    """The platform of the target, as ``sysconfig.get_platform()`` there."""
    if os.name != "nt" or interpreter.own:
        return sysconfig.get_platform()
    return next((tag.platform.replace("_", "-") for tag in interpreter.tags), "win-amd64")
