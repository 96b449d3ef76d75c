"""Programs: the wrappers for entry points, and ``#!python`` in scripts that a wheel brings.

Bytes in, bytes out; touches no file. The wrapper does as pip's, and imports nothing that it does
not need. The launchers for Windows are those that ``installer`` carries, which is imported there
alone.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Collection

from kedge.install.entry_points import EntryPoint

# What the kernel reads of a first line, less a little: distlib's numbers.
_SHEBANG_LIMIT = 512 if sys.platform == "darwin" else 127

_WRAPPER = """\
import sys
from {module} import {name}
if __name__ == '__main__':
    if sys.argv[0].endswith('.exe'):
        sys.argv[0] = sys.argv[0][:-4]
    sys.exit({attr}())
"""


def wrapper(
    entry_point: EntryPoint, *, executable: str, launcher: str | None = None
) -> tuple[str, bytes]:
    """The file that starts an entry point: its name, and what is in it.

    ``executable`` is the Python that runs it. ``launcher`` is the kind of Windows launcher
    (``win-amd64``, ``win-ia32``, ``win-arm64``, ``win-arm``); ``None`` for a POSIX script.
    """
    if launcher is not None:
        return _windows_wrapper(entry_point, executable, launcher)
    code = _WRAPPER.format(
        module=entry_point.module, name=entry_point.attr.partition(".")[0], attr=entry_point.attr
    )
    return entry_point.name, shebang(executable) + code.encode()


def shebang(executable: str) -> bytes:
    """The first line (or three) that make a Python script a program, line end included.

    A path that is too long, or has a blank in it, cannot stand in a shebang. Then the file is a
    shell script and a Python script at once, as distlib has it:
    https://github.com/pypa/installer/pull/4#issuecomment-623668717

    >>> shebang("/env/bin/python")
    b'#!/env/bin/python\\n'
    """
    line = b"#!" + executable.encode() + b"\n"
    if len(line) <= _SHEBANG_LIMIT and not re.search(rb"\s", line[:-1]):
        return line
    import shlex

    quoted = shlex.quote(executable).encode()
    return b"#!/bin/sh\n'''exec' " + quoted + b' "$0" "$@"\n' + b"' '''\n"


def with_shebang(script: bytes, *, executable: str, windows: bool = False) -> bytes:
    """A script of a wheel with its ``#!python`` line made to name the Python; others unchanged.

    On Windows the whole line is replaced as pip does it; there nothing reads it but launchers.
    """
    if not script.startswith(b"#!python"):
        return script
    _, _, rest = script.partition(b"\n")
    first = b"#!" + executable.encode() + b"\r\n" if windows else shebang(executable)
    return first + rest


def replaces_wrapper(filename: str, names: Collection[str]) -> bool:
    """Whether a script in a wheel is what setuptools once made for one of these entry points.

    >>> [replaces_wrapper(name, {"foo"}) for name in ("foo", "foo.exe", "foo-script.py", "bar")]
    [True, True, True, False]
    """
    lower = filename.lower()
    for ending in (".exe", "-script.py", ".pya"):
        if lower.endswith(ending):
            return filename[: -len(ending)] in names
    return filename in names


def launcher_kind(platform: str) -> str | None:
    """The launcher for a platform as ``sysconfig.get_platform()`` names it; ``None``: POSIX.

    >>> [launcher_kind(p) for p in ("win-amd64", "win32", "win-arm64", "linux-x86_64")]
    ['win-amd64', 'win-ia32', 'win-arm64', None]
    """
    return {
        "win32": "win-ia32",
        "win-amd64": "win-amd64",
        "win-arm32": "win-arm",
        "win-arm64": "win-arm64",
    }.get(platform)


def _windows_wrapper(entry_point: EntryPoint, executable: str, launcher: str) -> tuple[str, bytes]:
    from installer.scripts import Script

    section = "gui" if entry_point.is_gui else "console"
    script = Script(entry_point.name, entry_point.module, entry_point.attr, section)  # type: ignore[arg-type]
    if " " in executable:
        executable = f'"{executable}"'
    return script.generate(executable, launcher)  # type: ignore[arg-type]
