"""What the tests of the index share."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from packaging.utils import canonicalize_name

from kedge.cache import CachedPage, PageHead
from kedge.index import IndexFile, IndexReporter, Link
from kedge.index.files import files_of
from kedge.model import Origin, OriginKind, Sourced


def sourced(*values: str) -> tuple[Sourced[str], ...]:
    """Settings as from the command line."""
    return tuple(Sourced(value, Origin(OriginKind.COMMAND_LINE, "--option")) for value in values)


@dataclass
class Told(IndexReporter):
    """Remembers what it was told."""

    warnings: list[str] = field(default_factory=list)
    pages: list[str] = field(default_factory=list)

    def warn(self, message: str) -> None:
        self.warnings.append(message)

    def page_read(self, url: str, files: int) -> None:
        self.pages.append(url)


@dataclass
class Pages:
    """A page cache in memory."""

    held: dict[str, CachedPage] = field(default_factory=dict)

    def get(self, url: str) -> CachedPage | None:
        return self.held.get(url)

    def head(self, url: str) -> PageHead | None:
        page = self.held.get(url)
        if page is None:
            return None
        return PageHead(
            content_type=page.content_type, fresh_until=page.fresh_until, digest=page.digest
        )

    def put(self, url: str, page: CachedPage) -> bool:
        self.held[url] = page
        return True


@dataclass
class Metadata:
    """A metadata cache in memory."""

    held: dict[str, bytes] = field(default_factory=dict)

    def get(self, sha256: str) -> bytes | None:
        return self.held.get(sha256)

    def digest(self, sha256: str) -> str | None:
        held = self.held.get(sha256)
        return None if held is None else hashlib.sha256(held).hexdigest()

    def put(self, sha256: str, metadata: bytes) -> bool:
        self.held[sha256] = metadata
        return True


def a_file(name: str, filename: str, **facts: object) -> IndexFile:
    """One file as a page of that project would give it; ``facts`` are fields of Link."""
    url = str(facts.pop("url", f"https://files.invalid/{filename}"))
    verified = bool(facts.pop("page_verified", True))
    link = Link(url=url, filename=filename)._replace(**facts)  # type: ignore[arg-type]
    found = list(
        files_of(canonicalize_name(name), [link], index="an index", page_verified=verified)
    )
    assert found, f"{filename} is not a file of {name}"
    return found[0]


def names(files: Sequence[IndexFile]) -> list[str]:
    return [file.filename for file in files]


def write_page(folder: Path, *hrefs: str) -> Path:
    """An HTML page of links, as ``index.html``."""
    folder.mkdir(parents=True, exist_ok=True)
    page = folder / "index.html"
    page.write_text("".join(f'<a href="{href}">x</a>\n' for href in hrefs))
    return page
