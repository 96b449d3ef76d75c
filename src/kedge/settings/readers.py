"""From the text of one setting to its value; each raises ``ValueError`` with what it expected.

Pure: no file is looked at, no name is resolved.
"""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime, timedelta

_TRUE = frozenset(("y", "yes", "t", "true", "on", "1"))
_FALSE = frozenset(("n", "no", "f", "false", "off", "0"))


def boolean(text: str) -> bool:
    """pip's words for yes and no (``strtobool``), in any case.

    >>> boolean("Yes"), boolean("off")
    (True, False)
    """
    word = text.strip().lower()
    if word in _TRUE:
        return True
    if word in _FALSE:
        return False
    raise ValueError("expected a boolean: yes/no, true/false, on/off or 1/0")


def count(text: str) -> int:
    """A number of times, or a boolean word for 1 and 0 (pip's rule for ``verbose``)."""
    try:
        return int(boolean(text))
    except ValueError:
        return natural(text, expected="expected a whole number from 0, or a boolean word")


def natural(text: str, *, expected: str = "expected a whole number from 0") -> int:
    """A whole number that is not negative."""
    if not re.fullmatch(r"\s*\+?[0-9]+\s*", text):
        raise ValueError(expected)
    return int(text)


def seconds(text: str) -> float:
    """A duration in seconds: finite and more than nothing."""
    expected = "expected a number of seconds greater than 0"
    try:
        value = float(text)
    except ValueError:
        raise ValueError(expected) from None
    if not math.isfinite(value) or value <= 0:
        raise ValueError(expected)
    return value


_AGES = {"h": 3600.0, "d": 86400.0, "w": 7 * 86400.0}
_SIZES = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12}


def age(text: str) -> float:
    """A time span in seconds, given in hours, days or weeks (days, where nothing is said).

    >>> age("30d"), age("2w"), age("12h"), age("1")
    (2592000.0, 1209600.0, 43200.0, 86400.0)
    """
    match = re.fullmatch(r"\s*(\d{1,6})\s*([hdw]?)\s*", text.lower())
    if not match:
        raise ValueError("expected a time like 12h, 30d or 8w")
    return int(match[1]) * _AGES[match[2] or "d"]


def size(text: str) -> int:
    """A number of bytes, in units as kedge prints them (powers of ten).

    >>> size("500MB"), size("1.5 GB"), size("0")
    (500000000, 1500000000, 0)
    """
    match = re.fullmatch(r"\s*(\d{1,9}(?:\.\d{1,3})?)\s*([kmgt]?)b?\s*", text.lower())
    if not match:
        raise ValueError("expected a size like 500MB or 2GB")
    return int(float(match[1]) * _SIZES[match[2]])


def host(text: str) -> str:
    """``HOST`` or ``HOST:PORT``, lower case; an IPv6 address may stand bare or in brackets.

    >>> host("Index.Example:8443")
    'index.example:8443'
    """
    expected = "expected a host or host:port, without scheme, path or credentials"
    word = text.strip().lower()
    if not word or re.search(r"[\s/@?#\\]", word):
        raise ValueError(expected)
    if word.count(":") > 1 and not word.startswith("["):
        return word
    match = re.fullmatch(r"(\[[^\]]+\]|[^:\[\]]+)(?::(\d+))?", word)
    if not match or (match[2] and not 0 < int(match[2]) < 65536):
        raise ValueError(expected)
    return word


def package_name(text: str) -> str:
    """A project's name in its normalised form (PEP 503).

    >>> package_name("Zope.Interface")
    'zope-interface'
    """
    return re.sub(r"[-_.]+", "-", text.strip()).lower()


def package_names(text: str) -> str:
    """``:all:``, ``:none:`` or names with commas between them, as they stand.

    pip refuses what begins with a dash: another option, after one whose value was forgotten.
    """
    if text.startswith("-") or not text.strip(" ,"):
        raise ValueError("expected :all:, :none: or names with commas between them")
    return text


def key_and_value(text: str) -> tuple[str, str]:
    """``KEY=VALUE``, as a build backend's setting is given."""
    key, separator, value = text.partition("=")
    if not separator:
        raise ValueError("expected KEY=VALUE")
    return key, value


def python_version(text: str) -> tuple[int, ...]:
    """One to three numbers; without dots, the first digit is the major version (pip's rule).

    >>> python_version("3.12.1"), python_version("312"), python_version("3")
    ((3, 12, 1), (3, 12), (3,))
    """
    expected = "expected up to three numbers with dots between them, as 3.12"
    parts = text.strip().split(".")
    if len(parts) == 1 and len(parts[0]) > 1:
        parts = [parts[0][0], parts[0][1:]]
    if len(parts) > 3 or not all(re.fullmatch("[0-9]+", part) for part in parts):
        raise ValueError(expected)
    return tuple(map(int, parts))


_GROUP_FILE = re.compile(r"pyproject\.toml|pylock(\.[^.]+)?\.toml(\s*\[[^\]]+\])?")


def group(text: str) -> tuple[str, str]:
    """``[PATH:]GROUP`` as path and group; without a path, the project in the current folder's.

    >>> group("test"), group("lib/pyproject.toml:test")
    (('pyproject.toml', 'test'), ('lib/pyproject.toml', 'test'))
    """
    path, colon, name = text.rpartition(":")
    if not colon:
        path = "pyproject.toml"
    if not name or not _GROUP_FILE.fullmatch(re.split(r"[/\\]", path)[-1]):
        raise ValueError("expected a group, or the path of a pyproject.toml or pylock.toml:group")
    return path, name


def moment(text: str) -> datetime | timedelta:
    """An ISO 8601 time, with or without a zone, or ``PnD``: so many days before now.

    >>> moment("2026-01-31T12:00:00Z").isoformat(), moment("P7D").days
    ('2026-01-31T12:00:00+00:00', 7)
    """
    from datetime import datetime, timedelta

    days = re.fullmatch(r"P(\d{1,6})D", text.strip(), re.ASCII)
    if days:
        return timedelta(days=int(days[1]))
    try:
        # Python 3.10 does not know "Z".
        return datetime.fromisoformat(re.sub("Z$", "+00:00", text.strip()))
    except ValueError:
        raise ValueError("expected a time as 2026-01-31T12:00:00Z, or days as P7D") from None
