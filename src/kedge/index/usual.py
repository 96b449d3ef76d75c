"""A JSON project page as indexes usually write it: looked through, and not yet read.

Pure. Making objects of thousands of files, of which a handful is looked at, takes most of the time
that a page takes. Here one regular expression goes over the text and finds it well-formed, in
JSON and in what the Simple Repository API says of each key that is used; the files' names come out,
and the text of each file as it is. It knows less than JSON allows: for any page that it does not
know there is :mod:`~kedge.index.simple_json`, which decides what is refused and says why.
"""

from __future__ import annotations

import json
import re
from array import array
from functools import lru_cache

from kedge.index.entries import PLACE, Links
from kedge.index.links import PLAIN_URL

_BEGINNING = re.compile(rb'"files":( ?)\[(?=\{)')

#: With these, what stands between quotes is not what is meant, or is no JSON.
_ODD = bytes(range(0x20)) + b"\\"

#: Stands for the files while the rest of the page is read.
_FILES = "the files of this page"


def look_through(body: bytes) -> tuple[Links, dict[str, object]] | None:
    """The links of the page, and the page without its files.

    ``None`` where it is not as usual, which says nothing about whether it is an index page.
    """
    if len(body.translate(None, _ODD)) != len(body) or not _is_utf8(body):
        return None
    beginning = _BEGINNING.search(body)
    if beginning is None:
        return None
    start = beginning.end()
    entries = list(_entry(beginning[1]).finditer(body, start))
    ends = list(map(re.Match.end, entries))
    # Where one does not begin at the end of the one before, something was passed over.
    if not entries or list(map(re.Match.start, entries)) != [start, *ends[:-1]]:
        return None
    names, urls = zip(*map(re.Match.groups, entries), strict=True)
    page = _without_files(body, start - 1, ends[-1])
    if page is None or None in names or None in urls:
        return None
    return Links(
        tuple(b"\n".join(names).decode().split("\n")),
        body[start : ends[-1]],
        array(PLACE, [end - start for end in ends]),
        is_plain=len(set(urls)) == len(urls),
    ), page


def _is_utf8(body: bytes) -> bool:
    try:
        return body.isascii() or bool(body.decode())
    except UnicodeDecodeError:
        return False


def _without_files(body: bytes, start: int, end: int) -> dict[str, object] | None:
    """The rest of the page, if it is an object and that list, up to ``end``, is its files."""
    name = _FILES.encode()
    before, after = body[:start], body[end:]
    if after[:1] != b"]" or name in before or name in after:
        return None
    try:
        page = json.loads(b'%b"%b"%b' % (before, name, after[1:]))
    except (ValueError, RecursionError):
        return None
    return page if isinstance(page, dict) and page.get("files") == _FILES else None


@lru_cache
def _entry(space: bytes) -> re.Pattern[bytes]:
    """An entry with what follows it; its groups are the file name and the URL.

    ``space`` is what the page has after a colon or a comma. Of a key that is there twice the last
    counts, as in JSON.
    """
    string = rb'"[^"]*"'
    strings = rb"\{(?:%b:%b%b)?\}" % (string, space, string)  # one, as in all of these
    optional = rb"(?:%b|null)" % string
    anything = rb"(?:%b|%b|true|false|null|0|[1-9][0-9]{0,17})" % (string, strings)
    pairs = (
        (rb'[^fuhr"][^"]*', anything),
        (b"filename", rb'"([^"]+)"'),
        (b"url", rb'"(%b)"' % PLAIN_URL.pattern.encode()),
        (b"hashes", strings),
        (b"(?:requires-python|upload-time)", optional),
    )
    pair = b"|".join(rb'%b":%b%b' % (key, space, value) for key, value in pairs)
    more = rb'(?:,%b(?=")|(?=\}))' % space
    return re.compile(rb'\{(?:"(?:%b)%b)+\}(?:,%b(?=\{)|(?=\]))' % (pair, more, space))
