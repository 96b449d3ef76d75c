"""The files of a project by version, each made when somebody looks at its version.

Pure. A page lists every file that a project ever had, and a resolution looks at the newest few. So
links are sorted by the version that their file name seems to state, which is cheap, and become an
:class:`~kedge.index.files.IndexFile` when that version is reached.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias, overload

from packaging.utils import NormalizedName
from packaging.version import Version

from kedge.classes import frozen
from kedge.index.entries import Links
from kedge.index.files import IndexFile, by_stated_version, files_of

if TYPE_CHECKING:
    from kedge.index.links import Link


#: What makes the files of one version, and what it makes them of.
_Sorted: TypeAlias = "tuple[Callable[[Any], Iterable[IndexFile]], Mapping[Version, Any]]"


@frozen
class Listed:
    """What one page lists of a project; ``index`` and ``page_verified`` are its files'."""

    name: NormalizedName
    links: Links
    index: str
    page_verified: bool = True

    def files(self) -> Iterator[IndexFile]:
        """All that are distributions; see :func:`~kedge.index.files.files_of`."""
        return self._made(self.links)

    def files_at(self, places: Iterable[int]) -> Iterator[IndexFile]:
        """Those that are in these places."""
        return self._made(self.links[place] for place in places)

    def _made(self, links: Iterable[Link]) -> Iterator[IndexFile]:
        return files_of(self.name, links, index=self.index, page_verified=self.page_verified)


class Releases(Sequence[IndexFile]):
    """Every file of a project: ``files``, then those that the pages list, page by page.

    Safe for several threads: whatever two of them make at once is equal.
    """

    def __init__(self, files: Iterable[IndexFile], pages: Iterable[Listed] = ()) -> None:
        self._first = tuple(files)
        self._pages = tuple(pages)
        self._all: tuple[IndexFile, ...] | None = None
        self._sorted = [_by_version(self._first), *map(_sorted, self._pages)]

    def versions(self) -> list[Version]:
        """The newest first; of a version that only seemed to be one there is no file."""
        found = dict.fromkeys(version for _, versions in self._sorted for version in versions)
        return sorted(found, reverse=True)

    def of(self, version: Version) -> list[IndexFile]:
        """The files of that version, in their order."""
        return [
            file
            for make, versions in self._sorted
            if version in versions
            for file in make(versions[version])
        ]

    # -- as a sequence

    def _files(self) -> tuple[IndexFile, ...]:
        if self._all is None:
            listed = (file for page in self._pages for file in page.files())
            self._all = (*self._first, *listed)
        return self._all

    def __len__(self) -> int:
        return len(self._files())

    @overload
    def __getitem__(self, place: int) -> IndexFile: ...
    @overload
    def __getitem__(self, place: slice) -> tuple[IndexFile, ...]: ...
    def __getitem__(self, place: int | slice) -> IndexFile | tuple[IndexFile, ...]:
        return self._files()[place]


def _sorted(page: Listed) -> _Sorted:
    if page.links.is_plain:
        return page.files_at, by_stated_version(page.name, page.links.filenames)
    return _by_version(page.files())


def _by_version(files: Iterable[IndexFile]) -> _Sorted:
    found: dict[Version, list[IndexFile]] = {}
    for file in files:
        found.setdefault(file.version, []).append(file)
    return iter, found
