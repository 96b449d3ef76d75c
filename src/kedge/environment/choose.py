"""Which Python is installed into (design: ``python -m kedge`` means that Python; the ``kedge``
script the active environment, else the one it lives in; ``--python`` overrides both).

:func:`decide` takes values and touches nothing. :func:`choose` carries the decision out: finds
the program and asks it about itself, or starts nothing when it is kedge's own.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Mapping
from enum import Enum
from pathlib import Path

from kedge.classes import frozen
from kedge.environment.interpreter import Interpreter, current, inspect, nothing
from kedge.errors import TargetError
from kedge.model import DEFAULT, Origin, OriginKind, Sourced


class Reason(Enum):
    """Why a Python is the one installed into."""

    NAMED = "--python"
    LAUNCHED_BY = "python -m kedge"
    ACTIVE = "an active environment"
    HOME = "the environment kedge lives in"


@frozen
class Choice:
    """``place`` is a program, a command's name or an environment's folder, as it was given; for
    kedge's own environment its prefix. ``origin`` is the setting or variable that named it.
    """

    reason: Reason
    place: str
    origin: Origin = DEFAULT

    @property
    def is_named(self) -> bool:
        """Whether the user named it with ``--python``, and so takes what comes of it."""
        return self.reason is Reason.NAMED

    def __str__(self) -> str:
        match self.reason:
            case Reason.NAMED:
                return str(self.origin)
            case Reason.LAUNCHED_BY:
                return "the Python that runs kedge"
            case Reason.ACTIVE:
                return f"the active environment, {self.origin.name}"
            case Reason.HOME:
                return "the environment that kedge lives in"


def decide(
    *,
    launched_as_module: bool,
    environ: Mapping[str, str],
    own_prefix: str,
    python: Sourced[str] | None,
) -> Choice:
    """Which Python, and why; pure. An empty variable counts as unset.

    >>> str(decide(launched_as_module=False, environ={"VIRTUAL_ENV": "/v"}, own_prefix="/o",
    ...            python=None))
    'the active environment, VIRTUAL_ENV'
    """
    if python is not None:
        return Choice(Reason.NAMED, python.value, python.origin)
    if launched_as_module:
        return Choice(Reason.LAUNCHED_BY, own_prefix)
    for variable in ("VIRTUAL_ENV", "CONDA_PREFIX"):
        if environ.get(variable):
            return Choice(
                Reason.ACTIVE, environ[variable], Origin(OriginKind.ENVIRONMENT, variable)
            )
    return Choice(Reason.HOME, own_prefix)


def choose(
    choice: Choice, *, environ: Mapping[str, str], meanwhile: Callable[[], object] = nothing
) -> Interpreter:
    """The interpreter that was decided on. Starts one process, or none for kedge's own Python.

    While that process starts, ``meanwhile`` is called.

    :raises TargetError: there is no such environment or program, or it is no usable Python.
    """
    if choice.reason in (Reason.LAUNCHED_BY, Reason.HOME):
        return current()
    executable = locate(choice, environ=environ)
    if _is_own(executable):
        return current()
    return inspect(executable, environ=environ, meanwhile=meanwhile)


def locate(choice: Choice, *, environ: Mapping[str, str]) -> Path:
    """The program of a choice that is a path, a folder, or a command's name."""
    place = Path(choice.place)
    if choice.is_named:
        if place.is_dir():
            return _program_in(place, choice)
        if place.exists():
            return _absolute(place)
        if place.name == choice.place:
            import shutil  # slower to import than all of this module

            found = shutil.which(choice.place, path=environ.get("PATH", ""))
            if found is not None:
                return _absolute(Path(found))
        raise TargetError(
            f"There is no Python {choice.place} ({choice.origin}).",
            hint="Give --python the path of a Python, the folder of an environment, or the name "
            "of a command on PATH.",
        )
    if not place.is_dir():
        raise TargetError(
            f"The active environment {choice.place} does not exist ({choice.origin}).",
            hint=f"Deactivate it (unset {choice.origin.name}), or create it again, or choose a "
            "Python with --python.",
        )
    return _program_in(place, choice)


def _program_in(folder: Path, choice: Choice) -> Path:
    for program in _programs(folder):
        if program.exists():
            return _absolute(program)
    raise TargetError(
        f"The environment {folder} has no Python ({choice.origin}).",
        hint="Choose another with --python, or install Python into this one."
        if choice.is_named or choice.origin.name == "CONDA_PREFIX"
        else "Create it again, deactivate it, or choose a Python with --python.",
    )


def _programs(folder: Path) -> Iterator[Path]:
    # In pip's order; the last is a conda environment on Windows.
    yield folder / "bin" / "python"
    yield folder / "Scripts" / "python.exe"
    yield folder / "bin" / "python3"
    yield folder / "python.exe"


def _is_own(executable: Path) -> bool:
    """Whether starting the program would only give kedge's own Python again.

    Links are not followed: the Python of a virtual environment is a link to that of another.
    """
    own = Path(sys.executable)
    if os.path.normcase(executable) == os.path.normcase(own):
        return True
    if executable.parent.name not in ("bin", "Scripts") or sys.prefix == sys.base_prefix:
        return False
    return _same(executable.parent.parent, Path(sys.prefix)) and _same(executable, own)


def _same(one: Path, other: Path) -> bool:
    try:
        return one.samefile(other)
    except OSError:
        return False


def _absolute(path: Path) -> Path:
    return Path(os.path.abspath(path))  # noqa: PTH100 - resolve() would follow a venv's links out
