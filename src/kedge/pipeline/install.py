"""``kedge install``, from what was asked for to a changed environment; read it top to bottom.

Everything that may fail for a reason outside this machine happens before the first change.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING
from urllib.parse import urldefrag

from kedge.classes import field, frozen
from kedge.environment import Scheme, installed, scheme_for
from kedge.environment.consistency import Conflict, conflicts, packages_of
from kedge.environment.managed import refuse_externally_managed
from kedge.environment.scheme import default_to_user
from kedge.errors import (
    DamagedEntryError,
    EnvironmentChangedError,
    MetadataChangedError,
    TargetError,
)
from kedge.index import IndexFile
from kedge.install import (
    Addition,
    Existing,
    LinkMode,
    Observation,
    Plan,
    observe,
    recover,
)
from kedge.model import DEFAULT, DirectUrl, TrustDecision, strip_secrets
from kedge.pipeline.aim import aim_of
from kedge.pipeline.asked import Asked, gather, uploaded_prior_to
from kedge.pipeline.supply import Supply, connected, supply
from kedge.resolve import Problem, Resolution, UpgradeStrategy
from kedge.settings import options as table

if TYPE_CHECKING:
    from collections.abc import Mapping

    from packaging.utils import NormalizedName

    from kedge.cache import Cache
    from kedge.environment import Choice, InstalledDistribution, Interpreter
    from kedge.pipeline.catalog import Catalog
    from kedge.pipeline.fetch import Fetched
    from kedge.pipeline.reporter import Reporter
    from kedge.resolve import Pin
    from kedge.settings.values import Settings

_ATTEMPTS = 3


@frozen
class Described:
    """The whole ``METADATA`` of what was chosen, and where it came from if by URL."""

    metadata: bytes
    origin: DirectUrl | None


@frozen(kw_only=True)
class Outcome:
    """What an install chose and did. ``plan`` is None for a dry run, or when nothing was missing.

    ``conflicts`` are requirements, of anything installed, that do not hold afterwards.
    ``described`` says more of each that was chosen, by project, where a report needs it.
    ``markers`` are what it was chosen for.
    """

    decision: TrustDecision
    resolution: Resolution
    plan: Plan | None = None
    conflicts: tuple[Conflict, ...] = ()
    described: Mapping[NormalizedName, Described] | None = None
    markers: Mapping[str, str] = field(default_factory=dict)


def install(
    settings: Settings, choice: Choice, interpreter: Interpreter, reporter: Reporter
) -> Outcome:
    """Carry out ``kedge install``: the environment afterwards is as asked, or as it was.

    Raises every kind of :class:`~kedge.errors.KedgeError`.
    """
    aim = aim_of(settings, interpreter)
    scheme, user = destination(settings, choice, interpreter)
    reporter.target_chosen(interpreter, choice, scheme)
    if not settings.value(table.DRY_RUN):
        recover(scheme, reporter=reporter)
    with connected(settings, reporter) as (cache, connection):
        asked = gather(settings, connection, aim, reporter)
        with supply(settings, asked, interpreter, connection, cache, reporter) as supplies:
            steps = _Steps(
                settings=settings,
                interpreter=interpreter,
                reporter=reporter,
                scheme=scheme,
                user=user,
                asked=asked,
                supply=supplies,
                cache=cache,
            )
            return steps.run(connection.decision)


@frozen(kw_only=True)
class _Steps:
    """What is repeated when another process changes the environment, or the cache, meanwhile."""

    settings: Settings
    interpreter: Interpreter
    reporter: Reporter
    scheme: Scheme
    user: bool
    asked: Asked
    supply: Supply
    cache: Cache

    def run(self, decision: TrustDecision) -> Outcome:
        """Choose and install, on the environment as it is when the change begins."""
        attempts = _ATTEMPTS
        while True:
            observed = observe(self.scheme)
            problem = self._problem()
            catalog = self.supply.catalog(problem)
            resolution = self._resolve(problem, catalog)
            described = self._described(resolution, catalog)
            plan = None
            try:
                if resolution.to_install and not self.settings.value(table.DRY_RUN):
                    plan = self._install(resolution, catalog, observed)
            except EnvironmentChangedError:
                attempts -= 1
                if not attempts:
                    raise
                self.reporter.detail("The environment was changed meanwhile: choosing again.")
                continue
            except DamagedEntryError as exc:
                attempts -= 1
                if not attempts:
                    raise
                self.reporter.detail(f"{exc.message} It is fetched again.")
                self.supply.wheels.forget(exc.sha256, catalog)
                continue
            except MetadataChangedError as exc:  # once for each source at most
                self.reporter.warn(exc.message)
                continue
            return Outcome(
                decision=decision,
                resolution=resolution,
                plan=plan,
                conflicts=self._conflicts(resolution) if plan else (),
                described=described,
                markers=self.asked.aim.markers,
            )

    def _problem(self) -> Problem:
        present = installed(self.interpreter.search_path, warn=self.reporter.warn)
        return problem_of(self.settings, self.asked, present)

    def _resolve(self, problem: Problem, catalog: Catalog) -> Resolution:
        began = time.monotonic()
        ahead = None
        if not self.settings.value(table.DRY_RUN):
            missing = {one.name for one in problem.requested} - problem.installed.keys()
            ahead = self.supply.wheels.ahead(catalog, projects=len(missing))
        resolution = self.supply.recall.resolve(problem, catalog, self.reporter, foresight=ahead)
        self.supply.wheels.settle(resolution.to_install)
        self.reporter.resolved(resolution, time.monotonic() - began)
        return resolution

    def _described(
        self, resolution: Resolution, catalog: Catalog
    ) -> Mapping[NormalizedName, Described] | None:
        """What a report tells of each that is chosen, if one was asked for."""
        if self.settings.value(table.REPORT) is None:
            return None
        return {
            pin.name: Described(catalog.metadata_file(pin.file), _origin(pin, pin.file, catalog))
            for pin in resolution.to_install
            if isinstance(pin.file, IndexFile)
        }

    def _install(self, resolution: Resolution, catalog: Catalog, observed: Observation) -> Plan:
        """Fetch, plan, carry out."""
        reporter = self.reporter
        found = self._fetch(resolution, catalog)
        self.supply.wheels.rest()
        plan = self._plan(resolution, found, catalog, observed)
        from kedge.install import carry_out

        began = time.monotonic()
        carry_out(plan, reporter=reporter, store=self.cache.wheels)
        reporter.installed(plan, time.monotonic() - began)
        return plan

    def _fetch(self, resolution: Resolution, catalog: Catalog) -> Mapping[NormalizedName, Fetched]:
        """The wheels, and with ``--compile`` their bytecode: made while others still arrive."""
        pins, fetch = resolution.to_install, self.supply.wheels.fetch
        began = time.monotonic()
        if not self.settings.value(table.COMPILE):
            found = fetch(pins, catalog, meanwhile=_import_what_installs)
            self.reporter.fetched(pins, time.monotonic() - began)
            return found
        from kedge.install.bytecode import Compiling

        with Compiling(self.interpreter, self.cache.wheels) as compiling:
            found = fetch(pins, catalog, arrived=compiling.add, meanwhile=_import_what_installs)
            fetched = time.monotonic()
            self.reporter.fetched(pins, fetched - began)
            compiling.finish((each.wheel for each in found.values()), self.reporter)
        self.reporter.spent("compile", time.monotonic() - fetched)
        return found

    def _plan(
        self,
        resolution: Resolution,
        found: Mapping[NormalizedName, Fetched],
        catalog: Catalog,
        observed: Observation,
    ) -> Plan:
        compiles = self.settings[table.COMPILE]
        return Plan(
            scheme=self.scheme,
            interpreter=self.interpreter,
            additions=tuple(
                _addition(pin, found[pin.name], catalog) for pin in resolution.to_install
            ),
            removals=_removals(resolution, self.interpreter, user=self.user),
            compile=compiles.value,
            bytecode=compiles.value or compiles.origin is DEFAULT,
            link_mode=LinkMode(self.settings.value(table.LINK_MODE)),
            existing=_existing(self.settings),
            observed=observed,
        )

    def _conflicts(self, resolution: Resolution) -> tuple[Conflict, ...]:
        """Requirements that do not hold now, of what was installed or of what depends on it."""
        elsewhere = (table.TARGET, table.PREFIX, table.ROOT)
        if (
            not self.settings.value(table.WARN_CONFLICTS)
            or self.settings.value(table.NO_DEPS)
            or any(self.settings.value(option) is not None for option in elsewhere)
        ):
            return ()
        present = installed(self.interpreter.search_path)
        # What was chosen together fits together, unless something else shows in its place.
        shown = all(_shows(present.get(pin.name), pin) for pin in resolution.pins)
        fitting = {pin.name for pin in resolution.pins} if shown else frozenset()
        packages, _ = packages_of(present.values(), self.interpreter.markers, fitting=fitting)
        return conflicts(packages, concerning={pin.name for pin in resolution.to_install})


# --------------------------------------------------------------------------------------------
# Where to


def destination(
    settings: Settings, choice: Choice, interpreter: Interpreter
) -> tuple[Scheme, bool]:
    """Where the files will go, and whether that is the user's own place.

    Raises :class:`~kedge.errors.TargetError` for an environment that must not be changed.
    """
    if settings.value(table.REQUIRE_VIRTUALENV) and not interpreter.is_venv:
        raise TargetError(
            f"{interpreter.prefix} is no virtual environment "
            f"({settings[table.REQUIRE_VIRTUALENV].origin}).",
            hint="Activate one, or name one with --python.",
        )
    target, prefix, root = (
        settings.value(option) for option in (table.TARGET, table.PREFIX, table.ROOT)
    )
    refuse_externally_managed(
        interpreter,
        choice=choice,
        environ=settings.snapshot.environ,
        elsewhere=any(place is not None for place in (target, prefix, root))
        or (settings.value(table.DRY_RUN) and settings.value(table.REPORT) is not None),
        break_system_packages=settings.value(table.BREAK_SYSTEM_PACKAGES),
    )
    user = default_to_user(
        interpreter, user=settings.value(table.USER), target=target, prefix=prefix, root=root
    )
    scheme = scheme_for(interpreter, target=target, prefix=prefix, root=root, user=user)
    return scheme, user


def _import_what_installs() -> None:
    """What is needed once the last wheel is there, while it arrives."""
    import kedge.install.contents
    import kedge.install.transaction  # noqa: F401


def _existing(settings: Settings) -> Existing:
    if settings.value(table.TARGET) is None:
        return Existing.MERGE
    return Existing.REPLACE if settings.value(table.UPGRADE) else Existing.KEEP


# --------------------------------------------------------------------------------------------
# What to


def problem_of(
    settings: Settings,
    asked: Asked,
    present: Mapping[NormalizedName, InstalledDistribution],
) -> Problem:
    """The question for the resolver."""
    upgrade = UpgradeStrategy.NONE
    if settings.value(table.UPGRADE):
        upgrade = UpgradeStrategy(settings.value(table.UPGRADE_STRATEGY))
    return Problem(
        requested=asked.requested,
        constraints=asked.constraints,
        installed=present,
        markers=asked.aim.markers,
        tags=asked.aim.tags,
        python_version=asked.aim.python_version,
        upgrade=upgrade,
        formats=asked.formats,
        releases=asked.releases,
        prefer_binary=asked.prefer_binary,
        ignore_requires_python=settings.value(table.IGNORE_REQUIRES_PYTHON),
        no_deps=settings.value(table.NO_DEPS),
        only_deps=settings.value(table.ONLY_DEPS),
        uploaded_prior_to=uploaded_prior_to(settings),
        require_hashes=asked.require_hashes,
        # As pip: what lies in the environment says nothing about a --target folder.
        ignore_installed=settings.value(table.IGNORE_INSTALLED)
        or settings.value(table.TARGET) is not None,
        force_reinstall=settings.value(table.FORCE_REINSTALL),
    )


# --------------------------------------------------------------------------------------------
# The change


def _shows(distribution: InstalledDistribution | None, pin: Pin) -> bool:
    try:
        return distribution is not None and distribution.version == pin.version
    except TargetError:
        return False


def _addition(pin: Pin, fetched: Fetched, catalog: Catalog) -> Addition:
    origin = None
    if isinstance(pin.file, IndexFile):
        origin = _origin(pin, pin.file, catalog, sha256=fetched.sha256)
    return Addition(
        name=fetched.wheel.manifest.name,
        version=fetched.wheel.manifest.version,
        wheel=fetched.wheel,
        requested=pin.requested,
        direct_url=origin,
    )


def _origin(
    pin: Pin, file: IndexFile, catalog: Catalog, *, sha256: str | None = None
) -> DirectUrl | None:
    """What ``direct_url.json`` says of what was asked for by its URL (PEP 610).

    ``sha256`` is a wheel's own; where it was not fetched yet, the digests that it must have.
    """
    if pin.direct is None:
        return None
    if not file.is_wheel:
        return catalog.origin(file)
    hashes = dict(pin.hashes) if sha256 is None else {"sha256": sha256}
    return DirectUrl(url=strip_secrets(urldefrag(pin.direct).url), archive_hashes=hashes)


def _removals(
    resolution: Resolution, interpreter: Interpreter, *, user: bool
) -> tuple[InstalledDistribution, ...]:
    """What the new versions replace, as far as it lies where this install may remove.

    pip's rules: with ``--user`` a copy in the environment proper is shadowed and stays; in a
    virtual environment what it sees of the Python below stays.
    """
    replaced = [pin.replaces for pin in resolution.to_install if pin.replaces is not None]
    if not replaced:
        return ()
    from kedge.environment.listing import is_local, is_users

    return tuple(
        old
        for old in replaced
        if is_local(old, interpreter) and (not user or is_users(old, interpreter))
    )
