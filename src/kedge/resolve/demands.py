"""What is demanded of the engine: a requirement, as the user or a candidate states it.

A demand remembers which candidates satisfy it, since the engine asks again in every round.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from kedge.resolve.candidates import PYTHON, Candidate, identifier

if TYPE_CHECKING:
    from packaging.specifiers import SpecifierSet
    from packaging.utils import NormalizedName

    from kedge.requirements import Requested


class SpecifierDemand:
    """``name[extras]`` in some range of versions.

    ``requested`` is the user's request it stems from, ``None`` for a dependency.
    """

    __slots__ = (
        "_satisfied",
        "extras",
        "has_upper_bound",
        "identifier",
        "is_free",
        "is_pinned",
        "name",
        "requested",
        "specifier",
    )

    def __init__(
        self,
        name: NormalizedName,
        specifier: SpecifierSet,
        extras: frozenset[NormalizedName] = frozenset(),
        requested: Requested | None = None,
    ) -> None:
        self.name = name
        self.extras = extras
        self.identifier = identifier(name, extras)
        self.specifier = specifier
        self.requested = requested
        operators = [(one.operator, "*" in one.version) for one in specifier]
        self.is_free = not operators
        self.is_pinned = any(op in ("==", "===") and not wild for op, wild in operators)
        self.has_upper_bound = any(
            op in ("<", "<=", "~=") or (op == "==" and wild) for op, wild in operators
        )
        self._satisfied: dict[int, tuple[Candidate, bool]] = {}

    def is_satisfied_by(self, candidate: Candidate) -> bool:
        known = self._satisfied.get(id(candidate))
        if known is None:
            # Pre-releases are the catalogue's decision; what it let through is not refused here.
            answer = self.specifier.contains(candidate.version, prereleases=True)
            known = self._satisfied[id(candidate)] = (candidate, answer)
        return known[1]

    def __str__(self) -> str:
        return f"{self.identifier}{self.specifier}"


class ExplicitDemand:
    """This candidate and no other: a direct URL, or the base of a candidate with extras."""

    __slots__ = ("candidate", "identifier", "name", "requested")

    def __init__(self, candidate: Candidate, requested: Requested | None = None) -> None:
        self.candidate = candidate
        self.name = candidate.name
        self.identifier = candidate.identifier
        self.requested = requested

    def is_satisfied_by(self, candidate: Candidate) -> bool:
        return candidate is self.candidate

    def __str__(self) -> str:
        return str(self.candidate)


class PythonDemand:
    """``Requires-Python``, as a candidate's metadata states it."""

    __slots__ = ("candidate", "identifier", "name", "requested", "specifier")

    def __init__(self, specifier: str, candidate: Candidate | None) -> None:
        self.name = PYTHON
        self.identifier: str = PYTHON
        self.specifier = specifier
        #: The interpreter if it satisfies, else nothing does.
        self.candidate = candidate
        self.requested: Requested | None = None

    def is_satisfied_by(self, candidate: Candidate) -> bool:
        return candidate is self.candidate

    def __str__(self) -> str:
        return f"Python {self.specifier}"


class ImpossibleDemand:
    """What nothing satisfies; ``reason`` is a clause that says why."""

    __slots__ = ("identifier", "name", "reason", "requested")

    def __init__(
        self, name: NormalizedName, reason: str, requested: Requested | None = None
    ) -> None:
        self.name = name
        # Unlike any project's: one bad file must not exclude the project's others.
        self.identifier: str = f"<impossible: {name}>"
        self.reason = reason
        self.requested = requested

    def is_satisfied_by(self, candidate: Candidate) -> bool:
        return False

    def __str__(self) -> str:
        return f"{self.name} ({self.reason})"


Demand: TypeAlias = SpecifierDemand | ExplicitDemand | PythonDemand | ImpossibleDemand
