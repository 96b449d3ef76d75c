"""``kedge uninstall``: the same transaction, with removals only."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from kedge.classes import frozen
from kedge.environment import installed, scheme_for
from kedge.environment.listing import is_local
from kedge.environment.managed import refuse_externally_managed
from kedge.environment.metadata import normalized
from kedge.errors import UsageError
from kedge.install import Plan, carry_out, observe, recover
from kedge.model import Origin, OriginKind, redact_text
from kedge.pipeline.connection import Connection
from kedge.requirements import merge_files, parse_argument, parse_file
from kedge.settings import options as table

if TYPE_CHECKING:
    from packaging.utils import NormalizedName

    from kedge.environment import Choice, InstalledDistribution, Interpreter
    from kedge.pipeline.reporter import Reporter
    from kedge.settings.values import Settings


@frozen(kw_only=True)
class Uninstalled:
    """What was removed, what was asked for and is not there, and whether the user declined."""

    removed: tuple[InstalledDistribution, ...] = ()
    missing: tuple[str, ...] = ()
    declined: bool = False


def uninstall(
    settings: Settings,
    choice: Choice,
    interpreter: Interpreter,
    reporter: Reporter,
    *,
    confirm: Callable[[Sequence[InstalledDistribution]], bool],
) -> Uninstalled:
    """Remove what was named, whole or not at all, once ``confirm`` has agreed."""
    refuse_externally_managed(
        interpreter,
        choice=choice,
        environ=settings.snapshot.environ,
        break_system_packages=settings.value(table.BREAK_SYSTEM_PACKAGES),
    )
    scheme = scheme_for(interpreter)
    recover(scheme, reporter=reporter)
    observed = observe(scheme)
    names = _names(settings, reporter)
    present = installed(interpreter.search_path, warn=reporter.warn)
    chosen: list[InstalledDistribution] = []
    outside: list[InstalledDistribution] = []
    for name in names:
        found = present.get(name)
        if found is not None:
            (chosen if is_local(found, interpreter) else outside).append(found)
    for found in outside:
        reporter.warn(
            f"{found} is not uninstalled: it lies in {found.location}, outside the environment."
        )
    missing = tuple(name for name in names if name not in present)
    if not chosen:
        return Uninstalled(missing=missing)
    if not confirm(chosen):
        return Uninstalled(missing=missing, declined=True)
    carry_out(
        Plan(scheme=scheme, interpreter=interpreter, removals=tuple(chosen), observed=observed),
        reporter=reporter,
    )
    return Uninstalled(removed=tuple(chosen), missing=missing)


def _names(settings: Settings, reporter: Reporter) -> tuple[NormalizedName, ...]:
    words = [
        parse_argument(
            word, Origin(OriginKind.COMMAND_LINE, redact_text(word)), directory=Path.cwd()
        )
        for word in settings.arguments
    ]
    with Connection(settings, reporter, index_urls=()) as connection:
        files = merge_files(
            parse_file(
                named.value, connection, environ=settings.snapshot.environ, origin=named.origin
            )
            for named in settings.each(table.REQUIREMENT)
        )
    asked = (*words, *files.requirements)
    for one in asked:
        if one.name is None:
            raise UsageError(
                f"{one} ({one.origin}) does not name a project.",
                hint="Give the name of what is installed, as kedge list shows it.",
            )
    return tuple(dict.fromkeys(normalized(one.name) for one in asked if one.name))
