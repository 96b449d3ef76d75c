"""A page as it is kept between runs: read once, then loaded a hundred times as fast.

Pure: values in, bytes out, and back. The bytes are Python's own (``marshal``), whose form may
change X They come from a cache that belongs to the user and has checked them for damage.
"""

from __future__ import annotations

import marshal
import sys

from kedge.index.links import Link
from kedge.index.pages import Page

#: What :func:`dump` makes here and now, in the place of a media type.
FORM = f"application/x-kedge-links; v=1; python={sys.implementation.cache_tag}"


def dump(page: Page) -> bytes:
    """The page as bytes."""
    return marshal.dumps((page.warning, list(map(tuple, page.links))))


def load(data: bytes) -> Page:
    """The page again; ``ValueError`` where the bytes are no page."""
    try:
        warning, links = marshal.loads(data)  # noqa: S302 - see above
        return Page(tuple(map(Link._make, links)), warning)
    except (EOFError, TypeError) as exc:
        raise ValueError("no page that was kept") from exc
