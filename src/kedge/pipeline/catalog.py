"""What the resolver asks: the index, and sources that have to be built before they tell anything.

Wheels are the index's business; whatever is a source goes to
:class:`~kedge.pipeline.builds.Builds`.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urldefrag, urlsplit

from kedge.errors import NeedsBuildError
from kedge.index import IndexFile, Link
from kedge.index.links import filename_of, fragment_hashes
from kedge.model import Hashes, local_path, redact_url
from kedge.pipeline.sources import Source, Wanted

if TYPE_CHECKING:
    from packaging.utils import NormalizedName

    from kedge.environment import CoreMetadata
    from kedge.index import Index
    from kedge.model import DirectUrl
    from kedge.pipeline.builds import Builds, Chain
    from kedge.resolve import Direct

ConfigSettings = Mapping[str, "str | tuple[str, ...]"]


class Catalog:
    """The :class:`~kedge.resolve.Source` of one resolution.

    ``hashes`` are the user's, by project: what has them is checked against them before anything of
    it runs. ``config_settings`` are for the backends of projects that were asked for by name.
    ``chain`` is what this resolution is needed to build.
    """

    def __init__(
        self,
        index: Index,
        builds: Builds,
        *,
        hashes: Mapping[NormalizedName, Hashes] | None = None,
        config_settings: Mapping[NormalizedName, ConfigSettings] | None = None,
        chain: Chain = (),
    ) -> None:
        self.index = index
        self.builds = builds
        self._hashes = hashes or {}
        self._config_settings = config_settings or {}
        self._chain = chain
        self._direct: dict[tuple[str, bool], Wanted] = {}

    # -- what the resolver asks

    def files(self, name: NormalizedName) -> Sequence[IndexFile]:
        return self.index.files(name)

    def metadata(self, file: IndexFile) -> CoreMetadata:
        if not file.is_wheel and self._is_source_only(file):
            return self.source(file).metadata
        try:
            return self.index.metadata(file)
        except NeedsBuildError:
            return self.source(file).metadata

    def direct(self, requested: Direct) -> IndexFile:
        url = urldefrag(requested.url).url
        local = _local(url)
        if filename_of(url).lower().endswith(".whl") and not (local and local.is_dir()):
            return self.index.direct(requested)
        wanted = _wanted_by_url(requested, local)
        self._direct[wanted.key] = wanted
        metadata = self.builds.describe(wanted, self._chain).metadata
        return IndexFile(
            Link(url=wanted.url, filename=wanted.filename),
            metadata.canonical_name,
            metadata.version,
            is_wheel=False,
            demanded=wanted.hashes,
            editable=wanted.editable,
        )

    def searched(self) -> Sequence[str]:
        return self.index.searched()

    # -- what others ask

    def text_digest(self, file: IndexFile) -> str | None:
        """The SHA-256 of a wheel's ``METADATA`` as versions were chosen by it, if that is known."""
        return self.index.text_digest(file) if file.is_wheel else None

    def metadata_file(self, file: IndexFile) -> bytes:
        """The whole ``METADATA``, for a report."""
        if file.is_wheel:
            return self.index.metadata_file(file)
        return self.source(file).text

    def source(self, file: IndexFile) -> Source:
        """What is known of a source; for the resolver's thread."""
        return self.builds.describe(self._wanted(file), self._chain)

    def make_ready(self, file: IndexFile) -> Source:
        """The same, so that it can be built in any thread."""
        return self.builds.make_ready(self._wanted(file), self._chain)

    def origin(self, file: IndexFile) -> DirectUrl:
        """Where a source that was asked for by URL came from (PEP 610)."""
        return self.source(file).origin

    def fetched(self, file: IndexFile) -> Path | None:
        """The archive of a source, where describing it took fetching it."""
        return self.builds.archive(self._wanted(file)) if not file.is_wheel else None

    def is_repository(self, file: IndexFile) -> bool:
        """Whether a repository was asked for, of which there is no file."""
        return self._wanted(file).repository is not None

    def checked_out(self, file: IndexFile) -> Path:
        """The folder that a repository was checked out into, as a whole."""
        return self.builds.checked_out(self._wanted(file))

    def _is_source_only(self, file: IndexFile) -> bool:
        """Whether the index cannot tell more than the source itself."""
        return (file.url, file.editable) in self._direct or not file.metadata

    def _wanted(self, file: IndexFile) -> Wanted:
        direct = self._direct.get((file.url, file.editable))
        if direct is not None:
            return direct
        by_user = self._hashes.get(file.name)
        return Wanted(
            url=file.url,
            filename=file.filename,
            shown=f"{file.name} {file.version}",
            hashes=by_user or file.hashes,
            size=file.size,
            vouched=bool(by_user) or file.page_verified,
            local=file.local,
            config_settings=self._config_settings.get(file.name, {}),
            expected=(file.name, file.version),
        )


def _wanted_by_url(requested: Direct, local: Path | None) -> Wanted:
    bare = urldefrag(requested.url).url
    subdirectory = parse_qs(urlsplit(requested.url).fragment).get("subdirectory", [None])[0]
    if "+" in urlsplit(bare).scheme:
        return _wanted_repository(requested, subdirectory)
    hashes = requested.hashes or fragment_hashes(requested.url)
    return Wanted(
        url=f"{bare}#subdirectory={subdirectory}" if subdirectory else bare,
        filename=filename_of(bare),
        shown=str(local) if local is not None else redact_url(bare),
        hashes=hashes,
        vouched=bool(hashes),
        local=local,
        subdirectory=subdirectory,
        editable=requested.editable,
        config_settings=requested.config_settings,
    )


def _wanted_repository(requested: Direct, subdirectory: str | None) -> Wanted:
    """Its URL goes on without credentials: the repository alone has them."""
    from kedge.build.repository import parse_repository

    repository = parse_repository(requested.url)
    bare = str(repository)
    return Wanted(
        url=f"{bare}#subdirectory={subdirectory}" if subdirectory else bare,
        filename=requested.name or repository.folder_name,
        shown=bare,
        repository=repository,
        subdirectory=subdirectory,
        editable=requested.editable,
        config_settings=requested.config_settings,
    )


def _local(url: str) -> Path | None:
    if urlsplit(url).scheme.lower() != "file":
        return None
    return Path(local_path(url, windows=os.name == "nt"))
