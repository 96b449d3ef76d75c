"""``--no-binary`` and ``--only-binary``: which kinds of file each project may come from.

Pure. The two options change each other's sets in the order in which they were given (pip's
``FormatControl``), which a requirements file continues.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum

ALL = ":all:"
NONE = ":none:"


class Format(Enum):
    """A kind of file that a project can be installed from."""

    WHEEL = "wheel"
    SDIST = "sdist"


@dataclass(frozen=True, slots=True)
class FormatControl:
    """Projects (normalised names, or ``:all:``) without wheels, and with wheels only."""

    no_binary: frozenset[str] = frozenset()
    only_binary: frozenset[str] = frozenset()

    def without_wheels(self, names: Iterable[str]) -> FormatControl:
        """After one more ``--no-binary``.

        >>> control = FormatControl().without_wheels([":all:"]).with_wheels_only(["numpy"])
        >>> sorted(one.value for one in control.allowed("numpy")), sorted(control.no_binary)
        (['wheel'], [':all:'])
        """
        target, other = _add(names, self.no_binary, self.only_binary)
        return FormatControl(no_binary=target, only_binary=other)

    def with_wheels_only(self, names: Iterable[str]) -> FormatControl:
        """After one more ``--only-binary``."""
        target, other = _add(names, self.only_binary, self.no_binary)
        return FormatControl(no_binary=other, only_binary=target)

    def allowed(self, name: str) -> frozenset[Format]:
        """What a project (normalised name) may come from; a name beats ``:all:``."""
        for wanted in (name, ALL):
            if wanted in self.only_binary:
                return frozenset((Format.WHEEL,))
            if wanted in self.no_binary:
                return frozenset((Format.SDIST,))
        return frozenset(Format)


def _add(
    names: Iterable[str], target: frozenset[str], other: frozenset[str]
) -> tuple[frozenset[str], frozenset[str]]:
    """pip's ``handle_mutual_excludes``.

    Everything before the last ``:all:`` is forgotten; after it only ``:none:`` has a say, and
    whatever follows that, because names add nothing to all.
    """
    words = list(names)
    if ALL in words:
        words = words[len(words) - words[::-1].index(ALL) :]
        target, other = frozenset((ALL,)), frozenset()
        if NONE not in words:
            return target, other
    for word in words:
        if word == NONE:
            target = frozenset()
        else:
            target, other = target | {word}, other - {word}
    return target, other
