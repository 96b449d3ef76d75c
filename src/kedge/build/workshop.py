"""From a folder with sources to a wheel: an environment, its requirements, the backend's hooks.

It chooses no versions and fetches nothing. What a build requires is put into its environment by a
:class:`Provisioner`, because that takes an index, a resolver and an installer, none of which this
layer knows.
"""

from __future__ import annotations

import tempfile
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Protocol

from packaging.requirements import InvalidRequirement, Requirement

from kedge.build.backend import Backend, ConfigSettings
from kedge.build.children import Children
from kedge.build.project import read_build_system
from kedge.build.report import BuildReporter
from kedge.build.surroundings import within
from kedge.classes import field, frozen
from kedge.environment import Interpreter, installed
from kedge.environment.metadata import normalized
from kedge.environment.private import make_private
from kedge.errors import BuildError, ResolutionError


class Provisioner(Protocol):
    """Puts what a build requires into its environment."""

    def provide(self, requirements: Sequence[str], environment: Interpreter, *, name: str) -> None:
        """Install so that all of the requirements hold; what is there stays where it satisfies.

        ``name`` is what they are needed for. Raises what resolving and fetching may raise.
        """


@frozen(kw_only=True)
class Sources:
    """A folder with sources, wherever it came from, and how to build it.

    ``name`` is what messages call it.
    """

    name: str
    folder: Path
    editable: bool = False
    config_settings: ConfigSettings = field(default_factory=dict, hash=False)


@frozen(kw_only=True)
class Prepared:
    """Sources whose environment is ready. ``metadata`` is the text of their ``METADATA``."""

    sources: Sources
    backend: Backend
    dist_info: Path
    metadata: bytes


class Workshop:
    """Where builds happen; everything that it makes lies below ``folder``.

    :meth:`prepare` is for one thread, which may come back while a requirement of a build has to be
    built first; :meth:`build` for several at once. ``environ`` gives the children's variables when
    the first is started: making them costs something.
    """

    def __init__(
        self,
        interpreter: Interpreter,
        folder: Path,
        environ: Callable[[], Mapping[str, str]],
        reporter: BuildReporter,
        *,
        isolated: bool = True,
        check: bool = False,
    ) -> None:
        self._interpreter = interpreter
        self._folder = folder
        self._make_environ = environ
        self._environ: Mapping[str, str] | None = None
        self._reporter = reporter
        self._isolated = isolated
        self._check = check
        self._children = Children()
        self._lock = threading.Lock()

    def prepare(self, sources: Sources, provisioner: Provisioner) -> Prepared:
        """Make the environment ready and ask the backend for the metadata.

        :raises SourceError: there is no project in the folder.
        :raises BuildError: a requirement cannot be provided, or the backend failed.
        """
        system = read_build_system(sources.folder, name=sources.name)
        self._reporter.build_prepared(sources.name)
        place = self._place("build-")
        environment = self._interpreter
        environ = self._variables()
        if self._isolated:
            environment = make_private(self._interpreter, place / "env", environ=environ)
            environ = within(environment, environ)
            self._provide(system.requires, environment, provisioner, sources.name)
        elif self._check:
            self._check_requirements(system.requires, sources.name)
        backend = Backend(
            sources.name,
            sources.folder,
            system,
            python=environment.executable,
            environ=environ,
            config_settings=sources.config_settings,
            children=self._children,
            heard=lambda line: self._reporter.build_output(sources.name, line),
        )
        if sources.editable:
            backend.check_editable()
        if self._isolated:
            more = backend.requires(editable=sources.editable)
            if more:
                both = (*system.requires, *more)
                self._provide(both, environment, provisioner, sources.name)
        (place / "metadata").mkdir()
        dist_info = backend.metadata(place / "metadata", editable=sources.editable)
        return Prepared(
            sources=sources,
            backend=backend,
            dist_info=dist_info,
            metadata=_read_metadata(dist_info, sources.name),
        )

    def build(self, prepared: Prepared) -> Path:
        """The wheel's archive, in a folder of its own. Raises :class:`~kedge.errors.BuildError`."""
        sources = prepared.sources
        self._reporter.build_started(sources.name)
        began = time.monotonic()
        wheel = prepared.backend.wheel(
            self._place("wheel-"), prepared.dist_info, editable=sources.editable
        )
        self._reporter.build_finished(sources.name, time.monotonic() - began)
        return wheel

    def stop(self) -> None:
        """End what is being built."""
        self._children.stop()

    def _place(self, prefix: str) -> Path:
        return Path(tempfile.mkdtemp(prefix=prefix, dir=self._folder))

    def _variables(self) -> Mapping[str, str]:
        with self._lock:
            if self._environ is None:
                self._environ = self._make_environ()
            return self._environ

    def _provide(
        self,
        requirements: Sequence[str],
        environment: Interpreter,
        provisioner: Provisioner,
        name: str,
    ) -> None:
        if not requirements:
            return
        try:
            provisioner.provide(requirements, environment, name=name)
        except ResolutionError as exc:
            raise BuildError(
                f"{name} cannot be built, because what it needs for that cannot be had: "
                f"{exc.message}",
                source=name,
                output=getattr(exc, "explanation", ()),
                hint=exc.hint,
            ) from exc
        except BuildError as exc:
            raise BuildError(
                f"{exc.message.removesuffix('.')}. {name} needs it to be built.",
                source=exc.source,
                output=exc.output,
                hint=exc.hint,
            ) from exc

    def _check_requirements(self, requirements: Sequence[str], name: str) -> None:
        """``--check-build-dependencies``: what the target environment lacks, all of it at once."""
        present = installed(self._interpreter.search_path)
        problems = []
        for text in requirements:
            try:
                requirement = Requirement(text)
            except InvalidRequirement:
                continue  # read_build_system has said so
            marker = requirement.marker
            if marker and not marker.evaluate({**self._interpreter.markers, "extra": ""}):
                continue
            found = present.get(normalized(requirement.name))
            if found is None:
                problems.append(f"{text} is not installed")
            elif not requirement.specifier.contains(found.version, prereleases=True):
                problems.append(f"{text} is needed, and {found.version} is installed")
        if problems:
            raise BuildError(
                f"{name} cannot be built in {self._interpreter.prefix}: {problems[0]}.",
                source=name,
                output=problems,
                hint="Install what it needs there, or leave out --no-build-isolation.",
            )


def _read_metadata(dist_info: Path, name: str) -> bytes:
    try:
        return (dist_info / "METADATA").read_bytes()
    except OSError as exc:
        raise BuildError(
            f"{name} cannot be built: its backend prepared metadata without a METADATA file.",
            source=name,
            hint="The fault is the backend's: tell its maintainers.",
        ) from exc
