"""What one entry of an index page says, whichever format the page has.

Pure: strings in, values out. The rules are those of the Simple Repository API (PEP 503, 592, 658,
691, 700, 714) and, where it is silent, of pip's ``models/link.py``.
"""

from __future__ import annotations

import re
from typing import NamedTuple
from urllib.parse import quote, unquote, urldefrag, urljoin, urlsplit, urlunsplit

from kedge.model import STRONG_HASHES, Hashes

#: ``(algorithm, hex digest)`` as the page states them.
Pairs = tuple[tuple[str, str], ...]

#: Algorithms that a page may state; md5 and sha1 only count where nothing stronger is stated.
KNOWN_HASHES = ("sha512", "sha384", "sha256", "sha224", "sha1", "md5")

# Letters that need neither quoting nor joining: nearly every link of a big page is made of them.
PLAIN_URL = re.compile(r"https?://[A-Za-z0-9.:-]+/[A-Za-z0-9._~/-]*[A-Za-z0-9._~-]")
_HASH = re.compile(rf"(?:^|&)({'|'.join(KNOWN_HASHES)})=([^&]*)")
_EGG = re.compile(r"(?:^|&)egg=([^&]*)")
_RESERVED = re.compile("(@|%2F)", re.IGNORECASE)


class Link(NamedTuple):
    """One entry of a page. ``url`` is absolute and quoted, without a fragment.

    ``url`` may carry the credentials that the page's own URL carried: redact it before printing.
    ``metadata`` is ``None`` where no metadata file is offered, else the digests stated for it
    (often none). ``yanked`` is the reason, possibly empty, or ``None``. ``size`` is in bytes.
    ``egg`` is the ``#egg=`` fragment, which stands in for the file's name where there is one.
    """

    url: str
    filename: str
    hashes: Pairs = ()
    requires_python: str | None = None
    yanked: str | None = None
    metadata: Pairs | None = None
    size: int | None = None
    upload_time: str | None = None
    egg: str | None = None


def one_line(text: str) -> str:
    """What somebody wrote for a person to read, so that it passes for nothing else when it is
    shown.

    >>> one_line("broken\\r\\nerror: run this")
    'broken error: run this'
    """
    return " ".join(text.split())


def absolute_url(base: str, href: str) -> str:
    """``href`` as seen from the page ``base``, quoted as pip quotes it, fragment included.

    >>> absolute_url("https://example.org/simple/spam/", "../../files/spam 1.0.zip#md5=0")
    'https://example.org/files/spam%201.0.zip#md5=0'
    """
    if PLAIN_URL.fullmatch(href):
        return href
    joined = href if href.startswith(("https://", "http://")) else urljoin(base, href.strip())
    parts = urlsplit(joined)
    # "@" and "%2F" mean something in a path, so what stands between them is quoted piece by piece.
    pieces = _RESERVED.split(parts.path)
    path = "".join(
        piece.upper() if number % 2 else quote(unquote(piece))
        for number, piece in enumerate(pieces)
    )
    query = quote(parts.query, safe="%/:?@!$&'()*+,;=~")
    return urlunsplit(parts._replace(path=path, query=query))


def link_from(base: str, href: str) -> Link:
    """The entry that a bare ``href`` amounts to: its URL, file name, and what its fragment says.

    Raises ``ValueError`` where ``href`` is not a URL at all (``http://[broken``).
    """
    url, fragment = urldefrag(absolute_url(base, href))
    hashes, egg = _read_fragment(fragment) if fragment else ((), None)
    return Link(url=url, filename=filename_of(url), hashes=hashes, egg=egg)


def filename_of(url: str) -> str:
    """What comes last in the URL's path, decoded; it holds no slash, however it was written."""
    if PLAIN_URL.fullmatch(url):
        return url[url.rfind("/") + 1 :]
    return unquote(urlsplit(url).path).rstrip("/").rpartition("/")[2]


def _read_fragment(fragment: str) -> tuple[Pairs, str | None]:
    egg = _EGG.search(fragment)
    hashes = tuple((name, digest) for name, digest in _HASH.findall(fragment))
    return hashes, egg.group(1) if egg else None


def fragment_hashes(url: str) -> Hashes:
    """What the URL's own ``#sha256=…`` demands of the file behind it."""
    return stated_hashes(_read_fragment(urldefrag(url).fragment)[0])


def stated_hashes(pairs: Pairs) -> Hashes:
    """What a page states, as the digests to accept.

    Any one digest of :class:`~kedge.model.Hashes` is enough, so a weak one must not stand beside a
    strong one: it would be the one that counts. Unknown algorithms are passed over (pip's rule).
    """
    strong = [pair for pair in pairs if pair[0] in STRONG_HASHES]
    known = strong or [pair for pair in pairs if pair[0] in KNOWN_HASHES]
    return Hashes(frozenset((name, digest.lower()) for name, digest in known))
