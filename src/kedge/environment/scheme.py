"""Where the files of a distribution go: the five places of a scheme, for each destination.

Pure over what the interpreter reported, but for :func:`is_writable`. The rules are pip's
(``locations/_sysconfig.py``), so that what either installs the other finds.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from kedge.classes import frozen
from kedge.environment.interpreter import Interpreter
from kedge.errors import TargetError, UsageError

# The bases that are all replaced by a prefix or a home that the user names.
_BASES = ("installed_base", "base", "installed_platbase", "platbase", "prefix", "exec_prefix")


@frozen(kw_only=True)
class Scheme:
    """Absolute folders. ``headers`` holds one folder for each distribution."""

    purelib: Path
    platlib: Path
    scripts: Path
    data: Path
    headers: Path

    def headers_for(self, name: str) -> Path:
        """Where the C headers of the distribution go; ``name`` as its metadata spells it."""
        return self.headers / name

    @property
    def libraries(self) -> tuple[Path, ...]:
        """Where distributions of this scheme are found: one folder, or two where they differ."""
        return tuple(dict.fromkeys((self.purelib, self.platlib)))


def scheme_for(
    interpreter: Interpreter,
    *,
    target: str | os.PathLike[str] | None = None,
    prefix: str | os.PathLike[str] | None = None,
    root: str | os.PathLike[str] | None = None,
    user: bool = False,
) -> Scheme:
    """The places for this destination; relative paths count from the current folder.

    ``target`` is pip's ``--target``: modules and data right in the folder, programs in its
    ``bin``. ``root`` is put before whatever the rest gives.

    :raises UsageError: destinations that exclude each other.
    :raises TargetError: the interpreter has no user scheme.
    """
    _refuse_combinations(target=target, prefix=prefix, user=user)
    if target is not None:
        scheme = _below_target(interpreter, _absolute(target))
    elif user:
        scheme = _expand(interpreter, "user", None)
    elif prefix is not None:
        scheme = _expand(interpreter, "custom_prefix", _absolute(prefix))
    else:
        scheme = _expand(interpreter, "prefix", None)
    return scheme if root is None else _rebase(scheme, _absolute(root))


def _refuse_combinations(*, target: object, prefix: object, user: bool) -> None:
    given = [
        flag
        for flag, is_given in (
            ("--user", user),
            ("--target", target is not None),
            ("--prefix", prefix is not None),
        )
        if is_given
    ]
    if len(given) > 1:
        raise UsageError(
            f"{' and '.join(given)} name different places to install to.",
            hint="Give one of them.",
        )


def _absolute(path: str | os.PathLike[str]) -> str:
    return os.path.abspath(path)  # noqa: PTH100 - resolve() would follow links


def _expand(interpreter: Interpreter, kind: str, base: str | None) -> Scheme:
    if kind not in interpreter.schemes:
        raise TargetError(
            f"{interpreter.executable} has no place for packages of one user.",
            hint="Leave out --user.",
        )
    variables = dict(interpreter.variables)
    if base is not None:
        variables.update(dict.fromkeys(_BASES, base))
    try:
        paths = {
            key: os.path.normpath(template.format(**variables))
            for key, template in interpreter.schemes[kind].paths.items()
        }
    except (KeyError, IndexError, ValueError) as exc:
        raise TargetError(
            f"{interpreter.executable} does not say where it installs to: its scheme "
            f"{interpreter.schemes[kind].name} cannot be filled in.",
            hint="Its sysconfig is damaged; choose another Python with --python.",
        ) from exc
    headers = paths["include"]
    if interpreter.is_venv:
        # The headers of a venv's Python are not its own to write to: pip's place for them.
        own = variables.get("userbase" if kind == "user" else "base", str(interpreter.prefix))
        headers = f"{own}/include/site/python{interpreter.python_version}"
    return Scheme(
        purelib=Path(paths["purelib"]),
        platlib=Path(paths["platlib"]),
        scripts=Path(paths["scripts"]),
        data=Path(paths["data"]),
        headers=Path(headers),
    )


def _below_target(interpreter: Interpreter, target: str) -> Scheme:
    """pip installs into a home elsewhere and moves ``lib/python`` and the rest to the target."""
    home = _expand(interpreter, "home", target)
    folder = Path(target)
    return Scheme(
        purelib=folder,
        platlib=folder,
        scripts=home.scripts,
        data=folder,
        headers=home.headers,
    )


def _rebase(scheme: Scheme, root: str) -> Scheme:
    def below(path: Path) -> Path:
        return Path(root, *path.parts[1:])

    return Scheme(
        purelib=below(scheme.purelib),
        platlib=below(scheme.platlib),
        scripts=below(scheme.scripts),
        data=below(scheme.data),
        headers=below(scheme.headers),
    )


# --------------------------------------------------------------------------------------------
# The user's own place


def is_writable(scheme: Scheme) -> bool:
    """Whether modules can be written there; of a folder that does not exist, its parent says."""
    return all(_folder_is_writable(folder) for folder in scheme.libraries)


def _folder_is_writable(folder: Path) -> bool:
    while not folder.is_dir():
        if folder.parent == folder:
            return False
        folder = folder.parent
    if os.name == "posix":
        return os.access(folder, os.W_OK)
    return _can_create_in(folder)


def _can_create_in(folder: Path) -> bool:
    # os.access() says nothing useful on Windows: bpo-2528.
    probe = folder / f".kedge-{os.getpid()}"
    try:
        os.close(os.open(probe, os.O_RDWR | os.O_CREAT | os.O_EXCL))
        probe.unlink()
    except OSError:
        return False
    return True


def default_to_user(
    interpreter: Interpreter,
    *,
    user: bool | None,
    target: str | os.PathLike[str] | None = None,
    prefix: str | os.PathLike[str] | None = None,
    root: str | os.PathLike[str] | None = None,
    writable: Callable[[Scheme], bool] = is_writable,
) -> bool:
    """Whether to install for the user alone: pip's ``decide_user_install``.

    ``user`` is what was asked: ``--user``, ``--no-user``, or nothing (``None``). Unasked, the
    user's place is taken where the environment's own cannot be written. ``writable`` is asked
    only when it matters.

    :raises TargetError: ``--user`` where the user's packages are not visible.
    :raises UsageError: ``--user`` together with ``--target`` or ``--prefix``.
    """
    if user is False:
        return False
    if user:
        _refuse_combinations(target=target, prefix=prefix, user=True)
        if not interpreter.sees_global_site:
            raise TargetError(
                f"--user installs outside {interpreter.prefix}, a virtual environment that "
                "does not see the user's packages.",
                hint="Leave out --user, or deactivate the virtual environment.",
            )
        if not interpreter.user_site_enabled:
            raise TargetError(
                f"The user's packages are switched off for {interpreter.executable}.",
                hint="Leave out --user (PYTHONNOUSERSITE and python -s switch them off).",
            )
        return True
    if target is not None or prefix is not None or not interpreter.user_site_enabled:
        return False
    return not writable(scheme_for(interpreter, root=root))
