"""From what lies staged and what is to go, the operations that change the environment.

Looks at the environment and decides; changes nothing in it. A folder that is wholly new is one
rename, whatever is in it; only where both sides have a folder is it gone through.
"""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Iterable
from pathlib import Path

from kedge.errors import InstallError
from kedge.install.journal import Kind, Operation
from kedge.install.plan import Existing, InstallReporter
from kedge.install.workspace import Area, Workspace

# Where the file system usually takes upper and lower case for one.
_FOLDS_CASE = sys.platform in ("win32", "darwin")


class Merge:
    """Gathers the operations, in the order in which they are to be done.

    ``existing`` says what becomes of what is in the way. For a target folder, ``target`` is that
    folder and ``shared`` are the folders in it that are gone into like any other, because they
    belong to no one package (``bin``). ``own`` are the files that nothing may replace.
    """

    def __init__(
        self,
        workspace: Workspace,
        reporter: InstallReporter,
        *,
        existing: Existing = Existing.MERGE,
        target: str = "",
        shared: Iterable[str] = (),
        own: frozenset[str] = frozenset(),
    ) -> None:
        self.operations: list[Operation] = []
        self._workspace = workspace
        self._reporter = reporter
        self._existing = existing
        self._target = target
        self._shared = frozenset(shared)
        self._own = own
        self._gone: set[str] = set()

    def remove(self, path: str) -> None:
        """Move a file or a whole folder out of the environment."""
        backup = self._workspace.area_of(os.path.dirname(path)).next_backup()
        self.operations.append(Operation(Kind.OUT, path, backup))
        self._gone.add(_key(path))

    def add_all(self) -> None:
        """Bring in everything that is staged."""
        for area in tuple(self._workspace.areas):
            self._add_inside(area, area.stage, area.anchor)

    def add_file(self, staged: str, final: str) -> None:
        """Bring in one file."""
        self._add(self._workspace.area_of(os.path.dirname(final)), staged, final)

    def _add_inside(self, area: Area, staged: str, final: str) -> None:
        """Bring in what a staged folder holds; ``final`` is a folder that stays."""
        if self._workspace.key(final) != self._workspace.key(area.folder):
            area, staged = self._move_over(staged, final)
        for name in sorted(os.listdir(staged)):
            self._add(area, os.path.join(staged, name), os.path.join(final, name))

    def _add(self, area: Area, staged: str, final: str) -> None:
        state = self._state(final)
        if state is None:
            self.operations.append(Operation(Kind.IN, staged, final))
            return
        if final in self._own:
            raise InstallError(
                f"A file is to be installed as {final}, which belongs to the environment itself.",
                hint="The wheel was built wrongly, or means harm: tell its maintainers.",
            )
        if self._is_unit(final):
            self._replace_unit(staged, final, state)
            return
        is_folder = os.path.isdir(staged)
        if is_folder and os.path.isdir(final):
            self._add_inside(area, staged, final)
        elif is_folder or stat.S_ISDIR(state.st_mode):
            raise _in_the_way(final, is_folder=is_folder)
        elif self._existing is Existing.KEEP:
            self._reporter.kept(Path(final), "it exists already")
        else:
            self._reporter.overwritten(Path(final))
            self.remove(final)
            self.operations.append(Operation(Kind.IN, staged, final))

    def _state(self, final: str) -> os.stat_result | None:
        """What will be there when everything that goes has gone; ``None``: nothing."""
        if _key(final) in self._gone:
            return None
        try:
            return os.lstat(final)
        except FileNotFoundError:
            return None

    def _is_unit(self, final: str) -> bool:
        return (
            self._existing is not Existing.MERGE
            and os.path.dirname(final) == self._target
            and final not in self._shared
        )

    def _replace_unit(self, staged: str, final: str, state: os.stat_result) -> None:
        if self._existing is Existing.KEEP:
            self._reporter.kept(Path(final), "it exists already")
        elif stat.S_ISLNK(state.st_mode):
            self._reporter.kept(Path(final), "it is a link")
        else:
            self.remove(final)
            self.operations.append(Operation(Kind.IN, staged, final))

    def _move_over(self, staged: str, final: str) -> tuple[Area, str]:
        """Copy what is staged to the file system of its destination, a folder mounted there."""
        area = self._workspace.area_of(final)
        copy = os.path.join(area.over, str(len(self.operations)))
        import shutil

        shutil.copytree(staged, copy, symlinks=True)
        return area, copy


def _key(path: str) -> str:
    return path.casefold() if _FOLDS_CASE else path


def _in_the_way(final: str, *, is_folder: bool) -> InstallError:
    what, other = ("folder", "file") if is_folder else ("file", "folder")
    return InstallError(
        f"A {what} is to be installed as {final}, where there is a {other} that belongs to "
        "nothing that is removed.",
        hint="Move it away, or uninstall what it belongs to, and try again.",
    )
