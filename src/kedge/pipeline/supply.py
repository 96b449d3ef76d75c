"""Everything that a run draws on, opened and joined once: the cache and the connection first, then
what a resolution and a build take from them.

The index, the builds and the wheels need each other (a build's requirements are resolved, fetched
and perhaps built themselves), so they are put together in one place.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from kedge.cache import Cache, open_cache
from kedge.classes import frozen
from kedge.index import Index, Link
from kedge.pipeline.asked import refreshed
from kedge.pipeline.builds import Builds, Chain
from kedge.pipeline.catalog import Catalog, ConfigSettings
from kedge.pipeline.checkouts import Where
from kedge.pipeline.connection import PARALLEL, Connection
from kedge.pipeline.fetch import Wheels
from kedge.pipeline.recall import Recall, recall
from kedge.pipeline.stores import Stores
from kedge.resolve import hashes_by_user
from kedge.settings import options as table
from kedge.settings.commands import INSTALL

if TYPE_CHECKING:
    from packaging.utils import NormalizedName

    from kedge.environment import Interpreter
    from kedge.pipeline.asked import Asked
    from kedge.pipeline.provision import Provision
    from kedge.pipeline.reporter import Reporter
    from kedge.requirements import LockedFile
    from kedge.resolve import Problem
    from kedge.settings.values import Settings


@frozen(kw_only=True)
class Supply:
    """Where versions, metadata and wheels come from, in one run."""

    asked: Asked
    index: Index
    builds: Builds
    wheels: Wheels
    recall: Recall

    def catalog(self, problem: Problem) -> Catalog:
        """What the resolver asks about that problem."""
        return Catalog(
            self.index,
            self.builds,
            hashes=hashes_by_user(problem),
            config_settings=_config_settings(self.asked),
        )


@contextmanager
def connected(settings: Settings, reporter: Reporter) -> Iterator[tuple[Cache, Connection]]:
    """The user's cache, or one that goes with this run, and a session for when it is needed."""
    directory = settings.cache_directory()
    with open_cache(None if directory is None else Path(directory.value)) as cache:
        if cache.warning:
            reporter.warn(cache.warning)
        with Connection(
            settings, reporter, index_urls=settings.index_urls(), hints=cache.hints
        ) as connection:
            reporter.trust_decided(connection.decision)
            yield cache, connection


@contextmanager
def supply(
    settings: Settings,
    asked: Asked,
    interpreter: Interpreter,
    connection: Connection,
    cache: Cache,
    reporter: Reporter,
) -> Iterator[Supply]:
    """Join the parts; what they leave behind goes at the end."""
    with (
        Stores(cache) as stores,
        _index(settings, asked, connection, stores, reporter) as index,
        Builds(
            interpreter,
            connection,
            stores,
            reporter,
            environ=settings.snapshot.environ,
            constraints=[str(one) for one in asked.build_constraints],
            isolated=settings.value(table.BUILD_ISOLATION),
            check=settings.value(table.CHECK_BUILD_DEPENDENCIES),
            keep=settings.value(table.NO_CLEAN),
            where=_where(settings, interpreter),
        ) as builds,
        closing(Wheels(connection, stores, reporter)) as wheels,
    ):

        def provisions(chain: Chain) -> Provision:
            from kedge.pipeline.provision import Provision  # and the search: few runs build

            return Provision(
                asked=asked,
                index=index,
                builds=builds,
                wheels=wheels,
                reporter=reporter,
                chain=chain,
            )

        builds.provisions = provisions
        yield Supply(
            asked=asked,
            index=index,
            builds=builds,
            wheels=wheels,
            recall=recall(settings, index, connection, cache),
        )


def _index(
    settings: Settings, asked: Asked, connection: Connection, stores: Stores, reporter: Reporter
) -> Index:
    """Every index and ``--find-links`` place, behind the one connection and the one cache."""
    return Index(
        asked.sources,
        connection,
        pages=stores.lasting.pages,
        metadata=stores.lasting.metadata,
        refresh=refreshed(settings),
        locked={one.name: _link(one) for one in asked.locked},
        reporter=reporter,
        downloads=stores.archives,
        parallel=PARALLEL,
        # As pip since 26.3: a page is good for as long as its server said.
        revalidate=False,
    )


def _link(locked: LockedFile) -> Link:
    return Link(
        url=locked.url,
        filename=locked.filename,
        size=locked.size,
        upload_time=locked.upload_time,
    )


def _where(settings: Settings, interpreter: Interpreter) -> Where:
    """Editable checkouts go beside the virtual environment's own folders, as pip's."""
    actions = settings.value(table.EXISTS_ACTION)
    if settings.command != INSTALL or settings.value(table.DRY_RUN):
        return Where(src=None)
    base = interpreter.prefix if interpreter.is_venv else Path.cwd()
    named = settings.value(table.SRC)
    return Where(
        src=Path(named) if named else base / "src", exists_action=actions[0] if actions else ""
    )


def _config_settings(asked: Asked) -> Mapping[NormalizedName, ConfigSettings]:
    """Those that were given beside a project's name; of several lines the first counts."""
    found: dict[NormalizedName, ConfigSettings] = {}
    for one in asked.requested:
        if one.name is not None and one.config_settings and one.applies(asked.aim.markers):
            found.setdefault(one.name, one.config_settings)
    return found
