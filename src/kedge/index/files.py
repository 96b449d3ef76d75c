"""The files of a project, as values: which links are distributions, of which version, for what.

Pure. Pages hold thousands of files and most are never chosen, so what a link says is read at
once only as far as sorting by version needs; tags and digests are read when somebody looks.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urldefrag

from packaging.tags import Tag
from packaging.utils import (
    BuildTag,
    InvalidWheelFilename,
    NormalizedName,
    canonicalize_name,
    parse_wheel_filename,
)
from packaging.version import Version

from kedge.classes import frozen
from kedge.errors import WheelError
from kedge.index.links import Link, filename_of, fragment_hashes, stated_hashes
from kedge.model import Hashes, local_path, redact_url

if TYPE_CHECKING:
    from datetime import datetime

#: What a source distribution's file name may end in (pip's list).
SDIST_EXTENSIONS = (
    ".tar.gz",
    ".zip",
    ".tar.bz2",
    ".tgz",
    ".tar.xz",
    ".tar",
    ".tbz",
    ".txz",
    ".tlz",
    ".tar.lz",
    ".tar.lzma",
)

_BUILD = re.compile(r"(\d+)(.*)", re.ASCII)
_WRITTEN = re.compile(r"[\w.]+")
_UNSAFE = re.compile(r"[/\\\x00-\x1f]")
#: A compressed tag set multiplies out; nobody means more than this.
_MOST_TAGS = 5000


@frozen
class IndexFile:
    """One distribution that an index or ``--find-links`` offers, or that a direct URL names.

    ``index`` says where it was found, redacted (empty for a direct URL). ``page_verified`` is
    whether the page that states the digests came over a verified connection or from this machine;
    what an unverified page states must not decide what is cached.
    ``demanded`` are digests that the user gave beside the URL; they are part of ``hashes``.
    ``editable`` sources are to be installed so that they stay where they are.
    """

    link: Link
    name: NormalizedName
    version: Version
    is_wheel: bool
    index: str = ""
    page_verified: bool = True
    demanded: Hashes | None = None
    editable: bool = False

    @property
    def filename(self) -> str:
        return self.link.filename

    @property
    def url(self) -> str:
        """Absolute. May carry credentials: redact it before printing.

        Without a fragment, but for ``#subdirectory=`` of sources that were asked for by URL.
        """
        return self.link.url

    @property
    def hashes(self) -> Hashes:
        """The digests that the file may have; empty where nothing states one."""
        return stated_hashes(self.link.hashes) if self.demanded is None else self.demanded

    @property
    def requires_python(self) -> str | None:
        """The specifier as the index states it, unchecked."""
        return self.link.requires_python

    @property
    def yanked(self) -> str | None:
        """Why it was yanked (PEP 592), possibly ``""``; ``None`` when it was not."""
        return self.link.yanked

    @property
    def upload_time(self) -> datetime | None:
        """When it was uploaded, where the index says (PEP 700); with a time zone."""
        return _moment(self.link.upload_time) if self.link.upload_time else None

    @property
    def size(self) -> int | None:
        """In bytes, where the index says (PEP 700)."""
        return self.link.size

    @property
    def metadata(self) -> bool:
        """Whether ``url + ".metadata"`` exists (PEP 658, PEP 714)."""
        return self.link.metadata is not None

    @property
    def metadata_hashes(self) -> Hashes:
        """The digests that the metadata file may have."""
        return stated_hashes(self.link.metadata or ())

    @property
    def tags(self) -> frozenset[Tag]:
        """The wheel's compatibility tags; empty for a source distribution."""
        if not self.is_wheel:
            return frozenset()
        return _tags(self.filename[:-4].split("-", self.filename.count("-") - 2)[-1])

    @property
    def build(self) -> BuildTag:
        """The wheel's build tag as packaging orders it: ``()`` without one."""
        if not self.is_wheel or self.filename.count("-") != 5:
            return ()
        return _build(self.filename.split("-")[2]) or ()

    @property
    def local(self) -> Path | None:
        """The path, where the file is on this machine."""
        return _path(self.url) if self.url.startswith("file:") else None

    def __str__(self) -> str:
        return f"{self.filename} from {self.index or redact_url(self.url)}"


def _moment(text: str) -> datetime | None:
    """An ISO 8601 time; UTC where it names no zone. ``None`` for what is none.

    >>> str(_moment("2024-01-02T03:04:05.6Z"))
    '2024-01-02 03:04:05.600000+00:00'
    """
    from datetime import datetime, timezone

    # Python 3.10 knows neither "Z" nor fractions other than of three or six digits.
    text = re.sub(r"\.(\d+)", lambda found: f".{found[1][:6]:0<6}", text.strip())
    try:
        moment = datetime.fromisoformat(re.sub("[Zz]$", "+00:00", text))
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)


@lru_cache(maxsize=4096)
def _tags(compressed: str) -> frozenset[Tag]:
    """The tags of ``py2.py3-none-any``; empty where packaging refuses them."""
    sets = compressed.split("-")
    count = 1
    for one in sets:
        count *= one.count(".") + 1
    if count > _MOST_TAGS:
        return frozenset()
    try:
        # Not parse_tag: it accepts more in older releases than a file name may hold.
        return parse_wheel_filename(f"spam-1-{compressed}.whl")[3]
    except InvalidWheelFilename:
        return frozenset()


@lru_cache(maxsize=1024)
def _build(text: str) -> tuple[int, str] | None:
    match = _BUILD.match(text)
    try:
        return (int(match.group(1)), match.group(2)) if match else None
    except ValueError:  # too many digits
        return None


@lru_cache(maxsize=8192)
def _version(text: str) -> Version | None:
    try:
        return Version(text)
    except ValueError:  # InvalidVersion, or a number with too many digits
        return None


@lru_cache(maxsize=1024)
def _project(written: str) -> NormalizedName | None:
    """The project that a wheel's file name begins with."""
    if "__" in written or not _WRITTEN.fullmatch(written):
        return None
    return canonicalize_name(written)


def wheel_version(filename: str, name: NormalizedName) -> Version | None:
    """The version in a wheel's file name, if it is a valid one of that project.

    The same verdict as ``packaging.utils.parse_wheel_filename``, four times as fast on a page
    whose files share most of their tags and versions.
    """
    dashes = filename.count("-")
    if dashes not in (4, 5) or not filename.endswith(".whl"):
        return None
    parts = filename[:-4].split("-", dashes - 2)
    if _project(parts[0]) != name:
        return None
    if dashes == 5 and _build(parts[2]) is None:
        return None
    return _version(parts[1]) if _tags(parts[-1]) else None


def split_extension(filename: str) -> tuple[str, str]:
    """The stem and the extension, ``.tar`` counted with it.

    >>> split_extension("spam-1.0.tar.gz")
    ('spam-1.0', '.tar.gz')
    """
    base, dot, last = filename.rpartition(".")
    if not dot:
        return filename, ""
    if base.lower().endswith(".tar"):
        return base[:-4], f"{base[-4:]}.{last}"
    return base, f".{last}"


_sdist_project = lru_cache(maxsize=1024)(canonicalize_name)


def sdist_version(stem: str, name: NormalizedName) -> Version | None:
    """The version in ``name-version``, the name being known (old file names hold any dashes).

    >>> sdist_version("Zope.Interface-3.0-b1", "zope-interface")
    <Version('3.0b1')>
    """
    text = _after_name(stem, name)
    return None if text is None else _version(text)


def _after_name(stem: str, name: NormalizedName) -> str | None:
    stated, _, text = stem.rpartition("-")
    if _sdist_project(stated) == name:  # nearly always
        return text
    start = stem.find("-")
    while start != -1:
        if _sdist_project(stem[:start]) == name:
            return stem[start + 1 :]
        start = stem.find("-", start + 1)
    return None


def files_of(
    name: NormalizedName, links: Iterable[Link], *, index: str, page_verified: bool
) -> Iterator[IndexFile]:
    """The links that are distributions of the project, in order, each URL once.

    What is not one (another project, an unknown extension, an invalid version) is passed over.
    """
    seen: set[str] = set()
    late: list[IndexFile] = []
    for link in links:
        version = _version_of(link, name)
        if version is None or link.url in seen:
            continue
        seen.add(link.url)
        is_wheel = link.filename.endswith(".whl") and link.egg is None
        file = IndexFile(link, name, version, is_wheel, index, page_verified)
        # pip looks at links with an #egg= fragment last.
        if link.egg is None:
            yield file
        else:
            late.append(file)
    yield from late


def by_stated_version(name: NormalizedName, filenames: Iterable[str]) -> dict[Version, list[int]]:
    """Where among a page's files those of each version are; not one of them is looked at.

    The places are in order. What :func:`files_of` passes over may be among them.
    """
    texts: dict[str, list[int]] = {}
    # Most follow another wheel of their version, which takes one comparison to see, or begin as
    # the source distribution before them did.
    start: str | tuple[()] = ()
    last: list[int] = []
    stem = f"{name}-"
    for place, filename in enumerate(filenames):
        wheel = filename.endswith(".whl")
        if wheel and filename.startswith(start):
            last.append(place)
            continue
        text = None if wheel else _between(stem, filename, ".tar.gz")
        if text is None:
            text = _stated_version(filename, name, wheel=wheel)
        if text is None:
            continue
        places = texts.setdefault(text, [])
        places.append(place)
        if wheel:
            start, last = f"{filename.partition('-')[0]}-{text}-", places
        elif filename.endswith(".tar.gz"):
            stem = filename[: -len(text) - len(".tar.gz")]
    found: dict[Version, list[int]] = {}
    for text, places in texts.items():
        version = _version(text)
        if version is not None and found.setdefault(version, places) is not places:
            found[version] = sorted(found[version] + places)
    return found


def _between(start: str, filename: str, end: str) -> str | None:
    """What stands there.

    >>> _between("spam-", "spam-1.0.tar.gz", ".tar.gz")
    '1.0'
    """
    if filename.startswith(start) and filename.endswith(end):
        return filename[len(start) : -len(end)]
    return None


def _stated_version(filename: str, name: NormalizedName, *, wheel: bool) -> str | None:
    """The version that a file name seems to state, as it is written."""
    if wheel:
        return filename.split("-", 2)[1] if "-" in filename else None
    stem, extension = split_extension(filename)
    return _after_name(stem, name) if extension in SDIST_EXTENSIONS else None


def _version_of(link: Link, name: NormalizedName) -> Version | None:
    filename = link.filename
    if _UNSAFE.search(filename):
        return None
    if link.egg is not None:
        return sdist_version(link.egg, name)
    if filename.endswith(".whl"):
        return wheel_version(filename, name)
    stem, extension = split_extension(filename)
    return sdist_version(stem, name) if extension in SDIST_EXTENSIONS else None


def direct_file(url: str, *, hashes: Hashes | None = None) -> IndexFile:
    """The wheel behind a direct URL (``https:`` or ``file:``), named by its file name.

    ``hashes`` are what the user gave beside it, any digest in the URL's fragment included; without
    them the fragment decides. Raises :class:`~kedge.errors.WheelError` where the URL does not end
    in a valid wheel file name.
    """
    bare = urldefrag(url).url
    filename = filename_of(bare)
    try:
        name, version, _, _ = parse_wheel_filename(filename)
    except ValueError as exc:
        raise WheelError(
            f"{filename!r} is not the name of a wheel, which is all that can be installed from "
            f"{redact_url(bare)}.",
            wheel=filename,
            problems=[str(exc)],
            hint="A wheel's file name is name-version-python-abi-platform.whl.",
        ) from exc
    return IndexFile(
        Link(url=bare, filename=filename),
        name,
        version,
        is_wheel=True,
        demanded=hashes or fragment_hashes(url),
    )


def _path(url: str) -> Path:
    return Path(local_path(url, windows=os.name == "nt"))
