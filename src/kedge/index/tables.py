"""Links of many projects at once (a folder, a ``--find-links`` page), sorted by project.

Pure. Such a page can list tens of thousands of files and is asked for each project of a
resolution, so it is sorted once.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from packaging.utils import NormalizedName, canonicalize_name

from kedge.index.links import Link


class LinkTable:
    """The links, wheels by the project that their file name states.

    A source distribution's file name does not say where the name ends, so these are offered to
    every project whose name they could begin with.
    """

    def __init__(self, links: Iterable[Link]) -> None:
        self._wheels: dict[str, list[tuple[int, Link]]] = defaultdict(list)
        self._others: dict[str, list[tuple[int, Link]]] = defaultdict(list)
        for number, link in enumerate(links):
            stem = link.filename if link.egg is None else link.egg
            if link.egg is None and link.filename.endswith(".whl"):
                self._wheels[canonicalize_name(stem.partition("-")[0])].append((number, link))
            else:
                self._others[_first_word(stem)].append((number, link))

    def of(self, name: NormalizedName) -> list[Link]:
        """The links that may be the project's, in the order of the page."""
        found = self._wheels.get(name, []) + self._others.get(_first_word(name), [])
        found.sort(key=lambda numbered: numbered[0])
        return [link for _, link in found]


def _first_word(text: str) -> str:
    """What stands before the first separator: ``zope`` of ``Zope.Interface-3.0``."""
    return canonicalize_name(text).partition("-")[0]
