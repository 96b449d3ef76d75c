"""One build backend, asked through its hooks (PEP 517, PEP 660).

The one place that knows ``pyproject_hooks``: here its exceptions become
:class:`~kedge.errors.BuildError`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

from pyproject_hooks import (
    BackendUnavailable,
    BuildBackendHookCaller,
    HookMissing,
    UnsupportedOperation,
)

from kedge.build.children import ChildFailed, Children
from kedge.build.hints import hint_for
from kedge.build.project import BuildSystem
from kedge.errors import BuildError, SourceError

T = TypeVar("T")
ConfigSettings = Mapping[str, "str | Sequence[str]"]


class Backend:
    """The backend of one project, in one environment. For one thread at a time."""

    def __init__(
        self,
        name: str,
        folder: Path,
        system: BuildSystem,
        *,
        python: Path,
        environ: Mapping[str, str],
        config_settings: ConfigSettings,
        children: Children,
        heard: Callable[[str], object],
    ) -> None:
        self._name = name
        self._system = system
        self._environ = environ
        self._children = children
        self._heard = heard
        self._config = {
            key: value if isinstance(value, str) else list(value)
            for key, value in config_settings.items()
        }
        self._lines: list[str] = []
        try:
            self._hooks = BuildBackendHookCaller(
                str(folder),
                system.backend,
                backend_path=list(system.backend_path) or None,
                runner=self._run,
                python_executable=str(python),
            )
        except ValueError as exc:
            raise SourceError(
                f"{name} has a backend-path in its pyproject.toml that cannot be used: {exc}.",
                source=name,
            ) from exc

    def requires(self, *, editable: bool) -> tuple[str, ...]:
        """What the backend needs beyond what the project states; requirements as written."""
        hook = (
            self._hooks.get_requires_for_build_editable
            if editable
            else self._hooks.get_requires_for_build_wheel
        )
        found = self._call("asking what it needs to be built", lambda: hook(self._config))
        if not isinstance(found, list) or not all(isinstance(one, str) for one in found):
            raise self._misbehaved(f"its backend needs {found!r}, which is no list of requirements")
        return tuple(found)

    def check_editable(self) -> None:
        """Refuse where the backend cannot do editable installs."""
        features = self._call("asking its backend", self._hooks._supported_features)
        if "build_editable" not in features:
            raise BuildError(
                f"{self._name} cannot be installed in editable mode: its build backend "
                f"{self._system.backend} has no hook for it (PEP 660).",
                source=self._name,
                hint="Newer releases of most backends have it (setuptools since 64); a project "
                "that pins an older one in [build-system] has to let go of it. Without -e it can "
                "be installed as it is.",
            )

    def metadata(self, folder: Path, *, editable: bool) -> Path:
        """The ``.dist-info`` folder that the wheel will have, made in ``folder``."""
        hook = (
            self._hooks.prepare_metadata_for_build_editable
            if editable
            else self._hooks.prepare_metadata_for_build_wheel
        )
        # Without the hook pyproject_hooks builds the wheel, and keeps it for build_wheel.
        made = self._call("preparing the metadata", lambda: hook(str(folder), self._config))
        return self._made(folder, made, "metadata")

    def wheel(self, folder: Path, metadata: Path | None, *, editable: bool) -> Path:
        """The wheel, built into ``folder``; ``metadata`` is what :meth:`metadata` gave."""
        hook = self._hooks.build_editable if editable else self._hooks.build_wheel
        given = None if metadata is None else str(metadata)
        made = self._call("building the wheel", lambda: hook(str(folder), self._config, given))
        return self._made(folder, made, "wheel")

    def _made(self, folder: Path, name: object, what: str) -> Path:
        if not isinstance(name, str) or not name or Path(name).name != name:
            raise self._misbehaved(f"its backend names {name!r} as the {what} that it made")
        path = folder / name
        if not path.exists():
            raise self._misbehaved(f"its backend says that it made {name}, which is not there")
        return path

    def _call(self, doing: str, hook: Callable[[], T]) -> T:
        self._lines = []
        try:
            return hook()
        except ChildFailed as exc:
            raise self._failed(doing, f"exit code {exc.code}", exc.lines) from exc
        except BackendUnavailable as exc:
            raise self._unavailable(exc) from exc
        except HookMissing as exc:
            raise self._misbehaved(f"its backend has no hook {exc.hook_name}") from exc
        except UnsupportedOperation as exc:
            lines = (*self._lines, *exc.traceback.splitlines())
            raise self._failed(doing, "the backend does not support it", lines) from exc
        except (OSError, ValueError, KeyError) as exc:
            # No answer where one should be: the child ended itself with exit code 0, say.
            raise self._failed(doing, f"there is no answer ({exc})", self._lines) from exc

    def _failed(self, doing: str, reason: str, lines: Sequence[str]) -> BuildError:
        return BuildError(
            f"{self._name} cannot be built: {doing} failed ({reason}).",
            source=self._name,
            output=lines,
            hint=hint_for(lines),
        )

    def _unavailable(self, exc: BackendUnavailable) -> BuildError:
        hint = "The project has to name what brings it in requires of [build-system]."
        if not self._system.stated:
            hint = "The project names no backend, so it is setuptools; its requires must have it."
        return BuildError(
            f"{self._name} cannot be built: its build backend {self._system.backend} cannot be "
            "imported.",
            source=self._name,
            output=(*self._lines, *exc.traceback.splitlines()),
            hint=hint_for((*exc.traceback.splitlines(),)) or hint,
        )

    def _misbehaved(self, what: str) -> BuildError:
        return BuildError(
            f"{self._name} cannot be built: {what}.",
            source=self._name,
            output=self._lines,
            hint="The fault is the backend's, or the project's own: tell its maintainers.",
        )

    def _run(
        self,
        cmd: Sequence[str],
        cwd: str | None = None,
        extra_environ: Mapping[str, str] | None = None,
    ) -> None:
        environ = {**self._environ, **(extra_environ or {})}
        self._lines = self._children.run(cmd, cwd=cwd, environ=environ, heard=self._heard)
        for warning in _take_warnings(Path(cmd[-1], "output.json")):
            self._heard(warning)


def _take_warnings(answer: Path) -> list[str]:
    """The backend's warnings out of its answer, where the child left it.

    pyproject_hooks (1.3) would raise them anew as warnings of this process, whose filters are for
    its own code, and may make errors of them.
    """
    try:
        data = json.loads(answer.read_text(encoding="utf-8"))
        found = data.pop("warnings", None)
        if not found:
            return []
        answer.write_text(json.dumps(data), encoding="utf-8")
        return [line for one in found for line in str(one["message"]).splitlines() if line.strip()]
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return []  # no answer, which is for pyproject_hooks to say
