"""The core metadata of one file, at the least cost.

A wheel's comes from, in this order: the file itself where it is on this machine; what was kept
from an earlier run; the metadata file beside it (PEP 658), checked against its stated digest; the
wheel's own METADATA read by range requests; the whole wheel, which is then kept so that installing
it does not fetch it again. A source distribution's comes from its metadata file alone, where that
is static (PEP 643): everything else needs a build.

What is kept is keyed so that no index can speak for another: metadata read from a complete file
that has the digest is a fact about that digest, but metadata that an index *serves* for it is a
claim, and counts for the URL it was made for only.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import IO, TYPE_CHECKING, Protocol

from kedge.environment.metadata import CoreMetadata, parse_metadata
from kedge.errors import (
    HashMismatchError,
    HttpStatusError,
    NeedsBuildError,
    PageError,
    RangesUnsupportedError,
    WheelError,
)
from kedge.index.fetch import Downloaded, Fetcher, Ranged
from kedge.index.files import IndexFile
from kedge.model import STRONG_HASHES, Hashes, redact_url, whole_number

if TYPE_CHECKING:
    import zipfile

#: Below this a wheel is fetched whole: one request, and the install needs it anyway.
SMALL_WHEEL = 128 * 1024

#: A METADATA file larger than this is not one (the largest known are some hundred kB).
_LARGEST_METADATA = 16 * 1024 * 1024


class MetadataCache(Protocol):
    """METADATA kept between runs, by a SHA-256: :class:`kedge.cache.MetadataStore`."""

    def get(self, sha256: str) -> bytes | None: ...
    def digest(self, sha256: str) -> str | None: ...
    def put(self, sha256: str, metadata: bytes) -> bool: ...


class MetadataReader:
    """Reads the metadata of files. Safe for several threads, if each file is asked for once.

    ``downloads`` gives the folder for wheels that had to be fetched whole; ``arrived`` is told of
    each one.
    """

    def __init__(
        self,
        fetcher: Fetcher | None,
        cache: MetadataCache | None,
        *,
        downloads: Callable[[], Path],
        arrived: Callable[[IndexFile, Downloaded], None],
    ) -> None:
        self._fetcher = fetcher
        self._cache = cache
        self._downloads = downloads
        self._arrived = arrived

    def read(self, file: IndexFile) -> tuple[CoreMetadata, bytes]:
        """The metadata of ``file``, whose name and version it confirms, and its text.

        Raises :class:`~kedge.errors.NeedsBuildError` for a source distribution that only a build
        can describe, :class:`~kedge.errors.HashMismatchError`, :class:`~kedge.errors.WheelError`
        or :class:`~kedge.errors.PageError` for what is damaged or contradicts the file's name, and
        what the transport raises.
        """
        if not file.is_wheel:
            return self._of_sdist(file)
        if file.local is not None:
            data = _read_local(file.local)
            return confirm(file, _parse(data, file), where=str(file.local)), data
        kept = self._kept(file)
        if kept is not None:
            return kept
        return self._fetch(file)

    def kept_digest(self, file: IndexFile) -> str | None:
        """The SHA-256 of the text that :meth:`read` would give without asking anybody."""
        sha256 = file.hashes.get("sha256") if file.is_wheel else None
        if self._cache is None or sha256 is None or file.local is not None:
            return None
        return self._cache.digest(sha256) or self._cache.digest(_claim_key(file, sha256))

    def _fetch(self, file: IndexFile) -> tuple[CoreMetadata, bytes]:
        fetcher = self._network(file)
        if file.metadata:
            served = self._served(fetcher, file)
            if served is not None:
                data, verified = served
                return self._keep_claim(file, data, verified=verified)
        if file.size is None or file.size > SMALL_WHEEL:
            ranged = _read_ranged(fetcher, file)
            if ranged is not None:
                data, verified = ranged
                return self._keep_claim(file, data, verified=verified)
        return self._from_whole(fetcher, file)

    def _network(self, file: IndexFile) -> Fetcher:
        if self._fetcher is None:
            raise PageError(f"{file} cannot be fetched without a network.", url=file.url)
        return self._fetcher

    def _of_sdist(self, file: IndexFile) -> tuple[CoreMetadata, bytes]:
        if file.metadata and file.local is None:
            served = self._served(self._network(file), file)
            if served is not None:
                metadata = confirm(file, _parse(served[0], file), where=f"{file}.metadata")
                if is_static(metadata):
                    return metadata, served[0]
        raise NeedsBuildError(
            f"{file.filename} is a source distribution: it has to be built before anyone can tell "
            "what it requires.",
            filename=file.filename,
            hint=f"Ask for a version of {file.name} that has a wheel for this Python.",
        )

    def _served(self, fetcher: Fetcher, file: IndexFile) -> tuple[bytes, bool] | None:
        """The PEP 658 file, and whether it came verified; ``None`` where there is none."""
        url = f"{file.url}.metadata"
        try:
            answer = fetcher.get(url)
        except HttpStatusError as exc:
            if exc.status in {404, 410}:
                return None
            raise
        check_digest(answer.body, file.metadata_hashes, location=url)
        return answer.body, answer.verified

    def _from_whole(self, fetcher: Fetcher, file: IndexFile) -> tuple[CoreMetadata, bytes]:
        # The URL's own folder, since two indexes may give different files the same name.
        folder = self._downloads() / hashlib.sha256(file.url.encode()).hexdigest()[:16]
        folder.mkdir(parents=True, exist_ok=True)
        download = fetcher.download(
            file.url,
            folder / file.filename,
            hashes=file.hashes,
            size=file.size,
            name=file.filename,
        )
        self._arrived(file, download)
        data = _read_local(download.path)
        metadata = confirm(file, _parse(data, file), where=redact_url(file.url))
        trusted = file.page_verified and file.hashes.algorithms() & set(STRONG_HASHES)
        if self._cache and (download.verified or trusted):
            # The digest was computed from the very bytes that were read: a fact.
            self._cache.put(download.sha256, data)
        return metadata, data

    def _kept(self, file: IndexFile) -> tuple[CoreMetadata, bytes] | None:
        sha256 = file.hashes.get("sha256")
        if self._cache is None or sha256 is None:
            return None
        data = self._cache.get(sha256) or self._cache.get(_claim_key(file, sha256))
        if data is None:
            return None
        try:
            return confirm(file, _parse(data, file), where=f"{file} in the cache"), data
        except (PageError, WheelError):  # damaged: ask again
            return None

    def _keep_claim(
        self, file: IndexFile, data: bytes, *, verified: bool
    ) -> tuple[CoreMetadata, bytes]:
        metadata = confirm(file, _parse(data, file), where=f"{redact_url(file.url)}.metadata")
        sha256 = file.hashes.get("sha256")
        if self._cache and sha256 and verified and file.page_verified:
            self._cache.put(_claim_key(file, sha256), data)
        return metadata, data


def _claim_key(file: IndexFile, sha256: str) -> str:
    return hashlib.sha256(f"{sha256} {file.url}".encode()).hexdigest()


def _parse(data: bytes, file: IndexFile) -> CoreMetadata:
    return parse_metadata(data, where=str(file))


def check_digest(data: bytes, hashes: Hashes, *, location: str) -> None:
    """Raise :class:`~kedge.errors.HashMismatchError` unless ``data`` has one of the digests.

    Where nothing is stated, anything passes. ``location`` is redacted here.
    """
    if not hashes:
        return
    digests = {name: hashlib.new(name, data).hexdigest() for name in hashes.algorithms()}
    if not hashes.allow(digests):
        raise HashMismatchError(
            f"{redact_url(location)} does not have the digest that its index states.",
            location=redact_url(location),
            expected=tuple(hashes),
            actual=tuple(sorted(digests.items())),
            hint="The file was changed on its way or on the server: do not install it. If it comes "
            "through a mirror or a proxy, that may be out of date.",
        )


def confirm(file: IndexFile, metadata: CoreMetadata, *, where: str) -> CoreMetadata:
    """The same metadata, once its name and version are those of the file's name."""
    problems = []
    if metadata.canonical_name != file.name:
        problems.append(f"it names {metadata.name!r}, not {file.name!r}")
    if metadata.version != file.version:
        problems.append(f"it states version {metadata.version}, not {file.version}")
    if problems:
        raise WheelError(
            f"The metadata of {file.filename} is another file's: {' and '.join(problems)}.",
            wheel=file.filename,
            problems=problems,
            hint=f"It was read from {where}. Whoever publishes it has to mend it.",
        )
    return metadata


def is_static(metadata: CoreMetadata) -> bool:
    """Whether building cannot change what it requires (PEP 643).

    >>> is_static(parse_metadata(b"Metadata-Version: 2.2\\nName: a\\nVersion: 1\\n", where=""))
    True
    """
    major, minor = map(whole_number, (metadata.metadata_version or "").partition(".")[::2])
    if major is None or minor is None or (major, minor) < (2, 2):
        return False
    dynamic = {field.strip().lower() for field in metadata.dynamic}
    return not dynamic & {"requires-dist", "requires-python", "provides-extra"}


def disagreements(stated: CoreMetadata, actual: CoreMetadata) -> tuple[str, ...]:
    """Where the metadata that was resolved with differs from the wheel's own: a sentence for each.

    PEP 658 wants them identical. An index that serves other requirements than the wheel has makes
    a resolution worthless, so whoever unpacks the wheel should compare (as pip does).
    """
    if stated.stated == actual.stated:
        return ()
    same_version = stated.version == actual.version  # 1.0 and 1.0.0 are
    pairs: list[tuple[str, set[str], set[str]]] = [
        ("Name", {stated.canonical_name}, {actual.canonical_name}),
        ("Version", {str(stated.version)}, {str((stated if same_version else actual).version)}),
        ("Requires-Python", {stated.requires_python or ""}, {actual.requires_python or ""}),
        ("Requires-Dist", _spelt(stated), _spelt(actual)),
        ("Provides-Extra", {*stated.provides_extra}, {*actual.provides_extra}),
    ]
    return tuple(
        f"{field}: the index states {_shown(claim - fact)}, the wheel {_shown(fact - claim)}"
        for field, claim, fact in pairs
        if claim != fact
    )


def _spelt(metadata: CoreMetadata) -> set[str]:
    return {str(requirement) for requirement in metadata.requires_dist}


def _shown(values: set[str]) -> str:
    return ", ".join(sorted(filter(None, values))) or "nothing more"


def _read_ranged(fetcher: Fetcher, file: IndexFile) -> tuple[bytes, bool] | None:
    """METADATA out of the wheel on the server, and whether it came verified; ``None`` where that
    server does not do ranges.
    """
    try:
        with closing(fetcher.open_ranged(file.url, size=file.size)) as source:
            data = read_wheel_metadata(source, file.filename)
            return data, source.verified
    except RangesUnsupportedError:
        return None


def _read_local(path: Path) -> bytes:
    try:
        with path.open("rb") as source:
            return read_wheel_metadata(source, path.name)
    except OSError as exc:
        raise WheelError(f"{path} cannot be read ({exc.strerror}).", wheel=path.name) from exc


def read_wheel_metadata(source: IO[bytes] | Ranged, filename: str) -> bytes:
    """The METADATA of the wheel ``source`` (seekable), read without reading the rest.

    Raises :class:`~kedge.errors.WheelError` where it is no zip file or does not have exactly one
    ``.dist-info`` folder of the project its name states.
    """
    import zipfile
    import zlib

    try:
        with zipfile.ZipFile(source) as archive:
            member = _metadata_member(archive, filename)
            if member.file_size > _LARGEST_METADATA:
                raise WheelError(
                    f"The METADATA of {filename} is {member.file_size} bytes long.", wheel=filename
                )
            return archive.read(member)
    except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, ValueError) as exc:
        raise WheelError(
            f"{filename} is not a readable wheel ({exc}).",
            wheel=filename,
            problems=[str(exc)],
            hint="It is truncated or damaged, or what was served in its place is no wheel.",
        ) from exc


def _metadata_member(archive: zipfile.ZipFile, filename: str) -> zipfile.ZipInfo:
    folders = {
        name.partition("/")[0]
        for name in archive.namelist()
        if name.partition("/")[0].endswith(".dist-info")
    }
    if len(folders) != 1:
        raise WheelError(
            f"{filename} has {len(folders) or 'no'} .dist-info folders, where a wheel has one.",
            wheel=filename,
            problems=sorted(folders),
        )
    folder = folders.pop()
    try:
        return archive.getinfo(f"{folder}/METADATA")
    except KeyError as exc:
        raise WheelError(f"{filename} has no {folder}/METADATA.", wheel=filename) from exc
