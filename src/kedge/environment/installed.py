"""What is installed: the distributions that a Python finds on its path.

Reads folders and the small files in them, each when it is asked for; a scan reads names only.
Decides nothing about them and changes nothing. What is broken is still found, with what can be
known of it, so that it can be replaced or removed.
https://packaging.python.org/specifications/recording-installed-packages/
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from enum import Enum
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from kedge.classes import frozen, replace
from kedge.environment.metadata import CoreMetadata, normalized, parse_metadata
from kedge.errors import PageError, TargetError

if TYPE_CHECKING:
    from packaging.utils import NormalizedName
    from packaging.version import Version

    from kedge.environment.records import RecordEntry
    from kedge.model import DirectUrl

_VALID_NAME = re.compile(r"([a-z0-9]|[a-z0-9][a-z0-9.-]*[a-z0-9])")


class Kind(Enum):
    """How a distribution was recorded by whoever installed it."""

    DIST_INFO = ".dist-info folder"
    EGG_INFO = ".egg-info folder"
    DISTUTILS = ".egg-info file"
    EGG = ".egg folder"


@frozen(eq=False, slots=False)
class InstalledDistribution:
    """One installed distribution.

    ``dist_info`` is its ``.dist-info`` folder (or ``.egg-info``, which may be a file).
    ``location`` is where its modules are; ``link`` is the ``.egg-link`` file that led there, for
    what ``setup.py develop`` installed.
    """

    name: NormalizedName
    kind: Kind
    dist_info: Path
    location: Path
    link: Path | None = None

    def __str__(self) -> str:
        return f"{self.raw_name} {self.version_text}"

    # ----------------------------------------------------------------------------------------
    # What it is

    @property
    def raw_name(self) -> str:
        """As its metadata spells it; the normalised name where there is no metadata."""
        return self.metadata.name

    @cached_property
    def version_text(self) -> str:
        """The version, unparsed: from the folder's name, which needs no file, else the metadata.

        Empty where neither says it.
        """
        if self.kind is Kind.DIST_INFO:
            _, separator, version = self.dist_info.stem.partition("-")
            if separator:
                return version
        return self.metadata.version_text

    @cached_property
    def version(self) -> Version:
        """:raises TargetError: it is no version (PEP 440), or there is none."""
        from packaging.version import Version

        try:
            return Version(self.version_text)
        except ValueError as exc:  # InvalidVersion, or a number with too many digits
            raise TargetError(
                f"The installed {self.raw_name} has the version {self.version_text!r}, which is "
                f"not valid ({self.dist_info}).",
                hint=f"Uninstall it: kedge uninstall {self.name}",
            ) from exc

    @cached_property
    def metadata(self) -> CoreMetadata:
        """Its metadata; where that is missing or unreadable, what the folder's name tells.

        ``requires.txt`` of an ``.egg-info`` folder counts where the metadata requires nothing.
        """
        data = self._metadata_bytes()
        try:
            parsed = parse_metadata(data or b"", where=str(self.dist_info))
        except PageError:
            _, _, version = self.dist_info.stem.partition("-")
            if self.kind is not Kind.DIST_INFO:
                version = re.sub(r"-py\d.*$", "", version)
            return CoreMetadata(str(self.dist_info), self.name, version)
        if self.kind in (Kind.EGG_INFO, Kind.EGG) and not parsed.requirement_lines:
            return _with_egg_requirements(parsed, self.read_text("requires.txt") or "")
        return parsed

    def _metadata_bytes(self) -> bytes | None:
        if self.kind is Kind.DISTUTILS:
            return _read(self.dist_info)
        name, fallback = ("METADATA", "PKG-INFO")
        if self.kind is not Kind.DIST_INFO:
            name, fallback = fallback, name
        return _read(self.dist_info / name) or _read(self.dist_info / fallback)

    @property
    def metadata_digest(self) -> str:
        """The SHA-256 of its metadata file, in hex; of nothing where there is none."""
        import hashlib

        return hashlib.sha256(self._metadata_bytes() or b"").hexdigest()

    @property
    def has_metadata(self) -> bool:
        return bool(self._metadata_bytes())

    @property
    def problems(self) -> tuple[str, ...]:
        """What is missing of what a whole installation has; empty for most."""
        found = []
        if not self.has_metadata:
            found.append("it has no metadata")
        if self.kind is Kind.DIST_INFO and not (self.dist_info / "RECORD").is_file():
            found.append("it has no RECORD of its files")
        return tuple(found)

    # ----------------------------------------------------------------------------------------
    # How it came here

    @cached_property
    def installer(self) -> str:
        """Who installed it, as ``INSTALLER`` says (``pip``, ``kedge``); empty if unknown."""
        lines = (line.strip() for line in (self.read_text("INSTALLER") or "").splitlines())
        return next((line for line in lines if line), "")

    @property
    def requested(self) -> bool:
        """Whether it was asked for, rather than needed by another (PEP 376, ``REQUESTED``)."""
        return self.kind is not Kind.DISTUTILS and (self.dist_info / "REQUESTED").is_file()

    @cached_property
    def direct_url(self) -> DirectUrl | None:
        """Where it came from if not from an index; ``None`` also when that is unreadable."""
        from kedge.environment.direct_url import parse_direct_url

        text = self.read_text("direct_url.json")
        return parse_direct_url(text) if text is not None else None

    @cached_property
    def editable_location(self) -> Path | None:
        """The project's folder, of an editable installation (PEP 610, or an ``.egg-link``)."""
        direct_url = self.direct_url
        if direct_url is not None:
            return _path_of(direct_url.url) if direct_url.editable else None
        return self.location if self.link is not None else None

    @property
    def installed_location(self) -> Path:
        """The folder of the environment it lies in, also for a project linked from there."""
        return self.link.parent if self.link is not None else self.location

    # ----------------------------------------------------------------------------------------
    # Its files

    def files(self) -> tuple[RecordEntry, ...] | None:
        """The files it was recorded to have, or ``None`` when there is no list of them.

        :raises TargetError: the list cannot be read.
        """
        import csv

        from kedge.environment.records import parse_installed_files, parse_record

        try:
            record = self.read_text("RECORD")
            if record is not None:
                location = self.dist_info.parent
                entries = parse_record(record, location=location)
                return tuple(_as_installed(entries, location))
        except csv.Error as exc:
            raise TargetError(
                f"The list of files of {self.name} cannot be read ({self.dist_info / 'RECORD'}): "
                f"{exc}."
            ) from exc
        legacy = self.read_text("installed-files.txt")
        if legacy is not None:
            return tuple(parse_installed_files(legacy, info=self.dist_info))
        return None

    def read_text(self, name: str) -> str | None:
        """A file of its ``.dist-info``; ``None`` where there is none or it cannot be read."""
        if self.kind is Kind.DISTUTILS:
            return None
        data = _read(self.dist_info / name)
        return data.decode("utf-8", "replace") if data is not None else None


def _read(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except OSError:
        return None


def _as_installed(entries: Iterable[RecordEntry], location: Path) -> Iterator[RecordEntry]:
    """The entries, where a way out of a folder that is reached by a link begins at its real place.

    pip counts ``..`` from the path as it is spelled, kedge from where the folder is; what is there
    tells which.
    """
    real: str | None = None
    for entry in entries:
        if entry.recorded.startswith("..") and not os.path.lexists(entry.path):
            real = real or os.path.realpath(location)
            path = os.path.normpath(os.path.join(real, entry.recorded))  # noqa: PTH118
            if os.path.lexists(path):
                entry = replace(entry, path=Path(path))
        yield entry


def _path_of(url: str) -> Path | None:
    from urllib.parse import urlsplit
    from urllib.request import url2pathname

    parts = urlsplit(url)
    if parts.scheme != "file":
        return None
    netloc = "" if parts.netloc in ("", "localhost") else f"//{parts.netloc}"
    return Path(url2pathname(netloc + parts.path))


def _with_egg_requirements(metadata: CoreMetadata, text: str) -> CoreMetadata:
    """``requires.txt`` in the form of today: ``[extra:marker]`` sections become markers."""
    lines: list[str] = []
    extras: dict[NormalizedName, None] = {}
    extra, marker = "", ""
    for line in map(str.strip, text.splitlines()):
        if not line or line.startswith("#"):
            continue
        if line.startswith("[") and line.endswith("]"):
            raw, _, marker = line[1:-1].partition(":")
            extra = normalized(raw)
            if extra:
                extras[normalized(raw)] = None
            continue
        conditions = [f"({marker})"] if marker else []
        conditions += [f'extra == "{extra}"'] if extra else []
        lines.append(f"{line} ; {' and '.join(conditions)}" if conditions else line)
    return replace(
        metadata,
        requirement_lines=tuple(lines),
        provides_extra=metadata.provides_extra or tuple(extras),
    )


# --------------------------------------------------------------------------------------------
# Finding them


def _ignore(message: str) -> None:
    """Warnings go nowhere unless somebody asks for them."""


def installed(
    paths: Sequence[Path], *, warn: Callable[[str], None] = _ignore
) -> Mapping[NormalizedName, InstalledDistribution]:
    """The distributions found in these folders, by normalised name; of several the first counts.

    Within a folder one with metadata comes before one without. Otherwise as :func:`scan`.
    """
    found: dict[NormalizedName, InstalledDistribution] = {}
    for distribution in scan(paths, warn=warn):
        first = found.setdefault(distribution.name, distribution)
        if (
            first is not distribution
            and first.dist_info.parent == distribution.dist_info.parent
            and not first.has_metadata
            and distribution.has_metadata
        ):
            found[distribution.name] = distribution
    return found


def scan(
    paths: Sequence[Path], *, warn: Callable[[str], None] = _ignore
) -> Iterator[InstalledDistribution]:
    """Every distribution in these folders, those hidden by another of the same name too.

    Folders that do not exist hold nothing. Within a folder the order is the file system's, as
    for importlib. ``warn`` hears of what interrupted removals left behind
    (``~umpy-2.0.dist-info``), which is passed over.
    """
    links: dict[NormalizedName, Path] = {}
    folders = [(folder, *_names(folder, links)) for folder in paths]
    for folder, infos, folder_links in folders:
        yield from _in_folder(folder, infos, links, warn)
        for link in folder_links:
            target = _target_of(link)
            if target is not None:
                infos_there, _ = _names(target, {})
                yield from _in_folder(target, infos_there, links, warn)


def _names(
    folder: Path, links: dict[NormalizedName, Path]
) -> tuple[list[tuple[str, bool]], list[Path]]:
    """The metadata entries of a folder, each with whether it is a folder, and its egg-links."""
    infos: list[tuple[str, bool]] = []
    found_links: list[Path] = []
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                name = entry.name.lower()
                if name.endswith((".dist-info", ".egg-info")):
                    infos.append((entry.name, entry.is_dir()))
                elif name.endswith(".egg-link"):
                    link = folder / entry.name
                    found_links.append(link)
                    links.setdefault(normalized(link.stem), link)
                elif entry.name == "EGG-INFO" and folder.suffix.lower() == ".egg":
                    infos.append((entry.name, entry.is_dir()))
    except OSError:
        return [], []
    return infos, found_links


def _in_folder(
    folder: Path,
    infos: Iterable[tuple[str, bool]],
    links: Mapping[NormalizedName, Path],
    warn: Callable[[str], None],
) -> Iterator[InstalledDistribution]:
    for entry, is_folder in infos:
        distribution = _distribution(folder, entry, is_folder=is_folder)
        if distribution is None:
            continue
        if not _VALID_NAME.fullmatch(distribution.name):
            warn(
                f"{distribution.dist_info} is passed over: it has no valid name, and is probably "
                "what an interrupted removal left. It can be deleted."
            )
            continue
        if distribution.kind is Kind.EGG_INFO and distribution.name in links:
            link = links[distribution.name]
            if _target_of(link) == folder:
                distribution = replace(distribution, link=link)
        yield distribution


def _distribution(folder: Path, entry: str, *, is_folder: bool) -> InstalledDistribution | None:
    info = folder / entry
    if entry == "EGG-INFO":
        kind, stem = Kind.EGG, folder.stem
    elif entry.lower().endswith(".dist-info"):
        kind, stem = Kind.DIST_INFO, info.stem
        if not is_folder:
            return None
    else:
        kind, stem = (Kind.EGG_INFO if is_folder else Kind.DISTUTILS), info.stem
    name, separator, _ = stem.partition("-")
    found = InstalledDistribution(normalized(name), kind, info, folder)
    if kind is Kind.DIST_INFO and not separator:
        # A name alone may be anything; the metadata decides, as for importlib.
        data = found._metadata_bytes()
        try:
            name = parse_metadata(data or b"", where=str(info)).name
        except PageError:
            return None
        found = InstalledDistribution(normalized(name), kind, info, folder)
    return found


def _target_of(link: Path) -> Path | None:
    """Where an egg-link leads: its first line that is not empty, relative to its folder."""
    data = _read(link) or b""
    lines = (line.strip() for line in data.decode("utf-8", "replace").splitlines())
    target = next((line for line in lines if line), None)
    return Path(os.path.normpath(link.parent / target)) if target else None
