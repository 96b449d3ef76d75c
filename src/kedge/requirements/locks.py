"""Lock files (``pylock.toml``, PEP 751): what of one is to be installed here.

packaging reads and selects; this module asks it for the target's markers and tags, and turns what
it selects into requirements, as pip does: a locked wheel or source distribution pins its version
and its digests, and is the only file that its project may come from; everything else is a direct
URL. What a lock file names, its digests vouch for; a repository's commit and a folder beside the
lock have none, and are taken as the lock names them.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import urljoin, urlsplit

from kedge.classes import field, frozen, mutable, replace
from kedge.errors import RequirementError
from kedge.model import STRONG_HASHES, Hashes, Origin, OriginKind, Sourced, local_path, redact_url
from kedge.requirements.arguments import parse_argument
from kedge.requirements.files import Reader, is_lock_file, is_url, read_local

if TYPE_CHECKING:
    from packaging.markers import Environment
    from packaging.pylock import (
        Package,
        PackageArchive,
        PackageDirectory,
        PackageSdist,
        PackageVcs,
        PackageWheel,
    )
    from packaging.tags import Tag
    from packaging.utils import NormalizedName

    from kedge.requirements.requested import Requested

_EXTRAS = re.compile(r"(.+?)\s*\[([^\]]+)\]")


@frozen
class LockRequest:
    """One lock file, and what is wanted of it. ``defaults`` adds its default groups."""

    location: str
    origin: Origin
    extras: frozenset[str] = frozenset()
    groups: frozenset[str] = frozenset()
    defaults: bool = False


@frozen(kw_only=True)
class LockedFile:
    """The one file that a project may come from. ``upload_time`` is ISO 8601."""

    name: NormalizedName
    url: str
    filename: str
    size: int | None
    upload_time: str | None
    lock: str


@frozen
class Locked:
    """What was selected: requirements in the lock's order, and the files that some must be."""

    requirements: tuple[Requested, ...] = ()
    files: tuple[LockedFile, ...] = ()


def split_extras(location: str) -> tuple[str, frozenset[str]]:
    """A lock's place without the extras behind it.

    >>> place, extras = split_extras("pylock.toml[test, docs]")
    >>> place, sorted(extras)
    ('pylock.toml', ['docs', 'test'])
    """
    match = _EXTRAS.fullmatch(location)
    if match is None or not is_lock_file(match[1]):
        return location, frozenset()
    return match[1], frozenset(extra.strip() for extra in match[2].split(","))


def lock_requests(
    named: Iterable[Sourced[str]], groups: Iterable[Sourced[tuple[str, str]]]
) -> dict[str, LockRequest]:
    """The lock files among ``-r`` and ``--group`` values, each once, by place.

    ``-r`` brings the default groups, ``--group`` its group alone; extras and groups of one lock
    add up, since its markers look at all of them together (pip's rules).
    """
    found: dict[str, LockRequest] = {}
    wanted: list[tuple[str, str | None, Origin]] = [
        *((one.value, None, one.origin) for one in named),
        *((*one.value, one.origin) for one in groups),
    ]
    for place, group, origin in wanted:
        location, extras = split_extras(place)
        if not is_lock_file(location):
            continue
        before = found.get(location, LockRequest(location, origin))
        found[location] = replace(
            before,
            extras=before.extras | extras,
            groups=before.groups | ({group} if group else frozenset()),
            defaults=before.defaults or group is None,
        )
    return found


def read_lock(
    request: LockRequest,
    reader: Reader | None,
    *,
    markers: Mapping[str, str],
    tags: Sequence[Tag],
    prefers_sdist: Callable[[str], bool],
) -> Locked:
    """Read a lock file and select from it for the target.

    Raises :class:`~kedge.errors.RequirementError`, for a lock that is not for this environment,
    too, and what the reader raises.
    """
    from packaging.pylock import Pylock, PylockSelectError, PylockValidationError

    from kedge.requirements.toml import read_toml

    shown = redact_url(request.location)
    document = read_toml(_bytes(request, reader), shown=shown, origin=request.origin)
    try:
        lock = Pylock.from_dict(document)
        chosen = list(
            lock.select(
                environment=cast("Environment", dict(markers)),
                tags=tags,
                extras=request.extras,
                dependency_groups=[
                    *request.groups,
                    *((lock.default_groups or ()) if request.defaults else ()),
                ],
                prefer_sdist_predicate=prefers_sdist,
            )
        )
    except (PylockValidationError, PylockSelectError) as exc:
        raise RequirementError(
            f"{shown} cannot be used: {exc} ({request.origin}).", origin=request.origin
        ) from exc
    reading = _Reading(request.location, Origin(OriginKind.FILE, path=shown))
    for package, distribution in chosen:
        reading.take(package, distribution)
    return Locked(tuple(reading.requirements), tuple(reading.files))


def _bytes(request: LockRequest, reader: Reader | None) -> bytes:
    if not request.location.lower().startswith(("http:", "https:")):
        return read_local(request.location, "lock", request.origin)
    if reader is None:
        shown = redact_url(request.location)
        raise RequirementError(f"{shown} cannot be fetched here.", origin=request.origin)
    return reader.get(request.location).body


@mutable
class _Reading:
    """The selected packages of one lock, one after the other."""

    location: str
    origin: Origin
    requirements: list[Requested] = field(default_factory=list)
    files: list[LockedFile] = field(default_factory=list)

    def take(self, package: Package, distribution: Any) -> None:
        from packaging.pylock import PackageArchive, PackageDirectory, PackageVcs

        match distribution:
            case PackageVcs():
                self._add(f"{package.name} @ {self._vcs_url(distribution)}")
            case PackageDirectory():
                url = self._folder_url(package, distribution)
                self._add(f"{package.name} @ {url}", editable=bool(distribution.editable))
            case PackageArchive():
                url = self._in_folder(self._url(package, distribution), distribution.subdirectory)
                self._add(f"{package.name} @ {url}", hashes=self._hashes(package, distribution))
            case _:
                self._pin(package, distribution)

    def _pin(self, package: Package, distribution: PackageWheel | PackageSdist) -> None:
        version = package.version or _version_of(distribution)
        self._add(
            f"{package.name}=={version}",
            hashes=self._hashes(package, distribution),
        )
        moment = distribution.upload_time
        self.files.append(
            LockedFile(
                name=package.name,
                url=self._url(package, distribution),
                filename=distribution.filename,
                size=distribution.size,
                upload_time=moment.isoformat() if moment else None,
                lock=redact_url(self.location),
            )
        )

    def _add(self, text: str, *, hashes: Hashes | None = None, editable: bool = False) -> None:
        found = parse_argument(text, self.origin, hashes=hashes, editable=editable)
        self.requirements.append(replace(found, locked=True))

    def _hashes(
        self, package: Package, distribution: PackageArchive | PackageWheel | PackageSdist
    ) -> Hashes:
        strong = {name: one for name, one in distribution.hashes.items() if name in STRONG_HASHES}
        if not strong:
            raise self._error(package, f"has no hash among {', '.join(STRONG_HASHES)}")
        return Hashes.of(strong)

    # -- where it is

    def _vcs_url(self, vcs: PackageVcs) -> str:
        base = self._joined(vcs.path) if vcs.path is not None else vcs.url
        return self._in_folder(f"{vcs.type}+{base}@{vcs.commit_id}", vcs.subdirectory)

    def _folder_url(self, package: Package, directory: PackageDirectory) -> str:
        if self._is_remote:
            raise self._error(package, "is a folder, which a lock behind a URL cannot name")
        return self._in_folder(self._joined(directory.path), directory.subdirectory)

    def _url(
        self, package: Package, distribution: PackageArchive | PackageWheel | PackageSdist
    ) -> str:
        """The place of a file: its path, which counts for more, seen from the lock; or its URL."""
        if distribution.path is None:
            return distribution.url or ""
        if not self._is_remote:
            return self._joined(distribution.path)
        joined = urljoin(self.location, distribution.path)
        here, there = urlsplit(self.location), urlsplit(joined)
        outside = (here.scheme, here.netloc) != (there.scheme, there.netloc)
        if outside or Path(distribution.path).is_absolute():
            raise self._error(package, f"has a path that leads elsewhere: {distribution.path!r}")
        return joined

    def _joined(self, path: str) -> str:
        lock = self.location
        if is_url(lock):
            lock = local_path(lock, windows=os.name == "nt")
        base = Path(lock).parent
        return Path(os.path.normpath(Path.cwd() / base / path)).as_uri()

    def _in_folder(self, url: str, subdirectory: str | None) -> str:
        if not subdirectory:
            return url
        return f"{url}{'&' if '#' in url else '#'}subdirectory={subdirectory}"

    @property
    def _is_remote(self) -> bool:
        return self.location.lower().startswith(("http:", "https:"))

    def _error(self, package: Package, problem: str) -> RequirementError:
        return RequirementError(f"{package.name} in {self.origin} {problem}.", origin=self.origin)


def _version_of(distribution: PackageWheel | PackageSdist) -> object:
    from packaging.utils import parse_sdist_filename, parse_wheel_filename

    if distribution.filename.endswith(".whl"):
        return parse_wheel_filename(distribution.filename)[1]
    return parse_sdist_filename(distribution.filename)[1]
