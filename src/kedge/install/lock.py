"""One change of an environment at a time, among all processes and threads.

The lock is a file in the state folder, and both go when the last holder leaves, so that nothing
of kedge's remains in an environment. The system drops the lock of a process that is killed.
"""

from __future__ import annotations

import errno
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

_NAME = "lock"

# Some network file systems have no locks: there the user has to take turns.
_NO_LOCKS = frozenset({errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOTSUP, errno.ENOSYS})

_POLL_SECONDS = 0.1


@contextmanager
def locked(folder: str, *, waiting: Callable[[], None]) -> Iterator[int]:
    """Hold the lock of the state folder, which is made if needed; its parent exists.

    As long as a process that inherits the descriptor lives, the lock is held too (on POSIX).

    ``waiting`` is called once if another process has it. The folder is removed in the end
    unless something is in it.
    """
    path = os.path.join(folder, _NAME)
    descriptor = _acquire(folder, path, waiting)
    try:
        yield descriptor
    finally:
        # While it is still held: whoever waits sees that the file is gone, and makes a new one.
        if os.name != "nt":
            with suppress(OSError):
                os.unlink(path)
        os.close(descriptor)
        if os.name == "nt":
            with suppress(OSError):
                os.unlink(path)
        with suppress(OSError):
            os.rmdir(folder)


def _acquire(folder: str, path: str, waiting: Callable[[], None]) -> int:
    said = False
    while True:
        with suppress(FileExistsError):
            os.mkdir(folder, 0o700)
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        except FileNotFoundError:
            continue  # the last holder has just removed the folder
        except BaseException:
            with suppress(OSError):
                os.rmdir(folder)
            raise
        try:
            if not _try(descriptor):
                if not said:
                    waiting()
                    said = True
                _wait(descriptor)
            if _is_the_file(descriptor, path):
                return descriptor
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)


def _is_the_file(descriptor: int, path: str) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), os.stat(path))
    except FileNotFoundError:
        return False


if sys.platform == "win32":
    import msvcrt

    def _try(descriptor: int) -> bool:
        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True

    def _wait(descriptor: int) -> None:
        while not _try(descriptor):
            time.sleep(_POLL_SECONDS)

else:
    import fcntl

    def _try(descriptor: int) -> bool:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        except OSError as exc:
            if exc.errno not in _NO_LOCKS:
                raise
        return True

    def _wait(descriptor: int) -> None:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
