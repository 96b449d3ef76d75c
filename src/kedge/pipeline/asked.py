"""What was asked for: arguments and files together, with the settings that the files change."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from kedge.classes import frozen
from kedge.errors import UsageError
from kedge.index import IndexSources
from kedge.model import Origin, OriginKind, Sourced, redact_text
from kedge.requirements import (
    Locations,
    ParsedFile,
    Requested,
    hash_checking,
    is_lock_file,
    merge_files,
    parse_argument,
    parse_file,
)
from kedge.resolve import FormatControl, ReleaseControl
from kedge.resolve.problem import fold_names
from kedge.settings import options as table
from kedge.settings.commands import INSTALL
from kedge.settings.features import TRUSTSTORE
from kedge.settings.option import Option

if TYPE_CHECKING:
    from datetime import datetime

    from kedge.environment.aim import Aim
    from kedge.pipeline.connection import Connection
    from kedge.pipeline.reporter import Reporter
    from kedge.requirements import Locked, LockedFile, LockRequest
    from kedge.settings.values import Settings


@frozen(kw_only=True)
class Asked:
    """The request: arguments first, then what the files say, in their order.

    ``aim`` is what files are chosen for; ``locked`` the files that lock files leave no choice of.
    """

    aim: Aim
    requested: tuple[Requested, ...]
    constraints: tuple[Requested, ...]
    locked: tuple[LockedFile, ...]
    sources: IndexSources
    formats: FormatControl
    releases: ReleaseControl
    prefer_binary: bool
    require_hashes: bool
    build_constraints: tuple[Requested, ...] = ()


def gather(settings: Settings, connection: Connection, aim: Aim, reporter: Reporter) -> Asked:
    """Read every argument and file; the connection afterwards knows the files' settings, too.

    Raises :class:`~kedge.errors.RequirementError`, and what fetching a file may raise.
    """
    arguments = _arguments(settings)
    groups = _groups(settings)
    locks = _lock_requests(settings)
    read = _files(settings, connection, table.REQUIREMENT)
    limits = _files(settings, connection, table.CONSTRAINT, constraint=True)
    files = merge_files([*read.values(), *limits.values()])
    _tell(files, reporter)
    locations = files.over(locations_of(settings))
    connection.widen((*locations.index_urls, *locations.find_links), files.trusted_hosts)
    formats = formats_of(settings, files)
    locked = _locked(locks, connection, aim, formats)
    # pip's order, which decides between equals: what -r names in turn, locks among it.
    places = dict.fromkeys([*map(_place, settings.each(table.REQUIREMENT)), *locks])
    of_place = {
        **{place: file.requirements for place, file in read.items()},
        **{place: lock.requirements for place, lock in locked.items()},
    }
    requested = (
        *arguments,
        *groups,
        *(one for place in places for one in of_place[place]),
        *_script(settings, aim),
        *(one for file in limits.values() for one in file.requirements),
    )
    here = [one for one in requested if one.applies(aim.markers)]
    return Asked(
        aim=aim,
        requested=requested,
        constraints=files.constraints,
        locked=_locked_files(locked.values()),
        sources=sources_of(settings, locations),
        formats=formats,
        releases=releases_of(settings, files),
        prefer_binary=settings.value(table.PREFER_BINARY) or bool(files.prefer_binary),
        require_hashes=hash_checking(
            here,
            [one for one in files.constraints if one.applies(aim.markers)],
            required=_hashes_required(settings, files),
        ),
        build_constraints=merge_files(
            _files(settings, connection, table.BUILD_CONSTRAINT, constraint=True).values()
        ).constraints,
    )


def _arguments(settings: Settings) -> list[Requested]:
    """The words of the command line, then what is editable; both take ``-C`` (pip's rule)."""
    words = [
        (Sourced(word, Origin(OriginKind.COMMAND_LINE, redact_text(word))), False)
        for word in settings.arguments
    ]
    config: dict[str, str | tuple[str, ...]] = {}
    if settings.command == INSTALL:
        words += [(word, True) for word in settings.each(table.EDITABLE)]
        config = _config_settings(settings)
    directory = Path.cwd()
    return [
        parse_argument(
            word.value,
            word.origin,
            directory=directory,
            editable=editable,
            config_settings=config,
        )
        for word, editable in words
    ]


def _config_settings(settings: Settings) -> dict[str, str | tuple[str, ...]]:
    """``-C``, by key; a key that was given more than once has all of its values."""
    given: dict[str, tuple[str, ...]] = {}
    for key, value in settings.value(table.CONFIG_SETTINGS):
        given[key] = (*given.get(key, ()), value)
    return {key: values if len(values) > 1 else values[0] for key, values in given.items()}


def _lock_requests(settings: Settings) -> dict[str, LockRequest]:
    files, groups = settings.each(table.REQUIREMENT), settings.each(table.GROUP)
    if not files and not groups:
        return {}
    from kedge.requirements import lock_requests

    return lock_requests(files, groups)


def _groups(settings: Settings) -> list[Requested]:
    """The dependency groups of projects; those of lock files are the locks' business."""
    given = settings.each(table.GROUP)
    if not given:
        return []
    from kedge.requirements import read_group

    return [
        one
        for named in given
        for path, group in [named.value]
        if not is_lock_file(path)
        for one in read_group(path, group, named.origin)
    ]


def _script(settings: Settings, aim: Aim) -> tuple[Requested, ...]:
    scripts = settings.each(table.REQUIREMENTS_FROM_SCRIPT)
    if len(scripts) > 1:
        raise UsageError(f"{scripts[-1].origin.name} can be given once only.")
    if not scripts:
        return ()
    from kedge.requirements import read_script

    return tuple(
        one
        for named in scripts
        for one in read_script(
            named.value,
            named.origin,
            python_version=aim.python_version,
            ignore_requires_python=settings.value(table.IGNORE_REQUIRES_PYTHON),
        )
    )


def _place(named: Sourced[str]) -> str:
    from kedge.requirements import split_extras

    return split_extras(named.value)[0]


def _files(
    settings: Settings,
    connection: Connection,
    option: Option[tuple[str, ...]],
    *,
    constraint: bool = False,
) -> dict[str, ParsedFile]:
    """The requirements files by the place that was named, lock files left out."""
    return {
        named.value: parse_file(
            named.value,
            connection,
            environ=settings.snapshot.environ,
            origin=named.origin,
            constraint=constraint,
        )
        for named in settings.each(option)
        if constraint or not is_lock_file(_place(named))
    }


def _tell(files: ParsedFile, reporter: Reporter) -> None:
    for warning in files.warnings:
        reporter.warn(warning)
    for feature in files.features:
        if feature.value == TRUSTSTORE:
            reporter.warn(
                f"{feature.origin} comes too late: the file is fetched over connections that are "
                "decided already. Use the option, PIP_USE_FEATURE or a configuration file."
            )


def _locked(
    locks: Mapping[str, LockRequest], connection: Connection, aim: Aim, formats: FormatControl
) -> dict[str, Locked]:
    if not locks:
        return {}
    from kedge.requirements import read_lock

    return {
        place: read_lock(
            request,
            connection,
            markers=aim.markers,
            tags=aim.tags,
            prefers_sdist=lambda name: not formats.allows_wheels(name),
        )
        for place, request in locks.items()
    }


def _locked_files(locks: Iterable[Locked]) -> tuple[LockedFile, ...]:
    found: dict[str, LockedFile] = {}
    for lock in locks:
        for file in lock.files:
            other = found.setdefault(file.name, file)
            if other.url != file.url:
                raise UsageError(f"{other.lock} and {file.lock} both lock {file.name}.")
    return tuple(found.values())


def locations_of(settings: Settings) -> Locations:
    """Where the settings say to look, before any file has its say."""
    return Locations(
        settings.index_urls(), settings.each(table.FIND_LINKS), settings.value(table.NO_INDEX)
    )


def sources_of(settings: Settings, locations: Locations) -> IndexSources:
    """The places to look at, for the index layer."""
    return IndexSources(
        index_urls=locations.index_urls,
        find_links=locations.find_links,
        no_index=locations.no_index,
        directory=Path.cwd(),
        home=Path(settings.snapshot.platform.home),
    )


def formats_of(settings: Settings, files: ParsedFile) -> FormatControl:
    """``--no-binary`` and ``--only-binary``, the files' after the settings'."""
    control = FormatControl()
    for option, part in settings.in_order(table.NO_BINARY, table.ONLY_BINARY):
        fold = control.no_binary if option is table.NO_BINARY else control.only_binary
        control = fold(part.value)
    for one in files.selections:
        option_name, value = one.value
        if option_name == "--no-binary":
            control = control.no_binary(value)
        elif option_name == "--only-binary":
            control = control.only_binary(value)
    return control


def releases_of(settings: Settings, files: ParsedFile) -> ReleaseControl:
    """``--pre``, ``--all-releases`` and ``--only-final``, the files' after the settings'."""
    control = ReleaseControl()
    if settings.value(table.PRE) or files.pre:
        control = control.all_releases(":all:")
    for option, part in settings.in_order(table.ALL_RELEASES, table.ONLY_FINAL):
        fold = control.all_releases if option is table.ALL_RELEASES else control.only_final
        control = fold(part.value)
    for one in files.selections:
        option_name, value = one.value
        if option_name == "--all-releases":
            control = control.all_releases(value)
        elif option_name == "--only-final":
            control = control.only_final(value)
    return control


def uploaded_prior_to(settings: Settings) -> datetime | None:
    """The time before which a file must have been uploaded; local where no zone was given."""
    limit = settings.value(table.UPLOADED_PRIOR_TO)
    if limit is None:
        return None
    from datetime import datetime, timedelta, timezone

    if isinstance(limit, timedelta):
        return datetime.now(timezone.utc) - limit
    return limit.astimezone() if limit.tzinfo is None else limit


def refreshed(settings: Settings) -> frozenset[str]:
    """The projects of ``--refresh-package``."""
    names: frozenset[str] = frozenset()
    for value in settings.value(table.REFRESH_PACKAGE):
        names = fold_names(value, names)
    return names


def _hashes_required(settings: Settings, files: ParsedFile) -> Origin | None:
    asked = settings[table.REQUIRE_HASHES]
    if asked.value:
        return asked.origin
    return files.require_hashes.origin if files.require_hashes else None
