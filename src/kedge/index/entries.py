"""The links of a page as they are held, in memory and in the cache: each is read when asked for.

Pure. A page has thousands of links and a resolution looks at a handful. So a link stays the text
that the page has for it, where that is known to be well-formed (:mod:`~kedge.index.usual`), or
else is what ``marshal`` makes of it; reading one takes microseconds.
"""

from __future__ import annotations

import json
import marshal
from array import array
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate
from typing import overload

from kedge.index.links import Link
from kedge.index.simple_json import link_of

#: A place in a page's text: four bytes, for pages of up to 4 GB.
PLACE = "I"

_decode = json.JSONDecoder().raw_decode


class Links(Sequence[Link]):
    """The links of a page.

    ``filenames`` are theirs. ``is_plain`` is whether each URL is there once and none has an
    ``#egg=`` fragment, so that the order of the links decides nothing but their preference.
    ``texts`` are the entries one after the other, with what is between them, and ``ends`` where
    each of them ends: an object in JSON with an absolute URL, or a :class:`Link` by ``marshal``.
    """

    __slots__ = ("ends", "filenames", "is_plain", "texts")

    def __init__(
        self, filenames: tuple[str, ...], texts: bytes, ends: array[int], *, is_plain: bool
    ) -> None:
        self.filenames = filenames
        self.texts = texts
        self.ends = ends
        self.is_plain = is_plain

    @classmethod
    def of(cls, links: Iterable[Link]) -> Links:
        """These links; as they are if they are in this form."""
        if isinstance(links, Links):
            return links
        every = tuple(links)
        texts = [marshal.dumps(tuple(link)) for link in every]
        plain = len({link.url for link in every}) == len(every)
        return cls(
            tuple(link.filename for link in every),
            b"".join(texts),
            array(PLACE, accumulate(map(len, texts))),
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
        return self._read(range(len(self))[place])

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Links) and tuple(self) == tuple(other)

    def __hash__(self) -> int:
        return hash(self.filenames)

    def __iter__(self) -> Iterator[Link]:
        return map(self._read, range(len(self)))

    def _read(self, place: int) -> Link:
        text = self.texts[self.ends[place - 1] if place else 0 : self.ends[place]]
        if text.startswith(b"{"):  # no tuple begins so
            return link_of(_decode(text.decode())[0])
        return Link._make(marshal.loads(text))  # noqa: S302 - made here, or in the user's cache
