"""Carrying out a plan, whole or not at all, and putting right what a killed process left.

1. The lock is taken, and what an earlier process left is undone or completed.
2. What goes is decided, and what comes is laid out in the environment's state folder. Nothing
   has changed so far: a failure deletes the folder.
3. The renames are decided, written to the journal, and everything is forced to the disk.
4. The renames are made. A failure, Ctrl-C included, undoes them; after a crash :func:`recover`
   does it from the journal.
5. The journal is marked as committed: from here on the new state stands. The backups and the
   state folder are deleted, by the next process if this one does not come to it.
"""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from kedge.cache import Bytecode, WheelStore
from kedge.environment.scheme import Scheme
from kedge.errors import EnvironmentChangedError, InstallError
from kedge.install import files, uninstall
from kedge.install.files import STATE
from kedge.install.journal import Journal, Kind, Operation
from kedge.install.lock import locked
from kedge.install.merge import Merge
from kedge.install.plan import Existing, InstallReporter, Plan
from kedge.install.staging import Places, Staging, keys_used
from kedge.install.state import observe
from kedge.install.target import shared_folders, superseded
from kedge.install.workspace import Workspace

# A folder that cannot be renamed in one go: it lies on a lower layer of an overlay (containers),
# is a mount point, or holds a file that is in use (Windows).
_INDIVISIBLE = frozenset({errno.EXDEV, errno.EBUSY})


def carry_out(
    plan: Plan, *, reporter: InstallReporter | None = None, store: WheelStore | None = None
) -> None:
    """Make the environment what the plan says.

    ``store`` is where bytecode is kept; what it has is linked along. Needed for ``plan.compile``.

    :raises InstallError: it was not possible; the environment is as it was.
    :raises EnvironmentChangedError: another process changed it since ``plan.observed``.
    :raises DamagedEntryError: a wheel in the cache is damaged; nothing was changed.
    :raises CacheError: bytecode could not be stored; nothing was changed.
    """
    reporter = reporter or InstallReporter()
    bytecode = _bytecode_of(plan, store, reporter)
    with _translated(plan.scheme):
        base = files.real(plan.scheme.purelib)
        made = files.make_folders(base)
        try:
            with _turn(base, reporter) as lock:
                workspace = _workspace(base)
                _put_right(workspace, reporter)
                if plan.observed is not None and plan.observed != observe(plan.scheme):
                    raise EnvironmentChangedError(
                        f"Another process changed {base} since this change was planned."
                    )
                began = time.monotonic()
                _Transaction(plan, workspace, bytecode, reporter, lock).run()
                reporter.spent("link", time.monotonic() - began)
        finally:
            for folder in reversed(made):
                _remove_if_empty(folder)


def _bytecode_of(
    plan: Plan, store: WheelStore | None, reporter: InstallReporter
) -> dict[str, Bytecode]:
    """What the store has, by the SHA-256 of the wheels; with ``plan.compile`` the rest is made."""
    found: dict[str, Bytecode] = {}
    tag = plan.interpreter.cache_tag
    if store is not None and tag is not None and plan.bytecode:
        for addition in plan.additions:
            known = store.bytecode(addition.wheel, tag)
            if known is not None:
                found[addition.wheel.sha256] = known
    if not plan.compile:
        return found
    if store is None:
        raise ValueError("compiling needs a store")
    from kedge.install.bytecode import Compiling  # starts programs: seldom wanted

    began = time.monotonic()
    wheels = [each.wheel for each in plan.additions if each.wheel.sha256 not in found]
    with Compiling(plan.interpreter, store) as compiling:
        found |= compiling.finish(wheels, reporter)
    reporter.spent("compile", time.monotonic() - began)
    return found


def put_right(scheme: Scheme, reporter: InstallReporter) -> tuple[str, ...]:
    """See :func:`kedge.install.recover`, which is called first; something was left."""
    base = files.real(scheme.purelib)
    with _translated(scheme), _turn(base, reporter):
        return _put_right(_workspace(base), reporter)


class _Transaction:
    def __init__(
        self,
        plan: Plan,
        workspace: Workspace,
        bytecode: dict[str, Bytecode],
        reporter: InstallReporter,
        lock: int,
    ) -> None:
        self._lock = lock
        self._plan = plan
        self._workspace = workspace
        self._bytecode = bytecode
        self._reporter = reporter

    def run(self) -> None:
        plan, journal = self._plan, self._workspace.journal
        try:
            bounds = uninstall.bounds_of(plan.interpreter, plan.scheme)
            removal = uninstall.decide(plan.removals, bounds, self._reporter)
            self._stage()
            operations = self._decide(removal, bounds)
            if not operations:
                return
            files.flush(self._workspace.folder)
            try:
                journal.write(operations)
                perform(operations, journal)
                journal.commit()
            except BaseException as exc:
                self._roll_back(exc)
                raise
        finally:
            self._clean()
        for distribution in removal.done:
            self._reporter.removed(distribution.raw_name, distribution.version_text)
        for addition in plan.additions:
            self._reporter.added(addition.name, addition.version)

    def _stage(self) -> None:
        plan = self._plan
        roots: dict[str, None] = {}
        places_of = Places(plan.scheme).of
        for addition in plan.additions:
            places = places_of(addition.wheel.manifest.name)
            roots.update(dict.fromkeys(places[key] for key in keys_used(addition)))
        self._workspace.open(roots)
        Staging(
            plan,
            self._workspace,
            bytecode=self._bytecode,
            reporter=self._reporter,
            lock=self._lock,
        ).run()

    def _decide(self, removal: uninstall.Removal, bounds: uninstall.Bounds) -> list[Operation]:
        plan = self._plan
        is_target = plan.existing is not Existing.MERGE
        merge = Merge(
            self._workspace,
            self._reporter,
            existing=plan.existing,
            target=files.real(plan.scheme.purelib) if is_target else "",
            shared=shared_folders(plan) if is_target else (),
            own=bounds.own,
        )
        kept = bounds.kept | self._workspace.file_systems.mounts
        for path in uninstall.paths_to_move(removal, kept):
            merge.remove(path)
        if plan.existing is Existing.REPLACE:
            for path in superseded(plan):
                merge.remove(path)
        for path, lines in removal.pth.items():
            self._edit_pth(merge, path, lines)
        merge.add_all()
        return merge.operations

    def _edit_pth(self, merge: Merge, path: str, lines: set[str]) -> None:
        """Take lines out of a ``.pth`` file, by putting another file in its place."""
        with open(path, "rb") as file:
            old = file.read().splitlines(keepends=True)
        unwanted = {os.path.normcase(line) for line in lines}
        new = [
            line
            for line in old
            if os.path.normcase(line.decode("utf-8", "surrogateescape").rstrip("\r\n"))
            not in unwanted
        ]
        if new == old:
            return
        area = self._workspace.area_of(os.path.dirname(path))
        staged = os.path.join(area.over, f"pth-{len(merge.operations)}")
        files.write_new(staged, b"".join(new), mode=os.stat(path).st_mode & 0o777)
        merge.remove(path)
        merge.add_file(staged, path)

    def _roll_back(self, cause: BaseException) -> None:
        """Undo everything; a Ctrl-C meanwhile does not stop it halfway."""
        journal = self._workspace.journal
        try:
            while journal.is_open:  # it is not when the failure came before the first change
                with suppress(KeyboardInterrupt):
                    undo(journal)
        except OSError as exc:
            raise _not_restored(self._workspace.folder, exc) from cause

    def _clean(self) -> None:
        """Delete what is private. What cannot be deleted now is deleted by the next process."""
        if self._workspace.journal.is_open:
            return  # it could not be undone: everything is needed for that still
        try:
            self._workspace.clean()
        except OSError:
            pass


# --------------------------------------------------------------------------------------------
# Doing and undoing


def perform(operations: Sequence[Operation], journal: Journal) -> None:
    """Make the changes, in order. :raises OSError: one failed; those before it are made."""
    for index, operation in enumerate(operations):
        if operation.kind is Kind.IN and os.path.lexists(operation.destination):
            # rename() would replace a file without a word.
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), operation.destination)
        try:
            _do(operation)
        except OSError as exc:
            if not _is_indivisible(operation, exc):
                raise
            parts = _parts(operation)
            journal.expand(index, parts)
            for part in parts:
                _do(part)


def _do(operation: Operation) -> None:
    if operation.kind is Kind.RMDIR:
        os.rmdir(operation.source)
    else:
        os.rename(operation.source, operation.destination)


def _is_indivisible(operation: Operation, exc: OSError) -> bool:
    if operation.kind is not Kind.OUT or os.path.islink(operation.source):
        return False
    in_use = os.name == "nt" and exc.errno == errno.EACCES
    return os.path.isdir(operation.source) and (exc.errno in _INDIVISIBLE or in_use)


def _parts(operation: Operation) -> list[Operation]:
    """A folder file by file: each to a backup of its own, then the empty folders."""
    parts: list[Operation] = []

    def visit(folder: str) -> None:
        for entry in sorted(os.scandir(folder), key=lambda entry: entry.name):
            if entry.is_dir(follow_symlinks=False):
                visit(entry.path)
            else:
                backup = f"{operation.destination}-{len(parts)}"
                parts.append(Operation(Kind.OUT, entry.path, backup))
        mode = os.stat(folder).st_mode & 0o7777
        parts.append(Operation(Kind.RMDIR, folder, "", mode))

    visit(operation.source)
    return parts


def undo(journal: Journal) -> None:
    """Take back what was done of the journal, last first, then close it.

    May be interrupted anywhere and begun again.

    :raises OSError: a change could not be taken back; the journal stays.
    """
    for kind, source, destination, mode in reversed(journal.read()):
        if kind is Kind.RMDIR:
            if not os.path.isdir(source):
                os.mkdir(source, mode)
                os.chmod(source, mode)
        elif kind is Kind.IN:
            if not os.path.lexists(source) and os.path.lexists(destination):
                os.rename(destination, source)
        elif os.path.lexists(destination):
            if os.path.lexists(source):
                raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), source)
            os.rename(destination, source)
    journal.close()


def _put_right(workspace: Workspace, reporter: InstallReporter) -> tuple[str, ...]:
    """Undo or complete what an earlier process left; the lock is held."""
    journal = workspace.journal
    said: tuple[str, ...] = ()
    place = os.path.dirname(workspace.folder)
    if journal.is_open:
        try:
            undo(journal)
        except (OSError, ValueError, KeyError, TypeError) as exc:
            raise _not_restored(workspace.folder, exc) from exc
        said = (f"An interrupted change of {place} was undone.",)
    elif journal.is_committed:
        said = (f"An interrupted change of {place} was completed.",)
    workspace.clean()
    for sentence in said:
        reporter.recovered(sentence)
    return said


# --------------------------------------------------------------------------------------------
# Parts


def _workspace(base: str) -> Workspace:
    return Workspace(os.path.join(base, STATE))


@contextmanager
def _turn(base: str, reporter: InstallReporter) -> Iterator[int]:
    state = os.path.join(base, STATE)
    if os.path.lexists(state) and (os.path.islink(state) or not os.path.isdir(state)):
        raise InstallError(
            f"{state} is no folder, and only kedge should have made it.",
            hint="Find out what it is, remove it, and try again.",
        )
    with locked(state, waiting=lambda: reporter.waiting(Path(base))) as lock:
        yield lock


def _remove_if_empty(folder: str) -> None:
    try:
        os.rmdir(folder)
    except OSError:
        pass


def _not_restored(folder: str, exc: BaseException) -> InstallError:
    path = getattr(exc, "filename", None)
    reason = getattr(exc, "strerror", None) or str(exc)
    place = os.path.dirname(folder)
    return InstallError(
        f"A change of {place} could not be undone: {reason}{f' ({path})' if path else ''}.",
        hint=f"Nothing is lost: what is missing lies in {folder}. Put right what stands in the "
        "way, and run any kedge command for this environment again to finish.",
    )


@contextmanager
def _translated(scheme: Scheme) -> Iterator[None]:
    """The one place where what the system says becomes an error of kedge's."""
    try:
        yield
    except OSError as exc:
        raise _install_error(scheme, exc) from exc


def _install_error(scheme: Scheme, exc: OSError) -> InstallError:
    # Where in the state folder is of no interest to a user.
    place = str(exc.filename2 or exc.filename or scheme.purelib).split(f"{os.sep}{STATE}")[0]
    reason = exc.strerror or str(exc)
    match exc.errno:
        case errno.ENOSPC | errno.EDQUOT:
            message = f"The disk of {place} is full"
            hint = "Make room and try again."
        case errno.EROFS:
            message = f"{place} cannot be changed: its file system is read-only"
            hint = "Install elsewhere, into a virtual environment, say."
        case errno.EACCES | errno.EPERM:
            message = f"{place} cannot be changed: {reason}"
            hint = "Install into a virtual environment, or for yourself alone with --user."
        case _:
            message = f"{place} cannot be changed: {reason}"
            hint = ""
    return InstallError(f"{message}. Nothing was changed.", hint=hint or None)
