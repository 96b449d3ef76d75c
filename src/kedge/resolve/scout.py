"""Looking ahead: pages and metadata that will probably be needed are fetched while others are read.

From each demand it takes the likeliest file, and from that file's metadata the next demands, in a
few threads, ahead of the engine and along the same way. It decides nothing: whatever it fetches is
remembered by the :class:`~kedge.resolve.library.Library`, and what it gets wrong is only not used.
Where nothing has to be waited for it would only be in the engine's way, so it sleeps until then.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterable
from functools import partial
from queue import SimpleQueue
from typing import TYPE_CHECKING

from packaging.utils import NormalizedName, canonicalize_name

from kedge.resolve.demands import Demand, SpecifierDemand
from kedge.resolve.library import Library

if TYPE_CHECKING:
    from packaging.specifiers import SpecifierSet

    from kedge.environment import CoreMetadata
    from kedge.index import IndexFile

Extras = frozenset[NormalizedName]


class Scout:
    """Fetches ahead until it is closed.

    The threads are daemons: a server that hangs must not hold the program back at its end.
    ``prefers_installed`` says whether the index need not be asked where what is installed will do.
    Begins with nothing before it is told to :meth:`wake`.
    """

    def __init__(
        self, library: Library, *, threads: int, prefers_installed: Callable[[str], bool]
    ) -> None:
        self._library = library
        #: Called with what would be chosen of a project by all that is demanded of it so far.
        self.guessed: Callable[[IndexFile], None] = lambda file: None
        self._limit = threads
        self._prefers_installed = prefers_installed
        self._lock = threading.Lock()
        self._jobs: SimpleQueue[Callable[[], object] | None] = SimpleQueue()
        self._threads = 0
        self._awake = False
        self._waiting = 0
        self._closed = False
        self._specifiers: dict[NormalizedName, dict[str, SpecifierSet]] = {}
        self._asked: dict[NormalizedName, list[SpecifierSet]] = {}
        self._extras: dict[NormalizedName, set[Extras]] = {}
        self._walked: set[tuple[object, Extras]] = set()
        self._fetched: set[str] = set()

    def begin(self, demands: Iterable[Demand]) -> None:
        """What the user asked for: nothing that it excludes will ever be looked at."""
        for demand in demands:
            if isinstance(demand, SpecifierDemand):
                self._asked.setdefault(demand.name, []).append(demand.specifier)
        self.announce(demands)

    def announce(self, demands: Iterable[Demand]) -> None:
        """The engine is about to ask for these; none is looked at before all are known."""
        news = [
            demand.name
            for demand in demands
            if isinstance(demand, SpecifierDemand)
            and self._is_news(demand.name, demand.specifier, demand.extras)
        ]
        for name in news:
            self._submit(partial(self._explore, name))

    def notice(self, name: NormalizedName, specifier: SpecifierSet, extras: Extras) -> None:
        """Something demands the project: look at it if that is news."""
        if self._is_news(name, specifier, extras):
            self._submit(partial(self._explore, name))

    def _is_news(self, name: NormalizedName, specifier: SpecifierSet, extras: Extras) -> bool:
        text = str(specifier)
        with self._lock:
            specifiers = self._specifiers.setdefault(name, {})
            known = self._extras.setdefault(name, set())
            if text in specifiers and extras in known:
                return False
            specifiers[text] = specifier
            known.add(extras)
            return True

    def fetch(self, files: Iterable[IndexFile]) -> None:
        """Fetch the metadata of these, which come next if what is tried now fails."""
        for file in files:
            with self._lock:
                if file.url in self._fetched:
                    continue
                self._fetched.add(file.url)
            self._submit(partial(self._read, file))

    def wake(self) -> None:
        """Begin, with what was noticed so far as well."""
        with self._lock:
            self._awake = True
            if not self._closed:
                self._add_threads()

    def close(self) -> None:
        """Begin nothing more; what is under way is left to end by itself."""
        with self._lock:
            self._closed = True
            threads = self._threads
        for _ in range(threads):
            self._jobs.put(None)

    def _read(self, file: IndexFile) -> CoreMetadata | None:
        # A source distribution would have to be built: nothing to do on the off chance.
        return self._library.metadata(file) if file.is_wheel else None

    def _explore(self, name: NormalizedName) -> None:
        with self._lock:
            specifiers = list(self._specifiers[name].values())
            all_extras = list(self._extras[name])
        wanted = self._library.wanted(name, specifiers)
        installed = self._library.fitting_installed(name, wanted)
        if installed is not None and self._prefers_installed(name):
            self._walk(installed.dist_info, installed.metadata, all_extras)
            return
        # Demands of candidates that were given up may leave nothing: then the last one counts.
        last = self._library.wanted(name, [*self._asked.get(name, ()), *specifiers[-1:]])
        fitting = self._library.likeliest(name, wanted)
        file = fitting or self._library.likeliest(name, last)
        metadata = self._read(file) if file is not None else None
        if file is not None and metadata is not None:
            if file is fitting:
                self.guessed(file)
            self._walk(file.url, metadata, all_extras)

    def _walk(self, place: object, metadata: CoreMetadata, all_extras: list[Extras]) -> None:
        for extras in {Extras(), *all_extras}:
            with self._lock:
                if (place, extras) in self._walked:
                    continue
                self._walked.add((place, extras))
            provided = extras & set(metadata.provides_extra)
            for requirement in self._library.requirements(metadata, provided):
                if requirement.url:
                    continue
                self.notice(
                    canonicalize_name(requirement.name),
                    requirement.specifier,
                    frozenset(canonicalize_name(extra) for extra in requirement.extras),
                )

    def _submit(self, job: Callable[[], object]) -> None:
        with self._lock:
            if self._closed:
                return
            self._jobs.put(job)
            if self._awake:
                self._add_threads()

    def _add_threads(self) -> None:
        """As many as there is work for; the lock is held."""
        lacking = self._jobs.qsize() - self._waiting
        for _ in range(min(lacking, self._limit - self._threads)):
            self._threads += 1
            name = f"kedge-scout-{self._threads}"
            threading.Thread(target=self._work, name=name, daemon=True).start()

    def _work(self) -> None:
        while True:
            with self._lock:
                self._waiting += 1
            job = self._jobs.get()
            with self._lock:
                self._waiting -= 1
                if self._closed:
                    return
            if job is None:
                return
            # What fails here fails again, and is told, when the engine asks for it; whatever it is,
            # it is no news yet.
            with contextlib.suppress(Exception):
                job()
