"""The wheels of a resolution into the cache: found there, copied from this machine, or downloaded.

Nothing here touches the environment. What came over an unverified connection enters the lasting
cache only under a digest that the user gave or a verified page states; otherwise it is unpacked
into a folder that goes with this run.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from kedge.cache import open_cache
from kedge.classes import frozen
from kedge.environment.metadata import parse_metadata
from kedge.errors import KedgeError, WheelError
from kedge.index import disagreements
from kedge.pipeline.digests import check_digests, digests_of
from kedge.pipeline.parallel import fetch_each

if TYPE_CHECKING:
    from packaging.utils import NormalizedName

    from kedge.cache import Cache, UnpackedWheel
    from kedge.index import Index, IndexFile
    from kedge.pipeline.connection import Connection
    from kedge.pipeline.reporter import Reporter
    from kedge.resolve import Pin


@frozen
class Fetched:
    """One wheel, unpacked, and the digest of the archive it came from."""

    wheel: UnpackedWheel
    sha256: str


class Wheels:
    """Gets wheels for pins. A context manager: what is not to be cached goes when it ends."""

    def __init__(
        self, connection: Connection, index: Index, cache: Cache, reporter: Reporter
    ) -> None:
        self._connection = connection
        self._index = index
        self._cache = cache
        self._reporter = reporter
        self._lock = threading.Lock()
        self._passing: Cache | None = None
        self._archives: Cache | None = None

    def __enter__(self) -> Wheels:
        return self

    def __exit__(self, *exc: object) -> None:
        for temporary in (self._archives, self._passing):
            if temporary is not None:
                temporary.close()

    def fetch(self, pins: Sequence[Pin]) -> dict[NormalizedName, Fetched]:
        """All of them, several at a time; the first failure ends the rest and is raised."""
        missing: dict[NormalizedName, Pin] = {}
        found: dict[NormalizedName, Fetched] = {}
        for pin in pins:
            cached = self._cached(pin)
            if cached is None:
                missing[pin.name] = pin
            else:
                found[pin.name] = cached
        if missing:
            found |= self._fetch_missing(missing)
        for pin in pins:
            self._confirm(pin, found[pin.name])
        return found

    def _confirm(self, pin: Pin, fetched: Fetched) -> None:
        """Refuse a wheel that requires something else than what the versions were chosen by."""
        path = fetched.wheel.dist_info / "METADATA"
        actual = parse_metadata(path.read_bytes(), where=str(path))
        problems = disagreements(self._index.metadata(_file(pin)), actual)
        if problems:
            raise WheelError(
                f"{_file(pin).filename} is not what its index said of it.",
                wheel=_file(pin).filename,
                problems=problems,
                hint="The index, or a mirror of it, is out of date or lies; choose another version "
                "or index.",
            )

    def forget(self, sha256: str) -> None:
        """The entry turned out to be damaged: next time it is fetched again."""
        self._cache.wheels.forget(sha256)

    def _fetch_missing(
        self, missing: Mapping[NormalizedName, Pin]
    ) -> dict[NormalizedName, Fetched]:
        # The largest first: what takes longest should not begin last.
        order = sorted(missing.values(), key=lambda pin: -(_file(pin).size or 0))
        fetched = fetch_each(self._fetch_one, order, self._connection)
        return {pin.name: one for pin, one in zip(order, fetched, strict=True)}

    def _cached(self, pin: Pin) -> Fetched | None:
        """The entry of a digest that is beyond doubt; a user's digests are the only ones then."""
        file = _file(pin)
        if not (pin.hashes_by_user or file.page_verified):
            return None
        for algorithm, digest in pin.hashes:
            if algorithm == "sha256":
                wheel = self._cache.wheels.get(digest)
                if wheel is not None and wheel.manifest.filename == file.filename:
                    return Fetched(wheel, digest)
        return None

    def _fetch_one(self, pin: Pin) -> Fetched:
        file = _file(pin)
        already = self._index.downloaded(file)
        if file.local is not None:
            digests = digests_of(file.local, pin.hashes.algorithms())
            check_digests(file.local, pin.hashes, digests)
            return self._unpack(file.local, file, digests["sha256"], self._cache)
        if already is not None:
            check_digests(already.path, pin.hashes, already.digests)
            store = self._store(pin, verified=already.verified)
            return self._unpack(already.path, file, already.sha256, store)
        destination = self._folder() / f"{pin.name}-{file.filename}"
        download = self._connection.download(
            file.url, destination, hashes=pin.hashes, size=file.size, name=file.filename
        )
        try:
            store = self._store(pin, verified=download.verified)
            return self._unpack(destination, file, download.sha256, store)
        finally:
            destination.unlink(missing_ok=True)

    def _folder(self) -> Path:
        """Where archives lie while they are unpacked; made for the first of them."""
        with self._lock:
            if self._archives is None:
                self._archives = open_cache(None)
            return self._archives.directory

    def _unpack(self, archive: Path, file: IndexFile, sha256: str, store: Cache) -> Fetched:
        from kedge.install.unpack import unpack

        wheel = store.wheels.add(
            sha256, lambda folder: unpack(archive, folder, filename=file.filename)
        )
        return Fetched(wheel, sha256)

    def _store(self, pin: Pin, *, verified: bool) -> Cache:
        """Where it may be kept: for good only if something trusted vouches for its bytes."""
        if verified or pin.hashes_by_user or (pin.hashes and _file(pin).page_verified):
            return self._cache
        with self._lock:
            if self._passing is None:
                self._passing = open_cache(None)
            return self._passing


def _file(pin: Pin) -> IndexFile:
    from kedge.index import IndexFile

    if not isinstance(pin.file, IndexFile):
        raise TypeError(f"{pin} is installed already")
    if not pin.file.is_wheel:
        raise KedgeError(
            f"{pin} is only available as a source distribution, which kedge cannot build yet.",
            hint=f"Ask for a version with a wheel (--prefer-binary, or --only-binary {pin.name}).",
        )
    return pin.file
