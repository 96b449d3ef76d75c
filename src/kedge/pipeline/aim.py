"""For which Python and platform files are chosen, from the settings; pip's rules for saying so."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kedge.environment.aim import Aim, Described, aim_at
from kedge.errors import UsageError
from kedge.pipeline.asked import formats_of
from kedge.requirements import ParsedFile
from kedge.resolve import FormatControl
from kedge.settings import options as table
from kedge.settings.commands import INSTALL

if TYPE_CHECKING:
    from kedge.environment import Interpreter
    from kedge.settings.option import Option
    from kedge.settings.values import Settings

_OPTIONS: tuple[Option[Any], ...] = (
    table.PLATFORM,
    table.PYTHON_VERSION,
    table.IMPLEMENTATION,
    table.ABI,
)


def aim_of(settings: Settings, interpreter: Interpreter) -> Aim:
    """The interpreter's own, or what ``--platform`` and its kin describe.

    Raises :class:`~kedge.errors.UsageError` where a description could bring in what has to be
    built, or would be installed beside what is there: as pip, and before anything is fetched.
    """
    described = Described(
        platforms=settings.value(table.PLATFORM),
        python_version=settings.value(table.PYTHON_VERSION),
        implementation=settings.value(table.IMPLEMENTATION) or "",
        abis=settings.value(table.ABI),
    )
    if not described:
        return aim_at(interpreter)
    used = next(option for option in _OPTIONS if settings.value(option))
    origin = settings[used].origin
    only_wheels = formats_of(settings, ParsedFile()) == FormatControl().only_binary(":all:")
    if not (only_wheels or settings.value(table.NO_DEPS)):
        raise UsageError(
            f"{origin} asks for files that another Python runs, and what is built here would not "
            "be among them.",
            hint="Add --only-binary=:all: (and no --no-binary), or --no-deps.",
        )
    if settings.command == INSTALL and not (
        settings.value(table.DRY_RUN) or settings.value(table.TARGET)
    ):
        raise UsageError(
            f"{origin} asks for files that this environment may not be able to use.",
            hint="Install them into a folder with --target, or see what they are with --dry-run.",
        )
    return aim_at(interpreter, described)
