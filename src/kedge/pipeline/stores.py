"""Where unpacked wheels go: what lasts, and what goes with this run.

What came over an unverified connection enters the lasting cache only under a digest that the user
gave or a verified page states; what is built from a folder, or editable, never does.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import TypeVar

from kedge.cache import Cache, open_cache
from kedge.errors import KedgeError

Made = TypeVar("Made")


class Stores:
    """The cache, one beside it that does not last, and a folder for archives on their way.

    Thread-safe. A context manager: all but the cache goes when it ends.
    """

    def __init__(self, lasting: Cache) -> None:
        self.lasting = lasting
        self._lock = threading.Lock()
        self._closing = ExitStack()
        self._passing: Cache | None = None
        self._archives: Path | None = None
        self._closed = False

    def __enter__(self) -> Stores:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with self._lock:
            self._closed = True
        self._closing.close()

    def choose(self, *, lasts: bool) -> Cache:
        """The cache for what lasts, or the one that goes with this run."""
        return self.lasting if lasts else self.passing

    @property
    def passing(self) -> Cache:
        with self._lock:
            if self._passing is None:
                self._passing = self._opened(partial(open_cache, None))
            return self._passing

    def archives(self) -> Path:
        """A folder for what is unpacked and then no longer needed.

        It is on the disk of the cache, which has to have room for what is in an archive anyway:
        where the system keeps temporary files is often memory, and little of it.

        :raises CacheError: it cannot be made.
        """
        with self._lock:
            if self._archives is None:
                self._archives = self._opened(self.lasting.wheels.folder_aside)
            return self._archives

    def _opened(self, make: Callable[[], AbstractContextManager[Made]]) -> Made:
        """Open until the end; what comes after that, in a thread, is too late. The lock is held."""
        if self._closed:
            raise KedgeError("The cache is closed.")
        return self._closing.enter_context(make())

    def forget(self, sha256: str) -> None:
        """The entry of that wheel turned out to be damaged: next time it is made again."""
        self.lasting.wheels.forget(sha256)
        if self._passing is not None:
            self._passing.wheels.forget(sha256)
