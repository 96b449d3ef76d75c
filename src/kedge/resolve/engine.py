"""resolvelib's search, which remembers what it would work out again in every round.

After each choice resolvelib asks of every project whether its choice still satisfies, and of every
open one how urgent it is. Both follow from the project's criterion, and criteria are replaced and
never changed: while it is the same object, so is the answer. The search is not touched by that; if
resolvelib named these two methods otherwise, they would merely not be called.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias, cast

from resolvelib.resolvers import Criterion as AnyCriterion
from resolvelib.resolvers import Resolution

from kedge.resolve.candidates import Candidate
from kedge.resolve.demands import Demand
from kedge.resolve.provider import Preference, Provider

if TYPE_CHECKING:
    from resolvelib import BaseReporter

Criterion: TypeAlias = AnyCriterion[Demand, Candidate]


class Engine(Resolution[Demand, Candidate, str]):
    """One search."""

    def __init__(self, provider: Provider, reporter: BaseReporter[Demand, Candidate, str]) -> None:
        super().__init__(provider, reporter)
        self._provider = provider
        self._satisfied: dict[str, tuple[Criterion, Candidate, bool]] = {}
        self._preferences: dict[str, tuple[Criterion, bool, Preference]] = {}

    def _is_current_pin_satisfying(self, name: str, criterion: Criterion) -> bool:
        pin = self._states[-1].mapping.get(name)
        if pin is None:
            return False
        known = self._satisfied.get(name)
        if known is not None and known[0] is criterion and known[1] is pin:
            return known[2]
        answer = all(demand.is_satisfied_by(pin) for demand in criterion.iter_requirement())
        self._satisfied[name] = (criterion, pin, answer)
        return answer

    def _get_preference(self, name: str) -> Preference:
        criterion = self._states[-1].criteria[name]
        promoted = self._provider.is_promoted(name)
        known = self._preferences.get(name)
        if known is not None and known[0] is criterion and known[1] is promoted:
            return known[2]
        preference = cast("Preference", super()._get_preference(name))
        self._preferences[name] = (criterion, promoted, preference)
        return preference
