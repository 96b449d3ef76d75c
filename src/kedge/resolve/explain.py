"""Why there is no solution, in sentences.

From the engine's causes (who demanded what, last) and the journal (how each of those came to be
needed) to a :class:`~kedge.errors.NotFoundError` or a :class:`~kedge.errors.ConflictError`. Asks
the library for what exists, which by then has been fetched; changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from kedge.errors import BuildError, ConflictError, NeedsBuildError, NotFoundError, ResolutionError
from kedge.model import redact_text, redact_url
from kedge.resolve.availability import Absence, list_some, why_absent
from kedge.resolve.candidates import Candidate, ExtrasCandidate, FileCandidate
from kedge.resolve.demands import (
    Demand,
    ExplicitDemand,
    ImpossibleDemand,
    PythonDemand,
    SpecifierDemand,
)

if TYPE_CHECKING:
    from packaging.utils import NormalizedName

    from kedge.model import Origin
    from kedge.resolve.constraints import Constraint
    from kedge.resolve.journal import Journal
    from kedge.resolve.library import Library
    from kedge.resolve.problem import Source
    from kedge.resolve.provider import Information
    from kedge.resolve.target import Target

Cause = tuple[Demand, "Candidate | None"]

_CONFLICT_HINT = "Loosen one of these, or leave a version out so that another can be chosen."


class Explainer:
    """Turns the engine's causes into an error."""

    def __init__(
        self,
        library: Library,
        source: Source,
        journal: Journal,
        *,
        constraints: Mapping[NormalizedName, Constraint],
        target: Target,
    ) -> None:
        self._library = library
        self._source = source
        self._journal = journal
        self._constraints = constraints
        self._target = target

    def error(self, information: Iterable[Information]) -> ResolutionError:
        """The error that says why; the caller raises it."""
        causes = list(dict.fromkeys(self._essential(information)))
        hopeless = [cause for cause in causes if self._is_hopeless(cause[0])]
        # What the user named and nothing can meet is the whole story; so is a lack that every
        # way ends at.
        decisive = [cause for cause in hopeless if cause[1] is None]
        if decisive or len(hopeless) == len(causes):
            return self._missing(decisive or hopeless)
        return self._conflict(causes)

    def build_needed(
        self, candidate: Candidate, error: NeedsBuildError | BuildError
    ) -> NeedsBuildError | BuildError:
        """The same, with who required it, and whether another choice would do without."""
        demands = (demand for demand, _ in self._journal.demands_on(candidate))
        limits = [demand.specifier for demand in demands if isinstance(demand, SpecifierDemand)]
        wanted = self._library.wanted(candidate.name, limits)
        files = self._library.catalogue(candidate.name).matching(wanted)
        wheel = next((file for file in files if file.is_wheel), None)
        hint = error.hint
        if wheel is not None:
            hint = (
                f"--only-binary {candidate.name}, or --prefer-binary, chooses {wheel.version}, the "
                "newest version with a wheel that fits."
            )
        message = f"{error.message.removesuffix('.')}{self._chain(candidate)}."
        if isinstance(error, BuildError):
            return BuildError(message, source=error.source, output=error.output, hint=hint)
        return NeedsBuildError(message, filename=error.filename, hint=hint)

    def _essential(self, information: Iterable[Information]) -> Iterator[Cause]:
        """The causes without what only passes on another's demand, and without what was met."""
        causes = [
            found
            for one in information
            for found in self._behind(one.requirement, one.parent)
            if not (isinstance(found[0], PythonDemand) and found[0].candidate is not None)
        ]
        lacking = {demand.identifier for demand, _ in causes if self._is_hopeless(demand)}
        for demand, parent in causes:
            if demand.identifier not in lacking or self._is_hopeless(demand):
                yield demand, parent

    def _behind(self, demand: Demand, parent: Candidate | None) -> Iterator[Cause]:
        """``spam[extra]`` demands its own ``spam``: what counts is who demanded ``spam[extra]``."""
        own = isinstance(parent, ExtrasCandidate) and isinstance(demand, ExplicitDemand)
        if own and parent is not None and demand.name == parent.name:
            yield from self._journal.demands_on(parent)
        else:
            yield demand, parent

    # -- what nothing could ever satisfy

    def _is_hopeless(self, demand: Demand) -> bool:
        """Whether it cannot be met here even by itself (the constraints counted in)."""
        match demand:
            case PythonDemand():
                return demand.candidate is None
            case ImpossibleDemand():
                return True
            case ExplicitDemand():
                return False
            case SpecifierDemand():
                constraint = self._constraints.get(demand.name)
                wanted = self._library.wanted(demand.name, [demand.specifier])
                return (
                    not (constraint is not None and constraint.urls)
                    and self._library.fitting_installed(demand.name, wanted) is None
                    and self._library.likeliest(demand.name, wanted) is None
                )

    def _missing(self, causes: Sequence[Cause]) -> ResolutionError:
        sentences: dict[str, Absence] = {}
        for demand, parent in causes:
            absence = self._absence(demand, parent)
            by = self._by(demand, parent)
            sentences.setdefault(f"{absence.text}{by}.", absence)
        first, *others = sentences
        demand, parent = causes[0]
        if not others:
            about_parent = isinstance(demand, PythonDemand) and parent is not None
            name = parent.name if about_parent and parent else demand.name
            return NotFoundError(first, name=name, hint=sentences[first].hint)
        return ConflictError(
            "Nothing that could be chosen can be installed here.",
            explanation=list(sentences),
            hint=sentences[first].hint,
        )

    def _absence(self, demand: Demand, parent: Candidate | None) -> Absence:
        match demand:
            case PythonDemand():
                needs = (
                    f"{parent} needs Python {demand.specifier}, and this is {self._target.python}"
                )
                return Absence(needs)
            case ImpossibleDemand():
                subject = str(parent) if parent is not None else demand.name
                return Absence(f"{subject} cannot be used: {demand.reason}")
            case SpecifierDemand():
                return why_absent(
                    demand,
                    self._library.catalogue(demand.name),
                    constraint=self._constraints.get(demand.name),
                    target=self._target,
                    searched=self._source.searched(),
                )
            case ExplicitDemand():
                return Absence(f"{demand} excludes what else is required")

    # -- demands that exclude each other

    def _conflict(self, causes: Sequence[Cause]) -> ConflictError:
        names = sorted(
            {demand.name for demand, _ in causes if not isinstance(demand, PythonDemand)}
        )
        explanation = [
            *self._user_sentences(causes),
            *self._dependency_sentences(causes),
            *self._constraint_sentences(names),
            *self._lack_sentences(causes),
        ]
        if len(names) == 1:
            message = f"No version of {names[0]} satisfies everything that is required of it."
        else:
            message = f"What is required of {list_some(names)} cannot be had together."
        return ConflictError(message, explanation=explanation, hint=_CONFLICT_HINT)

    def _user_sentences(self, causes: Sequence[Cause]) -> Iterator[str]:
        for demand, parent in causes:
            if parent is None:
                origin = demand.requested.origin if demand.requested is not None else None
                yield f"You asked for {_shown(demand)}{_where(origin)}."

    def _dependency_sentences(self, causes: Sequence[Cause]) -> Iterator[str]:
        """One for each parent and demand, its versions drawn together."""
        groups: dict[tuple[str, str], list[Candidate]] = {}
        for demand, parent in causes:
            if parent is not None:
                key = (parent.identifier, _shown(demand))
                groups.setdefault(key, []).append(parent)
        for (identifier, demanded), parents in groups.items():
            versions = sorted({parent.version for parent in parents}, reverse=True)
            verb = "requires" if len(versions) == 1 else "require"
            chain = self._chain(parents[0])
            yield f"{identifier} {list_some(versions)} {verb} {demanded}{chain}."

    def _constraint_sentences(self, names: Iterable[str]) -> Iterator[str]:
        for name, constraint in self._constraints.items():
            if name in names:
                for line in constraint.lines:
                    yield f"The constraint {line.text} applies{_where(line.origin)}."

    def _lack_sentences(self, causes: Sequence[Cause]) -> Iterator[str]:
        """What some of the demands come to nothing for, by themselves."""
        told = (
            self._absence(demand, parent).text
            for demand, parent in causes
            if self._is_hopeless(demand) and not isinstance(demand, PythonDemand)
        )
        yield from dict.fromkeys(f"{text}." for text in told)

    # -- how it came to be needed

    def _by(self, demand: Demand, parent: Candidate | None) -> str:
        """``; it is required by spam 1.0, which you asked for (requirements.txt, line 3)``."""
        if parent is None:
            origin = demand.requested.origin if demand.requested is not None else None
            return f"; you asked for it{_where(origin)}"
        if isinstance(demand, PythonDemand | ImpossibleDemand):
            return self._chain(parent)
        return f"; it is required by {parent}{self._chain(parent, pronoun=', which')}"

    def _chain(self, candidate: Candidate, *, pronoun: str = "; it") -> str:
        """From the candidate up to the user, as a clause to go on with."""
        path = self._journal.way_to(candidate)
        origin = path.requested.origin if path.requested is not None else None
        links = [str(link) for link in _without_repetition(path.candidates)[1:]]
        if links:
            chain = ", which is required by ".join(links)
            return f"{pronoun} is required by {chain}, which you asked for{_where(origin)}"
        if pronoun == ", which":
            return f", which you asked for{_where(origin)}"
        return f"; you asked for {candidate.name}{_where(origin)}"


def _without_repetition(candidates: Sequence[Candidate]) -> list[Candidate]:
    """``spam[a]`` and its ``spam`` are one link of a chain."""
    links: list[Candidate] = []
    for candidate in candidates:
        if not links or links[-1].name != candidate.name:
            links.append(candidate)
    return links


def _shown(demand: Demand) -> str:
    if isinstance(demand, PythonDemand):
        return f"Python {demand.specifier}"
    if isinstance(demand, ExplicitDemand):
        candidate = demand.candidate
        base = candidate.base if isinstance(candidate, ExtrasCandidate) else candidate
        if isinstance(base, FileCandidate) and base.direct:
            return f"{candidate.identifier} from {redact_url(base.direct)}"
    return str(demand)


def _where(origin: Origin | None) -> str:
    # An origin on the command line may be named by the word itself, and that word be a URL.
    return f" ({redact_text(str(origin).strip())})" if origin is not None else ""
