"""What may stand on a line of a requirements file besides a requirement (pip's ``req_file.py``).

Pure: one logical line in, a :class:`Line` out. ``optparse`` reads the options, because the
grammar *is* its grammar: abbreviations, ``-iURL``, ``--index-url=URL``, words in quotes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, NoReturn

from kedge.classes import field, frozen
from kedge.model import STRONG_HASHES, Hashes

if TYPE_CHECKING:
    from optparse import OptionParser, Values

_HEX_LENGTH = {"sha256": 64, "sha384": 96, "sha512": 128}

#: Options of pip's past, refused with the reason rather than as unknown.
_REMOVED = {"--global-option", "--install-option", "--build-option", "--process-dependency-links"}


class OptionError(ValueError):
    """The options of a line cannot be read; the message says why, the hint what to do."""

    def __init__(self, message: str, hint: str | None = None) -> None:
        super().__init__(message)
        self.hint = hint


@frozen
class Line:
    """One line: the requirement's text (``""`` if there is none) and its options as written.

    ``settings`` are the options that hold for the whole run, ``(name, value)`` in the order in
    which pip applies them; a switch has the value ``""``. ``stray`` are words that stand after
    options and that pip passes over without a word. ``repeated`` names options of which pip reads
    only the first on a line.
    """

    requirement: str = ""
    editable: str | None = None
    requirement_file: str | None = None
    constraint_file: str | None = None
    hashes: Hashes = field(default_factory=Hashes)
    config_settings: Mapping[str, str | tuple[str, ...]] = field(default_factory=dict, hash=False)
    settings: tuple[tuple[str, str], ...] = ()
    stray: tuple[str, ...] = ()
    repeated: tuple[str, ...] = ()


#: Options with a value and those without, in the order in which pip applies what a line says.
_SWITCHES = (
    "--require-hashes",
    "--no-require-hashes",
    "--no-index",
    "--prefer-binary",
    "--pre",
)
_VALUED = (
    ("--index-url", "-i", "--pypi-url"),
    ("--extra-index-url",),
    ("--find-links", "-f"),
    ("--trusted-host",),
    ("--use-feature",),
)
#: These move names between two sets, so their order is that in which they were written.
_ORDERED = ("--no-binary", "--only-binary", "--all-releases", "--only-final")


def parse_line(text: str) -> Line:
    """Read one logical line; raises :class:`OptionError`."""
    requirement, options = split_options(text)
    if not options:
        return Line(requirement=requirement)
    import shlex

    try:
        words = shlex.split(options)
    except ValueError as exc:
        raise OptionError(f"its options cannot be split into words ({exc})") from exc
    values, stray = _parser().parse_args(words)
    editables, files, constraints = values.editable, values.requirement_file, values.constraint_file
    repeated = [
        option
        for option, given in (
            ("-e", editables),
            ("-r", files),
            ("-c", constraints),
            ("--find-links", values.find_links),
        )
        if len(given) > 1
    ]
    return Line(
        requirement=requirement,
        editable=editables[0] if editables else None,
        requirement_file=files[0] if files else None,
        constraint_file=constraints[0] if constraints else None,
        hashes=Hashes(frozenset(values.hashes)),
        config_settings={
            key: given[0] if len(given) == 1 else tuple(given)
            for key, given in values.config_settings.items()
        },
        settings=tuple(_settings(values)),
        stray=tuple(stray),
        repeated=tuple(repeated),
    )


def split_options(text: str) -> tuple[str, str]:
    """The requirement, and what follows from the first word that begins with a dash.

    Only the options are split like a shell would: quotes in a marker must stay.

    >>> split_options("spam ; python_version < '3' --hash=sha256:00")
    ("spam ; python_version < '3'", '--hash=sha256:00')
    """
    words = text.split(" ")
    start = next((at for at, word in enumerate(words) if word.startswith("-")), len(words))
    return " ".join(words[:start]).strip(), " ".join(words[start:])


def _settings(values: Values) -> list[tuple[str, str]]:
    found = [(name, "") for name in _SWITCHES if getattr(values, _dest(name))]
    if values.index_url:
        found.append(("--index-url", values.index_url[-1]))
    for name in ("--extra-index-url", "--trusted-host", "--use-feature"):
        found += [(name, value) for value in getattr(values, _dest(name))]
    found += [("--find-links", value) for value in values.find_links[:1]]
    found += values.ordered
    return found


def _parser() -> OptionParser:
    from optparse import SUPPRESS_USAGE, OptionParser  # its translations cost 3 ms

    class LineParser(OptionParser):
        """``optparse`` that raises instead of ending the process."""

        def error(self, msg: str) -> NoReturn:
            removed = next((option for option in _REMOVED if option in msg), None)
            hint = f"{removed} was removed from pip, too." if removed else None
            raise OptionError(msg, hint)

    # A new one for each line: optparse keeps appending to its default lists.
    parser = LineParser(usage=SUPPRESS_USAGE, add_help_option=False)
    for name in _SWITCHES:
        parser.add_option(name, dest=_dest(name), action="store_true", default=False)
    for flags in _VALUED:
        parser.add_option(*flags, dest=_dest(flags[0]), action="append", default=[])
    parser.add_option("-e", "--editable", dest="editable", action="append", default=[])
    parser.add_option("-r", "--requirement", dest="requirement_file", action="append", default=[])
    parser.add_option("-c", "--constraint", dest="constraint_file", action="append", default=[])
    parser.set_defaults(ordered=[], hashes=[], config_settings={})
    for name in _ORDERED:
        parser.add_option(name, type="str", action="callback", callback=_take_ordered)
    parser.add_option("--hash", type="str", action="callback", callback=_take_hash)
    parser.add_option(
        *("-C", "--config-settings", "--config-setting"),
        type="str",
        action="callback",
        callback=_take_config_setting,
    )
    return parser


def _values(parser: OptionParser) -> Values:
    """The values being filled in: set for as long as a parser parses."""
    values = parser.values
    if values is None:
        raise AssertionError("no line is being parsed")
    return values


def _dest(name: str) -> str:
    return name.lstrip("-").replace("-", "_")


def _take_ordered(option: object, flag: str, value: str, parser: OptionParser) -> None:
    if value.startswith("-"):
        parser.error(f"{flag} needs a value, not {value!r}")
    _values(parser).ordered.append((flag, value))


def _take_hash(option: object, flag: str, value: str, parser: OptionParser) -> None:
    _values(parser).hashes.append(parse_hash(value))


def parse_hash(value: str) -> tuple[str, str]:
    """``sha256:…`` as algorithm and lower-case digest; strong algorithms only, as in pip.

    Raises :class:`OptionError`, for a digest of the wrong length, too: it could never match.
    """
    algorithm, colon, digest = value.partition(":")
    digest = digest.strip().lower()
    strong = ", ".join(STRONG_HASHES)
    if not colon:
        raise OptionError(f"--hash={value} names no algorithm", "Write it as --hash=sha256:abc….")
    if algorithm not in STRONG_HASHES:
        raise OptionError(f"--hash={value} is not one of {strong}", f"Use one of {strong}.")
    if len(digest) != _HEX_LENGTH[algorithm] or set(digest) - set("0123456789abcdef"):
        raise OptionError(
            f"--hash={value} is not a {algorithm} digest, which has {_HEX_LENGTH[algorithm]} "
            "hexadecimal digits",
            "Copy it whole.",
        )
    return algorithm, digest


def _take_config_setting(option: object, flag: str, value: str, parser: OptionParser) -> None:
    key, equals, given = value.partition("=")
    if not equals:
        parser.error(f"{flag} {value} is not KEY=VALUE")
    _values(parser).config_settings.setdefault(key, []).append(given)
