"""One word of the command line, or one requirement of a file, as a :class:`Requested`.

The rules are pip's ``req/constructors.py``: a PEP 508 requirement, a URL, or a path, told apart by
form and, for a path, by what is on disk. Opens nothing.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias
from urllib.parse import parse_qs, unquote, urlsplit

from packaging.specifiers import SpecifierSet
from packaging.utils import (
    NormalizedName,
    canonicalize_name,
    parse_wheel_filename,
)

from kedge.errors import RequirementError
from kedge.model import (
    ENDLESS_NUMBER,
    STRONG_HASHES,
    Hashes,
    Origin,
    local_path,
    redact_text,
    redact_url,
)
from kedge.requirements.requested import Requested, RequestedKind

if TYPE_CHECKING:
    from packaging.markers import Marker

_VCS = ("git", "hg", "svn", "bzr")
_FETCHED = ("https", "http", "file")
#: Schemes that make a word a URL at all (pip's ``is_url``).
_SCHEME = re.compile(
    rf"({'|'.join([*_FETCHED, 'ftp'])}|({'|'.join(_VCS)})\+[a-z+]+):", re.IGNORECASE
)
_ARCHIVES = (
    *(".whl", ".zip", ".tar.gz", ".tgz", ".tar", ".tar.bz2", ".tbz"),
    *(".tar.xz", ".txz", ".tlz", ".tar.lz", ".tar.lzma"),
)
_EXTRAS = re.compile(r"^(.+?)\s*(\[[^\]]+\])$")
# A name, perhaps with extras, and nothing else (PEP 508's ``identifier``).
_IDENTIFIER = r"[A-Z0-9](?:[A-Z0-9._-]*[A-Z0-9])?"
_PLAIN = re.compile(
    rf"({_IDENTIFIER})(?:\[({_IDENTIFIER}(?:, *{_IDENTIFIER})*)\])?", re.IGNORECASE | re.ASCII
)
_EGG_NAME = r"^([A-Z0-9]|[A-Z0-9][A-Z0-9._-]*[A-Z0-9])$"


#: Name, extras, versions, and the URL if it has one.
_Parsed: TypeAlias = tuple[str, frozenset[str], SpecifierSet, str | None]


def parse_argument(
    text: str,
    origin: Origin,
    *,
    directory: Path | None = None,
    editable: bool = False,
    hashes: Hashes | None = None,
    config_settings: Mapping[str, str | tuple[str, ...]] | None = None,
) -> Requested:
    """Read one requirement.

    ``directory`` is where relative paths begin (the current one, for files too, as in pip).
    ``hashes`` come from ``--hash``. Raises :class:`~kedge.errors.RequirementError`.

    >>> from kedge.model import DEFAULT
    >>> found = parse_argument("Spam[Eggs] >= 1; python_version > '3'", DEFAULT)
    >>> found.name, str(found.specifier), sorted(found.extras), str(found.marker)
    ('spam', '>=1', ['eggs'], 'python_version > "3"')
    """
    base = (directory or Path.cwd()).absolute()
    reader = _Reader(text.strip(), origin, base, editable=editable)
    return reader.read(hashes or Hashes(), config_settings or {})


class _Reader:
    """What the parts of reading one requirement share: its text and what to blame."""

    def __init__(self, text: str, origin: Origin, directory: Path, *, editable: bool) -> None:
        self._text = text
        self._origin = origin
        self._directory = directory
        self._editable = editable

    def read(
        self, hashes: Hashes, config_settings: Mapping[str, str | tuple[str, ...]]
    ) -> Requested:
        if not self._text:
            raise self._error("An empty requirement asks for nothing.")
        if ENDLESS_NUMBER.search(self._text):
            raise self._error("No requirement has a number of a thousand digits.")
        word, marker = self._split_marker()
        url, extras = self._location(word)
        name: NormalizedName | None = None
        specifier = SpecifierSet()
        if url is None:
            bare, extras, specifier, address = self._requirement(word)
            name = canonicalize_name(bare)
            url = self._absolute(address) if address else None
        kind = RequestedKind.INDEX if url is None else self._kind(url)
        if kind is RequestedKind.WHEEL and url is not None:
            name, specifier = self._wheel(url, name)
        elif name is None and url is not None:
            name = self._egg(url)
        self._check_editable(kind)
        fragment = parse_qs(urlsplit(url).fragment) if url else {}
        return Requested(
            kind=kind,
            name=name,
            specifier=specifier,
            extras=extras,
            marker=marker,
            url=url,
            hashes=_accepted(hashes, fragment),
            hash_option=bool(hashes),
            editable=self._editable,
            subdirectory=fragment.get("subdirectory", [None])[0],
            config_settings=config_settings,
            origin=self._origin,
            text=redact_text(self._text),
        )

    # -- what form it has

    def _split_marker(self) -> tuple[str, Marker | None]:
        """The word before the marker. In a bare URL only ``"; "`` begins one (pip's rule)."""
        separator = "; " if _SCHEME.match(self._text) else ";"
        word, found, marker = self._text.partition(separator)
        if not found or not marker.strip():
            return word.strip(), None
        from packaging.markers import InvalidMarker, Marker

        try:
            return word.strip(), Marker(marker.strip())
        except InvalidMarker as exc:
            raise self._error(f"{self._shown} has a marker that cannot be read: {exc}") from exc

    def _location(self, word: str) -> tuple[str | None, frozenset[str]]:
        """The URL of what is given as a URL or a path, with the extras behind it; else none."""
        if _SCHEME.match(word) or (self._editable and word.split(":")[0].lower() in _VCS):
            bare, extras = self._split_extras(word) if "#" not in word else (word, frozenset[str]())
            prefix = "" if _SCHEME.match(bare) else f"{bare.split(':')[0]}+"
            return self._absolute(f"{prefix}{bare}"), extras
        bare, extras = self._split_extras(word)
        path = Path(os.path.normpath(self._directory / bare))
        return (path.as_uri(), extras) if self._is_path(bare, path) else (None, frozenset())

    def _is_path(self, word: str, path: Path) -> bool:
        path_like = word.startswith(".") or os.sep in word or bool(os.altsep and os.altsep in word)
        if (path_like or self._editable) and path.is_dir():
            if self._editable or (path / "pyproject.toml").is_file() or _has_setup(path):
                return True
            raise self._error(
                f"The folder {word} has neither a pyproject.toml nor a setup.py: there is nothing "
                "in it to install."
            )
        if not path.name.lower().endswith(_ARCHIVES):
            return False
        if path.is_file():
            return True
        before_at, at, _ = word.partition("@")
        if at and "/" not in before_at and not before_at.startswith("."):
            return False  # name@https://…whl
        raise self._error(f"There is no file {path}.", "Check the path, and where it begins.")

    def _split_extras(self, word: str) -> tuple[str, frozenset[str]]:
        match = _EXTRAS.match(word)
        if not match:
            return word, frozenset()
        try:
            return match.group(1), _parsed(f"spam{match.group(2)}")[1]
        except ValueError as exc:
            raise self._error(f"{self._shown} has extras that cannot be read: {exc}") from exc

    # -- its parts

    def _requirement(self, word: str) -> _Parsed:
        try:
            return _parsed(word)
        except ValueError as exc:
            reason = " ".join(str(exc).splitlines()[0].split())
            raise self._error(
                f"{self._shown} is not a requirement: {reason}", self._guess(word)
            ) from exc

    def _guess(self, word: str) -> str | None:
        """What was probably meant."""
        path = self._directory / word
        if word.endswith(".txt") and path.is_file():
            return f"To install what is listed in that file, write -r {word}."
        if self._editable or os.sep in word or word.startswith("."):
            return None if path.exists() else f"It looks like a path, and {path} does not exist."
        if "=" in word and not re.search(r"[=~!<>]=|[<>]", word):
            return "A single = is not an operator; == is."
        if word.startswith("-"):
            return "It looks like an option."
        return None

    def _absolute(self, url: str) -> str:
        """A ``file:`` URL with a full path (pip allows ``file:../spam``); any other unchanged."""
        try:
            parts = urlsplit(url)
        except ValueError as exc:
            raise self._error(f"{self._shown} is not a URL: {exc}.") from exc
        if not parts.scheme:
            raise self._error(
                f"{self._shown} names no address: {redact_url(url)!r} has no https:// or file:// "
                "in front of it."
            )
        if parts.scheme.lower() != "file":
            return url
        bare, _, fragment = url.partition("#")  # urldefrag makes file:x into file:///x
        try:
            path = local_path(bare, windows=os.name == "nt")
        except ValueError as exc:
            raise self._error(f"{self._shown} cannot be used: {exc}.") from exc
        full = Path(os.path.normpath(self._directory / path)).as_uri()
        return f"{full}#{fragment}" if fragment else full

    def _kind(self, url: str) -> RequestedKind:
        parts = urlsplit(url)
        scheme = parts.scheme.lower()
        if scheme.partition("+")[0] in _VCS:
            return RequestedKind.VCS
        if scheme not in _FETCHED:
            raise self._error(f"{self._shown} cannot be fetched: {scheme}: is not supported.")
        if scheme == "file" and Path(local_path(url, windows=os.name == "nt")).is_dir():
            return RequestedKind.FOLDER
        if parts.path.lower().endswith(".whl"):
            return RequestedKind.WHEEL
        return RequestedKind.SOURCE

    def _wheel(self, url: str, name: NormalizedName | None) -> tuple[NormalizedName, SpecifierSet]:
        filename = unquote(urlsplit(url).path.rpartition("/")[2])
        try:
            project, version, _, _ = parse_wheel_filename(filename)
        except ValueError as exc:
            raise self._error(
                f"{filename!r} is not the name of a wheel.",
                "A wheel's file name is name-version-python-abi-platform.whl; it must not be "
                "renamed.",
            ) from exc
        if name is not None and name != project:
            raise self._error(f"{self._shown} asks for {name}, but {filename} is {project}.")
        return project, SpecifierSet(f"=={version}")

    def _egg(self, url: str) -> NormalizedName | None:
        """The name in ``#egg=name``, the old way to name what a URL holds."""
        egg = parse_qs(urlsplit(url).fragment).get("egg", [""])[0]
        if not egg:
            return None
        if not re.match(_EGG_NAME, egg, re.IGNORECASE):
            raise self._error(
                f"#egg={egg} in {self._shown} is not a project's name.",
                "Write the requirement as: name[extra] @ URL",
            )
        return canonicalize_name(egg)

    def _check_editable(self, kind: RequestedKind) -> None:
        if self._editable and kind not in {RequestedKind.FOLDER, RequestedKind.VCS}:
            raise self._error(
                f"{self._shown} cannot be installed in editable mode.",
                "After -e stands the path of a project's folder, or a version control URL like "
                "git+https://….",
            )

    @property
    def _shown(self) -> str:
        return repr(redact_text(self._text))

    def _error(self, message: str, hint: str | None = None) -> RequirementError:
        return RequirementError(message, origin=self._origin, hint=hint)


def _parsed(word: str) -> _Parsed:
    """A requirement without a marker; ``ValueError`` where it is none.

    A bare name needs no parser, which takes longer to import than all of its work.
    """
    plain = _PLAIN.fullmatch(word)
    if plain:
        name, extras = plain.groups()
        named = {one.strip() for one in extras.split(",")} if extras else set()
        return name, _normal(named), SpecifierSet(), None
    from packaging.requirements import Requirement

    found = Requirement(word)
    return found.name, _normal(found.extras), found.specifier, found.url


def _has_setup(path: Path) -> bool:
    return (path / "setup.py").is_file()


def _normal(extras: set[str]) -> frozenset[str]:
    return frozenset(canonicalize_name(extra) for extra in extras)


def _accepted(hashes: Hashes, fragment: Mapping[str, list[str]]) -> Hashes:
    """``--hash`` and the URL's own digest together, as in pip: the file may have either.

    A weak digest counts only where there is no strong one beside it, which it would undo.
    """
    stated = {name: digests[0] for name, digests in fragment.items() if name in _DIGESTS}
    both = hashes | Hashes.of(stated)
    strong = frozenset(pair for pair in both.allowed if pair[0] in STRONG_HASHES)
    return Hashes(strong or both.allowed)


_DIGESTS = {*STRONG_HASHES, "sha224", "sha1", "md5"}
