"""``kedge config``: what pip's configuration files say, and changing them.

The files, the names and the meaning of ``--user``, ``--global`` and ``--site`` are pip's; comments
and order survive a change, and a file is replaced whole or not at all. It reads files through
``settings`` and writes one; it decides no precedence.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from kedge.classes import frozen
from kedge.errors import KedgeError, UsageError
from kedge.model import Origin, OriginKind, Sourced, names_secret, redact_url
from kedge.settings import options as table
from kedge.settings.commands import find_command
from kedge.settings.edit import EditError, set_value, unset_value
from kedge.settings.files import ConfigFile, FileKind, Place, global_places, site_place, user_places
from kedge.settings.layers import GLOBAL_SECTION, normalise_name, setting_variables
from kedge.settings.merge import read_setting
from kedge.settings.option import Option
from kedge.settings.snapshot import Snapshot, read_config_file
from kedge.settings.values import Settings

if TYPE_CHECKING:
    from kedge.cli.run import Job

_CHOICES = (
    (table.CONFIG_GLOBAL, FileKind.GLOBAL),
    (table.CONFIG_USER, FileKind.USER),
    (table.CONFIG_SITE, FileKind.SITE),
)


class Output(Protocol):
    """Where words go: ``kedge.cli.console.Console``."""

    def result(self, text: str) -> None: ...
    def say(self, text: str) -> None: ...
    def warn(self, text: str) -> None: ...


def run(job: Job) -> int:
    """The command, as ``kedge.cli.run`` calls it."""
    return carry_out(job.settings, job.console, prefix=str(job.interpreter.prefix))


def carry_out(settings: Settings, output: Output, *, prefix: str) -> int:
    """Carry out the action; the exit code. ``prefix`` is the target environment's.

    Raises ``UsageError`` for a key or a value that cannot be, ``SettingError`` for a file that
    cannot be understood, ``KedgeError`` for one that cannot be read or written.
    """
    match settings.action:
        case "list":
            return _list(settings, output, prefix)
        case "get":
            return _get(settings, output, prefix)
        case "set":
            return _set(settings, output, prefix)
        case "unset":
            return _unset(settings, output, prefix)
        case _:
            return _debug(settings, output)


# --------------------------------------------------------------------------------------------
# Reading


@frozen
class _Line:
    """One value that is set somewhere. ``key`` is ``section.name``, as pip shows it."""

    key: str
    value: str
    origin: Origin


def _list(settings: Settings, output: Output, prefix: str) -> int:
    lines = list(_lines(_files(settings, prefix)))
    if _chosen(settings) is None:
        lines += _variables(settings)
    last = {line.key: line for line in lines}
    for line in sorted(lines, key=lambda one: one.key):
        winner = last[line.key]
        note = "" if winner is line else f", replaced in {winner.origin.path}"
        output.result(f"{line.key}={_shown(line.key, line.value)!r}  # {_place(line.origin)}{note}")
    return 0


def _get(settings: Settings, output: Output, prefix: str) -> int:
    section, name = _key(settings.arguments[0])
    wanted = f"{section}.{name}"
    lines = [*_lines(_files(settings, prefix)), *_variables(settings)]
    found = [line for line in lines if line.key == wanted]
    if not found:
        raise KedgeError(
            f"{wanted} is not set.", hint="kedge config list shows what is set, and where."
        )
    # Whoever asks for one value by its name wants that value, with its password if it has one.
    output.result(found[-1].value)
    return 0


def _debug(settings: Settings, output: Output) -> int:
    output.result("variables:")
    for name, _, value in sorted(setting_variables(settings.snapshot)):
        output.result(f"  {name}={_shown(name, value)!r}")
    for kind in FileKind:
        output.result(f"{kind.value}:")
        for file in settings.snapshot.of_kind(kind):
            output.result(f"  {file.path}, exists: {file.exists}")
            for line in _lines([file]):
                output.result(f"    {line.key}: {_shown(line.key, line.value)}")
    return 0


def _files(settings: Settings, prefix: str) -> list[ConfigFile]:
    """The files in force, weakest first; or those of the kind that was chosen."""
    kind = _chosen(settings)
    if kind is None:
        return list(settings.snapshot.files)
    return [_read(place, settings.snapshot) for place in _places(kind, settings.snapshot, prefix)]


def _lines(files: list[ConfigFile]) -> Iterator[_Line]:
    for file in files:
        for section in file.ini.sections:
            for entry in file.ini.items(section):
                origin = Origin(
                    OriginKind.FILE, entry.written, file.path, entry.section, entry.line
                )
                yield _Line(f"{section}.{normalise_name(entry.name)}", entry.value, origin)


def _variables(settings: Settings) -> list[_Line]:
    if settings.isolated:
        return []
    return [
        _Line(f":env:.{key}", value, Origin(OriginKind.ENVIRONMENT, name))
        for name, key, value in setting_variables(settings.snapshot)
    ]


def _place(origin: Origin) -> str:
    if origin.kind is OriginKind.ENVIRONMENT:
        return f"{origin.name} in the environment"
    return f"{origin.path}, line {origin.line}"


def _shown(key: str, value: str) -> str:
    """A value for the eye: without the passwords of its URLs, or at all where it is one."""
    if names_secret(key):
        return "****"
    return "\n".join(
        " ".join(_without_password(word) for word in line.split(" ")) for line in value.split("\n")
    )


def _without_password(word: str) -> str:
    if "://" in word:
        return redact_url(word)
    # A proxy's scheme may be left out.
    return redact_url(f"//{word}").removeprefix("//") if "@" in word else word


# --------------------------------------------------------------------------------------------
# Changing


def _set(settings: Settings, output: Output, prefix: str) -> int:
    section, name = _key(settings.arguments[0])
    value = settings.arguments[1]
    _check(section, name, value, settings.snapshot, output)
    file = _file_to_change(settings, prefix)
    try:
        text = set_value(file.text, section, name, value)
    except EditError as error:
        raise UsageError(f"{section}.{name} cannot be set: {error}.") from error
    _write(file, text)
    output.say(f"Set {section}.{name} in {file.path}.")
    return 0


def _unset(settings: Settings, output: Output, prefix: str) -> int:
    section, name = _key(settings.arguments[0])
    file = _file_to_change(settings, prefix)
    try:
        text = unset_value(file.text, section, name)
    except KeyError:
        raise KedgeError(
            f"{section}.{name} is not set in {file.path}.",
            hint="kedge config list shows what is set, and where.",
        ) from None
    except EditError as error:
        raise KedgeError(f"{section}.{name} cannot be removed: {error}.") from error
    _write(file, text)
    output.say(f"Removed {section}.{name} from {file.path}.")
    return 0


def _key(text: str) -> tuple[str, str]:
    """Section and name, as they are looked up (pip's ``_disassemble_key``)."""
    section, dot, name = normalise_name(text).partition(".")
    if not dot or not section or not name:
        raise UsageError(
            f"{text!r} names no section.", hint=f"Perhaps you mean {GLOBAL_SECTION}.{name or text}."
        )
    return section, name


def _check(section: str, name: str, value: str, snapshot: Snapshot, output: Output) -> None:
    """Refuse a value that would stop every later command; warn of what nobody will read."""
    command = find_command(section)
    if command is None and section != GLOBAL_SECTION:
        output.warn(f"kedge has no command {section!r}, and will not read this section.")
        return
    option = _option(section, name)
    if option is None:
        output.warn(f"No option of kedge is called {name!r}, and it will not read this value.")
    elif value.strip():
        origin = Origin(OriginKind.COMMAND_LINE, f"{section}.{name}")
        read_setting(option, Sourced(value, origin), platform=snapshot.platform)


def _option(section: str, name: str) -> Option[Any] | None:
    options = table.OPTIONS if section == GLOBAL_SECTION else table.options_of(section)
    return next((option for option in options if f"--{name}" in option.all_flags), None)


def _file_to_change(settings: Settings, prefix: str) -> ConfigFile:
    """The strongest file of the kind that was chosen; else the environment's if it exists."""
    snapshot = settings.snapshot
    kind = _chosen(settings)
    if kind is None:
        site = _read(site_place(snapshot.platform, prefix), snapshot)
        if site.exists:
            return site
        kind = FileKind.USER
    return _read(_places(kind, snapshot, prefix)[-1], snapshot)


def _chosen(settings: Settings) -> FileKind | None:
    return next((kind for option, kind in _CHOICES if settings.value(option)), None)


def _places(kind: FileKind, snapshot: Snapshot, prefix: str) -> tuple[Place, ...]:
    match kind:
        case FileKind.GLOBAL:
            return global_places(snapshot.platform, snapshot.environ)
        case FileKind.USER:
            return user_places(snapshot.platform, snapshot.environ, os.path.isdir)
        case _:
            return (site_place(snapshot.platform, prefix),)


def _read(place: Place, snapshot: Snapshot) -> ConfigFile:
    try:
        return read_config_file(place, encoding=snapshot.platform.encoding)
    except OSError as error:
        raise KedgeError(
            f"The configuration file {place.path} cannot be read: {error.strerror}."
        ) from error


def _write(file: ConfigFile, text: str) -> None:
    """Put the new file beside the old one, then in its place: complete, or not at all."""
    try:
        data = text.encode(file.encoding)
    except UnicodeEncodeError as error:
        raise UsageError(
            f"{file.path} is in {file.encoding}, which cannot hold this value.",
            hint="Save the file as UTF-8 first.",
        ) from error
    # A link, as to a folder of dotfiles, stays one: what it leads to is replaced.
    target = Path(os.path.realpath(file.path))
    beside = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        _write_beside(beside, data, like=target, private=file.kind is FileKind.USER)
        beside.replace(target)
    except OSError as error:
        with suppress(OSError):
            beside.unlink()
        raise KedgeError(
            f"The configuration file {file.path} cannot be written: {error.strerror}.",
            hint="kedge config --user writes your own." if file.kind is not FileKind.USER else None,
        ) from error


def _write_beside(path: Path, data: bytes, *, like: Path, private: bool) -> None:
    """A new file with the old one's mode and owner; a new one of the user's is theirs alone."""
    path.unlink(missing_ok=True)
    descriptor = os.open(
        path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0),
        0o600 if private or like.exists() else 0o666,
    )  # fmt: skip
    with open(descriptor, "wb") as file:  # noqa: PTH123 - a descriptor
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    if like.exists():
        status = like.stat()
        if hasattr(os, "chown"):
            with suppress(OSError):
                os.chown(path, status.st_uid, status.st_gid)
        path.chmod(status.st_mode & 0o7777)
