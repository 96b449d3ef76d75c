"""A virtual environment to build in: made in a moment, used by one build, thrown away.

On Linux a CPython's environment is a link to the program and three lines of ``pyvenv.cfg`` (PEP
405), so none is started to make it. Anywhere else, and for any other Python, its own ``venv``
knows what has to be copied.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from kedge.classes import replace
from kedge.environment.interpreter import Interpreter, inspect
from kedge.errors import TargetError

_TIMEOUT_SECONDS = 120


def make_private(
    interpreter: Interpreter, folder: Path, *, environ: Mapping[str, str]
) -> Interpreter:
    """Make an empty environment of that Python in ``folder`` and describe it.

    It sees nothing of what is installed elsewhere; ``environ`` is what a program is started with.

    :raises TargetError: that Python cannot make one.
    """
    home = _home(interpreter)
    if sys.platform == "linux" and interpreter.implementation == "cpython" and home is not None:
        return _linked(interpreter, folder, home)
    return _made_by_venv(interpreter, folder, environ)


def _home(interpreter: Interpreter) -> Path | None:
    """The folder of the program that the environment is to be of, past any it lives in itself."""
    if not interpreter.is_venv:
        return interpreter.executable.parent
    try:
        text = (interpreter.prefix / "pyvenv.cfg").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    for line in text.splitlines():
        key, _, value = line.partition("=")
        if key.strip().lower() == "home" and value.strip():
            return Path(value.strip())
    return None


def _linked(interpreter: Interpreter, folder: Path, home: Path) -> Interpreter:
    version = interpreter.python_version
    library = Path("lib", f"python{version}", "site-packages")
    (folder / library).mkdir(parents=True)
    (folder / "bin").mkdir()
    # Some distributions install what is for one architecture below lib64.
    (folder / "lib64").symlink_to("lib")
    name = f"python{version}"
    program = home / interpreter.executable.name
    (folder / "bin" / name).symlink_to(program if program.exists() else interpreter.executable)
    for alias in ("python", "python3"):
        (folder / "bin" / alias).symlink_to(name)
    (folder / "pyvenv.cfg").write_text(
        f"home = {home}\ninclude-system-site-packages = false\n"
        f"version = {'.'.join(map(str, interpreter.version))}\n",
        encoding="utf-8",
    )
    bases = dict.fromkeys(("base", "platbase", "prefix", "exec_prefix"), str(folder))
    return replace(
        interpreter,
        executable=folder / "bin" / "python",
        prefix=folder,
        search_path=(folder / library,),
        site_packages=folder / library,
        scripts=folder / "bin",
        user_site_enabled=False,
        schemes={**interpreter.schemes, "prefix": interpreter.schemes["venv"]},
        variables={**interpreter.variables, **bases},
        own=False,
    )


def _made_by_venv(
    interpreter: Interpreter, folder: Path, environ: Mapping[str, str]
) -> Interpreter:
    command = [str(interpreter.executable), "-I", "-m", "venv", "--without-pip", str(folder)]
    try:
        run = subprocess.run(
            command,
            env=dict(environ),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_TIMEOUT_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as exc:
        raise _cannot(interpreter, str(exc)) from exc
    if run.returncode != 0:
        said = (run.stderr + run.stdout).decode("utf-8", "replace").strip().splitlines()
        raise _cannot(interpreter, said[-1] if said else f"exit code {run.returncode}")
    name = "Scripts/python.exe" if os.name == "nt" else "bin/python"
    return inspect(folder / name, environ=environ)


def _cannot(interpreter: Interpreter, reason: str) -> TargetError:
    return TargetError(
        f"{interpreter.executable} cannot make a virtual environment to build in: {reason}.",
        hint="Its module venv may be packaged separately (python3-venv on Debian); or build in the "
        "environment itself with --no-build-isolation.",
    )
