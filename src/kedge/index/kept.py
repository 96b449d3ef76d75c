"""A page as it is kept: in memory while it is used, and in the cache between runs.

Pure: values in, bytes out, and back. The bytes are Python's own (``marshal``), whose form may
change with its version: :data:`FORM` says it. They come from a cache that belongs to the user and
has checked them for damage.

A page has thousands of links and a resolution looks at a handful, so these are kept in bundles that
are read when one of theirs is asked for: that takes a fraction of the time, and of the memory.
"""

from __future__ import annotations

import marshal
import sys
from collections.abc import Iterable, Iterator, Sequence
from typing import overload

from kedge.index.links import Link
from kedge.index.pages import Page

#: What :func:`dump` makes here and now, in the place of a media type.
FORM = f"application/x-kedge-links; v=2; python={sys.implementation.cache_tag}"

#: Links in a bundle: so many are read for one.
_BUNDLE = 32


class Links(Sequence[Link]):
    """The links of a page, in bundles.

    ``filenames`` are theirs. ``is_plain`` is whether each URL is there once and none has an
    ``#egg=`` fragment, so that the order of the links decides nothing but their preference.
    """

    __slots__ = ("_bundles", "_last", "filenames", "is_plain")

    def __init__(self, filenames: tuple[str, ...], bundles: list[bytes], *, is_plain: bool) -> None:
        self.filenames = filenames
        self.is_plain = is_plain
        self._bundles = bundles
        self._last: tuple[int, tuple[Link, ...]] = (-1, ())

    @classmethod
    def of(cls, links: Iterable[Link]) -> Links:
        """These links; as they are if they are in bundles."""
        if isinstance(links, Links):
            return links
        every = tuple(links)
        bundles = [
            marshal.dumps([tuple(link) for link in every[place : place + _BUNDLE]])
            for place in range(0, len(every), _BUNDLE)
        ]
        plain = len({link.url for link in every}) == len(every)
        return cls(
            tuple(link.filename for link in every),
            bundles,
            is_plain=plain and all(link.egg is None for link in every),
        )

    def __len__(self) -> int:
        return len(self.filenames)

    @overload
    def __getitem__(self, place: int) -> Link: ...
    @overload
    def __getitem__(self, place: slice) -> tuple[Link, ...]: ...
    def __getitem__(self, place: int | slice) -> Link | tuple[Link, ...]:
        if isinstance(place, slice):
            return tuple(self)[place]
        bundle, number = divmod(range(len(self))[place], _BUNDLE)
        return self._read(bundle)[number]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Links) and tuple(self) == tuple(other)

    def __hash__(self) -> int:
        return hash(self.filenames)

    def __iter__(self) -> Iterator[Link]:
        for bundle in range(len(self._bundles)):
            yield from self._read(bundle)

    def _read(self, bundle: int) -> tuple[Link, ...]:
        """The links of one bundle; what is asked for next is mostly in the same."""
        last, links = self._last
        if last != bundle:
            links = tuple(map(Link._make, marshal.loads(self._bundles[bundle])))  # noqa: S302
            self._last = (bundle, links)
        return links


def dump(page: Page) -> bytes:
    """The page as bytes."""
    links = Links.of(page.links)
    return marshal.dumps((page.warning, links.is_plain, links.filenames, links._bundles))


def load(data: bytes) -> Page:
    """The page again; ``ValueError`` where the bytes are no page."""
    try:
        warning, plain, filenames, bundles = marshal.loads(data)  # noqa: S302 - see above
        if len(bundles) != -(-len(filenames) // _BUNDLE):
            raise ValueError("no page that was kept")
        return Page(Links(filenames, bundles, is_plain=plain), warning)
    except (EOFError, TypeError) as exc:
        raise ValueError("no page that was kept") from exc
