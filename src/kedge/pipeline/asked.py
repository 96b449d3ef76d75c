"""What was asked for: arguments and files together, with the settings that the files change."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from kedge.classes import frozen
from kedge.index import IndexSources
from kedge.model import Origin, OriginKind
from kedge.requirements import (
    Locations,
    ParsedFile,
    Requested,
    hash_checking,
    merge_files,
    parse_argument,
    parse_file,
    redact_text,
    refuse_builds,
)
from kedge.resolve import FormatControl, ReleaseControl
from kedge.settings import options as table
from kedge.settings.features import TRUSTSTORE
from kedge.settings.option import Option

if TYPE_CHECKING:
    from kedge.environment.aim import Aim
    from kedge.pipeline.connection import Connection
    from kedge.pipeline.reporter import Reporter
    from kedge.settings.values import Settings


@frozen(kw_only=True)
class Asked:
    """The request: arguments first, then what the files say, in their order.

    ``aim`` is what files are chosen for.
    """

    aim: Aim
    requested: tuple[Requested, ...]
    constraints: tuple[Requested, ...]
    sources: IndexSources
    formats: FormatControl
    releases: ReleaseControl
    prefer_binary: bool
    require_hashes: bool


def gather(settings: Settings, connection: Connection, aim: Aim, reporter: Reporter) -> Asked:
    """Read every argument and file; the connection afterwards knows the files' settings, too.

    Raises :class:`~kedge.errors.RequirementError`, and what fetching a file may raise.
    """
    directory = Path.cwd()
    arguments = [
        parse_argument(
            word, Origin(OriginKind.COMMAND_LINE, redact_text(word)), directory=directory
        )
        for word in settings.arguments
    ]
    files = merge_files(
        [
            *_read(settings, connection, table.REQUIREMENT),
            *_read(settings, connection, table.CONSTRAINT, constraint=True),
        ]
    )
    for warning in files.warnings:
        reporter.warn(warning)
    for feature in files.features:
        if feature.value == TRUSTSTORE:
            reporter.warn(
                f"{feature.origin} comes too late: the file is fetched over connections that are "
                "decided already. Use the option, PIP_USE_FEATURE or a configuration file."
            )
    requested = (*arguments, *files.requirements)
    here = [one for one in requested if one.applies(aim.markers)]
    refuse_builds(here)
    locations = files.over(locations_of(settings))
    connection.widen((*locations.index_urls, *locations.find_links), files.trusted_hosts)
    return Asked(
        aim=aim,
        requested=requested,
        constraints=files.constraints,
        sources=sources_of(settings, locations),
        formats=formats_of(settings, files),
        releases=releases_of(settings, files),
        prefer_binary=settings.value(table.PREFER_BINARY) or bool(files.prefer_binary),
        require_hashes=hash_checking(here, required=_hashes_required(settings, files)),
    )


def _read(
    settings: Settings,
    connection: Connection,
    option: Option[tuple[str, ...]],
    *,
    constraint: bool = False,
) -> list[ParsedFile]:
    return [
        parse_file(
            named.value,
            connection,
            environ=settings.snapshot.environ,
            origin=named.origin,
            constraint=constraint,
        )
        for named in settings.each(option)
    ]


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


def _hashes_required(settings: Settings, files: ParsedFile) -> Origin | None:
    asked = settings[table.REQUIRE_HASHES]
    if asked.value:
        return asked.origin
    return files.require_hashes.origin if files.require_hashes else None
