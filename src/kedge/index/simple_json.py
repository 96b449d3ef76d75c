"""A JSON project page (PEP 691, with 700, 714 and what later versions add) as links.

Pure. Unknown keys are passed over, as the specification asks; what is there must have its type.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from sys import intern

from kedge.classes import frozen
from kedge.index.links import PLAIN_URL, Link, Pairs, filename_of, link_from, one_line


@frozen
class JsonPage:
    """The links in order, and the version that ``meta.api-version`` states."""

    links: tuple[Link, ...]
    version: str | None


class NotSimpleJsonError(ValueError):
    """The body is not a project page; the message says which part of it is wrong."""


def parse_json(body: bytes, url: str) -> JsonPage:
    """Read the page; raises :class:`NotSimpleJsonError` naming the path to what is wrong."""
    try:
        page = json.loads(body)
    except (ValueError, RecursionError) as exc:
        raise NotSimpleJsonError(f"it is not JSON ({exc})") from exc
    if not isinstance(page, dict):
        raise NotSimpleJsonError("it is not a JSON object")
    files = page.get("files")
    if not isinstance(files, list):
        raise NotSimpleJsonError('it has no list of "files"')
    links: list[Link] = []
    try:
        links.extend(link_of(entry, url) for entry in files)
    except (TypeError, AttributeError, KeyError, ValueError) as exc:
        raise NotSimpleJsonError(f"files[{len(links)}] is not a file's entry ({exc!r})") from exc
    return JsonPage(tuple(links), stated_version(page))


def stated_version(page: Mapping[str, object]) -> str | None:
    """What ``meta.api-version`` of the page is, if it is a string."""
    meta = page.get("meta", {})
    version = meta.get("api-version") if isinstance(meta, dict) else None
    return version if isinstance(version, str) else None


def link_of(entry: Mapping[str, object], base: str = "") -> Link:
    """One entry of the page ``base``, which only a relative URL needs.

    Raises one of ``TypeError``, ``AttributeError``, ``KeyError``, ``ValueError`` for what is none.
    """
    get = entry.get
    url = _text(entry["url"])
    hashes = _pairs(get("hashes") or {})
    if not PLAIN_URL.fullmatch(url):
        given = link_from(base, url)
        url, hashes = given.url, hashes + given.hashes
    stated, size, requires_python = get("filename"), get("size"), get("requires-python")
    yanked, uploaded = get("yanked"), get("upload-time")
    # PEP 714: the new key where present, else the old; a boolean or the digests.
    metadata = get("core-metadata")
    if metadata is None:
        metadata = get("dist-info-metadata")
    # Not by keywords and without calls that can be spared: pages have thousands of files.
    return _MAKE(
        (
            url,
            stated if stated and isinstance(stated, str) else filename_of(url),
            hashes,
            # One object for all that state the same.
            intern(_text(requires_python)) if requires_python else None,
            _yanked(yanked) if yanked else None,
            _metadata(metadata),
            size if isinstance(size, int) and size >= 0 else None,
            _text(uploaded) if uploaded else None,
            None,
        )
    )


_MAKE = Link._make


def _metadata(value: object) -> Pairs | None:
    if isinstance(value, dict):
        return _pairs(value)
    return () if value else None


def _yanked(value: object) -> str:
    """PEP 592 in JSON: ``true`` or the reason; nothing and an empty one mean no, as in pip."""
    return one_line(value) if isinstance(value, str) else ""


def _pairs(value: object) -> Pairs:
    if not isinstance(value, dict):
        raise TypeError("digests are not an object")
    digest = value.get("sha256")
    if len(value) == 1 and isinstance(digest, str):  # nearly always
        return (("sha256", digest),)
    return tuple([(intern(name.lower()), _text(digest)) for name, digest in value.items()])


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is not a string")
    return value
