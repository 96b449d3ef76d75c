"""Everything that a plan adds, laid out ready beside the environment, in which nothing changes yet.

Each file lies in the staging folder of its file system at the place that it will have, so that
whole folders can be renamed. What an installation rewrites (programs, RECORD) is written here and
never shared with the cache.
"""

from __future__ import annotations

import hashlib
import os
import sysconfig
from collections.abc import Mapping
from pathlib import Path

from kedge.cache import Bytecode, ManifestEntry
from kedge.environment.interpreter import Interpreter
from kedge.environment.scheme import Scheme
from kedge.errors import DamagedEntryError
from kedge.install import files
from kedge.install.entry_points import EntryPoint, parse_entry_points
from kedge.install.link import Job, Linker
from kedge.install.plan import Addition, InstallReporter, LinkMode, Plan
from kedge.install.records import direct_url_json, record_line, record_text, spelled
from kedge.install.scripts import launcher_kind, replaces_wrapper, with_shebang, wrapper
from kedge.install.workspace import Workspace

#: What ``INSTALLER`` says.
INSTALLER = "kedge"

# Written anew for each installation; a wheel that brings them was built from an installed one.
_WRITTEN = frozenset({"RECORD", "INSTALLER", "REQUESTED", "direct_url.json"})


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
    for entry in manifest.files:
        top, _, rest = entry.path.partition("/")
        if top.endswith(".data") and rest:
            used.add(rest.partition("/")[0])
        elif entry.path == f"{manifest.dist_info}/entry_points.txt":
            used.add("scripts")
    return used


class Staging:
    """Stages the additions of one plan, one after the other.

    ``bytecode`` is keyed by the wheel's SHA-256.
    """

    def __init__(
        self,
        plan: Plan,
        workspace: Workspace,
        *,
        bytecode: Mapping[str, Bytecode],
        reporter: InstallReporter,
    ) -> None:
        self._plan = plan
        self._places_of = Places(plan.scheme).of
        self._workspace = workspace
        self._bytecode = bytecode
        self._reporter = reporter
        self._made: set[str] = set()
        self._places: dict[str, str] = {}
        self._umask = files.current_umask()
        self._linkers: dict[str, Linker] = {}
        self._name = ""

    def stage(self, addition: Addition) -> None:
        """Lay out one distribution.

        :raises DamagedEntryError: the cache's entry is not what it was.
        :raises OSError: the staging folder cannot be written.
        """
        self._name = addition.name
        _StagedWheel(self, addition, self._places_of(addition.wheel.manifest.name)).run()

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
            area = self._workspace.area_of(files.nearest_existing(root))
            place = self._places[root] = area.staged(root)
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
            os.mkdir(folder)
        self._made.add(folder)

    def link(self, sha256: str, root: str, jobs: list[Job]) -> None:
        area = self._workspace.area_of(files.nearest_existing(root))
        linker = self._linkers.get(area.folder)
        if linker is None:
            linker = Linker(self._plan.link_mode, umask=self._umask, contested=self._contested)
            self._linkers[area.folder] = linker
        before = linker.way
        linker.place(sha256, jobs)
        if linker.way is not before and self._plan.link_mode is not LinkMode.AUTO:
            self._reporter.link_mode(linker.way)

    def write(self, path: str, data: bytes, *, executable: bool = False) -> None:
        self.make(os.path.dirname(path))
        mode = (0o777 & ~self._umask) | 0o111 if executable else 0o666 & ~self._umask
        try:
            files.write_new(path, data, mode=mode)
        except FileExistsError:
            self._contested(path)
            os.unlink(path)
            files.write_new(path, data, mode=mode)

    def _contested(self, staged: str) -> None:
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
        self._roots = roots
        self._library = roots["purelib" if self._manifest.root_is_purelib else "platlib"]
        self._lines: dict[str, str] = {}  # of RECORD, by path: a later file replaces an earlier

    def run(self) -> None:
        in_root, in_data = self._sorted_files()
        self._link("", self._library, [(entry.path, entry) for entry in in_root])
        programs = self._entry_points()
        wrapped = {program.name for program in programs}
        for key, members in in_data.items():
            if key == "scripts":
                for path, entry in members:
                    if not replaces_wrapper(path, wrapped):
                        self._write_script(path, entry)
            else:
                self._link(key, self._roots[key], members)
        self._write_programs(programs)
        self._link_bytecode()
        self._write_info()

    def _sorted_files(
        self,
    ) -> tuple[list[ManifestEntry], dict[str, list[tuple[str, ManifestEntry]]]]:
        """The files for the folder of modules, and the others by key, with their path there."""
        info = self._manifest.dist_info + "/"
        in_root: list[ManifestEntry] = []
        in_data: dict[str, list[tuple[str, ManifestEntry]]] = {}
        for entry in self._manifest.files:
            path = entry.path
            if ".data/" in path:
                top, _, inside = path.partition("/")
                if top.endswith(".data"):
                    key, _, rest = inside.partition("/")
                    in_data.setdefault(key, []).append((rest, entry))
                    continue
            if path.startswith(info) and path[len(info) :] in _WRITTEN:
                continue
            in_root.append(entry)
        return in_root, in_data

    def _link(self, key: str, root: str, members: list[tuple[str, ManifestEntry]]) -> None:
        """Files of the tree as they are, to below a root; ``key`` is empty for the tree's own."""
        if not members:
            return
        staged_root = self._staging.place(root)
        prefix = self._prefix(root)
        jobs: list[Job] = []
        folder = None
        self._staging.make(staged_root)
        for path, entry in members:
            parent = path.rpartition("/")[0]
            if parent != folder:
                folder = parent
                self._staging.make(f"{staged_root}/{parent}" if parent else staged_root)
            jobs.append((f"{self._tree}/{entry.path}", f"{staged_root}/{path}", entry))
            recorded = prefix + path
            self._lines[recorded] = record_line(recorded, entry.digest, entry.size)
        self._staging.link(self._addition.wheel.sha256, root, jobs)

    def _prefix(self, root: str) -> str:
        """What RECORD puts before paths below a root: paths count from the modules' folder."""
        if root == self._library:
            return ""
        try:
            relative = os.path.relpath(root, self._library)
        except ValueError:
            relative = root  # another drive: pip writes the whole path too
        return "" if relative == os.curdir else relative.replace(os.sep, "/") + "/"

    def _read(self, path: str) -> bytes | None:
        """A file of the tree that is to be rewritten or looked into, if the wheel has it."""
        entry = next((entry for entry in self._manifest.files if entry.path == path), None)
        return None if entry is None else self._contents(entry)

    def _contents(self, entry: ManifestEntry) -> bytes:
        try:
            with open(f"{self._tree}/{entry.path}", "rb") as file:
                data = file.read()
        except FileNotFoundError:
            data = b""
        if spelled(hashlib.sha256(data).digest()) != entry.digest:
            raise DamagedEntryError(
                f"The cached file {self._tree}/{entry.path} was changed.",
                sha256=self._addition.wheel.sha256,
            )
        return data

    def _write(self, root: str, path: str, data: bytes, *, executable: bool = False) -> None:
        self._staging.write(f"{self._staging.place(root)}/{path}", data, executable=executable)
        digest = spelled(hashlib.sha256(data).digest())
        recorded = self._prefix(root) + path
        self._lines[recorded] = record_line(recorded, digest, len(data))

    # Programs

    def _entry_points(self) -> tuple[EntryPoint, ...]:
        data = self._read(f"{self._manifest.dist_info}/entry_points.txt")
        return parse_entry_points((data or b"").decode("utf-8", "replace"))[0]

    def _write_script(self, path: str, entry: ManifestEntry) -> None:
        # Made executable whatever the archive says: those built on Windows say nothing.
        interpreter = self._staging.plan.interpreter
        data = with_shebang(
            self._contents(entry),
            executable=os.fspath(interpreter.executable),
            windows=os.name == "nt",
        )
        self._write(self._roots["scripts"], path, data, executable=True)

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
            self._write(self._roots["scripts"], name, data, executable=True)

    # The rest

    def _link_bytecode(self) -> None:
        bytecode = self._staging.bytecode_of(self._addition)
        if bytecode is None or not bytecode.files:
            return
        staged_root = self._staging.place(self._library)
        jobs: list[Job] = []
        for entry in bytecode.files:
            self._staging.make(f"{staged_root}/{entry.path.rpartition('/')[0]}")
            jobs.append((f"{bytecode.tree}/{entry.path}", f"{staged_root}/{entry.path}", entry))
            self._lines[entry.path] = record_line(entry.path)  # without a digest, as pip
        self._staging.link(self._addition.wheel.sha256, self._library, jobs)

    def _write_info(self) -> None:
        info = self._manifest.dist_info
        self._write(self._library, f"{info}/INSTALLER", f"{INSTALLER}\n".encode())
        if self._addition.requested:
            self._write(self._library, f"{info}/REQUESTED", b"")
        if self._addition.direct_url is not None:
            data = direct_url_json(self._addition.direct_url)
            self._write(self._library, f"{info}/direct_url.json", data)
        self._lines[f"{info}/RECORD"] = record_line(f"{info}/RECORD")
        path = f"{self._staging.place(self._library)}/{info}/RECORD"
        self._staging.write(path, record_text(self._lines))


def _platform(interpreter: Interpreter) -> str:
    """The platform of the target, as ``sysconfig.get_platform()`` there."""
    if os.name != "nt" or interpreter.own:
        return sysconfig.get_platform()
    return next((tag.platform.replace("_", "-") for tag in interpreter.tags), "win-amd64")
