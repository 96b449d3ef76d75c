"""What a source is: where it is, what it has to be, what became known of it.

Values, and the sentences for a source that is not what was said of it. What fetches, describes and
builds them is :mod:`kedge.pipeline.builds`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urldefrag

from kedge.classes import field, frozen, mutable
from kedge.environment.metadata import parse_metadata
from kedge.errors import BuildError, PageError, SourceError
from kedge.model import DirectUrl, Hashes, redact_url, strip_secrets

if TYPE_CHECKING:
    from packaging.utils import NormalizedName
    from packaging.version import Version

    from kedge.build.repository import Repository
    from kedge.build.workshop import Prepared, Sources
    from kedge.cache import UnpackedWheel
    from kedge.environment import CoreMetadata


@frozen(kw_only=True)
class Wanted:
    """One source: where it is, what it has to be, how it is to be built.

    ``url`` is absolute, with no fragment but ``#subdirectory=``. ``vouched`` is whether ``hashes``
    were given by the user or stated by a verified page. ``expected`` is what its index calls it;
    a source that was asked for by URL tells itself. Of a repository, ``filename`` is the name that
    an editable checkout gets.
    """

    url: str
    filename: str
    shown: str
    hashes: Hashes = field(default_factory=Hashes)
    size: int | None = None
    vouched: bool = False
    local: Path | None = None
    repository: Repository | None = None
    subdirectory: str | None = None
    editable: bool = False
    config_settings: Mapping[str, str | tuple[str, ...]] = field(default_factory=dict, hash=False)
    expected: tuple[NormalizedName, Version] | None = None

    @property
    def key(self) -> tuple[str, bool]:
        return (self.url, self.editable)


@mutable
class Source:
    """What is known of one source so far. ``lasts`` is whether its wheel may be kept for good."""

    wanted: Wanted
    origin: DirectUrl
    metadata: CoreMetadata
    text: bytes
    archive: Path | None = None
    checkout: Path | None = None
    sources: Sources | None = None
    prepared: Prepared | None = None
    wheel: UnpackedWheel | None = None
    cache_key: str | None = None
    lasts: bool = False

    def describe_anew(self, text: bytes, metadata: CoreMetadata) -> None:
        """It turned out to be something else than was thought."""
        self.text, self.metadata = text, metadata


def project_folder(folder: Path, wanted: Wanted) -> Path:
    """The folder of the project: ``#subdirectory=`` of it, which must not lead out."""
    if not wanted.subdirectory:
        return folder
    inside = (folder / wanted.subdirectory).resolve()
    if not inside.is_relative_to(folder.resolve()) or not inside.is_dir():
        raise SourceError(
            f"{wanted.shown} has no folder {wanted.subdirectory}.",
            source=wanted.shown,
            hint="#subdirectory=… in the URL names it, counted from the top of the sources.",
        )
    return inside


def archive_origin(wanted: Wanted, sha256: str) -> DirectUrl:
    return DirectUrl(
        url=strip_secrets(urldefrag(wanted.url).url),
        archive_hashes={"sha256": sha256},
        subdirectory=wanted.subdirectory,
    )


def repository_origin(wanted: Wanted, repository: Repository, commit: str) -> DirectUrl:
    return DirectUrl(
        url=repository.url,
        vcs=repository.vcs,
        commit_id=commit,
        requested_revision=repository.revision,
        subdirectory=wanted.subdirectory,
    )


def commit_digest(repository: Repository, commit: str) -> str:
    """What stands for a commit where an archive has its digest."""
    return hashlib.sha256(f"{repository.vcs}+{repository.url}@{commit}".encode()).hexdigest()


def static_metadata(folder: Path) -> tuple[CoreMetadata, bytes] | None:
    """``PKG-INFO``, where building cannot change what it says (PEP 643)."""
    try:
        text = (folder / "PKG-INFO").read_bytes()
        metadata = parse_metadata(text, where=str(folder / "PKG-INFO"))
        metadata.version  # noqa: B018 - read here, so that what is damaged shows here
    except (OSError, PageError):
        return None
    from kedge.index.metadata import is_static

    return (metadata, text) if is_static(metadata) else None


def is_expected(wanted: Wanted, metadata: CoreMetadata) -> bool:
    if wanted.expected is None:
        return True
    return identity(metadata) == wanted.expected


def unexpected(wanted: Wanted, metadata: CoreMetadata) -> PageError:
    return PageError(
        f"{wanted.filename} turns out to be {metadata.name} {metadata.version_text}",
        url=redact_url(wanted.url),
    )


def check_built(source: Source, wheel: UnpackedWheel) -> None:
    """Refuse a wheel of another project or version than its metadata said."""
    text = (wheel.dist_info / "METADATA").read_bytes()
    built = parse_metadata(text, where=wheel.manifest.filename)
    if identity(built) != identity(source.metadata):
        raise built_as_another(source.wanted, built, source.metadata)


def identity(metadata: CoreMetadata) -> tuple[str, Version]:
    return (metadata.canonical_name, metadata.version)


def built_as_another(wanted: Wanted, built: CoreMetadata, said: CoreMetadata) -> BuildError:
    return BuildError(
        f"{wanted.shown} was built as {built.name} {built.version}, and its metadata says "
        f"{said.name} {said.version}.",
        source=wanted.shown,
        hint="The fault is the backend's, or the project's own: tell its maintainers.",
    )
