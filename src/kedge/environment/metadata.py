"""Core metadata: what a distribution says it is and needs (``METADATA``, ``PKG-INFO``).

Reads the header only, as bytes in and values out; knows nothing of files or networks. Names,
versions and requirements are parsed where they are asked for: most that is installed or listed
is never asked what it requires.
https://packaging.python.org/specifications/core-metadata/
"""

from __future__ import annotations

import re
from codecs import BOM_UTF8
from collections.abc import Collection, Iterator, Mapping
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, cast

from kedge.classes import frozen
from kedge.errors import PageError
from kedge.model import ENDLESS_NUMBER

if TYPE_CHECKING:
    from packaging.requirements import Requirement
    from packaging.utils import NormalizedName
    from packaging.version import Version

_LABEL = re.compile("[!-9;-~]*")
_NEWLINE = re.compile(r"\r\n|\r|\n")
_EMPTY_LINE = re.compile(rb"(?:\r\n|\r(?!\n)|\n){2}")

# What is required with one extra alone, and is well-formed, as two thirds of all requirements are:
# nothing has to be parsed to know that it is of no concern without the extra.
_NAME = r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,99}[A-Za-z0-9])?"
_CLAUSE = r"(?:[<>=!]=|[<>]|~=(?= ?[0-9]+\.)) ?[0-9]{1,9}(?:\.[0-9]{1,9}){0,9}"
_CLAUSES = rf"{_CLAUSE}(?: ?, ?{_CLAUSE})*"
_OPTIONAL = re.compile(
    rf"{_NAME} ?(?:\[{_NAME}(?:, ?{_NAME})*\] ?)?(?:\({_CLAUSES}\)|{_CLAUSES})? ?; ?"
    rf"extra ?== ?([\"'])({_NAME})\1",
    re.ASCII,
)

#: What is kept of a header; every other field is passed over.
_WANTED = frozenset(
    {
        "metadata-version",
        "name",
        "version",
        "requires-dist",
        "requires-python",
        "provides-extra",
        "dynamic",
    }
)


def normalized(name: str) -> NormalizedName:
    """The name as indexes compare it (PEP 503), without importing packaging.

    >>> normalized("Zope.Interface__x")
    'zope-interface-x'
    """
    return cast("NormalizedName", re.sub(r"[-_.]+", "-", name).lower())


@frozen(slots=False)
class CoreMetadata:
    """One distribution's metadata. ``where`` says what it was read from, for messages.

    ``name`` and ``version_text`` are as written. ``requirement_lines`` are the ``Requires-Dist``
    values unparsed; ``provides_extra`` is normalised. Fields that are missing are empty, but a
    name and a version are always there.
    """

    where: str
    name: str
    version_text: str
    requirement_lines: tuple[str, ...] = ()
    requires_python: str | None = None
    provides_extra: tuple[NormalizedName, ...] = ()
    metadata_version: str | None = None
    dynamic: tuple[str, ...] = ()

    @property
    def canonical_name(self) -> NormalizedName:
        return normalized(self.name)

    @property
    def stated(self) -> tuple[object, ...]:
        """What choosing versions depends on, as it is written, in plain tuples to compare."""
        return (
            self.name,
            self.version_text,
            self.requires_python,
            self.requirement_lines,
            self.provides_extra,
        )

    @cached_property
    def version(self) -> Version:
        """:raises PageError: it is no version (PEP 440)."""
        from packaging.version import Version

        try:
            return Version(self.version_text)
        except ValueError as exc:  # InvalidVersion, or a number with too many digits
            raise PageError(
                f"{self.name} has the version {self.version_text!r}, which is not valid.",
                url=self.where,
            ) from exc

    @cached_property
    def requires_dist(self) -> tuple[Requirement, ...]:
        """All requirements, whatever their markers.

        :raises PageError: one of the lines is no requirement (PEP 508).
        """
        return tuple(map(self._requirement, range(len(self.requirement_lines))))

    def relevant(self, extras: Collection[NormalizedName] = ()) -> Iterator[Requirement]:
        """The requirements in their order, without those that are seen to need another extra.

        Those are not parsed: the rest is, whatever its markers.

        :raises PageError: one of the lines is no requirement (PEP 508).
        """
        for number, extra in enumerate(self._needed_extras):
            if extra is None or extra in extras:
                yield self._requirement(number)

    @cached_property
    def _needed_extras(self) -> tuple[NormalizedName | None, ...]:
        """For each line the extra that it needs, where that can be seen."""
        found = map(_OPTIONAL.fullmatch, self.requirement_lines)
        return tuple(normalized(optional[2]) if optional else None for optional in found)

    @cached_property
    def _parsed(self) -> dict[int, Requirement]:
        return {}

    def _requirement(self, number: int) -> Requirement:
        known = self._parsed.get(number)
        if known is not None:
            return known
        from packaging.requirements import InvalidRequirement, Requirement

        line = self.requirement_lines[number]
        try:
            if ENDLESS_NUMBER.search(line):
                raise InvalidRequirement(line)
            return self._parsed.setdefault(number, Requirement(line))
        except InvalidRequirement as exc:
            raise PageError(
                f"{self.name} {self.version_text} requires {line!r}, which is no valid "
                "requirement.",
                url=self.where,
                hint="Another version of it may be well-formed.",
            ) from exc

    def requirements(
        self, markers: Mapping[str, str], extras: Collection[str] = ()
    ) -> Iterator[Requirement]:
        """The requirements that apply in the environment ``markers``, with these extras.

        A marker is evaluated once for each extra, or once with none (as pip does: with extras
        asked for, what needs ``extra == ""`` is not asked). Extras are compared normalised.
        """
        contexts = [{**markers, "extra": extra} for extra in extras or ("",)]
        for requirement in self.relevant({normalized(extra) for extra in extras}):
            marker = requirement.marker
            if marker is None or any(marker.evaluate(context) for context in contexts):
                yield requirement


def parse_metadata(data: bytes, *, where: str) -> CoreMetadata:
    """Read a metadata file; ``where`` is the path or URL it came from.

    As tolerant as pip: unknown fields, versions of the format and damaged descriptions are
    passed over, and a field that is not UTF-8 spoils itself alone.

    :raises PageError: there is no name or no version.

    >>> parse_metadata(b"Name: A.b\\nVersion: 1\\n", where="METADATA").canonical_name
    'a-b'
    """
    fields: dict[str, list[str]] = {}
    for name, value in _header(data):
        fields.setdefault(name, []).append(value)
    missing = [name for name in ("name", "version") if not fields.get(name, [""])[0]]
    if missing:
        raise PageError(
            f"The metadata of a distribution does not say its {' or '.join(missing)}.", url=where
        )
    return CoreMetadata(
        where=where,
        name=fields["name"][0],
        version_text=fields["version"][0],
        requirement_lines=tuple(fields.get("requires-dist", ())),
        requires_python=fields.get("requires-python", [None])[0] or None,
        provides_extra=tuple(normalized(extra) for extra in fields.get("provides-extra", ())),
        metadata_version=fields.get("metadata-version", [None])[0],
        dynamic=tuple(fields.get("dynamic", ())),
    )


def _header(data: bytes) -> Iterator[tuple[str, str]]:
    """The wanted fields in order, names in lower case, folded lines joined (RFC 5322, 2.2).

    The header ends at the first empty line, or, as for ``email``, at one that is no field.
    """
    name, value = "", ""
    for line in _lines(data):
        if line.startswith((" ", "\t")):
            if name:
                value += line
            continue
        if name:
            yield name, value.strip()
        label, colon, rest = line.partition(":")
        field = _field(label) if colon else None
        if field is not None:
            name, value = field, rest
            continue
        name = ""
        if not line.startswith("From "):  # an envelope line, as of old mailboxes
            return
    if name:
        yield name, value.strip()


def _lines(data: bytes) -> list[str]:
    """Those before the first empty one."""
    data = data.removeprefix(BOM_UTF8)
    if b"\r" in data:
        end = _EMPTY_LINE.search(data)
        return _NEWLINE.split((data[: end.start()] if end else data).decode("utf-8", "replace"))
    return data.partition(b"\n\n")[0].decode("utf-8", "replace").split("\n")


@lru_cache(maxsize=256)
def _field(label: str) -> str | None:
    """The field's name as kept; empty for one that is passed over, ``None`` for what is none."""
    if not _LABEL.fullmatch(label):
        return None
    name = label.lower()
    return name if name in _WANTED else ""
