"""What variables and files say, in the order in which pip lets them override each other.

Pure, over a snapshot. pip's order (``ConfigOptionParser._get_ordered_configuration_items``):
``[global]`` of every file, then the command's section of every file, then the environment; inside
one section a stronger file replaces a weaker one's value, also by an empty value, which then
counts as unset.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from kedge.model import Origin, OriginKind, Sourced
from kedge.settings import options as table
from kedge.settings.commands import find_command
from kedge.settings.files import ConfigFile, FileKind
from kedge.settings.option import Option
from kedge.settings.snapshot import Snapshot

#: ``PIP_`` variables that set no option (pip's ``ENV_NAMES_IGNORED``).
_NO_SETTINGS = frozenset(("version", "help"))
GLOBAL_SECTION = "global"


class Setting(NamedTuple):
    """One variable or entry that sets an option. ``rank`` grows with strength.

    ``masked`` settings were replaced inside their own section, or are empty.
    """

    option: Option[Any]
    key: str
    setting: Sourced[str]
    rank: tuple[int, int]
    masked: bool = False

    @property
    def text(self) -> str:
        return self.setting.value

    @property
    def origin(self) -> Origin:
        return self.setting.origin


def configured(command: str | None, snapshot: Snapshot, *, isolated: bool) -> tuple[Setting, ...]:
    """Every setting outside the command line of the options that ``command`` takes, weakest first.

    Names that belong to no such option are passed over, as pip does.
    """
    options = {
        flag[2:]: option
        for option in table.options_of(command)
        if not option.command_line_only
        for flag in option.all_flags
        if flag.startswith("--")
    }
    found_command = find_command(command)
    own = found_command.section if found_command and found_command.section else command
    sections = [GLOBAL_SECTION, *([own] if own and own != GLOBAL_SECTION else [])]
    found: list[Setting] = []
    for strength, section in enumerate(sections):
        found += _mask(list(_of_section(section, strength, snapshot.files, options)))
    if not isolated:
        found += _mask(list(_of_environment(len(sections), snapshot, options)))
    return tuple(found)


def normalise_name(name: str) -> str:
    """The key that a name stands for: lower case, ``-`` for ``_``, no leading dashes.

    >>> normalise_name("--Index_URL")
    'index-url'
    """
    return name.lower().replace("_", "-").removeprefix("--")


def setting_variables(snapshot: Snapshot) -> tuple[tuple[str, str, str], ...]:
    """Every ``PIP_*`` variable that may set an option: its name, the key, and its value."""
    return tuple(
        (name, normalise_name(name[4:]), value)
        for name, value in snapshot.environ.items()
        if name.startswith("PIP_") and name[4:].lower() not in _NO_SETTINGS
    )


def _of_section(
    section: str,
    strength: int,
    files: Sequence[ConfigFile],
    options: dict[str, Option[Any]],
) -> Iterator[Setting]:
    for number, file in enumerate(files):
        for entry in file.ini.items(section) if section in file.ini.sections else ():
            key = normalise_name(entry.name)
            option = options.get(key)
            # The environment's own file cannot choose the environment that it is read from.
            if option is None or (option is table.PYTHON and file.kind is FileKind.SITE):
                continue
            origin = Origin(OriginKind.FILE, entry.written, file.path, entry.section, entry.line)
            yield Setting(option, key, Sourced(entry.value, origin), (strength, number))


def _of_environment(
    strength: int, snapshot: Snapshot, options: dict[str, Option[Any]]
) -> Iterator[Setting]:
    for name, key, value in setting_variables(snapshot):
        if option := options.get(key):
            origin = Origin(OriginKind.ENVIRONMENT, name)
            yield Setting(option, key, Sourced(value, origin), (strength, 0))


def _mask(settings: list[Setting]) -> list[Setting]:
    """Mark what a later setting of the same key replaces, and what is empty."""
    last = {setting.key: setting for setting in settings}
    return [
        setting
        if last[setting.key] is setting and setting.text.strip()
        else setting._replace(masked=True)
        for setting in settings
    ]
