"""``kedge list --outdated``: the newest versions that this Python could have."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from kedge.environment.listing import Latest
from kedge.index import Index
from kedge.pipeline.asked import (
    formats_of,
    locations_of,
    refreshed,
    releases_of,
    sources_of,
    uploaded_prior_to,
)
from kedge.pipeline.connection import PARALLEL
from kedge.pipeline.supply import connected
from kedge.requirements import ParsedFile
from kedge.resolve import Problem
from kedge.resolve.catalogue import Catalogue, Wanted
from kedge.resolve.target import Target
from kedge.settings import options as table

if TYPE_CHECKING:
    from packaging.utils import NormalizedName

    from kedge.environment import InstalledDistribution, Interpreter
    from kedge.pipeline.reporter import Reporter
    from kedge.settings.values import Settings


def newest(
    settings: Settings,
    interpreter: Interpreter,
    distributions: Sequence[InstalledDistribution],
    reporter: Reporter,
) -> dict[NormalizedName, tuple[Latest, bool]]:
    """For each that an index has: the newest version, and whether it is newer than the installed.

    Raises what asking an index may raise.
    """
    files = ParsedFile()
    python = ".".join(map(str, interpreter.version))
    problem = Problem(
        requested=(),
        markers=interpreter.markers,
        tags=interpreter.tags,
        python_version=python,
        formats=formats_of(settings, files),
        releases=releases_of(settings, files),
        prefer_binary=settings.value(table.PREFER_BINARY),
        uploaded_prior_to=uploaded_prior_to(settings),
    )
    target = Target(markers=problem.markers, tags=problem.tags, python_version=python)
    found: dict[NormalizedName, tuple[Latest, bool]] = {}
    with (
        connected(settings, reporter) as (cache, connection),
        Index(
            sources_of(settings, locations_of(settings)),
            connection,
            pages=cache.pages,
            metadata=cache.metadata,
            refresh=refreshed(settings),
            reporter=reporter,
            parallel=PARALLEL,
        ) as index,
    ):
        index.prefetch(each.name for each in distributions)
        for each in distributions:
            catalogue = Catalogue(each.name, index.files(each.name), problem=problem, target=target)
            best = next(catalogue.matching(Wanted()), None)
            if best is not None:
                latest = Latest(str(best.version), "wheel" if best.is_wheel else "sdist")
                found[each.name] = (latest, best.version > each.version)
    return found
