"""A page as it is kept: in memory while it is used, and in the cache between runs.

Pure: values in, bytes out, and back. The bytes are Python's own (``marshal``), whose form may
change with its version: :data:`FORM` says it. They come from a cache that belongs to the user and
has checked them for damage.

The links are kept as they are held (:mod:`~kedge.index.entries`), and none is read on the way.
"""

from __future__ import annotations

import marshal
import sys
from array import array

from kedge.index.entries import PLACE, Links
from kedge.index.pages import Page

#: What :func:`dump` makes here and now, in the place of a media type.
FORM = (
    f"application/x-kedge-links; v=3; python={sys.implementation.cache_tag}; order={sys.byteorder}"
)


def dump(page: Page) -> bytes:
    """The page as bytes."""
    links = Links.of(page.links)
    ends = links.ends.tobytes()
    return marshal.dumps((page.warning, links.is_plain, links.filenames, ends, links.texts))


def load(data: bytes) -> Page:
    """The page again; ``ValueError`` where the bytes are no page."""
    try:
        warning, plain, filenames, places, texts = marshal.loads(data)  # noqa: S302 - see above
        ends = array(PLACE, places)
        if len(ends) != len(filenames) or (ends[-1] if ends else 0) != len(texts):
            raise ValueError("no page that was kept")
        return Page(Links(filenames, texts, ends, is_plain=plain), warning)
    except (EOFError, TypeError) as exc:
        raise ValueError("no page that was kept") from exc
