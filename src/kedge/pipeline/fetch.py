"""The wheels of a resolution into the cache: found there, copied, downloaded, or built.

Nothing here touches the environment. What may be kept for good is decided in
:mod:`kedge.pipeline.stores` and below: what nothing trusted vouches for goes with this run.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from kedge.classes import frozen
from kedge.environment.metadata import parse_metadata
from kedge.errors import MetadataChangedError, WheelError
from kedge.index import IndexFile, disagreements
from kedge.pipeline.digests import check_digests, digests_of
from kedge.pipeline.parallel import fetch_each
from kedge.pipeline.timing import timed

if TYPE_CHECKING:
    from packaging.utils import NormalizedName

    from kedge.cache import Cache, UnpackedWheel
    from kedge.pipeline.builds import Source
    from kedge.pipeline.catalog import Catalog
    from kedge.pipeline.connection import Connection
    from kedge.pipeline.reporter import Reporter
    from kedge.pipeline.stores import Stores
    from kedge.resolve import Pin

#: Builds at a time. Most backends use one processor and wait a lot; some use all there are.
_BUILDS = min(8, max(2, (os.cpu_count() or 1) // 2))


@frozen
class Fetched:
    """One wheel, unpacked, and the digest of its archive.

    ``lasts`` is whether something trusted vouches for it, so that it may be kept for good.
    """

    wheel: UnpackedWheel
    sha256: str
    lasts: bool = True


class Wheels:
    """Gets wheels for pins, of any resolution of one run."""

    def __init__(self, connection: Connection, stores: Stores, reporter: Reporter) -> None:
        self._connection = connection
        self._reporter = reporter
        self._stores = stores
        self._building = threading.BoundedSemaphore(_BUILDS)

    def fetch(self, pins: Sequence[Pin], catalog: Catalog) -> dict[NormalizedName, Fetched]:
        """All of them, several at a time; the first failure ends the rest and is raised.

        What has to be built is made ready here, in the caller's thread, and built beside the
        downloads.
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
        # The largest first: what takes longest should not begin last. Builds take longest.
        missing.sort(key=lambda pin: (pin.name not in sources, -(_file(pin).size or 0)))
        work = partial(self._fetch_one, catalog=catalog, sources=sources)
        if missing:
            fetched = fetch_each(work, missing, partial(self._end, catalog))
            found |= {pin.name: one for pin, one in zip(missing, fetched, strict=True)}
        for pin in pins:
            _confirm(pin, found[pin.name], catalog)
        return found

    def forget(self, sha256: str, catalog: Catalog) -> None:
        """The entry turned out to be damaged: next time it is fetched or built again."""
        self._stores.forget(sha256)
        catalog.builds.forget(sha256)

    def _end(self, catalog: Catalog) -> None:
        catalog.builds.stop()
        self._connection.close()

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

    def _fetch_one(
        self, pin: Pin, *, catalog: Catalog, sources: Mapping[NormalizedName, Source]
    ) -> Fetched:
        file = _file(pin)
        source = sources.get(pin.name)
        if source is not None:
            with self._building:
                wheel = catalog.builds.wheel(source)
            return Fetched(wheel, wheel.sha256, source.lasts)
        already = catalog.index.downloaded(file)
        if file.local is not None:
            digests = digests_of(file.local, pin.hashes.algorithms())
            check_digests(file.local, pin.hashes, digests)
            return self._unpack(file.local, file, digests["sha256"], lasts=True)
        if already is not None:
            check_digests(already.path, pin.hashes, already.digests)
            lasts = _lasts(pin, verified=already.verified)
            return self._unpack(already.path, file, already.sha256, lasts=lasts)
        destination = self._stores.archives / f"{threading.get_ident()}-{file.filename}"
        download = self._connection.download(
            file.url, destination, hashes=pin.hashes, size=file.size, name=file.filename
        )
        try:
            lasts = _lasts(pin, verified=download.verified)
            return self._unpack(destination, file, download.sha256, lasts=lasts)
        finally:
            destination.unlink(missing_ok=True)

    def _unpack(self, archive: Path, file: IndexFile, sha256: str, *, lasts: bool) -> Fetched:
        from kedge.install.unpack import unpack

        store: Cache = self._stores.choose(lasts=lasts)
        with timed(self._reporter, "unpack"):
            wheel = store.wheels.add(
                sha256, lambda folder: unpack(archive, folder, filename=file.filename)
            )
        return Fetched(wheel, sha256, lasts)


def _lasts(pin: Pin, *, verified: bool) -> bool:
    """Whether it may be kept for good: only if something trusted vouches for its bytes."""
    return verified or pin.hashes_by_user or (bool(pin.hashes) and _file(pin).page_verified)


def _confirm(pin: Pin, fetched: Fetched, catalog: Catalog) -> None:
    """Refuse a wheel that requires something else than what the versions were chosen by.

    Of one that was built the wheel's word counts from then on, and the versions are chosen again:
    some projects' setup.py requires one thing in one command and another in the next.
    """
    file = _file(pin)
    stated = catalog.metadata(file)
    if stated.stated == fetched.wheel.manifest.stated:
        return
    from kedge.install.contents import metadata_of

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
