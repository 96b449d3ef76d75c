"""The one reader of configuration files: what the settings are decided from, read once.

It decides nothing but which files are looked for (pip's ``iter_config_files``), and holds what
they said. ``os.environ`` is read by whoever calls, at the entry point.
"""

from __future__ import annotations

import codecs
import os
import sys
from collections.abc import Mapping
from types import MappingProxyType

from kedge.classes import frozen, replace
from kedge.errors import SettingError
from kedge.model import Origin, OriginKind
from kedge.settings.files import (
    ConfigFile,
    FileKind,
    Place,
    Platform,
    decode,
    global_places,
    site_place,
    user_places,
)
from kedge.settings.ini import IniError, parse_ini


@frozen(kw_only=True)
class Snapshot:
    """The environment, and every configuration file that was looked for, weakest first.

    ``warnings`` tells of files that exist and could not be read: pip passes over them.
    """

    environ: Mapping[str, str]
    platform: Platform
    files: tuple[ConfigFile, ...] = ()
    isolated: bool = False
    warnings: tuple[str, ...] = ()

    def of_kind(self, kind: FileKind) -> tuple[ConfigFile, ...]:
        return tuple(file for file in self.files if file.kind is kind)


def take_snapshot(
    environ: Mapping[str, str],
    *,
    isolated: bool = False,
    platform: Platform | None = None,
    prefix: str | None = None,
) -> Snapshot:
    """Read the configuration files; raises ``SettingError`` for one that cannot be understood.

    ``prefix`` is the target environment's, whose own file then counts; while it is not yet known,
    leave it out and use :func:`add_site_file` later. ``isolated`` leaves out the user's files,
    and makes the merge pass over ``PIP_*``; ``PIP_CONFIG_FILE`` still counts, as in pip.
    """
    platform = platform or this_platform(environ)
    environ = MappingProxyType(dict(environ))
    bare = Snapshot(environ=environ, platform=platform, isolated=isolated)
    named = environ.get("PIP_CONFIG_FILE", "")
    if _is_devnull(named, platform):
        return bare
    places = [*global_places(platform, environ)]
    if not isolated and not (named and os.path.exists(named)):  # noqa: PTH110
        places += user_places(platform, environ, os.path.isdir)
    if prefix is not None:
        places.append(site_place(platform, prefix))
    if named:
        places.append(Place(FileKind.NAMED, named))
    return _read_all(bare, places)


def add_site_file(snapshot: Snapshot, prefix: str) -> Snapshot:
    """The snapshot together with the file of the environment that turned out to be the target.

    Raises ``SettingError`` as :func:`take_snapshot` does.
    """
    if _is_devnull(snapshot.environ.get("PIP_CONFIG_FILE", ""), snapshot.platform):
        return snapshot
    others = tuple(file for file in snapshot.files if file.kind is not FileKind.SITE)
    read = _read_all(replace(snapshot, files=()), [site_place(snapshot.platform, prefix)])
    order = list(FileKind)
    files = sorted((*others, *read.files), key=lambda file: order.index(file.kind))
    return replace(read, files=tuple(files))


def read_config_file(place: Place, *, encoding: str = "utf-8") -> ConfigFile:
    """Read one file; ``OSError`` if it cannot be opened, ``SettingError`` if not understood.

    A file that does not exist comes back empty.
    """
    origin = Origin(OriginKind.FILE, path=place.path)
    try:
        with open(place.path, "rb") as file:  # noqa: PTH123
            data = file.read()
    except (FileNotFoundError, NotADirectoryError):
        return ConfigFile(kind=place.kind, path=place.path)
    try:
        text, codec = decode(data, encoding)
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise SettingError(
            f"{place.path}, line {line}: this is not text in {_either(encoding)}.",
            origin=replace(origin, line=line),
            hint="Save the file as UTF-8.",
        ) from error
    try:
        ini = parse_ini(text)
    except IniError as error:
        raise SettingError(
            f"{place.path}, line {error.line}: {error.reason}.",
            origin=replace(origin, line=error.line),
            hint="Mend the file, or set PIP_CONFIG_FILE to "
            f"{os.devnull} to go without configuration files.",
        ) from error
    return ConfigFile(
        kind=place.kind, path=place.path, exists=True, ini=ini, text=text, encoding=codec
    )


def this_platform(environ: Mapping[str, str]) -> Platform:
    """The facts of the running machine."""
    import locale

    if sys.version_info >= (3, 11):
        encoding = locale.getencoding()
    else:
        encoding = locale.getpreferredencoding(False)
    return Platform(
        system=sys.platform,
        home=_home(environ),
        prefix=sys.prefix,
        encoding=encoding,
        home_of=_home_of,
    )


def _read_all(snapshot: Snapshot, places: list[Place]) -> Snapshot:
    read = [_read_one(place, snapshot.platform) for place in places]
    warnings = [warning for _, warning in read if warning]
    return replace(
        snapshot,
        files=tuple(file for file, _ in read),
        warnings=(*snapshot.warnings, *warnings),
    )


def _read_one(place: Place, platform: Platform) -> tuple[ConfigFile, str | None]:
    """The file, and a warning if it is there and cannot be read (pip says nothing)."""
    try:
        return read_config_file(place, encoding=platform.encoding), None
    except OSError as error:
        if place.kind is FileKind.NAMED:
            raise SettingError(
                f"The configuration file {place.path} cannot be read: {error.strerror}.",
                origin=Origin(OriginKind.ENVIRONMENT, "PIP_CONFIG_FILE"),
            ) from error
        warning = (
            f"The configuration file {place.path} cannot be read ({error.strerror}) "
            "and is passed over."
        )
        return ConfigFile(kind=place.kind, path=place.path), warning


def _either(encoding: str) -> str:
    return "UTF-8" if codecs.lookup(encoding).name == "utf-8" else f"UTF-8 or {encoding}"


def _is_devnull(path: str, platform: Platform) -> bool:
    return (path.lower() if platform.windows else path) == platform.devnull


def _home(environ: Mapping[str, str]) -> str:
    names = ("USERPROFILE",) if sys.platform == "win32" else ("HOME",)
    return next(filter(None, map(environ.get, names)), None) or os.path.expanduser("~")  # noqa: PTH111


def _home_of(name: str) -> str | None:
    home = os.path.expanduser(f"~{name}")  # noqa: PTH111
    return None if home.startswith("~") else home
