"""Writing so that a reader sees all of it or nothing, and a killed writer leaves only rubbish.

Everything is first made in one scratch folder, on the file system of what it will replace, and
then renamed. What a killed process left there is removed by a later one, once it is so old that
no living process can still be writing it.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

#: Older scratch entries belong to no living process.
STALE_SECONDS = 24 * 3600.0

#: What the names of folders that last for a whole run begin with.
_RUN = "run-"

#: How a file is opened that must not be there yet.
NEW_FILE = (
    os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0)
)


class Scratch:
    """The scratch folder of one cache; made when first needed."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def _name(self, prefix: str = "") -> str:
        return f"{self.folder}/{prefix}{os.urandom(8).hex()}"

    @contextmanager
    def directory(self, *, for_a_run: bool = False) -> Iterator[Path]:
        """A new folder (mode 0700); removed at the end unless it was renamed away.

        One ``for_a_run`` may lie there untouched for as long as that takes.
        """
        path = Path(self._name(_RUN if for_a_run else ""))
        try:  # an interruption arrives as soon as the system call is over
            try:
                path.mkdir(mode=0o700)
            except FileNotFoundError:
                self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
                path.mkdir(mode=0o700)
            yield path
        finally:
            remove_tree(path)

    def write(self, destination: str, parts: Sequence[bytes]) -> None:
        """Put the parts, joined, at ``destination``: whole, or not at all (``OSError``).

        A cold run writes hundreds, beside threads that wait for the interpreter's lock whenever
        the system is called: so this calls it no more than it has to.
        """
        temporary = self._name()
        try:
            self._write_new(temporary, parts)
            try:
                os.replace(temporary, destination)
            except FileNotFoundError:
                Path(destination).parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                os.replace(temporary, destination)
        except BaseException:
            with suppress(OSError):
                os.unlink(temporary)
            raise

    def _write_new(self, path: str, parts: Sequence[bytes]) -> None:
        try:
            descriptor = os.open(path, NEW_FILE, 0o666)
        except FileNotFoundError:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            descriptor = os.open(path, NEW_FILE, 0o666)
        try:
            for part in parts:
                write_all(descriptor, part)
        finally:
            os.close(descriptor)

    def discard(self, path: Path) -> bool:
        """Take an entry out of sight with one rename, then delete it; whether it was there."""
        aside = Path(self._name())
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            path.rename(aside)
        except FileNotFoundError:
            return False
        finally:
            remove_tree(aside)
        return True

    def clean(self, *, older_than: float = STALE_SECONDS) -> None:
        """Remove what killed processes left, where it is older than so many seconds."""
        now = time.time()
        try:
            entries = list(os.scandir(self.folder))
        except OSError:
            return
        for entry in entries:
            with suppress(OSError):
                of_a_run = entry.name.startswith(_RUN)
                limit = max(older_than, STALE_SECONDS) if of_a_run else older_than
                if all(now - time_ > limit for time_ in _times(entry)):
                    remove_tree(Path(entry.path))


def write_all(descriptor: int, data: bytes | memoryview) -> None:
    """The system may take less than it is given at once, of what is large."""
    while data:
        data = data[os.write(descriptor, data) :]


def _times(entry: os.DirEntry[str]) -> Iterator[float]:
    """When it was written, and what lies in it: a large download may be all that goes on."""
    yield entry.stat(follow_symlinks=False).st_mtime
    if entry.is_dir(follow_symlinks=False):
        with os.scandir(entry.path) as inside:
            yield from (each.stat(follow_symlinks=False).st_mtime for each in inside)


def remove_tree(path: Path) -> None:
    """Delete a file or a whole folder as far as possible; what is absent is no error."""
    try:
        if path.is_dir() and not path.is_symlink():
            import shutil  # with its compressors, 4 ms that most commands do not need

            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink()
    except OSError:
        pass
