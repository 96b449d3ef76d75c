"""Where unpacked wheels go: what lasts, and what goes with this run.

What came over an unverified connection enters the lasting cache only under a digest that the user
gave or a verified page states; what is built from a folder, or editable, never does.
"""

from __future__ import annotations

import threading
from pathlib import Path
from types import TracebackType

from kedge.cache import Cache, open_cache


class Stores:
    """The cache, one beside it that does not last, and a folder for archives on their way.

    Thread-safe. A context manager: all but the cache goes when it ends.
    """

    def __init__(self, lasting: Cache) -> None:
        self.lasting = lasting
        self._lock = threading.Lock()
        self._passing: Cache | None = None
        self._archives: Cache | None = None

    def __enter__(self) -> Stores:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for made in (self._archives, self._passing):
            if made is not None:
                made.close()

    def choose(self, *, lasts: bool) -> Cache:
        """The cache for what lasts, or the one that goes with this run."""
        return self.lasting if lasts else self.passing

    @property
    def passing(self) -> Cache:
        with self._lock:
            if self._passing is None:
                self._passing = open_cache(None)
            return self._passing

    @property
    def archives(self) -> Path:
        """A folder for what is unpacked and then no longer needed."""
        with self._lock:
            if self._archives is None:
                self._archives = open_cache(None)
            return self._archives.directory

    def forget(self, sha256: str) -> None:
        """The entry of that wheel turned out to be damaged: next time it is made again."""
        self.lasting.wheels.forget(sha256)
        if self._passing is not None:
            self._passing.wheels.forget(sha256)
