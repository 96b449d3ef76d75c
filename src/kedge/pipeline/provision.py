"""What a build requires, into its environment: an install inside the install.

The same connection, index, cache and trust, in memory; pip's options that are about files and
releases count, the user's constraints do not (``--build-constraint`` is for builds), and neither
does hash-checking mode (pip's rules).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from kedge.classes import mutable
from kedge.environment import installed, scheme_for
from kedge.errors import DamagedEntryError, MetadataChangedError
from kedge.install import Addition, Plan, carry_out
from kedge.model import Origin, OriginKind
from kedge.pipeline.catalog import Catalog
from kedge.requirements import parse_argument
from kedge.resolve import Problem, ResolveReporter, resolve

if TYPE_CHECKING:
    from kedge.environment import Interpreter
    from kedge.index import Index
    from kedge.pipeline.asked import Asked
    from kedge.pipeline.builds import Builds, Chain
    from kedge.pipeline.fetch import Wheels
    from kedge.pipeline.reporter import Reporter
    from kedge.resolve import Resolution

_ATTEMPTS = 3


@mutable
class Provision:
    """The :class:`~kedge.pipeline.builds.Provisions` of one build."""

    asked: Asked
    index: Index
    builds: Builds
    wheels: Wheels
    reporter: Reporter
    chain: Chain
    lasts: bool = True

    def provide(self, requirements: Sequence[str], environment: Interpreter, *, name: str) -> None:
        """See :class:`kedge.build.Provisioner`."""
        origin = Origin(OriginKind.FILE, name="a requirement", path=f"the build of {name}")
        problem = Problem(
            requested=tuple(parse_argument(text, origin) for text in requirements),
            constraints=self.asked.build_constraints,
            installed=installed(environment.search_path),
            markers=environment.markers,
            tags=environment.tags,
            python_version=".".join(map(str, environment.version)),
            formats=self.asked.formats,
            releases=self.asked.releases,
            prefer_binary=self.asked.prefer_binary,
        )
        attempts = _ATTEMPTS
        while True:
            catalog = Catalog(self.index, self.builds, chain=self.chain)
            resolution = resolve(problem, catalog, _Quiet(self.reporter))
            try:
                if resolution.to_install:
                    self._install(resolution, catalog, environment)
                return
            except MetadataChangedError as exc:  # once for each source at most
                self.reporter.warn(exc.message)
            except DamagedEntryError as exc:
                attempts -= 1
                if not attempts:
                    raise
                self.wheels.forget(exc.sha256, catalog)

    def _install(self, resolution: Resolution, catalog: Catalog, environment: Interpreter) -> None:
        found = self.wheels.fetch(resolution.to_install, catalog)
        additions = tuple(
            Addition(
                name=found[pin.name].wheel.manifest.name,
                version=found[pin.name].wheel.manifest.version,
                wheel=found[pin.name].wheel,
            )
            for pin in resolution.to_install
        )
        plan = Plan(
            scheme=scheme_for(environment),
            interpreter=environment,
            additions=additions,
            removals=tuple(p.replaces for p in resolution.to_install if p.replaces),
        )
        carry_out(plan, reporter=self.reporter)
        self.lasts = self.lasts and all(found[p.name].lasts for p in resolution.to_install)


class _Quiet(ResolveReporter):
    """What a build's own resolution has to say is detail, but for its warnings."""

    def __init__(self, reporter: Reporter) -> None:
        self._reporter = reporter

    def warn(self, message: str) -> None:
        self._reporter.warn(message)

    def notice(self, text: str) -> None:
        self._reporter.detail(text)
