"""Package indexes: the simple API over a test server, and real index servers behind nginx.

::

    index = SimpleIndex([wheel("demo"), wheel("demo", "2.0")])
    with Server(index, certificate=leaf) as server:
        f"{server.url}/simple"

:class:`SimpleIndex` is a handler, so it can be wrapped like any other (basic auth, faults).
"""

from __future__ import annotations

import hashlib
import html
import json
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from enum import Enum
from typing import Literal

from support.servers import Request, Response, Server, file_response, not_found, redirect
from support.wheels import Artifact

JSON_TYPE = "application/vnd.pypi.simple.v1+json"
HTML_TYPE = "application/vnd.pypi.simple.v1+html"


class CoreMetadata(Enum):
    """What an index does about PEP 658/714 metadata files."""

    NONE = "no metadata files"
    HASHED = "with their hash"
    UNHASHED = "without a hash"
    WRONG_HASH = "under a hash that they do not have"
    WRONG_BYTES = "with other contents than the hash says"
    MISSING = "announced, and not there"


@dataclass
class SimpleIndex:
    """A handler that serves ``/simple/<name>/`` and ``/files/<filename>``; all of it may change.

    ``style`` is what it speaks: as asked (``both``), or one form for everybody, ``legacy`` being
    HTML under the old ``text/html``. ``files_at`` puts the files' links on another host (its URL
    without a slash at the end); links are relative otherwise. ``hashes`` lists the algorithms
    stated on the pages, for the files as they are in ``states`` or else in ``files``.
    """

    files: list[Artifact] = field(default_factory=list)
    style: Literal["both", "json", "html", "legacy"] = "both"
    core_metadata: CoreMetadata = CoreMetadata.HASHED
    ranges: bool = True
    files_at: str | None = None
    hashes: tuple[str, ...] = ("sha256",)
    #: File name to reason (which may be empty).
    yanked: dict[str, str] = field(default_factory=dict)
    #: File name to what the pages say the file is, where they lie.
    states: dict[str, Artifact] = field(default_factory=dict)
    #: Pages that are what they are, by project name.
    pages: dict[str, Response] = field(default_factory=dict)

    def __call__(self, request: Request) -> Response:
        match request.path.strip("/").split("/"):
            case ["simple"]:
                return self._page(request, self._root_json, self._root_html)
            case ["simple", name] if not request.path.endswith("/"):
                return redirect(f"/simple/{name}/", 301)
            case ["simple", name]:
                return self._project(request, name)
            case ["files", filename]:
                return self._file(request, filename)
        return not_found(request)

    def add(self, *artifacts: Artifact) -> None:
        self.files += artifacts

    def _project(self, request: Request, name: str) -> Response:
        if name in self.pages:
            return self.pages[name]
        found = [file for file in self.files if normalized(file.name) == name]
        if not found:
            return not_found(request)
        return self._page(
            request,
            lambda: {"name": name, "files": [self._json_file(file) for file in found]},
            lambda: "".join(self._html_file(file) for file in found),
        )

    def _page(
        self,
        request: Request,
        as_json: Callable[[], dict[str, object]],
        as_html: Callable[[], str],
    ) -> Response:
        if self.style == "json" or (
            self.style == "both" and JSON_TYPE in request.headers.get("Accept", "")
        ):
            whole = {"meta": {"api-version": "1.1"}, **as_json()}
            return file_response(request, json.dumps(whole).encode(), content_type=JSON_TYPE)
        meta = '<meta name="pypi:repository-version" content="1.1">'
        page = f"<!DOCTYPE html><html><head>{meta}</head><body>{as_html()}</body></html>"
        kind = "text/html" if self.style == "legacy" else HTML_TYPE
        return file_response(request, page.encode(), content_type=kind)

    def _root_json(self) -> dict[str, object]:
        return {"projects": [{"name": name} for name in self._names()]}

    def _root_html(self) -> str:
        return "".join(f'<a href="{name}/">{name}</a>' for name in self._names())

    def _names(self) -> list[str]:
        return sorted({normalized(file.name) for file in self.files})

    def _url(self, file: Artifact) -> str:
        return f"{self.files_at or '../..'}/files/{file.filename}"

    def _stated(self, file: Artifact) -> dict[str, str]:
        data = self.states.get(file.filename, file).data
        return {name: hashlib.new(name, data).hexdigest() for name in self.hashes}

    def _metadata_stated(self, file: Artifact) -> dict[str, str] | bool:
        if self.core_metadata is CoreMetadata.NONE or not file.filename.endswith(".whl"):
            return False
        if self.core_metadata is CoreMetadata.UNHASHED:
            return True
        data = file.metadata
        if self.core_metadata is CoreMetadata.WRONG_HASH:
            data += b"another"
        return {"sha256": hashlib.sha256(data).hexdigest()}

    def _json_file(self, file: Artifact) -> dict[str, object]:
        entry: dict[str, object] = {
            "filename": file.filename,
            "url": self._url(file),
            "hashes": self._stated(file),
            "size": len(self.states.get(file.filename, file).data),
            "upload-time": "2024-01-01T00:00:00Z",
            "core-metadata": self._metadata_stated(file),
        }
        if file.requires_python:
            entry["requires-python"] = file.requires_python
        if file.filename in self.yanked:
            entry["yanked"] = self.yanked[file.filename] or True
        return entry

    def _html_file(self, file: Artifact) -> str:
        attributes = {}
        fragment = "".join(
            f"#{name}={digest}" for name, digest in list(self._stated(file).items())[:1]
        )
        if file.requires_python:
            attributes["data-requires-python"] = file.requires_python
        if file.filename in self.yanked:
            attributes["data-yanked"] = self.yanked[file.filename]
        stated = self._metadata_stated(file)
        if stated:
            word = f"sha256={stated['sha256']}" if isinstance(stated, dict) else "true"
            attributes |= {"data-core-metadata": word, "data-dist-info-metadata": word}
        words = "".join(
            f' {name}="{html.escape(value, quote=True)}"' for name, value in attributes.items()
        )
        return f'<a href="{self._url(file)}{fragment}"{words}>{file.filename}</a><br>\n'

    def _file(self, request: Request, filename: str) -> Response:
        for file in self.files:
            if filename == file.filename:
                return file_response(
                    request,
                    file.data,
                    content_type="application/octet-stream",
                    ranges=self.ranges,
                )
            if filename == f"{file.filename}.metadata":
                return self._metadata_file(request, file)
        return not_found(request)

    def _metadata_file(self, request: Request, file: Artifact) -> Response:
        if self.core_metadata in {CoreMetadata.NONE, CoreMetadata.MISSING}:
            return not_found(request)
        data = file.metadata
        if self.core_metadata is CoreMetadata.WRONG_BYTES:
            data = data.replace(b"\n\n", b"\nRequires-Dist: not-in-the-wheel\n\n", 1)
        return file_response(request, data, content_type="application/octet-stream")


def files_fetched(server: Server) -> list[str]:
    """The names of the distribution files that a client asked for; metadata files do not count."""
    return [
        path.rpartition("/")[2]
        for path in server.paths
        if path.startswith("/files/") and not path.endswith(".metadata")
    ]


def normalized(name: str) -> str:
    """The project's name as it stands in a URL (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def page_of(links: Iterable[str]) -> bytes:
    """A bare page of links: for ``--find-links``."""
    rows = "".join(f'<a href="{html.escape(link)}">{link.rpartition("/")[2]}</a>' for link in links)
    return f"<!DOCTYPE html><html><body>{rows}</body></html>".encode()
