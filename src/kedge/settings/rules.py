"""Which options exclude or need each other, and what is accepted without effect.

Pure, over decided ``Settings``. The rules are those of pip's commands.
"""

from __future__ import annotations

from typing import Any

from kedge.errors import KedgeError, SettingError, UsageError
from kedge.model import OriginKind, Sourced
from kedge.settings import options as table
from kedge.settings.commands import CONFIG, DOWNLOAD, FREEZE, INSTALL, LIST, UNINSTALL
from kedge.settings.features import PIP_DEPRECATED, PIP_FEATURES
from kedge.settings.option import Option
from kedge.settings.values import Settings

_PRE = ((table.PRE, table.ALL_RELEASES), (table.PRE, table.ONLY_FINAL))

#: What would be left out, or bring what cannot be told from dependencies.
_ONLY_DEPS = tuple(
    (table.ONLY_DEPS, other)
    for other in (table.NO_DEPS, table.REQUIREMENT, table.REQUIREMENTS_FROM_SCRIPT, table.GROUP)
)

#: Options of which a command takes one at most.
_EXCLUSIVE: dict[str, tuple[tuple[Option[Any], Option[Any]], ...]] = {
    INSTALL: (
        (table.USER, table.TARGET),
        (table.USER, table.PREFIX),
        (table.TARGET, table.PREFIX),
        *_PRE,
        *_ONLY_DEPS,
    ),
    DOWNLOAD: (*_PRE, *_ONLY_DEPS),
    LIST: (
        (table.OUTDATED, table.UPTODATE),
        (table.PATH, table.ONLY_USER),
        (table.PATH, table.LOCAL),
        *_PRE,
    ),
    FREEZE: (
        (table.PATH, table.ONLY_USER),
        (table.PATH, table.LOCAL),
    ),
    CONFIG: (
        (table.CONFIG_USER, table.CONFIG_GLOBAL),
        (table.CONFIG_USER, table.CONFIG_SITE),
        (table.CONFIG_GLOBAL, table.CONFIG_SITE),
    ),
}

_UNSUPPORTED_KEYRINGS = ("import", "subprocess")


def check_combinations(settings: Settings) -> None:
    """Raise ``UsageError`` for what does not go together, ``SettingError`` if no flag is in it."""
    for first, second in _EXCLUSIVE.get(settings.command or "", ()):
        if settings.value(first) and settings.value(second):
            raise _clash(settings[first], settings[second])
    frozen = settings.command == LIST and settings.value(table.FORMAT) == "freeze"
    if frozen and settings.value(table.OUTDATED):
        raise _clash(settings[table.OUTDATED], settings[table.FORMAT])
    _check_something_is_asked(settings)


def passed_over(settings: Settings) -> tuple[str, ...]:
    """One warning for pip's features that mean nothing here, one for a keyring."""
    names = [name for name in settings.value(table.USE_FEATURE) if name in PIP_FEATURES]
    names += [name for name in settings.value(table.USE_DEPRECATED) if name in PIP_DEPRECATED]
    warnings = []
    if names:
        listed = ", ".join(dict.fromkeys(names))
        warnings.append(f"Only pip knows these features, and they are passed over: {listed}.")
    provider = settings[table.KEYRING_PROVIDER]
    if provider.value in _UNSUPPORTED_KEYRINGS:
        warnings.append(f"{provider.origin} is passed over: {table.KEYRING_PROVIDER.reason}.")
    return tuple(warnings)


def _check_something_is_asked(settings: Settings) -> None:
    if settings.command not in (INSTALL, DOWNLOAD, UNINSTALL) or settings.arguments:
        return
    others = (table.REQUIREMENT, table.GROUP, table.REQUIREMENTS_FROM_SCRIPT)
    editable = settings.command == INSTALL and settings.is_set(table.EDITABLE)
    if not editable and not any(settings.is_set(option) for option in others):
        raise UsageError(
            f"kedge {settings.command} was told of no package.",
            hint="Name one, or a requirements file with -r FILE.",
        )


def _clash(first: Sourced[Any], second: Sourced[Any]) -> KedgeError:
    ordered = sorted((first, second), key=lambda one: one.origin.kind.value != "command line")
    if ordered[0].origin.kind is OriginKind.COMMAND_LINE:
        other = ordered[1].origin
        name = other.name if other.kind is OriginKind.COMMAND_LINE else str(other)
        return UsageError(f"{ordered[0].origin.name} does not go together with {name}.")
    return SettingError(
        f"{first.origin} does not go together with {second.origin}.", origin=first.origin
    )
