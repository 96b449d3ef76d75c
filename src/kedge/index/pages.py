"""Which answers are index pages, and how they are read: negotiation, formats, versions.

Pure: headers and bytes in, a :class:`Page` out.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from kedge.classes import frozen
from kedge.errors import NotAnIndexError, PageError
from kedge.index.files import SDIST_EXTENSIONS
from kedge.index.links import Link
from kedge.index.simple_json import NotSimpleJsonError, parse_json, stated_version
from kedge.index.usual import look_through
from kedge.model import redact_url, whole_number

if TYPE_CHECKING:
    from kedge.index.simple_html import HtmlPage

JSON = "application/vnd.pypi.simple.v1+json"
HTML = "application/vnd.pypi.simple.v1+html"

#: What is asked for (PEP 691); the weights are the specification's own example.
ACCEPT = f"{JSON}, {HTML};q=0.2, text/html;q=0.01"

_REMOTE = ("https://", "http://")
_SERVED = re.compile(r"([a-z]+\+)?(https?|ssh)://")

#: The Simple Repository API whose meaning is known here (PEP 792 made it 1.4).
API_VERSION = (1, 4)


@frozen
class Page:
    """What a page offers. ``warning`` is a sentence where it states a newer version, else empty."""

    links: Sequence[Link]
    warning: str = ""


def content_type(headers: Mapping[str, str]) -> tuple[str, str | None]:
    """The media type, in lower case, and the ``charset`` if one is given."""
    header = next((value for name, value in headers.items() if name.lower() == "content-type"), "")
    if ";" not in header:
        return header.strip().lower(), None
    from email.message import Message  # 10 ms for a parameter that JSON does not have

    message = Message()
    message["content-type"] = header
    charset = message.get_param("charset")
    stated = message["content-type"].partition(";")[0].strip().lower()
    return stated, charset if isinstance(charset, str) else None


def read_page(url: str, headers: Mapping[str, str], body: bytes) -> Page:
    """Read an answer of an index.

    ``url`` is where it finally came from. Raises :class:`~kedge.errors.NotAnIndexError` where it
    is not an index page, naming what came, and :class:`~kedge.errors.PageError` where it is of a
    version (PEP 629) whose meaning is unknown.
    """
    kind, charset = content_type(headers)
    if kind == JSON:
        usual = look_through(body)
        if usual is not None:
            links, stated = usual
            return Page(links, check_version(stated_version(stated), url))
        try:
            parsed = parse_json(body, url)
        except NotSimpleJsonError as exc:
            raise _not_an_index(url, f"the answer says it is {kind}, but {exc}") from exc
        return Page(_elsewhere(parsed.links), check_version(parsed.version, url))
    if kind in {HTML, "text/html"}:
        page = read_html(url, _decode(body, charset))
        return Page(_elsewhere(page.links), page.warning)
    raise _not_an_index(url, f"what came is {_describe(kind, body, charset)}")


def _elsewhere(links: Sequence[Link]) -> Sequence[Link]:
    """The links of a server's page that lead to servers; repositories are among them.

    Which files of this machine are read is not for a server to say, and on Windows ``file:`` may
    be another machine, to which the user's account would be shown.
    """
    if all(link.url.startswith(_REMOTE) for link in links):
        return links
    return tuple(link for link in links if _SERVED.match(link.url))


def read_html(url: str, text: str) -> Page:
    """Read a page that is known to be HTML: served as such, or a file on this machine."""
    from kedge.index.simple_html import parse_html  # most indexes answer in JSON

    page = parse_html(text, url)
    archives = any(_is_archive(link.filename) for link in page.links)
    if page.asks and page.version is None and not archives:
        raise _not_an_index(url, f"what came is {_titled(page)} to be filled in by a person")
    warning = check_version(page.version, url)
    if not page.links and page.version is None:
        # It may be an index's page of a project without files; it may be anything else.
        warning = f"{redact_url(url)} is {_titled(page)} without a link: is it an index's?"
    return Page(page.links, warning)


def check_version(stated: str | None, url: str) -> str:
    """PEP 629: the warning that a newer minor version deserves; an unknown major one is an error.

    A page that states none is of version 1.0; what is not a version at all is taken for that, too.

    >>> check_version("1.1", "https://example.org/simple/spam/")
    ''
    """
    major, minor = map(whole_number, (stated or "1.0").partition(".")[::2])
    if major is None or minor is None:
        return ""
    if major != API_VERSION[0]:
        raise PageError(
            f"{redact_url(url)} is of version {stated} of the index API, of which kedge knows "
            f"{API_VERSION[0]} only.",
            url=url,
            hint="A newer kedge may know it.",
        )
    if minor > API_VERSION[1]:
        known = ".".join(str(part) for part in API_VERSION)
        return f"{redact_url(url)} is of version {stated} of the index API; kedge knows {known}."
    return ""


def _decode(body: bytes, charset: str | None) -> str:
    try:
        return body.decode(charset or "utf-8-sig", errors="replace")
    except LookupError:  # a charset that Python has not heard of
        return body.decode("utf-8", errors="replace")


def _is_archive(filename: str) -> bool:
    return filename.endswith((".whl", *SDIST_EXTENSIONS))


def _describe(kind: str, body: bytes, charset: str | None) -> str:
    named = kind or "without a content type"
    if b"<title" in body[:4096].lower():
        from kedge.index.simple_html import parse_html

        title = parse_html(_decode(body[:16384], charset), "").title
        return f"{named}, entitled {title!r}" if title else named
    return named


def _titled(page: HtmlPage) -> str:
    return f"an HTML page entitled {page.title!r}" if page.title else "an HTML page"


def _not_an_index(url: str, what: str) -> NotAnIndexError:
    return NotAnIndexError(
        f"{redact_url(url)} is not an index page: {what}.",
        url=url,
        hint="Check the address in a browser: an index's usually ends in /simple/, and a network "
        "that wants a login answers in the place of every server.",
    )
