"""From a problem to a resolution: sets up the parts, runs resolvelib, reads off the answer."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from resolvelib import BaseReporter, ResolutionImpossible, ResolutionTooDeep

from kedge.errors import ResolutionError
from kedge.resolve.answers import Grounds
from kedge.resolve.candidates import Candidate, FileCandidate, PythonCandidate
from kedge.resolve.constraints import collect_constraints
from kedge.resolve.demands import Demand
from kedge.resolve.engine import Engine
from kedge.resolve.hashing import collect_hashes
from kedge.resolve.journal import Journal
from kedge.resolve.library import Library
from kedge.resolve.provider import Provider
from kedge.resolve.report import Foresight, ResolveReporter, notice_after
from kedge.resolve.resolution import Pin, Resolution, pin_of, read_off
from kedge.resolve.scout import Scout
from kedge.resolve.target import Target
from kedge.resolve.universe import BuildWantedError, Universe

if TYPE_CHECKING:
    from packaging.utils import NormalizedName
    from resolvelib.resolvers import Criterion
    from resolvelib.structs import State

    from kedge.index import IndexFile
    from kedge.resolve.explain import Explainer
    from kedge.resolve.problem import Problem, Source

#: As pip: the engine's search depends on the limit (it tries its optimistic way for a tenth of
#: it), so another limit would now and then find another set.
MAX_ROUNDS = 200_000


def resolve(
    problem: Problem,
    source: Source,
    reporter: ResolveReporter | None = None,
    *,
    foresight: Foresight | None = None,
    threads: int = 16,
    max_rounds: int = MAX_ROUNDS,
) -> Resolution:
    """The set of distributions that pip would choose for the same request, in install order.

    Arguments and errors are those of :func:`search`, which tells more.
    """
    resolution, _ = search(
        problem, source, reporter, foresight=foresight, threads=threads, max_rounds=max_rounds
    )
    return resolution


def search(
    problem: Problem,
    source: Source,
    reporter: ResolveReporter | None = None,
    *,
    foresight: Foresight | None = None,
    when_asking: Callable[[Callable[[], None]], None] | None = None,
    threads: int = 16,
    max_rounds: int = MAX_ROUNDS,
) -> tuple[Resolution, Grounds | None]:
    """The same, and what it rests on (``None``: on more than pages and wheels of indexes).

    ``threads`` look ahead of the search, which itself runs in the caller's thread; 0 switches that
    off. They begin at once, or, with ``when_asking``, once it calls what it was given: when
    something has to be waited for. ``foresight`` hears on the way what will probably come of it.

    Raises :class:`~kedge.errors.NotFoundError` where no file of a project fits,
    :class:`~kedge.errors.ConflictError` where requirements exclude each other,
    :class:`~kedge.errors.ResolutionError` for what cannot be built or has no hash and when
    ``max_rounds`` are used up, :class:`~kedge.errors.RequirementError` for a bad constraint, and
    lets everything pass that ``source`` raises.
    """
    reporter = reporter or ResolveReporter()
    target = Target(
        markers=problem.markers, tags=problem.tags, python_version=problem.python_version
    )
    constraints = collect_constraints(problem.constraints, target)
    hashes = collect_hashes(problem, target)
    library = Library(problem, source, target=target, constraints=constraints, hashes=hashes)
    universe = Universe(
        problem, source, reporter,
        library=library, target=target, constraints=constraints, hashes=hashes,
    )  # fmt: skip
    if foresight is None or problem.only_deps:  # what was asked for itself is not wanted then
        foresight = Foresight()
    teller = _Teller(reporter, foresight, pin=lambda candidate: pin_of(candidate, problem, hashes))

    def explainer(journal: Journal) -> Explainer:
        from kedge.resolve.explain import Explainer  # nothing to be explained, as a rule

        return Explainer(library, source, journal, constraints=constraints, target=target)

    state = _search(
        universe, library, problem, teller, explainer=explainer,
        when_asking=when_asking or _at_once, threads=threads, max_rounds=max_rounds,
    )  # fmt: skip
    resolution = read_off(state, problem, hashes)
    _warn_of_yanked(resolution, reporter)
    return resolution, universe.grounds()


def _search(
    universe: Universe,
    library: Library,
    problem: Problem,
    teller: _Teller,
    *,
    explainer: Callable[[Journal], Explainer],
    when_asking: Callable[[Callable[[], None]], None],
    threads: int,
    max_rounds: int,
) -> State[Demand, Candidate, str]:
    """Run the engine, with the scout ahead of it; what it raises is explained."""
    roots, order = universe.roots()
    provider = Provider(universe, order=order, upgrade=problem.upgrade)
    scout = Scout(library, threads=threads, prefers_installed=provider.prefers_installed)
    universe.upcoming = scout.fetch
    universe.announced = scout.announce
    if not problem.checks_hashes:  # then only the search knows what will be refused
        scout.guessed = teller.guess
    journal = teller.journal
    engine = Engine(provider, teller)
    scout.begin(roots)

    def asking() -> None:
        teller.asking()
        scout.wake()

    when_asking(asking)
    try:
        return engine.resolve(roots, max_rounds=max_rounds)
    except ResolutionImpossible as error:
        raise explainer(journal).error(error.causes) from error
    except BuildWantedError as error:
        raise explainer(journal).build_needed(error.candidate, error.error) from error.error
    except ResolutionTooDeep as error:
        raise _gave_up(max_rounds, journal) from error
    finally:
        scout.close()


def _at_once(begin: Callable[[], None]) -> None:
    begin()


class _Teller(BaseReporter[Demand, Candidate, str]):
    """Passes the engine's events on: to the user, the journal, and whoever prepares for the end."""

    def __init__(
        self,
        reporter: ResolveReporter,
        foresight: Foresight,
        *,
        pin: Callable[[FileCandidate], Pin],
    ) -> None:
        self.journal = Journal()
        self._reporter = reporter
        self._foresight = foresight
        self._pin = pin
        self._foreseen: dict[NormalizedName, FileCandidate] = {}

    def asking(self) -> None:
        self._foresight.asking()

    def starting_round(self, index: int) -> None:
        self._reporter.round_started(index)

    def adding_requirement(self, requirement: Demand, parent: Candidate | None) -> None:
        self.journal.demanded(requirement, parent)
        # The first of its demands: it is tried, and what these lead to is not known yet.
        if isinstance(parent, FileCandidate):
            self._foresee(parent)

    def pinning(self, candidate: Candidate) -> None:
        if not isinstance(candidate, PythonCandidate):
            self._reporter.pinned(candidate.identifier, str(candidate.version))
        # Where there are extras, their base is pinned as well.
        if isinstance(candidate, FileCandidate):
            self._foresee(candidate)

    def guess(self, file: IndexFile) -> None:
        """From a thread that looks ahead."""
        pin = self._pin(FileCandidate(file))
        if not pin.kept:
            self._foresight.guessed(pin)

    def _foresee(self, candidate: FileCandidate) -> None:
        if self._foreseen.get(candidate.name) is not candidate:
            self._foreseen[candidate.name] = candidate
            pin = self._pin(candidate)
            if not pin.kept:
                self._foresight.likely(pin)

    def rejecting_candidate(
        self, criterion: Criterion[Demand, Candidate], candidate: Candidate
    ) -> None:
        self.journal.refused(candidate)
        if not isinstance(candidate, PythonCandidate):
            self._foresight.doubtful(candidate.name)
        self._reporter.rejected(
            candidate.identifier,
            str(candidate.version),
            self.journal.reason(criterion.information),
        )
        notice = notice_after(self.journal.refusals[candidate.identifier], candidate.identifier)
        if notice is not None:
            self._reporter.notice(notice)


def _gave_up(rounds: int, journal: Journal) -> ResolutionError:
    names = [name for name, _ in journal.refusals.most_common(3)]
    most = f" Most were tried of {', '.join(names)}." if names else ""
    return ResolutionError(
        f"No solution was found in {rounds} rounds.{most}",
        hint="Narrower limits on these, as requirements or as constraints, shorten the search.",
    )


def _warn_of_yanked(resolution: Resolution, reporter: ResolveReporter) -> None:
    for pin in resolution.to_install:
        reason = getattr(pin.file, "yanked", None)
        if reason is not None:
            told = f" The reason given: {reason}" if reason else ""
            reporter.warn(f"{pin} was yanked from the index by its authors.{told}")
