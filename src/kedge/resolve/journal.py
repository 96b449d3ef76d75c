"""What the engine did, as far as an explanation needs it: who demanded what, who was refused."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable
from typing import TYPE_CHECKING, TypeAlias

from kedge.classes import frozen
from kedge.resolve.candidates import Candidate
from kedge.resolve.demands import Demand

if TYPE_CHECKING:
    from kedge.requirements import Requested
    from kedge.resolve.provider import Information


@frozen
class Path:
    """How something came to be needed: the candidates, from it up to the user's request."""

    candidates: tuple[Candidate, ...]
    requested: Requested | None


_Entry: TypeAlias = tuple[Demand, Candidate | None]


class Journal:
    """Written while the engine works, read when it failed."""

    def __init__(self) -> None:
        self.refusals: Counter[str] = Counter()
        self._demands: dict[str, dict[int, _Entry]] = {}

    def demanded(self, demand: Demand, parent: Candidate | None) -> None:
        self._demands.setdefault(demand.identifier, {})[id(demand)] = (demand, parent)

    def refused(self, candidate: Candidate) -> None:
        self.refusals[candidate.identifier] += 1

    def demands_on(self, candidate: Candidate) -> list[_Entry]:
        """The demands that the candidate satisfies, with who made them."""
        entries = self._demands.get(candidate.identifier, {}).values()
        return [entry for entry in entries if entry[0].is_satisfied_by(candidate)]

    def way_to(self, candidate: Candidate) -> Path:
        """The shortest chain of demands that leads from the user to the candidate."""
        queue: deque[tuple[Candidate, ...]] = deque([(candidate,)])
        seen = {id(candidate)}
        while queue:
            path = queue.popleft()
            for demand, parent in self.demands_on(path[-1]):
                if parent is None:
                    return Path(path, demand.requested)
                if id(parent) not in seen:
                    seen.add(id(parent))
                    queue.append((*path, parent))
        return Path((candidate,), None)

    @staticmethod
    def reason(information: Iterable[Information]) -> str:
        """Who demanded what of the project in question, in one clause."""
        told = [
            f"{one.parent} requires {one.requirement}"
            if one.parent is not None
            else f"you asked for {one.requirement}"
            for one in information
        ]
        return ", ".join(dict.fromkeys(told))
