"""One Python, as installing into it needs to know it; the only place that starts one to ask.

:func:`current` describes the Python that runs kedge and starts nothing; :func:`inspect` starts
another one once. What costs time and is not always needed (markers, tags) is worked out when it
is asked for. Which Python to use is decided in :mod:`kedge.environment.choose`.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kedge.classes import field, frozen
from kedge.environment import probe
from kedge.errors import TargetError

if TYPE_CHECKING:
    from packaging.tags import Tag

#: The oldest Python that can be installed into; kedge itself needs a newer one.
OLDEST = (3, 8)

_TIMEOUT_SECONDS = 60

# Python 2 must be able to read this much, so as to be told that it is too old. What the shell's
# folder holds must not shadow the standard library: that entry of sys.path goes first.
_BOOTSTRAP = f"""\
import sys
sys.path[:1] = [entry for entry in sys.path[:1] if entry]
if sys.version_info < {OLDEST}:
    sys.stdout.write("\\n{probe.SENTINEL}[%d, %d]\\n" % sys.version_info[:2])
    sys.exit(0)
exec(sys.argv.pop(1))
"""

# Set for the Python that runs kedge, they would mislead any other: where its standard library
# is, and which program macOS and Windows launchers take it for.
_MISLEADING = frozenset({"PYTHONHOME", "PYTHONEXECUTABLE", "__PYVENV_LAUNCHER__"})


@frozen
class PathTemplates:
    """An installation scheme before its bases are put in: ``{base}/lib/...`` by path name."""

    name: str
    paths: Mapping[str, str]


@frozen(kw_only=True, slots=False)
class Interpreter:
    """One Python and its environment.

    ``version`` is major, minor, micro; ``full_version`` is as PEP 508 has it (``3.13.0rc1``).
    ``search_path`` is where it looks for modules, in order, and so where distributions count as
    installed; the places it installs to are in it even before they exist. ``site_packages`` and
    ``scripts`` are where its default scheme puts modules and programs (for any other place see
    :func:`kedge.environment.scheme.scheme_for`).
    ``schemes`` is keyed by ``prefix``, ``user``, ``home``, ``custom_prefix`` and ``venv``.
    ``own`` marks the Python that runs kedge.
    """

    executable: Path
    version: tuple[int, int, int]
    full_version: str
    implementation: str
    cache_tag: str | None
    prefix: Path
    base_prefix: Path
    search_path: tuple[Path, ...]
    stdlib: Path
    platstdlib: Path
    site_packages: Path
    scripts: Path
    user_site: Path | None
    user_site_enabled: bool
    schemes: Mapping[str, PathTemplates] = field(compare=False, repr=False)
    variables: Mapping[str, str] = field(compare=False, repr=False)
    own: bool = False
    _reported: Mapping[str, Any] | None = field(default=None, compare=False, repr=False)

    @property
    def is_venv(self) -> bool:
        """Whether this is a virtual environment (PEP 405)."""
        return self.prefix != self.base_prefix

    @property
    def python_version(self) -> str:
        """Major and minor, as in ``python3.12``."""
        return f"{self.version[0]}.{self.version[1]}"

    @cached_property
    def markers(self) -> Mapping[str, str]:
        """The environment that PEP 508 markers are evaluated in, without ``extra``."""
        if self._reported is None:
            return probe.markers()
        return dict(self._reported["markers"])

    @cached_property
    def tags(self) -> tuple[Tag, ...]:
        """The wheel tags it accepts, best first, as ``packaging.tags.sys_tags()`` in it."""
        from kedge.environment import tags

        if self._reported is None:
            return tags.own_tags()
        return tags.tags_from(
            self._reported["tags"],
            version=self.version,
            implementation=self.implementation,
            executable=self.executable,
        )

    @cached_property
    def sees_global_site(self) -> bool:
        """Whether packages outside the environment are visible: always but in a closed venv.

        A virtual environment says so in ``pyvenv.cfg``; one that says nothing is open, and one
        whose file cannot be read is closed (pip's reading of PEP 405).
        """
        if not self.is_venv:
            return True
        try:
            text = (self.prefix / "pyvenv.cfg").read_text(encoding="utf-8", errors="replace")
        except OSError:
            return False
        pattern = r"^include-system-site-packages\s*=\s*false"
        return re.search(pattern, text, re.MULTILINE) is None

    @cached_property
    def externally_managed(self) -> Path | None:
        """The ``EXTERNALLY-MANAGED`` file that applies (PEP 668); a venv has none."""
        marker = self.stdlib / "EXTERNALLY-MANAGED"
        return marker if not self.is_venv and marker.is_file() else None


def current() -> Interpreter:
    """The Python that runs kedge; starts nothing."""
    facts = probe.base_facts()
    path: list[str] = facts["path"]
    # ``python -m kedge`` puts the shell's folder first: what lies there is not installed.
    if path and path[0] in ("", _cwd()):
        path = path[1:]
    return _interpreter(facts, path, own=True)


def nothing() -> None:
    """There is nothing to do while a Python starts."""


def inspect(
    executable: Path,
    *,
    environ: Mapping[str, str] | None = None,
    meanwhile: Callable[[], object] = nothing,
) -> Interpreter:
    """Start the Python once and ask it; ``environ`` is the environment it is started with, and
    ``meanwhile`` is called before its answer is waited for.

    It is started as a user would start it, with ``PYTHONPATH`` and its user site, since what
    they show counts as installed. Only the shell's folder is kept off its path.

    :raises TargetError: it cannot be started, is no Python, or one older than 3.8.
    """
    report = _ask(executable, environ, meanwhile)
    if isinstance(report, list):
        version = ".".join(map(str, report))
        raise TargetError(
            f"{executable} is Python {version}, which is too old to install into.",
            hint=f"Choose Python {OLDEST[0]}.{OLDEST[1]} or newer with --python.",
        )
    facts = report["base"]
    facts["executable"] = facts["executable"] or str(executable)
    return _interpreter(facts, facts["path"], own=False, reported=report)


def _ask(
    executable: Path, environ: Mapping[str, str] | None, meanwhile: Callable[[], object]
) -> Any:
    import json

    source = _source_of_probe()
    env = None
    if environ is not None:
        env = {name: value for name, value in environ.items() if name not in _MISLEADING}
    code, output, complaints = _run(executable, [_BOOTSTRAP, source], env, meanwhile)
    for line in reversed(output.decode("utf-8", "replace").splitlines()):
        if line.startswith(probe.SENTINEL):
            return json.loads(line[len(probe.SENTINEL) :])
    complaint = complaints.decode("utf-8", "replace").strip().splitlines()
    detail = f": {complaint[-1][:200]}" if complaint else ""
    raise _not_usable(executable, f"it ended with exit code {code}{detail}")


def _source_of_probe() -> str:
    # Not by get_source(), which imports tokenize to find the encoding; it is UTF-8.
    loader = probe.__loader__
    data: bytes = loader.get_data(probe.__file__)  # type: ignore[union-attr]
    return data.decode()


def _run(
    executable: Path,
    arguments: Sequence[str],
    env: Mapping[str, str] | None,
    meanwhile: Callable[[], object],
) -> tuple[int, bytes, bytes]:
    """Exit code, output and complaints of ``executable -c ARGUMENTS``."""
    import subprocess  # 8 ms that kedge's own Python does not need

    try:
        with subprocess.Popen(
            [str(executable), "-c", *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=env,
        ) as child:
            try:
                meanwhile()
                output, complaints = child.communicate(timeout=_TIMEOUT_SECONDS)
            except BaseException:
                child.kill()
                raise
    except subprocess.TimeoutExpired as exc:
        raise _not_usable(executable, f"it gave no answer in {_TIMEOUT_SECONDS} s") from exc
    except (OSError, ValueError) as exc:
        reason = getattr(exc, "strerror", None) or str(exc)
        raise _not_usable(executable, f"it cannot be started ({reason})") from exc
    return child.returncode, output, complaints


def _not_usable(executable: Path, reason: str) -> TargetError:
    return TargetError(
        f"{executable} is not a working Python: {reason}.",
        hint="Name another one with --python: a program, or the folder of an environment.",
    )


def _interpreter(
    facts: Mapping[str, Any],
    path: Sequence[str],
    *,
    own: bool,
    reported: Mapping[str, Any] | None = None,
) -> Interpreter:
    major, minor, micro = facts["version"]
    return Interpreter(
        executable=Path(facts["executable"]),
        version=(major, minor, micro),
        full_version=facts["full_version"],
        implementation=facts["implementation"],
        cache_tag=facts["cache_tag"],
        prefix=Path(facts["prefix"]),
        base_prefix=Path(facts["base_prefix"]),
        search_path=tuple(_search_path(facts, path)),
        stdlib=Path(facts["stdlib"]),
        platstdlib=Path(facts["platstdlib"] or facts["stdlib"]),
        site_packages=Path(facts["site_packages"]),
        scripts=Path(facts["scripts"]),
        user_site=Path(facts["user_site"]) if facts["user_site"] else None,
        user_site_enabled=facts["user_site_enabled"],
        schemes={kind: PathTemplates(**scheme) for kind, scheme in facts["schemes"].items()},
        variables=facts["variables"],
        own=own,
        _reported=reported,
    )


def _search_path(facts: Mapping[str, Any], path: Sequence[str]) -> list[Path]:
    """The path without repetitions, with the places installed to that do not exist yet.

    Python leaves out a folder that is not there when it starts; the first install makes it.
    """
    found = [entry for entry in dict.fromkeys(path) if entry]
    if facts["site_packages"] not in found:
        found.append(facts["site_packages"])
    if facts["user_site"] and facts["user_site_enabled"] and facts["user_site"] not in found:
        found.insert(found.index(facts["site_packages"]), facts["user_site"])
    return [Path(entry) for entry in found]


def _cwd() -> str | None:
    try:
        return os.getcwd()  # noqa: PTH109 - compared with sys.path's text
    except OSError:
        return None  # the folder is gone
