"""One cache: where it is, whether it may be used, and what it is made of.

A cache is trusted: what is in it gets installed, and run. So only a folder that belongs to the
effective user, and that nobody else can write to, is used. Anything else (the home of another
user under sudo, a folder in ``/tmp`` that someone made ready) leads to a cache in a temporary
folder and a warning, never to an error.
"""

from __future__ import annotations

import os
import stat
import time
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType

from kedge.cache import inventory
from kedge.cache.answers import AnswerStore
from kedge.cache.atomic import Scratch, remove_tree
from kedge.cache.built import BuiltStore
from kedge.cache.hints import HintStore
from kedge.cache.inventory import CacheInfo, Removed
from kedge.cache.metadata import MetadataStore
from kedge.cache.pages import PageStore
from kedge.cache.wheels import CachedWheel, WheelStore
from kedge.errors import CacheError

# The parts have versions of their own, so that a change of one format leaves the others usable.
_WHEELS = "wheels-v2"
_PAGES = "pages-v1"
_METADATA = "metadata-v1"
_BUILT = "built-v1"
_TRUST = "trust-v1"
_ANSWERS = "answers-v1"
_SCRATCH = "tmp"
_OURS = ("wheels-v", "pages-v", "metadata-v", "built-v", "trust-v", "answers-v")

# No process takes so long to make one entry: purging need not wait for a day.
_ABANDONED_SECONDS = 3600.0

# https://bford.info/cachedir/: what backup programs look for.
_TAG = "CACHEDIR.TAG"
_TAG_TEXT = b"Signature: 8a477f597d28d172789f06886806bc55\n# This is kedge's cache.\n"


class Cache:
    """The stores of one folder.

    ``directory`` is that folder; ``is_temporary`` says that it goes when the cache is closed.
    ``warning`` is a sentence for the user when a folder was asked for that cannot be used.
    """

    def __init__(
        self,
        directory: Path,
        *,
        is_temporary: bool = False,
        warning: str | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.directory = directory
        self.is_temporary = is_temporary
        self.warning = warning
        self._clock = clock
        self._scratch = Scratch(directory / _SCRATCH)
        self.wheels = WheelStore(directory / _WHEELS, self._scratch)
        self.pages = PageStore(directory / _PAGES, self._scratch, clock=clock)
        self.metadata = MetadataStore(directory / _METADATA, self._scratch)
        self.built = BuiltStore(directory / _BUILT, self._scratch)
        self.hints = HintStore(directory / _TRUST, self._scratch)
        self.answers = AnswerStore(directory / _ANSWERS, self._scratch)
        self._finalizer = weakref.finalize(self, remove_tree, directory) if is_temporary else None

    def __enter__(self) -> Cache:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Remove a temporary cache; a lasting one has nothing to close."""
        if self._finalizer is not None:
            self._finalizer()

    def info(self) -> CacheInfo:
        """Counts and sizes; walks the whole cache."""
        return inventory.measure(
            self.directory,
            self.wheels,
            pages=self.pages.folder,
            metadata=self.metadata.folder,
            answers=self.answers.folder,
        )

    def list(self, pattern: str | None = None) -> tuple[CachedWheel, ...]:
        """The wheels that the pattern means (all, without one), by name and version."""
        found = (w for w in self.wheels.list() if pattern is None or inventory.matches(w, pattern))
        return tuple(sorted(found, key=lambda wheel: (wheel.name.lower(), wheel.version)))

    def remove(self, pattern: str) -> Removed:
        """Take out the wheels that the pattern means, with their metadata."""
        return inventory.remove_wheels(self.wheels, self.metadata, iter(self.list(pattern)))

    def purge(self, *, older_than: float | None = None, keep: int | None = None) -> Removed:
        """Take out everything, or what was not used for so many seconds, or for longest of all.

        With ``keep`` the cache holds no more bytes than that afterwards. Other processes may use
        it meanwhile: an entry disappears whole.
        """
        if keep is not None:
            removed = Removed() if older_than is None else self.purge(older_than=older_than)
            return removed + inventory.shrink(
                self.wheels, self.metadata, self._small_files(), keep=keep
            )
        before = None if older_than is None else self._clock() - older_than
        old = (w for w in self.wheels.list() if before is None or w.used < before)
        removed = inventory.remove_wheels(self.wheels, self.metadata, old)
        for folder in self._small_files():
            removed += inventory.remove_files(folder, self._scratch, before=before)
        if before is None:
            # Damaged entries are in no listing. Folders of other versions are ours as well.
            for entry in _children(self.directory):
                if entry.name.startswith(_OURS):
                    remove_tree(entry)
            self._scratch.clean(older_than=_ABANDONED_SECONDS)
        return removed

    def _small_files(self) -> tuple[Path, ...]:
        """The folders in which each file is an entry."""
        return (
            self.pages.folder,
            self.metadata.folder,
            self.built.folder,
            self.hints.folder,
            self.answers.folder,
        )


def open_cache(
    directory: Path | None,
    *,
    scratch: Path | None = None,
    clock: Callable[[], float] = time.time,
) -> Cache:
    """The cache in that folder, which is made if it is missing; ``None``: one that does not last.

    A folder that cannot be used, or must not be, is replaced by a temporary cache, and
    :attr:`Cache.warning` says why. Temporary ones are made in ``scratch`` (by default where the
    system keeps temporary files).

    :raises CacheError: not even a temporary folder can be made.
    """
    warning = None
    if directory is not None:
        directory = Path(os.path.abspath(directory))  # links are the user's choice
        warning = _make(directory)
        if warning is None:
            cache = Cache(directory, clock=clock)
            cache._scratch.clean()
            return cache
    import tempfile  # 10 ms that a lasting cache does not need

    try:
        temporary = Path(tempfile.mkdtemp(prefix="kedge-", dir=scratch))
    except OSError as exc:
        raise CacheError(
            f"No temporary folder can be made: {exc.strerror}.",
            hint="Set TMPDIR to a folder that can be written.",
        ) from exc
    return Cache(temporary, is_temporary=True, warning=warning, clock=clock)


def _make(directory: Path) -> str | None:
    """Make the folder ready; a sentence if it is not to be used."""
    foreign = _foreign_ancestor(directory)
    if foreign is not None:
        return (
            f"The cache {directory} is not used: {foreign} belongs to another user "
            "(with sudo, try its option -H)."
        )
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        # Members of the owner's group are let pass at the top: under a umask of 002 every folder
        # is like that. Inside, the folders are made 0700, and must still be.
        complaint = _complaint(directory, directory.stat(), forbidden=0o002)
        for part in (_WHEELS, _PAGES, _METADATA, _BUILT, _TRUST, _ANSWERS, _SCRATCH):
            if complaint is None:
                folder = directory / part
                folder.mkdir(mode=0o700, exist_ok=True)
                complaint = _complaint(folder, folder.lstat(), forbidden=0o022)
        if complaint is not None:
            return f"The cache {directory} is not used: {complaint}."
        tag = directory / _TAG
        if not tag.exists():
            tag.write_bytes(_TAG_TEXT)
    except OSError as exc:
        return f"The cache {directory} is not used: {exc.strerror or exc}."
    return None


def _foreign_ancestor(directory: Path) -> Path | None:
    """What root must not create folders in: an existing folder of another user.

    Without this, ``sudo`` would leave root's folders in the user's home.
    """
    if os.name != "posix" or os.geteuid() != 0:
        return None
    for folder in (directory, *directory.parents):
        try:
            owner = folder.stat().st_uid
        except OSError:
            continue
        return folder if owner != 0 else None
    return None


def _complaint(folder: Path, status: os.stat_result, *, forbidden: int) -> str | None:
    """Why a folder is not safe to take files from, if it is not."""
    if not stat.S_ISDIR(status.st_mode):
        return f"{folder} is not a folder"
    if os.name != "posix":
        return None
    if status.st_uid != os.geteuid():
        return f"{folder} belongs to another user"
    if status.st_mode & forbidden:
        return f"{folder} can be written by other users"
    if not os.access(folder, os.W_OK | os.X_OK):
        return f"{folder} cannot be written"
    return None


def _children(folder: Path) -> Iterator[Path]:
    try:
        yield from list(folder.iterdir())
    except OSError:
        return
