"""Words as a shell reads them: quoting, and running one command without a variable.

Pure; which shell the user has is decided from values. Anything printed to be pasted goes through
here.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from enum import Enum

_SAFE = re.compile(r"[A-Za-z0-9_./:=+,@%-]+")
_SAFE_POWERSHELL = re.compile(r"--?[A-Za-z0-9_=-]+|[A-Za-z0-9_/:=\\][A-Za-z0-9_./:=\\+-]*")
_SAFE_CMD = re.compile(r"[A-Za-z0-9_./:\\@+-][A-Za-z0-9_./:\\@+=-]*")


class Shell(Enum):
    """The shells that commands are written for."""

    POSIX = "sh"
    FISH = "fish"
    POWERSHELL = "powershell"
    CMD = "cmd"


def decide_shell(environ: Mapping[str, str], platform: str) -> Shell:
    """The user's shell, as far as the environment tells. ``platform`` is ``sys.platform``.

    On Windows ``SHELL`` is set by Git's and MSYS's bash alone, and ``PROMPT`` by cmd.

    >>> decide_shell({"SHELL": "/usr/bin/fish"}, "linux")
    <Shell.FISH: 'fish'>
    """
    name = environ.get("SHELL", "").replace("\\", "/").rpartition("/")[2].removesuffix(".exe")
    if name in {"fish", "pwsh"}:
        return Shell.FISH if name == "fish" else Shell.POWERSHELL
    if platform != "win32" or name:
        return Shell.POSIX
    return Shell.CMD if "PROMPT" in environ else Shell.POWERSHELL


def quote(word: str, shell: Shell) -> str:
    """One word, so that the shell takes it for itself.

    >>> quote("it's", Shell.POSIX), quote("it's", Shell.FISH), quote("it's", Shell.POWERSHELL)
    ("'it'\\\\''s'", "'it\\\\'s'", "'it''s'")
    """
    match shell:
        case Shell.POSIX:
            return word if _SAFE.fullmatch(word) else "'" + word.replace("'", "'\\''") + "'"
        case Shell.FISH:
            escaped = word.replace("\\", "\\\\").replace("'", "\\'")
            return word if _SAFE.fullmatch(word) else f"'{escaped}'"
        case Shell.POWERSHELL:
            doubled = word.replace("'", "''")
            return word if _SAFE_POWERSHELL.fullmatch(word) else f"'{doubled}'"
        case Shell.CMD:
            return word if _SAFE_CMD.fullmatch(word) else '"' + word.replace('"', '\\"') + '"'


def assign(name: str, value: str, shell: Shell) -> str:
    """The line that sets a variable for whatever the shell starts from then on.

    >>> assign("CERT", "/a b.pem", Shell.POSIX), assign("CERT", "/a.pem", Shell.POWERSHELL)
    ("export CERT='/a b.pem'", "$env:CERT = '/a.pem'")
    """
    match shell:
        case Shell.POSIX:
            return f"export {name}={quote(value, shell)}"
        case Shell.FISH:
            return f"set -gx {name} {quote(value, shell)}"
        case Shell.POWERSHELL:
            doubled = value.replace("'", "''")
            return f"$env:{name} = '{doubled}'"
        case Shell.CMD:
            return f'set "{name}={value}"'


def join(words: Iterable[str], shell: Shell, *, without: Iterable[str] = ()) -> str:
    """A command line of these words; the variables ``without`` are unset for it.

    PowerShell and cmd unset them for the rest of the session.

    >>> join(["kedge", "install", "a b"], Shell.POSIX, without=["PIP_CERT"])
    "env -u PIP_CERT kedge install 'a b'"
    """
    line = " ".join(quote(word, shell) for word in words)
    if shell is Shell.POWERSHELL and line.startswith("'"):
        line = f"& {line}"  # or it would be a text, and no program
    unset = list(without)
    if not unset:
        return line
    match shell:
        case Shell.POSIX | Shell.FISH:
            return " ".join(["env", *(f"-u {name}" for name in unset), line])
        case Shell.POWERSHELL:
            return "; ".join([*(f"Remove-Item Env:{name}" for name in unset), line])
        case Shell.CMD:
            return " & ".join([*(f'set "{name}="' for name in unset), line])
