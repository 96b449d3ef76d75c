"""What one place links to, learnt from as little of it as will tell.

For ``kedge doctor``, which must know the hosts of the files before anybody asks for a project. The
pages are read as an install reads them; the page that lists every project is asked for only where
a usual project is not there, since the public index's is some 40 MB.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence, Sized
from pathlib import Path
from typing import Protocol

from packaging.utils import canonicalize_name

from kedge.classes import frozen
from kedge.errors import HttpStatusError, PageError, TransportError
from kedge.index.fetch import Answer, PageFetcher
from kedge.index.links import Link
from kedge.index.pages import ACCEPT, JSON, content_type, read_html, read_page
from kedge.index.sources import Place, PlaceKind, is_html

#: A project that most indexes have, with a small page; nothing of it is installed.
USUAL = "six"
#: Bytes of a page that lists projects: more than that is a mirror of everything, with ``USUAL``.
_LISTING_LIMIT = 8 * 1024 * 1024
#: How many projects of a listing are looked at until one has files.
_TRIES = 4


class Listings(Protocol):
    """What reads a page within a limit: :class:`kedge.pipeline.connection.Connection`."""

    def get(
        self, url: str, *, headers: Mapping[str, str] | None = None, limit: int | None = None
    ) -> Answer: ...


@frozen
class Survey:
    """The links that were found, and in words what was read. ``absent``: there is nothing to
    install."""

    links: Sequence[Link]
    read: str
    absent: bool = False


def survey(place: Place, pages: PageFetcher, listings: Listings) -> Survey:
    """Look into an index or a place of ``--find-links``.

    Raises :class:`~kedge.errors.PageError` and :class:`~kedge.errors.TransportError`.
    """
    match place.kind:
        case PlaceKind.REMOTE_INDEX:
            return _index(place, pages, listings)
        case PlaceKind.LOCAL_INDEX if place.path is not None:
            folders = (place.path / USUAL, *_folders(place.path))
            return _local(place, pages, [folder / "index.html" for folder in folders])
        case PlaceKind.FOLDER if place.path is not None:
            return _local(place, pages, list(_pages_in(place.path)))
        case PlaceKind.LOCAL_PAGE if place.path is not None:
            return _local(place, pages, [place.path])
        case PlaceKind.FILE:
            return Survey((Link(place.url, place.url.rpartition("/")[2]),), "a file")
        case _:
            fetched = pages.remote(place.url)
            if fetched is None:
                return Survey((), "there is no such page", absent=True)
            return Survey(fetched.page.links, f"a page of {_count(fetched.page.links, 'link')}")


def survey_url(url: str, listings: Listings) -> Survey:
    """What a URL answers with, whether that is an index, a page of links or something else.

    Raises :class:`~kedge.errors.TransportError`.
    """
    try:
        answer = listings.get(url, headers={"Accept": ACCEPT}, limit=_LISTING_LIMIT)
    except TransportError as exc:
        if type(exc) is TransportError:
            return Survey((), "it answers")
        raise
    try:
        page = read_page(answer.url, answer.headers, answer.body)
    except PageError:
        return Survey((), f"it answers {answer.status}")
    return Survey(page.links, f"a page of {_count(page.links, 'link')}")


def _index(place: Place, pages: PageFetcher, listings: Listings) -> Survey:
    fetched = pages.remote(place.project_url(USUAL))
    if fetched is not None and fetched.page.links:
        return _project(USUAL, fetched.page.links)
    names = _projects(f"{place.url.rstrip('/')}/", listings)
    if not names:  # a page for everybody, which is no index, looks like an empty one
        return Survey((), "it lists no projects", absent=True)
    for name in names[:_TRIES]:
        fetched = pages.remote(place.project_url(name))
        if fetched is not None and fetched.page.links:
            return _project(name, fetched.page.links)
    return Survey((), f"an index of {_count(names, 'project')}, no file seen")


def _project(name: str, links: Sequence[Link]) -> Survey:
    return Survey(links, f"an index: {_count(links, 'file')} of {name}")


def _projects(url: str, listings: Listings) -> list[str] | None:
    """The names that the page lists; ``None`` where there is none, or it is beyond bounds."""
    try:
        answer = listings.get(url, headers={"Accept": ACCEPT}, limit=_LISTING_LIMIT)
    except HttpStatusError as exc:
        if exc.status in {404, 410, 405}:
            return None
        raise
    except TransportError as exc:
        if type(exc) is TransportError:  # it answered, and with more than is worth reading
            return None
        raise
    kind, charset = content_type(answer.headers)
    if kind == JSON:
        return list(_named(answer))
    text = answer.body.decode(charset or "utf-8", errors="replace")
    if "html" not in kind:
        read_page(answer.url, answer.headers, answer.body)  # says what came
        return []
    links = read_html(answer.url, text).links
    return [canonicalize_name(link.filename) for link in links if link.url.endswith("/")]


def _named(answer: Answer) -> Iterator[str]:
    try:
        projects = json.loads(answer.body)["projects"]
        yield from (canonicalize_name(project["name"]) for project in projects)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as exc:
        raise TransportError(
            f"{answer.url} says that it lists projects, and cannot be read ({exc!r}).",
            url=answer.url,
        ) from exc


def _local(place: Place, pages: PageFetcher, paths: list[Path]) -> Survey:
    links: list[Link] = []
    for path in paths:
        fetched = pages.local(path)
        if fetched is not None:
            links += fetched.page.links
    return Survey(tuple(links), "on this machine")


def _folders(path: Path) -> Iterator[Path]:
    """Some of an index's projects; a folder that cannot be read is told by whoever installs."""
    try:
        folders = sorted(each for each in path.iterdir() if each.is_dir())
    except OSError:
        return
    yield from folders[:_TRIES]


def _pages_in(path: Path) -> Iterator[Path]:
    try:
        yield from sorted(each for each in path.iterdir() if is_html(each.name))
    except OSError:
        return


def _count(things: Sized, noun: str) -> str:
    number = len(things)
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
