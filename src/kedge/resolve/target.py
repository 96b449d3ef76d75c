"""Whether something fits the target environment: markers, ``Requires-Python``, wheel tags.

Answers are remembered, since a resolution asks the same few questions thousands of times. Knows
nothing of indexes and of what was asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from packaging.specifiers import SpecifierSet
from packaging.version import Version

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from packaging.markers import Marker
    from packaging.tags import Tag

    from kedge.index import IndexFile


class Target:
    """One environment, asked by the resolver. Safe to ask from several threads."""

    def __init__(
        self, *, markers: Mapping[str, str], tags: Sequence[Tag], python_version: str
    ) -> None:
        self.python = Version(python_version)
        self._markers = dict(markers)
        self._tags = {tag: rank for rank, tag in reversed(list(enumerate(tags)))}
        self._ranks: dict[frozenset[Tag], int | None] = {}
        self._python_answers: dict[str, bool] = {}
        # By identity: markers hash by serialising themselves. The marker is kept with its answer,
        # so that its id stays its own.
        self._marker_answers: dict[tuple[int, str], tuple[Marker, bool]] = {}

    def applies(self, marker: Marker | None, extras: Iterable[str] = ()) -> bool:
        """Whether a requirement with that marker counts, under any of the (normalised) extras."""
        if marker is None:
            return True
        return any(self._applies(marker, extra) for extra in (tuple(extras) or ("",)))

    def _applies(self, marker: Marker, extra: str) -> bool:
        known = self._marker_answers.get((id(marker), extra))
        if known is not None:
            return known[1]
        answer = marker.evaluate({**self._markers, "extra": extra})
        self._marker_answers[id(marker), extra] = (marker, answer)
        return answer

    def fits_python(self, requires_python: str | None) -> bool:
        """Whether the interpreter satisfies; what cannot be parsed excludes nothing (as in pip)."""
        if not requires_python:
            return True
        try:
            return self._python_answers[requires_python]
        except KeyError:
            pass
        try:
            answer = SpecifierSet(requires_python).contains(self.python, prereleases=True)
        except ValueError:  # InvalidSpecifier, or a number with too many digits
            answer = True
        self._python_answers[requires_python] = answer
        return answer

    def rank(self, file: IndexFile) -> int | None:
        """How well the file suits, 0 best, ``None`` not at all; an sdist comes after all wheels."""
        if not file.is_wheel:
            return len(self._tags)
        tags = file.tags
        if tags not in self._ranks:
            found = [self._tags[tag] for tag in tags if tag in self._tags]
            self._ranks[tags] = min(found) if found else None
        return self._ranks[tags]
