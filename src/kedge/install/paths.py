"""Which paths inside a wheel may become files. Pure text: touches no file system.

The rules are those of the wheel specification and of pip (``is_within_directory``), made strict:
a path is refused for what it *could* mean on some system (a drive letter, a backslash), since
one wheel is installed on many.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from kedge.install.files import STATE

#: What most paths are, and what can mean but one thing anywhere (but on Windows).
ORDINARY = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+-]*(/[A-Za-z0-9_][A-Za-z0-9_.+-]*)*")
_DRIVE = re.compile(r"[A-Za-z]:")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_WINDOWS_FORBIDDEN = re.compile(r'[<>:"|?*]')
# https://learn.microsoft.com/windows/win32/fileio/naming-a-file
_WINDOWS_DEVICE = re.compile(
    r"(con|prn|aux|nul|conin\$|conout\$|com[0-9¹²³]|lpt[0-9¹²³])(\..*)?", re.IGNORECASE
)


def path_problem(path: str, *, windows: bool = False) -> str | None:
    """Why a path must not be unpacked, as the end of a sentence; ``None`` if it may.

    ``windows`` adds what only Windows cannot store.

    >>> path_problem("pkg/../../x")
    'leads out of the wheel'
    >>> path_problem("pkg/module.py") is None
    True
    """
    if not windows and ORDINARY.fullmatch(path):
        return None
    if not path:
        return "is empty"
    if _CONTROL.search(path):
        return "holds a control character"
    if "\\" in path:
        return "holds a backslash"
    if path.startswith("/"):
        return "is absolute"
    if _DRIVE.match(path):
        return "begins with a drive letter"
    parts = path.split("/")
    if ".." in parts:
        return "leads out of the wheel"
    if "" in parts or "." in parts:
        return "holds an empty part"
    if any(part.casefold().partition("-")[0] == STATE for part in parts):
        return "is where kedge keeps what an installation is about to change"
    try:
        path.encode()
    except UnicodeEncodeError:
        return "is not Unicode text"
    if windows:
        return next((problem for part in parts if (problem := _windows_problem(part))), None)
    return None


def _windows_problem(part: str) -> str | None:
    if _WINDOWS_FORBIDDEN.search(part):
        return "holds a character that Windows forbids"
    if part.endswith((".", " ")):
        return "has a part that ends in a dot or a blank, which Windows drops"
    if _WINDOWS_DEVICE.fullmatch(part):
        return "names a Windows device"
    return None


def collisions(paths: Iterable[str], *, fold_case: bool = False) -> Iterator[str]:
    """Sentences about paths that cannot be files side by side.

    A path that another one needs to be a folder; and, with ``fold_case``, paths that a file
    system which does not tell upper from lower case would take for one.

    >>> list(collisions(["a", "a/b"]))
    ['a is both a file and a folder']
    """
    known: dict[str, str] = {}
    for path in paths:
        other = known.setdefault(path.casefold() if fold_case else path, path)
        if other != path:
            yield f"{other} and {path} differ only in upper and lower case"
    for folder in folders_of(known):
        if folder in known:
            yield f"{known[folder]} is both a file and a folder"


def folders_of(paths: Iterable[str]) -> dict[str, None]:
    """The folders that those files lie in, and the ones above, each once.

    >>> list(folders_of(["a/b/c.py", "a/d.py", "e.py"]))
    ['a/b', 'a']
    """
    found: dict[str, None] = {}
    for folder in dict.fromkeys([path.rpartition("/")[0] for path in paths]):
        while folder and folder not in found:
            found[folder] = None
            folder = folder.rpartition("/")[0]
    return found
