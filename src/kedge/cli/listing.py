"""``kedge list`` and ``kedge freeze``: what is installed, in pip's formats."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from kedge.cli.narrator import Narrator
from kedge.environment.installed import installed
from kedge.environment.listing import (
    Latest,
    Selection,
    as_columns,
    as_freeze,
    as_json,
    is_local,
    is_users,
    select,
)
from kedge.errors import UsageError
from kedge.settings import commands
from kedge.settings import options as table

if TYPE_CHECKING:
    from collections.abc import Mapping

    from packaging.utils import NormalizedName

    from kedge.cli.run import Job
    from kedge.environment import InstalledDistribution


def run(job: Job) -> int:
    """Print the list; always 0."""
    from kedge.pipeline.environment import settle

    if not job.settings.value(table.PATH):
        settle(job.interpreter, Narrator(job.console))
    if job.settings.command == commands.FREEZE:
        return _freeze(job)
    settings = job.settings
    editable = True if settings.value(table.ONLY_EDITABLE) else None
    if not settings.value(table.INCLUDE_EDITABLE):
        if editable:
            raise UsageError("--editable does not go together with --exclude-editable.")
        editable = False
    excluded: tuple[str, ...] = settings.value(table.EXCLUDE)
    chosen = select(
        _distributions(job),
        Selection(
            local=settings.value(table.LOCAL),
            user=settings.value(table.ONLY_USER),
            editable=editable,
            not_required=settings.value(table.NOT_REQUIRED),
            exclude=excluded,
        ),
        interpreter=job.interpreter,
    )
    latest: Mapping[NormalizedName, Latest] | None = None
    if settings.value(table.OUTDATED) or settings.value(table.UPTODATE):
        from kedge.pipeline.outdated import newest

        found = newest(settings, job.interpreter, chosen, Narrator(job.console))
        outdated = settings.value(table.OUTDATED)
        chosen = tuple(
            each for each in chosen if each.name in found and found[each.name][1] is outdated
        )
        latest = {name: one for name, (one, _) in found.items()} if outdated else None
    _print(job, chosen, latest)
    return 0


def _print(
    job: Job,
    chosen: tuple[InstalledDistribution, ...],
    latest: Mapping[NormalizedName, Latest] | None,
) -> None:
    verbose = job.console.verbosity > 0
    match job.settings.value(table.FORMAT):
        case "json":
            lines = [as_json(chosen, verbose=verbose, latest=latest)]
        case "freeze":
            lines = as_freeze(chosen, verbose=verbose)
        case _:
            lines = as_columns(chosen, verbose=verbose, latest=latest)
    for line in lines:
        job.console.result(line)


def _freeze(job: Job) -> int:
    from functools import partial

    from kedge.environment.freeze import freeze, skipped
    from kedge.environment.repository import repository_of

    chosen: list[InstalledDistribution] = list(_distributions(job))
    if job.settings.value(table.LOCAL):
        chosen = [each for each in chosen if is_local(each, job.interpreter)]
    if job.settings.value(table.ONLY_USER):
        chosen = [each for each in chosen if is_users(each, job.interpreter)]
    skip = skipped(
        job.interpreter.version,
        everything=job.settings.value(table.ALL),
        exclude=job.settings.value(table.EXCLUDE),  # type: ignore[arg-type] # normalised by the table
    )
    lines = freeze(
        chosen,
        skip=skip,
        exclude_editable=job.settings.value(table.EXCLUDE_EDITABLE),
        locate=partial(repository_of, environ=job.environ),
        warn=job.console.warn,
    )
    for line in lines:
        job.console.result(line)
    return 0


def _distributions(job: Job) -> tuple[InstalledDistribution, ...]:
    paths = [Path(path) for path in job.settings.value(table.PATH)]
    found = installed(paths or job.interpreter.search_path, warn=job.console.warn)
    return tuple(found.values())
