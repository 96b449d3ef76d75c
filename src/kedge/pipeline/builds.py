"""Sources on their way to a wheel: fetched, checked, unpacked, described, built, remembered.

Each source is a :class:`Wanted`, whichever way it was asked for, and ends as a folder with sources,
the form that :mod:`kedge.build` works on. Nothing of it is run before its digest was compared. To
describe is for one thread, the resolver's; several can be built at once. What builds is imported
when the first is wanted: most installs have none.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol
from urllib.parse import urldefrag

from kedge.cache.built import built_key
from kedge.environment.metadata import parse_metadata
from kedge.errors import BuildError, MetadataChangedError, SourceError
from kedge.index import disagreements
from kedge.model import DirectUrl
from kedge.pipeline.digests import check_digests, digests_of
from kedge.pipeline.sources import (
    Source,
    Wanted,
    archive_origin,
    built_as_another,
    check_built,
    commit_digest,
    identity,
    is_expected,
    project_folder,
    repository_origin,
    static_metadata,
    unexpected,
)

if TYPE_CHECKING:
    from kedge.build.repository import Repository
    from kedge.build.workshop import Prepared, Sources, Workshop
    from kedge.cache import UnpackedWheel
    from kedge.environment import Interpreter
    from kedge.pipeline.checkouts import Checkouts, Obtained, Where
    from kedge.pipeline.connection import Connection
    from kedge.pipeline.reporter import Reporter
    from kedge.pipeline.stores import Stores

#: What is being built, outermost first: the key of each, and what messages call it.
Chain = tuple[tuple[object, str], ...]


class Provisions(Protocol):
    """A :class:`kedge.build.workshop.Provisioner` that knows afterwards whether everything it
    brought may be kept for good.
    """

    lasts: bool

    def provide(
        self, requirements: Sequence[str], environment: Interpreter, *, name: str
    ) -> None: ...


class MakesProvisions(Protocol):
    """Gives the provisioner of one build; ``chain`` is what is being built, that one included."""

    def __call__(self, chain: Chain) -> Provisions: ...


class Builds:
    """The sources of one run. A context manager: what they leave behind goes when it ends."""

    def __init__(
        self,
        interpreter: Interpreter,
        connection: Connection,
        stores: Stores,
        reporter: Reporter,
        *,
        environ: Mapping[str, str],
        constraints: Sequence[str] = (),
        isolated: bool = True,
        check: bool = False,
        keep: bool = False,
        where: Where,
    ) -> None:
        self._interpreter = interpreter
        self._connection = connection
        self._stores = stores
        self._reporter = reporter
        self._environ = environ
        self._constraints = constraints
        self._isolated = isolated
        self._check = check
        self._keep = keep
        self._known: dict[tuple[str, bool], Source] = {}
        self._folder: Path | None = None
        self._workshop: Workshop | None = None
        self._where = where
        self._checkouts: Checkouts | None = None
        #: Set by whoever joins the parts: a build's requirements need all of them.
        self.provisions: MakesProvisions | None = None

    def __enter__(self) -> Builds:
        return self

    def __exit__(self, *exc: object) -> None:
        self.stop()
        if self._folder is None:
            return
        if self._keep:
            self._reporter.build_kept(str(self._folder))
        else:
            from kedge.cache.atomic import remove_tree

            remove_tree(self._folder)

    def stop(self) -> None:
        """End what is being built."""
        for one in (self._workshop, self._checkouts):
            if one is not None:
                one.stop()

    # -- for one thread

    def describe(self, wanted: Wanted, chain: Chain = ()) -> Source:
        """What the source is and requires: by its built wheel, by its static metadata, or by its
        backend. ``chain`` is what it is needed to build.

        :raises BuildError: its backend failed, or it is needed to build itself.
        :raises SourceError: it is no project, or an archive that must not be unpacked.
        :raises PageError: it is not what its index says of it.
        """
        known = self._known.get(wanted.key)
        if known is None:
            known = self._described(wanted, chain)
            self._known[wanted.key] = known
        elif known.wheel is None and known.prepared is None:
            self._refuse_cycle(wanted, chain)
        return known

    def make_ready(self, wanted: Wanted, chain: Chain = ()) -> Source:
        """The same, and everything done that :meth:`wheel` needs done before it.

        :raises MetadataChangedError: the backend says something else than the static metadata did;
            from then on the backend's word counts.
        """
        source = self.describe(wanted, chain)
        if source.wheel is None and source.prepared is None:
            self._prepare(source, chain)
        return source

    def _described(self, wanted: Wanted, chain: Chain) -> Source:
        self._refuse_cycle(wanted, chain)
        if wanted.local is not None and wanted.local.is_dir():
            return self._of_folder(wanted, chain)
        if wanted.repository is not None:
            return self._of_repository(wanted, wanted.repository, chain)
        stated = wanted.hashes.get("sha256") if wanted.vouched else None
        if stated is not None:
            built = self._built(wanted, stated, archive_origin(wanted, stated))
            if built is not None:
                return built
        archive, sha256, lasts = self._obtain(wanted)
        if lasts and sha256 != stated:
            built = self._built(wanted, sha256, archive_origin(wanted, sha256))
            if built is not None:
                return built
        return self._of_archive(wanted, chain, archive, sha256, lasts=lasts)

    def _of_folder(self, wanted: Wanted, chain: Chain) -> Source:
        if wanted.local is None:
            raise TypeError(wanted.url)
        origin = DirectUrl(
            url=wanted.local.as_uri(),
            directory=True,
            editable=wanted.editable,
            subdirectory=wanted.subdirectory,
        )
        sources = self._sources(wanted, project_folder(wanted.local, wanted))
        return self._by_backend(wanted, chain, origin, sources)

    def _of_repository(self, wanted: Wanted, repository: Repository, chain: Chain) -> Source:
        """What is built of a commit is remembered where the commit's own name asked for it."""
        if wanted.editable:
            return self._of_edited(wanted, repository, chain)
        if repository.names_commit:
            commit = repository.revision or ""
            origin = repository_origin(wanted, repository, commit)
            built = self._built(wanted, commit_digest(repository, commit), origin)
            if built is not None:
                return built
        obtained = self._checkout(repository)
        commit = obtained.checkout.commit
        return self._by_backend(
            wanted,
            chain,
            repository_origin(wanted, repository, commit),
            self._sources(wanted, project_folder(obtained.checkout.folder, wanted)),
            checkout=obtained.checkout.folder,
            lasts=obtained.lasts,
            cache_key=self._key(wanted, commit_digest(repository, commit))
            if obtained.lasts
            else None,
        )

    def _of_edited(self, wanted: Wanted, repository: Repository, chain: Chain) -> Source:
        passing = self._place("checkout-") / wanted.filename
        checkout = self._programs().to_edit(repository, wanted.filename, passing)
        folder = project_folder(checkout.folder, wanted)
        origin = DirectUrl(url=folder.as_uri(), directory=True, editable=True)
        sources = self._sources(wanted, folder)
        return self._by_backend(wanted, chain, origin, sources, checkout=checkout.folder)

    def _checkout(self, repository: Repository) -> Obtained:
        return self._programs().obtain(repository, self._place("checkout-") / "repository")

    def checked_out(self, wanted: Wanted) -> Path:
        """The folder of a described repository, checked out now if its wheel was there already."""
        source = self.describe(wanted)
        if source.checkout is None:
            if wanted.repository is None:
                raise AssertionError(f"{wanted.shown} is no repository")
            source.checkout = self._checkout(wanted.repository).checkout.folder
        return source.checkout

    def _of_archive(
        self, wanted: Wanted, chain: Chain, archive: Path, sha256: str, *, lasts: bool
    ) -> Source:
        from kedge.build.archive import unpack_source

        folder = unpack_source(archive, self._place("source-"))
        sources = self._sources(wanted, project_folder(folder, wanted))
        origin = archive_origin(wanted, sha256)
        key = self._key(wanted, sha256) if lasts else None
        static = static_metadata(sources.folder)
        if static is not None and is_expected(wanted, static[0]):
            return Source(
                wanted=wanted,
                origin=origin,
                metadata=static[0],
                text=static[1],
                archive=archive,
                sources=sources,
                cache_key=key,
                lasts=lasts,
            )
        return self._by_backend(
            wanted, chain, origin, sources, archive=archive, lasts=lasts, cache_key=key
        )

    def _by_backend(
        self,
        wanted: Wanted,
        chain: Chain,
        origin: DirectUrl,
        sources: Sources,
        *,
        archive: Path | None = None,
        checkout: Path | None = None,
        lasts: bool = False,
        cache_key: str | None = None,
    ) -> Source:
        """Described by what the backend prepares."""
        prepared, vouched = self._prepared(sources, wanted, chain)
        metadata = parse_metadata(prepared.metadata, where=wanted.shown)
        if not is_expected(wanted, metadata):
            raise unexpected(wanted, metadata)
        return Source(
            wanted=wanted,
            origin=origin,
            metadata=metadata,
            text=prepared.metadata,
            archive=archive,
            sources=sources,
            prepared=prepared,
            checkout=checkout,
            cache_key=cache_key,
            lasts=lasts and vouched,
        )

    def _prepare(self, source: Source, chain: Chain) -> None:
        if source.sources is None:
            raise AssertionError("what has a wheel needs no preparation")
        source.prepared, vouched = self._prepared(source.sources, source.wanted, chain)
        source.lasts = source.lasts and vouched
        said, text = source.metadata, source.prepared.metadata
        source.describe_anew(text, parse_metadata(text, where=source.wanted.shown))
        if identity(source.metadata) != identity(said):
            raise built_as_another(source.wanted, source.metadata, said)
        problems = disagreements(said, source.metadata)
        if problems:
            raise MetadataChangedError(
                f"The PKG-INFO of {source.wanted.shown} claims to be static, and is not: "
                f"{problems[0]}.",
                source=source.wanted.shown,
            )

    def _prepared(self, sources: Sources, wanted: Wanted, chain: Chain) -> tuple[Prepared, bool]:
        """The sources made ready, and whether all that helps to build them is vouched for."""
        if self.provisions is None:
            raise AssertionError("nothing brings what builds require")
        provisions = self.provisions((*chain, (wanted.key, wanted.shown)))
        return self._shop().prepare(sources, provisions), provisions.lasts

    def _refuse_cycle(self, wanted: Wanted, chain: Chain) -> None:
        keys = [key for key, _ in chain]
        if wanted.key not in keys:
            return
        names = [shown for _, shown in chain[keys.index(wanted.key) :]]
        needs = ", which needs ".join([*names[1:], f"{wanted.shown} itself"])
        raise BuildError(
            f"{wanted.shown} needs {needs} to be built.",
            source=wanted.shown,
            hint="One of them has to come as a wheel: --only-binary NAME says so.",
        )

    # -- for several threads

    def archive(self, wanted: Wanted) -> Path | None:
        """The archive of a source, checked, if it was fetched."""
        known = self._known.get(wanted.key)
        return None if known is None else known.archive

    def wheel(self, source: Source) -> UnpackedWheel:
        """The wheel of a source that was made ready, built if it is not there yet.

        :raises BuildError: the backend failed, or built something else than it said.
        """
        if source.wheel is not None:
            return source.wheel
        if source.prepared is None:
            raise AssertionError("to be made ready first")
        archive = self._shop().build(source.prepared)
        sha256 = digests_of(archive, frozenset())["sha256"]
        store = self._stores.choose(lasts=source.lasts)
        from kedge.install.unpack import unpack_into

        wheel = unpack_into(store.wheels, sha256, archive)
        check_built(source, wheel)
        if source.lasts and source.cache_key is not None:
            self._stores.lasting.built.put(source.cache_key, sha256)
        source.wheel = wheel
        return wheel

    def forget(self, sha256: str) -> None:
        """That wheel turned out to be damaged: its source begins anew."""
        for key, source in list(self._known.items()):
            if source.wheel is not None and source.wheel.sha256 == sha256:
                del self._known[key]

    # -- their parts

    def _obtain(self, wanted: Wanted) -> tuple[Path, str, bool]:
        """The archive with one of its digests, its SHA-256, and whether it may be kept."""
        if wanted.local is not None:
            try:
                digests = digests_of(wanted.local, wanted.hashes.algorithms())
            except OSError as exc:
                raise SourceError(
                    f"{wanted.local} cannot be read ({exc.strerror}).", source=wanted.shown
                ) from exc
            check_digests(wanted.local, wanted.hashes, digests)
            return wanted.local, digests["sha256"], True
        path = self._place("archive-") / (wanted.filename or "source")
        download = self._connection.download(
            urldefrag(wanted.url).url,
            path,
            hashes=wanted.hashes,
            size=wanted.size,
            name=wanted.filename,
        )
        return path, download.sha256, download.verified or (bool(wanted.hashes) and wanted.vouched)

    def _built(self, wanted: Wanted, sha256: str, origin: DirectUrl) -> Source | None:
        """The source as its wheel in the cache tells it, where that wheel runs here."""
        if wanted.editable:
            return None
        lasting = self._stores.lasting
        key = self._key(wanted, sha256)
        found = lasting.built.get(key)
        wheel = None if found is None else lasting.wheels.get(found)
        if wheel is None:
            return None
        text = (wheel.dist_info / "METADATA").read_bytes()
        metadata = parse_metadata(text, where=wheel.manifest.filename)
        if not is_expected(wanted, metadata):
            return None
        return Source(
            wanted=wanted,
            origin=origin,
            metadata=metadata,
            text=text,
            wheel=wheel,
            cache_key=key,
            lasts=True,
        )

    def _key(self, wanted: Wanted, sha256: str) -> str:
        tag = self._interpreter.tags[0]
        return built_key(
            sha256,
            subdirectory=wanted.subdirectory,
            config_settings=wanted.config_settings,
            tags=(tag.interpreter, tag.abi, tag.platform),
            constraints=self._constraints,
            isolated=self._isolated,
        )

    def _sources(self, wanted: Wanted, folder: Path) -> Sources:
        from kedge.build.workshop import Sources

        return Sources(
            name=wanted.shown,
            folder=folder,
            editable=wanted.editable,
            config_settings=wanted.config_settings,
        )

    def _place(self, prefix: str) -> Path:
        import tempfile

        if self._folder is None:
            self._folder = Path(tempfile.mkdtemp(prefix="kedge-build-"))
        return Path(tempfile.mkdtemp(prefix=prefix, dir=self._folder))

    def _programs(self) -> Checkouts:
        from kedge.pipeline.checkouts import Checkouts

        if self._checkouts is None:
            self._checkouts = Checkouts(
                self._connection,
                self._reporter,
                self._place("trust-"),
                environ=self._environ,
                where=self._where,
            )
        return self._checkouts

    def _shop(self) -> Workshop:
        from kedge.build.surroundings import for_children
        from kedge.build.workshop import Workshop

        if self._workshop is None:
            folder = self._place("work-")
            self._workshop = Workshop(
                self._interpreter,
                folder,
                lambda: for_children(self._environ, self._connection.exported(folder)),
                self._reporter,
                isolated=self._isolated,
                check=self._check,
            )
        return self._workshop
