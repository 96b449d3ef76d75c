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

#: Where a page is longer, it pays to look at its first entry and expect the others to be alike,
#: as they nearly always are: what need not allow for keys in any order takes half the time.
_LONG = 64 * 1024

#: Keys of one entry; where a page has more, an expression for all of them is none to make.
_MANY = 50

#: The keys that every entry has to have.
_USED = {b"filename", b"url"}

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
    start, space = beginning.end(), beginning[1]
    entry = _entry(space)
    first = entry.match(body, start)
    if first is None:
        return None
    keys = _keys(first) if len(body) > _LONG else ()
    expected = _alike(space, keys) if len(keys) < _MANY and {*keys} >= _USED else None
    return (expected and _read(body, start, expected)) or _read(body, start, entry)


def _keys(entry: re.Match[bytes]) -> tuple[bytes, ...]:
    found = json.loads(entry[0][: entry[0].rindex(b"}") + 1])
    return tuple(key.encode() for key in found)


def _read(
    body: bytes, start: int, entry: re.Pattern[bytes]
) -> tuple[Links, dict[str, object]] | None:
    entries = list(entry.finditer(body, start))
    ends = list(map(re.Match.end, entries))
    # Where one does not begin at the end of the one before, something was passed over.
    if not entries or list(map(re.Match.start, entries)) != [start, *ends[:-1]]:
        return None
    page = _without_files(body, start - 1, ends[-1])
    if page is None:
        return None
    groups = tuple(zip(*map(re.Match.groups, entries), strict=True))
    names, urls = (groups[entry.groupindex[key] - 1] for key in ("filename", "url"))
    if None in names or None in urls:
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


def _values(space: bytes) -> tuple[dict[bytes, bytes], bytes]:
    """What the keys that are used may say, and what any other may."""
    string = rb'"[^"]*"'
    strings = rb"\{(?:%b:%b%b)?\}" % (string, space, string)  # one, as in all of these
    optional = rb"(?:%b|null)" % string
    return {
        b"filename": rb'"(?P<filename>[^"]+)"',
        b"url": rb'"(?P<url>%b)"' % PLAIN_URL.pattern.encode(),
        b"hashes": strings,
        b"requires-python": optional,
        b"upload-time": optional,
    }, rb"(?:%b|%b|true|false|null|0|[1-9][0-9]{0,17})" % (string, strings)


@lru_cache
def _entry(space: bytes) -> re.Pattern[bytes]:
    """An entry with what follows it; ``space`` is what the page has after a colon or a comma.

    Of a key that is there twice the last counts, as in JSON.
    """
    values, anything = _values(space)
    pairs = {rb'[^fuhr"][^"]*': anything, **values}
    pair = b"|".join(rb'%b":%b%b' % (key, space, value) for key, value in pairs.items())
    more = rb'(?:,%b(?=")|(?=\}))' % space
    return re.compile(rb'\{(?:"(?:%b)%b)+\}%b' % (pair, more, _next(space)))


@lru_cache
def _alike(space: bytes, keys: tuple[bytes, ...]) -> re.Pattern[bytes]:
    """An entry with these keys, taken from one that :func:`_entry` knows, in their order."""
    values, anything = _values(space)
    pairs = (rb'"%b":%b%b' % (re.escape(key), space, values.get(key, anything)) for key in keys)
    return re.compile(rb"\{%b\}%b" % ((b",%b" % space).join(pairs), _next(space)))


def _next(space: bytes) -> bytes:
    return rb"(?:,%b(?=\{)|(?=\]))" % space
