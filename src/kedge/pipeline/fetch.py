"""The wheels of a resolution into the cache: found there, copied, downloaded, or built.

Downloads run in threads, which wait for the network; what arrives is unpacked in processes, or
here if it is little. Both begin while versions are still being chosen, with what is likely to be;
what is not chosen in the end is given up, or stays in the cache if it has arrived.

Nothing here touches the environment. What may be kept for good is decided in
:mod:`kedge.pipeline.stores` and below: what nothing trusted vouches for goes with this run.
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from kedge.classes import frozen, mutable
from kedge.environment.metadata import parse_metadata
from kedge.errors import KedgeError, MetadataChangedError, WheelError
from kedge.index import IndexFile, disagreements
from kedge.index.shared import wait_for
from kedge.pipeline.digests import check_digests, digests_of
from kedge.pipeline.parallel import DOWNLOADS, Lane
from kedge.pipeline.timing import timed
from kedge.pipeline.withheld import Withheld
from kedge.processors import processors
from kedge.resolve import Foresight

if TYPE_CHECKING:
    from concurrent.futures import Future

    from packaging.utils import NormalizedName

    from kedge.cache import UnpackedWheel
    from kedge.install.arriving import Ahead, Arriving
    from kedge.install.workers import Workers
    from kedge.pipeline.catalog import Catalog
    from kedge.pipeline.connection import Connection
    from kedge.pipeline.reporter import Reporter
    from kedge.pipeline.sources import Source
    from kedge.pipeline.stores import Stores
    from kedge.resolve import Pin

#: Builds at a time. Most backends use one processor and wait a lot; some use all there are.
_BUILDS = min(8, max(2, processors() // 2))

#: Bytes of archives that have arrived and wait to be unpacked, at most (and one more).
_ROOM = 256 << 20

#: Processes that unpack, at most; so many bytes of archives are worth the start of each.
_PROCESSES = min(8, processors())
_WORTH_A_PROCESS = 4 << 20

#: Smaller archives are unpacked soon enough when they are there, by processes that are idle.
WORTH_FOLLOWING = 64 << 20

#: Bytes of archives that come with one project that is asked for, by a cautious guess.
_GUESSED = 1 << 20


@frozen
class Fetched:
    """One wheel, unpacked, and the digest of its archive.

    ``lasts`` is whether something trusted vouches for it, so that it may be kept for good.
    """

    wheel: UnpackedWheel
    sha256: str
    lasts: bool = True


@frozen
class _Archive:
    """An archive on the disk, checked; ``passing`` if it is to be deleted when it is unpacked.

    ``ahead`` are the holes in it, where members were inflated while it arrived.
    """

    path: Path
    sha256: str
    lasts: bool
    passing: bool = False
    ahead: tuple[Ahead, ...] = ()


@mutable
class _Job:
    """One wheel on its way; ``wanted`` once it was chosen.

    ``whole`` is whether its archive is to be stored as it is, whatever its size.
    """

    pin: Pin
    catalog: Catalog
    future: Future[Fetched]
    told: Withheld
    wanted: bool = False
    whole: bool = False

    def succeed(self, fetched: Fetched) -> None:
        self._settle(partial(self.future.set_result, fetched))

    def fail(self, error: BaseException) -> None:
        self._settle(partial(self.future.set_exception, error))

    def _settle(self, settle: Callable[[], None]) -> None:
        from concurrent.futures import InvalidStateError

        with suppress(InvalidStateError):  # cancelled: the run is ending
            settle()


class Wheels:
    """Gets wheels for pins, of any resolution of one run; to be closed."""

    def __init__(self, connection: Connection, stores: Stores, reporter: Reporter) -> None:
        self._connection = connection
        self._reporter = reporter
        self._stores = stores
        self._building = threading.BoundedSemaphore(_BUILDS)
        self._downloads = Lane(DOWNLOADS, "kedge-fetch")
        self._unpacking = Lane(_PROCESSES, "kedge-unpack", room=_ROOM)
        self._numbers = itertools.count()
        self._lock = threading.Lock()
        self._jobs: dict[object, _Job] = {}
        #: What was foreseen last of each project, by the key of its job.
        self._foreseen: dict[NormalizedName, object] = {}
        self._tried: set[NormalizedName] = set()
        self._doubtful: set[NormalizedName] = set()
        self._expected: list[int] = []
        self._workers: Workers | None = None
        self._given_up = False
        self._closed = False

    def close(self) -> None:
        """End what is still under way, and wait for it."""
        with self._lock:
            self._closed = True
            workers = self._workers
            under_way = [job for job in self._jobs.values() if job.future.cancel()]
            self._jobs.clear()
        self._downloads.close()
        self._unpacking.close()
        if under_way or self._given_up:
            self._connection.close()
        if workers is not None:
            workers.close()
        self._downloads.join()
        self._unpacking.join()

    # -- ahead of the choice

    def ahead(self, catalog: Catalog, *, projects: int) -> Foresight:
        """Fetches what a resolution settles on, before it has ended; so many projects are asked
        for and not there."""
        return _Ahead(self, catalog, projects)

    def expect(self, projects: int) -> None:
        """So many will be fetched, and perhaps more: begin what unpacks them, on a processor that
        has nothing to do until the first has arrived. A few small ones are done before that."""
        worth = projects * _GUESSED // _WORTH_A_PROCESS
        if worth > 1:
            self._processes().begin(worth)

    def guess(self, pin: Pin, catalog: Catalog) -> None:
        """As :meth:`foresee`, where the search has not come to that project yet."""
        with self._lock:
            if pin.name not in self._tried:
                self._foresee(pin, catalog)

    def foresee(self, pin: Pin, catalog: Catalog) -> None:
        """It will probably be chosen: begin, if a digest that is beyond doubt vouches for it."""
        with self._lock:
            self._tried.add(pin.name)
            self._foresee(pin, catalog)

    def _foresee(self, pin: Pin, catalog: Catalog) -> None:
        file, key = _file(pin), _key(pin)
        before = self._foreseen.get(pin.name)
        if key == before or pin.name in self._doubtful:
            return
        if not file.is_wheel or file.local is not None or pin.direct is not None:
            return
        if not pin.hashes or not (pin.hashes_by_user or file.page_verified):
            return
        self._abandon(before)
        self._foreseen[pin.name] = key
        if not self._is_cached(pin):
            self._job(pin, catalog)

    def doubt(self, name: NormalizedName) -> None:
        """Versions of it were refused: it is not fetched before it is chosen."""
        with self._lock:
            self._doubtful.add(name)
            self._abandon(self._foreseen.pop(name, None))

    def settle(self, pins: Sequence[Pin]) -> None:
        """These were chosen; of all else that was foreseen nothing more is fetched."""
        chosen = {_key(pin) for pin in pins if isinstance(pin.file, IndexFile)}
        with self._lock:
            for key in self._foreseen.values():
                if key not in chosen:
                    self._abandon(key)
            self._foreseen.clear()

    def _abandon(self, key: object) -> None:
        """End it, unless somebody has asked for it or it has arrived. The lock is held."""
        job = self._jobs.get(key)
        if job is not None and not job.wanted and not job.future.done():
            job.told.abandon()
            self._given_up = True
            del self._jobs[key]

    # -- what was chosen

    def fetch(
        self,
        pins: Sequence[Pin],
        catalog: Catalog,
        *,
        arrived: Callable[[UnpackedWheel], None] | None = None,
        meanwhile: Callable[[], object] | None = None,
    ) -> dict[NormalizedName, Fetched]:
        """All of them, several at a time; the first failure ends the rest and is raised.

        What has to be built is made ready here, in the caller's thread, and built beside the
        downloads. ``arrived`` is told of each wheel that was not there yet, in any thread;
        ``meanwhile`` is called where there is something to wait for.
        """
        found: dict[NormalizedName, Fetched] = {}
        missing: list[Pin] = []
        sources: dict[NormalizedName, Source] = {}
        for pin in pins:
            if not _file(pin).is_wheel:
                sources[pin.name] = catalog.make_ready(_file(pin))
            cached = self._cached(pin)
            if cached is None:
                missing.append(pin)
            else:
                found[pin.name] = cached
        if missing:
            found |= self._fetch(missing, sources, catalog, arrived, meanwhile)
        for pin in pins:
            _confirm(pin, found[pin.name], catalog)
        return found

    def _fetch(
        self,
        pins: Sequence[Pin],
        sources: Mapping[NormalizedName, Source],
        catalog: Catalog,
        arrived: Callable[[UnpackedWheel], None] | None,
        meanwhile: Callable[[], object] | None,
    ) -> dict[NormalizedName, Fetched]:
        builds = Lane(_BUILDS, "kedge-build")
        try:
            jobs = {
                pin.name: self._claim(pin, catalog, sources.get(pin.name), builds) for pin in pins
            }
            if arrived is not None:
                for job in jobs.values():
                    job.future.add_done_callback(partial(_pass_on, arrived))
            if meanwhile is not None:
                meanwhile()
            wait_for([job.future for job in jobs.values()])
            return {name: job.future.result() for name, job in jobs.items()}
        except BaseException:
            builds.close()
            catalog.builds.stop()
            self._connection.close()
            self.close()
            raise
        finally:
            builds.close()
            builds.join()
            with self._lock:
                for pin in pins:
                    self._jobs.pop(_key(pin), None)

    def rest(self) -> None:
        """Nothing more is expected: what unpacks ends, beside whatever comes now."""
        if self._workers is not None:
            self._workers.rest()

    def forget(self, sha256: str, catalog: Catalog) -> None:
        """The entry turned out to be damaged: next time it is fetched or built again."""
        self._stores.forget(sha256)
        catalog.builds.forget(sha256)

    def _cached(self, pin: Pin) -> Fetched | None:
        """The entry of a digest that is beyond doubt; a user's digests are the only ones then."""
        file = _file(pin)
        if not file.is_wheel or not (pin.hashes_by_user or file.page_verified):
            return None
        for algorithm, digest in pin.hashes:
            if algorithm == "sha256":
                wheel = self._stores.lasting.wheels.get(digest)
                if wheel is not None and wheel.manifest.filename == file.filename:
                    return Fetched(wheel, digest)
        return None

    def _is_cached(self, pin: Pin) -> bool:
        """Whether there is an entry, be it whole or not: a look that costs little."""
        wheels = self._stores.lasting.wheels
        return any(name == "sha256" and wheels.has(digest) for name, digest in pin.hashes)

    # -- the way of one wheel

    def _claim(self, pin: Pin, catalog: Catalog, source: Source | None, builds: Lane) -> _Job:
        """It was chosen: begin, if that is still to do, and tell of it from now on."""
        if source is not None:
            job = _job(pin, catalog, self._reporter)
            builds.put(0, partial(self._build, job, source))
            return job
        with self._lock:
            job = self._job(pin, catalog)
            job.wanted = True
        job.told.release()
        return job

    def _job(self, pin: Pin, catalog: Catalog) -> _Job:
        """The download of that file, begun if it is not yet. The lock is held."""
        if self._closed:
            raise KedgeError("The connection is closed.")
        key = _key(pin)
        job = self._jobs.get(key)
        if job is None:
            job = self._jobs[key] = _job(pin, catalog, self._reporter)
            size = _file(pin).size or 0
            self._expected.append(size)
            self._downloads.put(size, partial(self._bring, job))
        return job

    def _build(self, job: _Job, source: Source) -> None:
        try:
            with self._building:
                wheel = job.catalog.builds.wheel(source)
        except BaseException as exc:
            job.fail(exc)
        else:
            job.succeed(Fetched(wheel, wheel.sha256, source.lasts))

    def _bring(self, job: _Job) -> None:
        with self._lock:
            if self._jobs.get(_key(job.pin)) is not job:
                return  # abandoned
        try:
            self._ready_workers()
            archive = self._archive(job)
            size = archive.path.stat().st_size
        except BaseException as exc:
            job.fail(exc)
        else:
            self._unpacking.put(size, partial(self._unpack, job, archive))

    def _archive(self, job: _Job) -> _Archive:
        pin, file = job.pin, _file(job.pin)
        already = job.catalog.index.downloaded(file)
        if file.local is not None:
            digests = digests_of(file.local, pin.hashes.algorithms())
            check_digests(file.local, pin.hashes, digests)
            return _Archive(file.local, digests["sha256"], lasts=True)
        if already is not None:
            check_digests(already.path, pin.hashes, already.digests)
            lasts = _lasts(pin, verified=already.verified)
            return _Archive(already.path, already.sha256, lasts)
        destination = self._stores.archives() / f"{next(self._numbers)}-{file.filename}"
        following = None if job.whole else _following(pin, destination)
        try:
            download = self._connection.download(
                file.url,
                destination,
                hashes=pin.hashes,
                size=file.size,
                name=file.filename,
                reporter=job.told,
                receiver=following,
            )
        except BaseException:
            if following is not None:
                following.discard()
            raise
        lasts = _lasts(pin, verified=download.verified)
        ahead = () if following is None else tuple(following.ahead)
        return _Archive(destination, download.sha256, lasts, passing=True, ahead=ahead)

    def _unpack(self, job: _Job, archive: _Archive) -> None:
        store = self._stores.choose(lasts=archive.lasts).wheels
        filename = _file(job.pin).filename
        try:
            # Of a file on this machine only its own bytes tell the digest, and so only now.
            wheel = store.get(archive.sha256)
            if wheel is None or wheel.manifest.filename != filename:
                with timed(self._reporter, "unpack"):
                    wheel = self._processes().unpack(
                        store,
                        archive.sha256,
                        archive.path,
                        filename=filename,
                        ahead=archive.ahead,
                    )
        except BaseException as exc:
            if archive.ahead and isinstance(exc, WheelError):
                # What is wrong with it, if anything, the whole archive tells.
                self._reporter.detail(f"Fetching {filename} again, to unpack it as a whole")
                job.whole = True
                self._downloads.put(0, partial(self._bring, job))
            else:
                job.fail(exc)
        else:
            job.succeed(Fetched(wheel, archive.sha256, archive.lasts))
        finally:
            if archive.passing:
                for path in (archive.path, *(Path(each.path) for each in archive.ahead)):
                    with suppress(OSError):
                        path.unlink()

    def _processes(self) -> Workers:
        """Those that unpack; until they are begun there are none."""
        from kedge.install.workers import Workers

        with self._lock:
            if self._workers is None:
                self._workers = Workers(_PROCESSES)
                if self._closed:
                    self._workers.close()
            return self._workers

    def _ready_workers(self) -> None:
        """Begin as many as there is work for; one wheel alone is none for another process."""
        with self._lock:
            worth = sum(self._expected) // _WORTH_A_PROCESS if len(self._expected) > 1 else 0
        if worth:
            self._processes().begin(worth)


class _Ahead(Foresight):
    def __init__(self, wheels: Wheels, catalog: Catalog, projects: int) -> None:
        self._wheels = wheels
        self._catalog = catalog
        self._projects = projects

    def asking(self) -> None:
        self._wheels.expect(self._projects)

    def guessed(self, pin: Pin) -> None:
        self._wheels.guess(pin, self._catalog)

    def likely(self, pin: Pin) -> None:
        self._wheels.foresee(pin, self._catalog)

    def doubtful(self, name: NormalizedName) -> None:
        self._wheels.doubt(name)


def _job(pin: Pin, catalog: Catalog, reporter: Reporter) -> _Job:
    from concurrent.futures import Future  # imports logging

    return _Job(pin, catalog, Future(), Withheld(reporter))


def _pass_on(arrived: Callable[[UnpackedWheel], None], future: Future[Fetched]) -> None:
    if not future.cancelled() and future.exception() is None:
        arrived(future.result().wheel)


def _key(pin: Pin) -> object:
    """What a download is good for: the same file, held to the same digests."""
    return _file(pin).url, tuple(pin.hashes), pin.hashes_by_user


def _lasts(pin: Pin, *, verified: bool) -> bool:
    """Whether it may be kept for good: only if something trusted vouches for its bytes."""
    return verified or pin.hashes_by_user or (bool(pin.hashes) and _file(pin).page_verified)


def _following(pin: Pin, destination: Path) -> Arriving | None:
    """What unpacks a large wheel while it arrives, if its digest is known by then."""
    size = _file(pin).size or 0
    if size < WORTH_FOLLOWING or not _lasts(pin, verified=False):
        return None
    from kedge.install.arriving import Arriving  # most runs have no use for it

    # Of a long name only the beginning: file systems allow 255 bytes.
    return Arriving(destination.with_name(f"{destination.name[:200]}.member"), size)


def _confirm(pin: Pin, fetched: Fetched, catalog: Catalog) -> None:
    """Refuse a wheel that requires something else than what the versions were chosen by.

    Of one that was built the wheel's word counts from then on, and the versions are chosen again:
    some projects' setup.py requires one thing in one command and another in the next.
    """
    from kedge.install.contents import metadata_digest, metadata_of

    file = _file(pin)
    if catalog.text_digest(file) == metadata_digest(fetched.wheel):
        return
    stated = catalog.metadata(file)
    if stated.stated == fetched.wheel.manifest.stated:
        return
    text = metadata_of(fetched.wheel)
    actual = parse_metadata(text, where=str(fetched.wheel.dist_info / "METADATA"))
    problems = disagreements(stated, actual)
    if not problems:
        return
    if not file.is_wheel:
        catalog.source(file).describe_anew(text, actual)
        raise MetadataChangedError(
            f"{pin} was built with other requirements than its metadata said: {problems[0]}.",
            source=str(pin),
        )
    raise WheelError(
        f"{file.filename} is not what its index said of it.",
        wheel=file.filename,
        problems=problems,
        hint="The index, or a mirror of it, is out of date or lies; choose another version "
        "or index.",
    )


def _file(pin: Pin) -> IndexFile:
    if not isinstance(pin.file, IndexFile):
        raise TypeError(f"{pin} is installed already")
    return pin.file
