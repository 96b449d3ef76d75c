"""Which program inflates: zlib-ng where it is installed, and Python's own zlib anywhere else.

zlib-ng takes half the time for the same bytes, and is a dependency wherever it comes ready to use.
Loading it costs as much as it saves with some 700 KB, so less than 1 MB, all in all, does not have
it loaded.
What a caller sees does not depend on the choice, but for the words of an error. Knows nothing of
archives or pages.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from typing import NamedTuple, Protocol

_WORTH_LOADING = 1 << 20


class Inflating(Protocol):
    """What ``zlib.decompressobj`` returns, as far as it is used."""

    @property
    def eof(self) -> bool: ...
    @property
    def unconsumed_tail(self) -> bytes: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes | memoryview, max_length: int, /) -> bytes: ...
    def flush(self) -> bytes: ...


class Inflater(NamedTuple):
    """``whole`` is ``zlib.decompress``, which takes data, ``wbits`` and the size it should expect,
    and may return more; ``begin`` takes the ``wbits`` of ``zlib.decompressobj``; ``error`` is what
    comes of data that cannot be inflated."""

    whole: Callable[[bytes | memoryview, int, int], bytes]
    begin: Callable[[int], Inflating]
    error: type[Exception]


PLAIN = Inflater(zlib.decompress, zlib.decompressobj, zlib.error)

_best: Inflater | None = None
_amount = 0


def inflater(amount: int) -> Inflater:
    """The best there is for so many compressed bytes, after those that were asked about before."""
    global _best, _amount
    if _best is None:
        _amount += amount
        if _amount < _WORTH_LOADING:
            return PLAIN
        _best = fast() or PLAIN
    return _best


def fast() -> Inflater | None:
    """zlib-ng, if it can be loaded."""
    try:
        from zlib_ng import zlib_ng
    except ImportError:
        return None
    error: type[Exception] = getattr(zlib_ng, "error")  # noqa: B009 - its stub takes it for a value
    return Inflater(zlib_ng.decompress, zlib_ng.decompressobj, error)
