"""Where to look: what each ``--index-url`` and ``--find-links`` value points at.

Decides by the value's form and by what is on disk under that name (pip's ``index/sources.py``);
opens no file and no connection.
"""

from __future__ import annotations

import os
from enum import Enum
from pathlib import Path
from urllib.parse import quote, urldefrag, urlsplit

from kedge.classes import field, frozen
from kedge.index.files import SDIST_EXTENSIONS
from kedge.index.links import filename_of
from kedge.model import Origin, Sourced, local_path, redact_url

_FETCHED = {"http", "https"}


@frozen(kw_only=True)
class IndexSources:
    """The settings that say where distributions are, merged, each with its origin.

    ``index_urls`` holds ``--index-url`` first, then each ``--extra-index-url``; all count alike.
    ``no_index`` leaves ``find_links`` alone to be looked at. Relative paths are relative to
    ``directory``; ``~`` is ``home``.
    """

    index_urls: tuple[Sourced[str], ...] = ()
    find_links: tuple[Sourced[str], ...] = ()
    no_index: bool = False
    directory: Path = field(default_factory=Path)
    home: Path | None = None


class PlaceKind(Enum):
    """What a value turned out to be."""

    REMOTE_INDEX = "an index"
    LOCAL_INDEX = "an index in a folder"
    REMOTE_PAGE = "a page of links"
    LOCAL_PAGE = "a page of links on this machine"
    FOLDER = "a folder of files"
    FILE = "a single file"


@frozen
class Place:
    """One place to look. ``url`` has no fragment except for a single file, whose hash it may hold.

    The URL may carry credentials: :attr:`shown` is what a user may see.
    """

    kind: PlaceKind
    url: str
    origin: Origin
    path: Path | None = None

    @property
    def shown(self) -> str:
        return redact_url(self.url)

    def project_url(self, name: str) -> str:
        """The project's page in an index: below the index, with a slash at the end (PEP 503).

        >>> from kedge.model import DEFAULT
        >>> Place(PlaceKind.REMOTE_INDEX, "https://i.example/simple", DEFAULT).project_url("spam")
        'https://i.example/simple/spam/'
        """
        return f"{self.url.rstrip('/')}/{quote(name)}/"


@frozen
class Places:
    """Everything to look at, ``--find-links`` before indexes, and a sentence for each left out."""

    places: tuple[Place, ...]
    warnings: tuple[str, ...] = ()


def find_places(sources: IndexSources) -> Places:
    """Decide what each value points at. A value that points nowhere is a warning, as in pip."""
    places: list[Place] = []
    warnings: list[str] = []
    indexes = () if sources.no_index else sources.index_urls
    seen: set[tuple[bool, str]] = set()
    for is_index, values in ((False, sources.find_links), (True, indexes)):
        for value in values:
            place = _place(value, sources, is_index=is_index)
            if isinstance(place, str):
                warnings.append(place)
            elif (is_index, place.url) not in seen:
                seen.add((is_index, place.url))
                places.append(place)
    return Places(tuple(places), tuple(warnings))


def _place(value: Sourced[str], sources: IndexSources, *, is_index: bool) -> Place | str:
    """The place, or the sentence that says why there is none."""
    word, origin = value.value.strip(), value.origin
    if not word:
        return f"An empty value ({origin}) is passed over."
    path = _existing_path(word, sources)
    if path is not None:
        return _local_place(path, word, origin, is_index=is_index)
    try:
        scheme = urlsplit(word).scheme.lower() if "://" in word or word.startswith("file:") else ""
    except ValueError as exc:
        return f"{redact_url(word)} ({origin}) is passed over: it is no URL ({exc})."
    if scheme in _FETCHED:
        return _remote_place(word, origin, is_index=is_index)
    reason = "there is nothing of that name, and no https:// in front of it"
    if scheme == "file":
        reason = "there is no such file or folder"
    elif scheme:
        reason = f"{scheme}: addresses cannot be looked at"
    return f"{redact_url(word)} ({origin}) is passed over: {reason}."


def _existing_path(word: str, sources: IndexSources) -> Path | None:
    if word.lower().startswith("file:"):
        try:
            path = Path(local_path(word, windows=os.name == "nt"))
        except ValueError:
            return None
    elif word.startswith("~") and sources.home is not None:
        path = sources.home / word[1:].lstrip("/\\")
    else:
        path = sources.directory / word
    try:
        return Path(os.path.normpath(path.absolute())) if path.exists() else None
    except (OSError, ValueError):  # a name too long or with a NUL, as a URL may be
        return None


def _local_place(path: Path, word: str, origin: Origin, *, is_index: bool) -> Place | str:
    if path.is_dir():
        kind = PlaceKind.LOCAL_INDEX if is_index else PlaceKind.FOLDER
        return Place(kind, path.as_uri(), origin, path)
    if not path.is_file():
        return f"{redact_url(word)} ({origin}) is passed over: it is neither a file nor a folder."
    if is_html(path.name):
        return Place(PlaceKind.LOCAL_PAGE, path.as_uri(), origin, path)
    _, hash_mark, fragment = word.partition("#") if word.lower().startswith("file:") else ("",) * 3
    return Place(PlaceKind.FILE, f"{path.as_uri()}{hash_mark}{fragment}", origin, path)


def _remote_place(word: str, origin: Origin, *, is_index: bool) -> Place:
    bare = urldefrag(word).url
    if is_index:
        return Place(PlaceKind.REMOTE_INDEX, bare, origin)
    if filename_of(bare).endswith((".whl", *SDIST_EXTENSIONS)):
        return Place(PlaceKind.FILE, word, origin)
    return Place(PlaceKind.REMOTE_PAGE, bare, origin)


def is_html(filename: str) -> bool:
    """Whether a file of that name is a page of links rather than a distribution."""
    import mimetypes  # reads the machine's tables: 5 ms, for what is on this machine only

    return mimetypes.guess_type(filename, strict=False)[0] == "text/html"
