"""An HTML page of links (PEP 503) as links: an index's project page, or any page of files.

Pure. What is on the page besides links matters in one respect: a login page or a captive portal
answers ``200 text/html`` as an index does, and must not count as a project without files.
"""

from __future__ import annotations

from html.parser import HTMLParser

from kedge.classes import frozen
from kedge.index.links import KNOWN_HASHES, Link, Pairs, link_from, one_line

#: The types of ``input`` that a person writes into.
_FILLED_IN = {"text", "password", "email", "tel", "number"}

_Attributes = list[tuple[str, str | None]]


@frozen
class HtmlPage:
    """The links in order; ``version`` as PEP 629 states it; ``asks``: someone is to fill in a form
    (a button alone, as devpi's pages have it, is none).

    ``title`` is the page's own, on one line, or ``""``.
    """

    links: tuple[Link, ...]
    version: str | None
    title: str
    asks: bool


def parse_html(text: str, url: str) -> HtmlPage:
    """Read the page; ``url`` is where it came from, and what relative links are relative to.

    Never raises: HTML has no errors, and a link that is no URL is passed over.
    """
    reader = _Reader()
    # Not closed: what is left is a tag without an end, and html.parser reads that again from each
    # of its "<", for minutes.
    reader.feed(text)
    try:
        base = url if reader.base is None else link_from(url, reader.base).url
    except ValueError:
        base = url
    return HtmlPage(
        links=tuple(_links(reader.anchors, base)),
        version=reader.version,
        title=" ".join("".join(reader.title).split()),
        asks=reader.asks,
    )


class _Reader(HTMLParser):
    """Collects what :class:`HtmlPage` needs; the first ``base`` counts."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.anchors: list[dict[str, str | None]] = []
        self.base: str | None = None
        self.version: str | None = None
        self.title: list[str] = []
        self.asks = False
        self._in_title = False

    def handle_starttag(self, tag: str, attrs: _Attributes) -> None:
        if tag == "a":
            self.anchors.append(dict(attrs))
        elif tag == "base" and self.base is None:
            self.base = dict(attrs).get("href")
        elif tag == "meta":
            meta = dict(attrs)
            if meta.get("name") == "pypi:repository-version":
                self.version = meta.get("content")
        elif tag == "input":
            self.asks = self.asks or (dict(attrs).get("type") or "text").lower() in _FILLED_IN
        self._in_title = tag == "title" and not self.title

    def parse_marked_section(self, i: int, report: bool = True) -> int:
        """Passed over, as browsers do; Python up to 3.13 fails at what it does not know."""
        return self.parse_bogus_comment(i, report)

    def handle_endtag(self, tag: str) -> None:
        self._in_title = False

    def handle_data(self, data: str) -> None:
        if self._in_title:
            self.title.append(data)


def _links(anchors: list[dict[str, str | None]], base: str) -> list[Link]:
    links: list[Link] = []
    for anchor in anchors:
        href = anchor.get("href")
        if not href:
            continue
        try:
            link = link_from(base, href)
        except ValueError:
            continue
        yanked = anchor.get("data-yanked")
        if yanked is None and "data-yanked" in anchor:
            yanked = ""  # the attribute without a value
        elif yanked is not None:
            yanked = one_line(yanked)
        links.append(
            link._replace(
                requires_python=anchor.get("data-requires-python") or None,
                yanked=yanked,
                metadata=_metadata(anchor),
            )
        )
    return links


def _metadata(anchor: dict[str, str | None]) -> Pairs | None:
    """PEP 714: the new attribute where present, else the old one; ``true`` or ``name=digest``."""
    value = anchor.get("data-core-metadata")
    if value is None:
        value = anchor.get("data-dist-info-metadata")
    if value is None or value.lower() == "false":
        return None
    name, equals, digest = value.partition("=")
    # An empty digest is kept, and never matches: it must not turn the check off.
    return ((name, digest),) if equals and name in KNOWN_HASHES else ()
