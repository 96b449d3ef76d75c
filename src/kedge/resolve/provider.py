"""What resolvelib asks: which name next, which candidates, what they demand.

Thin on purpose. The preferences are pip's, number for number: two resolvers that search in another
order find other solutions.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, TypeAlias

from resolvelib import AbstractProvider
from resolvelib.structs import RequirementInformation

from kedge.resolve.candidates import PYTHON, Candidate, split_identifier
from kedge.resolve.demands import Demand, ExplicitDemand, SpecifierDemand
from kedge.resolve.problem import UpgradeStrategy

if TYPE_CHECKING:
    from kedge.resolve.universe import Universe

Information: TypeAlias = RequirementInformation[Demand, Candidate]
Preference: TypeAlias = tuple[bool, bool, bool, bool, float, bool, str]

#: A name that stood unpinned in so many conflicts is decided before others (pip's threshold).
_CONFLICTS_TO_PROMOTE = 5


class Provider(AbstractProvider[Demand, Candidate, str]):
    """The engine's view of a :class:`~kedge.resolve.universe.Universe`.

    ``order`` is the user's, by identifier.
    """

    def __init__(
        self, universe: Universe, *, order: Mapping[str, int], upgrade: UpgradeStrategy
    ) -> None:
        self._universe = universe
        self._order = order
        self._upgrade = upgrade
        self._conflicts: Counter[str] = Counter()
        self._promoted: set[str] = set()

    def identify(self, requirement_or_candidate: Demand | Candidate) -> str:
        return requirement_or_candidate.identifier

    def is_promoted(self, identifier: str) -> bool:
        """Whether it stood in so many conflicts that it comes before others."""
        return identifier in self._promoted

    def prefers_installed(self, identifier: str) -> bool:
        """Whether what is installed stays where it satisfies (the upgrade strategy)."""
        match self._upgrade:
            case UpgradeStrategy.EAGER:
                return False
            case UpgradeStrategy.ONLY_IF_NEEDED:
                name, _ = split_identifier(identifier)
                return identifier not in self._order and name not in self._order
            case UpgradeStrategy.NONE:
                return True

    def find_matches(
        self,
        identifier: str,
        requirements: Mapping[str, Iterator[Demand]],
        incompatibilities: Mapping[str, Iterator[Candidate]],
    ) -> list[Candidate] | Callable[[], Iterator[Candidate]]:
        return self._universe.find(
            identifier,
            requirements,
            incompatibilities.get(identifier, ()),
            prefer_installed=self.prefers_installed(identifier),
        )

    def is_satisfied_by(self, requirement: Demand, candidate: Candidate) -> bool:
        return requirement.is_satisfied_by(candidate)

    def get_dependencies(self, candidate: Candidate) -> Iterable[Demand]:
        return self._universe.dependencies(candidate)

    def narrow_requirement_selection(
        self,
        identifiers: Iterable[str],
        resolutions: Mapping[str, Candidate],
        candidates: Mapping[str, Iterator[Candidate]],
        information: Mapping[str, Iterator[Information]],
        backtrack_causes: Sequence[Information],
    ) -> Iterable[str]:
        """The interpreter first, then what the last conflict was about, then what often is."""
        involved = self._count_conflicts(backtrack_causes, resolutions)
        names = list(identifiers)
        if PYTHON in names:
            return [PYTHON]
        causes = [name for name in names if name in involved]
        if causes:
            return causes
        return [name for name in names if name in self._promoted] or names

    def _count_conflicts(
        self, causes: Sequence[Information], resolutions: Mapping[str, Candidate]
    ) -> set[str]:
        involved = set()
        for cause in causes:
            names = [cause.requirement.identifier]
            if cause.parent is not None:
                names.append(cause.parent.identifier)
            for name in names:
                involved.add(name)
                if name not in resolutions:
                    self._conflicts[name] += 1
                    if self._conflicts[name] >= _CONFLICTS_TO_PROMOTE:
                        self._promoted.add(name)
        return involved

    def get_preference(
        self,
        identifier: str,
        resolutions: Mapping[str, Candidate],
        candidates: Mapping[str, Iterator[Candidate]],
        information: Mapping[str, Iterator[Information]],
        backtrack_causes: Sequence[Information],
    ) -> Preference:
        """Promoted names first, then direct, pinned, bounded, the user's order, limited, by name.

        Bounds come early because they exclude the most; the newest version is what an unbounded
        requirement gets anyway.
        """
        demands = [one.requirement for one in information[identifier]]
        limits = [demand for demand in demands if isinstance(demand, SpecifierDemand)]
        return (
            identifier not in self._promoted,
            not any(isinstance(demand, ExplicitDemand) for demand in demands),
            not any(demand.is_pinned for demand in limits),
            not any(demand.has_upper_bound for demand in limits),
            self._order.get(identifier, math.inf),
            all(demand.is_free for demand in limits),
            identifier,
        )
