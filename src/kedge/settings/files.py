"""Which configuration files pip reads, by platform, and how their bytes become text.

Pure: paths are computed from facts about the platform and a mapping of the environment; whether a
file exists is asked by :mod:`kedge.settings.snapshot`. The places are pip's (``configuration.py``,
``utils/appdirs.py``) and platformdirs', without importing it.
"""

from __future__ import annotations

import codecs
import ntpath
import posixpath
from collections.abc import Callable, Mapping
from enum import Enum
from typing import NamedTuple

from kedge.classes import frozen
from kedge.settings.ini import Ini


class FileKind(Enum):
    """Whose file it is, weakest first (pip's ``OVERRIDE_ORDER``)."""

    GLOBAL = "global"
    USER = "user"
    SITE = "site"
    NAMED = "PIP_CONFIG_FILE"


@frozen(kw_only=True)
class Platform:
    """What the places of files depend on. ``system`` is ``sys.platform``.

    ``prefix`` is that of the running Python (Homebrew's has a share folder beside it).
    ``home_of`` gives another user's home folder, for ``~name``.
    """

    system: str
    home: str
    prefix: str = "/usr"
    encoding: str = "utf-8"
    home_of: Callable[[str], str | None] = lambda name: None

    @property
    def windows(self) -> bool:
        return self.system == "win32"

    @property
    def devnull(self) -> str:
        return "nul" if self.windows else "/dev/null"

    @property
    def basename(self) -> str:
        return "pip.ini" if self.windows else "pip.conf"

    def join(self, *parts: str) -> str:
        return ntpath.join(*parts) if self.windows else posixpath.join(*parts)

    def expand(self, text: str) -> str:
        """``~`` and ``~name`` at the beginning of a path, as ``os.path.expanduser`` does."""
        if not text.startswith("~"):
            return text
        separators = "/\\" if self.windows else "/"
        end = next((i for i, letter in enumerate(text) if letter in separators), len(text))
        home = self.home if end == 1 else self.home_of(text[1:end])
        if home is None:
            return text
        return (home.rstrip(separators) + text[end:]) or text[end:] or home


class Place(NamedTuple):
    """Where one configuration file may be."""

    kind: FileKind
    path: str


class ConfigFile(NamedTuple):
    """One file that was looked for; ``ini`` is empty when it does not exist.

    ``encoding`` is that in which the text was read, and is written again.
    """

    kind: FileKind
    path: str
    exists: bool = False
    ini: Ini = Ini()
    text: str = ""
    encoding: str = "utf-8"


def global_places(platform: Platform, environ: Mapping[str, str]) -> tuple[Place, ...]:
    """The machine's files, weakest first."""
    folders: list[str]
    if platform.windows:
        folders = [platform.join(_program_data(environ), "pip")]
    elif platform.system == "darwin":
        folders = [
            posixpath.join(base, "pip")
            for base in _listed(environ, "XDG_DATA_DIRS") or _application_support(platform)
        ]
    else:
        bases = _listed(environ, "XDG_CONFIG_DIRS") or ["/etc/xdg"]
        folders = [*(posixpath.join(base, "pip") for base in bases), "/etc"]
    return tuple(
        Place(FileKind.GLOBAL, platform.join(folder, platform.basename)) for folder in folders
    )


def user_places(
    platform: Platform, environ: Mapping[str, str], is_folder: Callable[[str], bool]
) -> tuple[Place, ...]:
    """The user's files, weakest first: the old place, then the new."""
    old = platform.join(platform.home, "pip" if platform.windows else ".pip")
    if platform.windows:
        roaming = _variable(environ, "WIN_PD_OVERRIDE_APPDATA") or _variable(environ, "APPDATA")
        new = platform.join(roaming or platform.join(platform.home, "AppData", "Roaming"), "pip")
    elif platform.system == "darwin":
        data = _variable(environ, "XDG_DATA_HOME") or posixpath.join(
            platform.home, "Library", "Application Support"
        )
        new = posixpath.join(data, "pip")
        if not is_folder(new):
            new = posixpath.join(platform.home, ".config", "pip")
    else:
        config = _variable(environ, "XDG_CONFIG_HOME") or posixpath.join(platform.home, ".config")
        new = posixpath.join(config, "pip")
    return tuple(
        Place(FileKind.USER, platform.join(folder, platform.basename)) for folder in (old, new)
    )


def site_place(platform: Platform, prefix: str) -> Place:
    """The file of the environment with that prefix."""
    return Place(FileKind.SITE, platform.join(prefix, platform.basename))


def cache_folder(platform: Platform, environ: Mapping[str, str]) -> str:
    """Where kedge's cache is when no setting says otherwise."""
    if platform.windows:
        local = _variable(environ, "WIN_PD_OVERRIDE_LOCAL_APPDATA") or _variable(
            environ, "LOCALAPPDATA"
        )
        local = local or platform.join(platform.home, "AppData", "Local")
        return platform.join(local, "kedge", "Cache")
    default = ("Library", "Caches") if platform.system == "darwin" else (".cache",)
    base = _variable(environ, "XDG_CACHE_HOME") or posixpath.join(platform.home, *default)
    return posixpath.join(base, "kedge")


def exports_folder(platform: Platform, environ: Mapping[str, str]) -> str:
    """Where anchors are written for other programs, which read them for as long as they like."""
    if platform.windows:
        local = _variable(environ, "LOCALAPPDATA")
        local = local or platform.join(platform.home, "AppData", "Local")
        return platform.join(local, "kedge", "trust")
    default = ("Library", "Application Support") if platform.system == "darwin" else None
    base = posixpath.join(platform.home, *(default or (".local", "share")))
    if default is None:
        base = _variable(environ, "XDG_DATA_HOME") or base
    return posixpath.join(base, "kedge", "trust")


def decode(data: bytes, encoding: str) -> tuple[str, str]:
    """The text of a file, and the codec to write it with again; raises ``UnicodeDecodeError``.

    A byte-order mark decides. Without one it is UTF-8, or else the locale's ``encoding``, in
    which pip reads it.
    """
    if data.startswith(codecs.BOM_UTF8):
        return data.decode("utf-8-sig"), "utf-8-sig"
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return data.decode("utf-16"), "utf-16"
    try:
        return data.decode("utf-8"), "utf-8"
    except UnicodeDecodeError:
        return data.decode(encoding), encoding


def _application_support(platform: Platform) -> list[str]:
    above, found, _ = platform.prefix.partition("/opt/python")
    return [*([f"{above}/share"] if found else []), "/Library/Application Support"]


def _program_data(environ: Mapping[str, str]) -> str:
    names = ("WIN_PD_OVERRIDE_COMMON_APPDATA", "PROGRAMDATA", "ALLUSERSPROFILE")
    return next(filter(None, (_variable(environ, name) for name in names)), "C:\\ProgramData")


def _variable(environ: Mapping[str, str], name: str) -> str:
    return environ.get(name, "").strip()


def _listed(environ: Mapping[str, str], name: str) -> list[str]:
    return [part for part in _variable(environ, name).split(":") if part.strip()]
