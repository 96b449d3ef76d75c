"""Requirements and constraints files, with everything they include (pip's ``req_file.py``).

Reads the files and, through a :class:`Reader`, the URLs; what the lines mean is decided in the
modules beside it. Every value that comes out knows the file and line it stands on.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Protocol
from urllib.parse import urljoin, urlsplit

from kedge.classes import field, frozen, mutable
from kedge.errors import RequirementError
from kedge.model import Origin, OriginKind, Sourced, local_path, redact_url
from kedge.requirements.arguments import parse_argument
from kedge.requirements.options import Line, OptionError, parse_line
from kedge.requirements.requested import Requested

_URL = re.compile(r"^(https?|file):", re.IGNORECASE)
_LOCK = re.compile(r"pylock(\.[^.]+)?\.toml")


class Answer(Protocol):
    """What a reader gives: :class:`kedge.transport.Response`."""

    @property
    def url(self) -> str: ...
    @property
    def headers(self) -> Mapping[str, str]: ...
    @property
    def body(self) -> bytes: ...


class Reader(Protocol):
    """Fetches a requirements file behind a URL: :class:`kedge.transport.Session`."""

    def get(self, url: str) -> Answer: ...


@frozen
class Locations:
    """The settings that a requirements file can change: where to look for distributions."""

    index_urls: tuple[Sourced[str], ...] = ()
    find_links: tuple[Sourced[str], ...] = ()
    no_index: bool = False


@frozen(kw_only=True)
class ParsedFile:
    """All that a file and what it includes ask for, in the order in which it stands there.

    ``settings`` are the lines that hold for the whole run, as ``(option, value)`` with their
    place, in the order in which pip applies them; the properties read them. ``warnings`` are
    sentences about what was passed over.
    """

    requirements: tuple[Requested, ...] = ()
    constraints: tuple[Requested, ...] = ()
    settings: tuple[Sourced[tuple[str, str]], ...] = ()
    warnings: tuple[str, ...] = ()

    def _each(self, *options: str) -> tuple[Sourced[str], ...]:
        return tuple(
            Sourced(one.value[1], one.origin) for one in self.settings if one.value[0] in options
        )

    def _switch(self, option: str) -> Sourced[bool] | None:
        found = self._each(option)
        return Sourced(True, found[-1].origin) if found else None

    @property
    def index_url(self) -> Sourced[str] | None:
        """The last ``--index-url``. For what it does to those before it, see :meth:`over`."""
        found = self._each("--index-url")
        return found[-1] if found else None

    @property
    def extra_index_urls(self) -> tuple[Sourced[str], ...]:
        return self._each("--extra-index-url")

    @property
    def find_links(self) -> tuple[Sourced[str], ...]:
        """Already relative to the file where something of that name lies beside it."""
        return self._each("--find-links")

    @property
    def no_index(self) -> Sourced[bool] | None:
        return self._switch("--no-index")

    @property
    def require_hashes(self) -> Sourced[bool] | None:
        return self._switch("--require-hashes")

    @property
    def pre(self) -> Sourced[bool] | None:
        return self._switch("--pre")

    @property
    def prefer_binary(self) -> Sourced[bool] | None:
        return self._switch("--prefer-binary")

    @property
    def trusted_hosts(self) -> tuple[Sourced[str], ...]:
        return self._each("--trusted-host")

    @property
    def features(self) -> tuple[Sourced[str], ...]:
        """Each ``--use-feature``, unchecked."""
        return self._each("--use-feature")

    @property
    def selections(self) -> tuple[Sourced[tuple[str, str]], ...]:
        """``--no-binary``, ``--only-binary``, ``--all-releases`` and ``--only-final`` in order:
        each moves names between two sets, so the order is part of the meaning.
        """
        names = {"--no-binary", "--only-binary", "--all-releases", "--only-final"}
        return tuple(one for one in self.settings if one.value[0] in names)

    def over(self, base: Locations) -> Locations:
        """Where to look when this file is read after ``base`` was decided (pip's rule).

        An ``--index-url`` replaces every index before it, extra ones included; ``--no-index``
        drops them all, and later ones too.
        """
        indexes, links, no_index = list(base.index_urls), list(base.find_links), base.no_index
        for one in self.settings:
            option, value = one.value
            here = Sourced(value, one.origin)
            if option == "--no-index":
                no_index, indexes = True, []
            elif option == "--index-url" and not no_index:
                indexes = [here]
            elif option == "--extra-index-url" and not no_index:
                indexes.append(here)
            elif option == "--find-links":
                links.append(here)
        return Locations(tuple(indexes), tuple(links), no_index)


def parse_file(
    location: str,
    reader: Reader | None,
    *,
    environ: Mapping[str, str],
    origin: Origin,
    directory: Path | None = None,
    constraint: bool = False,
) -> ParsedFile:
    """Read a requirements file (a constraints file with ``constraint``) and all it includes.

    ``location`` is a path or an ``http:``, ``https:`` or ``file:`` URL; ``origin`` is the setting
    that named it. ``environ`` is what ``${VARIABLES}`` come from. Paths of requirements are
    relative to ``directory``, those of other files to the file that names them (as in pip).
    Raises :class:`~kedge.errors.RequirementError`, with file and line where there is a line, and
    what the reader raises.
    """
    base = directory or Path.cwd()
    top = location if _URL.match(location) else os.path.normpath(base / location)
    walk = _Walk(reader, environ, base)
    walk.file(top, origin, constraint=constraint, stack=((top, ""),))
    return ParsedFile(
        requirements=tuple(walk.requirements),
        constraints=tuple(walk.constraints),
        settings=tuple(walk.settings),
        warnings=tuple(walk.warnings),
    )


def merge_files(files: Iterable[ParsedFile]) -> ParsedFile:
    """Several files, as if one had included them in turn."""
    each = list(files)
    return ParsedFile(
        requirements=tuple(one for file in each for one in file.requirements),
        constraints=tuple(one for file in each for one in file.constraints),
        settings=tuple(one for file in each for one in file.settings),
        warnings=tuple(one for file in each for one in file.warnings),
    )


@mutable
class _Walk:
    """The files as they are read, and what was found in them."""

    reader: Reader | None
    environ: Mapping[str, str]
    directory: Path
    requirements: list[Requested] = field(default_factory=list)
    constraints: list[Requested] = field(default_factory=list)
    settings: list[Sourced[tuple[str, str]]] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    def file(
        self,
        location: str,
        origin: Origin,
        *,
        constraint: bool,
        stack: tuple[tuple[str, str], ...],
    ) -> None:
        """Read one file; ``stack`` is each file on the way to it, with the place naming it."""
        if is_lock_file(location):
            raise RequirementError(
                f"The lock file {redact_url(location)} cannot be read here ({origin}).",
                origin=origin,
                hint="kedge install and kedge download take it: -r FILE, on the command line.",
            )
        from kedge.requirements.lines import logical_lines  # most runs read no file

        text = self._text(location, origin, constraint=constraint)
        for number, content in logical_lines(text, self.environ):
            here = Origin(OriginKind.FILE, path=redact_url(location), line=number)
            try:
                line = parse_line(content)
            except OptionError as exc:
                raise RequirementError(
                    f"{here} cannot be read: {exc}.", origin=here, hint=exc.hint
                ) from exc
            self._warn_of(line, here)
            included = line.requirement_file or line.constraint_file
            if included and not line.requirement and not line.editable:
                # As in pip: -c makes constraints of what is below, and -r requirements again.
                nested = line.requirement_file is None
                self._include(included, location, here, constraint=nested, stack=stack)
            else:
                self._take(line, location, here, constraint=constraint)

    def _include(
        self,
        name: str,
        location: str,
        here: Origin,
        *,
        constraint: bool,
        stack: tuple[tuple[str, str], ...],
    ) -> None:
        if _URL.match(location):
            name = _joined(location, name, here)
        elif not _URL.match(name):
            name = os.path.abspath(Path(location).parent / name)  # noqa: PTH100 (".." by text)
        for at, (known, _) in enumerate(stack):
            if known == name:
                ways = [way for _, way in stack[at + 1 :]] + [str(here)]
                raise RequirementError(
                    f"{redact_url(name)} includes itself: by way of {', then '.join(ways)}.",
                    origin=here,
                )
        self.file(name, here, constraint=constraint, stack=(*stack, (name, str(here))))

    def _take(self, line: Line, location: str, here: Origin, *, constraint: bool) -> None:
        """A requirement, or settings for the whole run: never both, as in pip."""
        if line.requirement or line.editable is not None:
            found = parse_argument(
                line.requirement or line.editable or "",
                here,
                directory=self.directory,
                # pip: with a requirement in front, -e still makes it editable.
                editable=line.editable is not None,
                hashes=line.hashes if line.editable is None else None,
                config_settings=line.config_settings,
            )
            if constraint:
                check_constraint(found)
            (self.constraints if constraint else self.requirements).append(found)
            return
        for option, value in line.settings:
            if option == "--no-require-hashes":
                raise RequirementError(
                    f"{here} has {option}, which kedge does not obey: it requires every hash as "
                    "soon as one requirement has one.",
                    origin=here,
                    hint="Remove the line, or every --hash.",
                )
            place = Origin(OriginKind.FILE, name=option, path=here.path, line=here.line)
            if option == "--find-links":
                value = _beside(value, location)
            self.settings.append(Sourced((option, value), place))

    def _warn_of(self, line: Line, here: Origin) -> None:
        if line.stray:
            words = " ".join(line.stray)
            self.warnings.append(f"{here}: {words!r} stands after the options and is passed over.")
        for option in line.repeated:
            self.warnings.append(f"{here}: only the first {option} of a line counts.")
        if line.hashes and not (line.requirement or line.editable):
            self.warnings.append(f"{here}: a --hash without a requirement is passed over.")
        if line.settings and (line.requirement or line.editable is not None):
            names = ", ".join(dict.fromkeys(option for option, _ in line.settings))
            self.warnings.append(
                f"{here}: {names} behind a requirement is passed over; it needs its own line."
            )

    def _text(self, location: str, origin: Origin, *, constraint: bool) -> str:
        from kedge.requirements.lines import UndecodableError, decode

        kind = "constraints" if constraint else "requirements"
        shown = redact_url(location)
        charset = None
        if location.lower().startswith(("http:", "https:")):
            if self.reader is None:
                raise RequirementError(f"{shown} cannot be fetched here.", origin=origin)
            answer = self.reader.get(location)
            data, charset = answer.body, _charset(answer.headers)
        else:
            data = read_local(location, kind, origin)
        try:
            if charset:
                return data.decode(charset)
            import locale

            return decode(data, fallback=locale.getpreferredencoding(do_setlocale=False))
        except (UndecodableError, UnicodeDecodeError, LookupError) as exc:
            raise RequirementError(
                f"The {kind} file {shown} cannot be decoded: {exc}.",
                origin=origin,
                hint="Save it as UTF-8, or name its encoding in a first line like "
                "# -*- coding: latin-1 -*-",
            ) from exc


def check_constraint(found: Requested) -> None:
    """Raise :class:`~kedge.errors.RequirementError` for what pip refuses as a constraint."""
    if found.name is None:
        problem = "it does not name a project"
    elif found.editable:
        problem = "it is editable"
    elif found.extras:
        problem = "it has extras"
    else:
        return
    raise RequirementError(
        f"{found} cannot be a constraint: {problem} ({found.origin}).",
        origin=found.origin,
        hint="A constraint is a project's name with versions, or with one URL. Make it a "
        "requirement instead.",
    )


def is_url(location: str) -> bool:
    """Whether a file's place is a URL that kedge reads, and not a path."""
    return _URL.match(location) is not None


def is_lock_file(location: str) -> bool:
    """Whether a path or URL names a lock file: ``pylock.toml`` or ``pylock.<name>.toml``.

    >>> is_lock_file("https://example.org/pylock.dev.toml?raw=1"), is_lock_file("lock.toml")
    (True, False)
    """
    path = location
    if is_url(location):
        try:
            path = urlsplit(location).path
        except ValueError:
            return False
    return _LOCK.fullmatch(Path(path).name) is not None


def read_local(location: str, kind: str, origin: Origin) -> bytes:
    """The bytes at a path or ``file:`` URL; ``kind`` says in a message what it should have been.

    Raises :class:`~kedge.errors.RequirementError`.
    """
    try:
        if _URL.match(location):
            location = local_path(location, windows=os.name == "nt")
        return Path(location).read_bytes()
    except (OSError, ValueError) as exc:
        reason = exc.strerror if isinstance(exc, OSError) and exc.strerror else str(exc)
        raise RequirementError(
            f"The {kind} file {redact_url(location)} cannot be read: {reason} ({origin}).",
            origin=origin,
        ) from exc


def _joined(location: str, name: str, here: Origin) -> str:
    try:
        return urljoin(location, name)
    except ValueError as exc:
        raise RequirementError(f"{here} includes what is no URL: {exc}.", origin=here) from exc


def _charset(headers: Mapping[str, str]) -> str | None:
    from email.message import Message

    message = Message()
    for name, value in headers.items():
        if name.lower() == "content-type":
            message["content-type"] = value
    charset = message.get_param("charset")
    return charset if isinstance(charset, str) else None


def _beside(value: str, location: str) -> str:
    """A ``--find-links`` path next to the file that names it, if there is something there."""
    if _URL.match(location):
        return value
    path = Path(location).parent / value
    return str(path) if path.exists() else value
