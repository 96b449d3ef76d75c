"""The files of trust: where the system keeps its own, how one is read, and why one cannot be.

A file is read into memory, once and whole. The system's are found in the way and order in which
``truststore`` 0.10.5 finds them (``_openssl.py``); the process environment arrives as a mapping,
and OpenSSL's own reading of it is not relied on. Names, places and bytes alone: what is in the
files is the business of :mod:`kedge.trust.contents` and :mod:`kedge.trust.system`.

One module for all of it: reading one from the disk is a tenth of what trust takes to set up.
"""

from __future__ import annotations

import os
import ssl
import sys
from collections.abc import Mapping
from pathlib import Path

from kedge.trust.names import hash_in

#: No bundle is that large (the public roots are 0.3 MiB); /dev/zero is.
MAX_BYTES = 32 * 1024 * 1024

#: What reading can raise: ``ValueError`` for a path with a NUL in it and for too large a file.
UNREADABLE = (OSError, ValueError)

#: Where distributions keep their store when OpenSSL's own places are empty; the first that is a
#: file counts. The list and its order are truststore's.
CA_FILE_CANDIDATES = (
    "/etc/ssl/cert.pem",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/pki/tls/cert.pem",
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/ssl/ca-bundle.pem",
)


def expand(path: str, environ: Mapping[str, str]) -> str:
    """The path with a leading ``~`` replaced, by ``environ`` and not by the process's own.

    >>> expand("~/ca.pem", {"HOME": "/home/ada"})
    '/home/ada/ca.pem'
    """
    if not path.startswith("~"):
        return path
    home = environ.get("USERPROFILE" if sys.platform == "win32" else "HOME")
    if home and (path == "~" or path[1] in "/\\"):
        return home + path[1:]
    try:
        return str(Path(path).expanduser())
    except RuntimeError:  # there is no such user
        return path


def read_bytes(path: str) -> bytes:
    """All of a file. Raises what :data:`UNREADABLE` says."""
    with open(path, "rb") as file:  # noqa: PTH123 - of what costs 2 ms, a path is a tenth
        # As much as is asked for is allocated first: no more than there is, where that is known.
        size = os.fstat(file.fileno()).st_size
        raw = file.read(min(size, MAX_BYTES) + 1)
        if len(raw) > size:
            raw += file.read(MAX_BYTES + 1 - len(raw))
    if len(raw) > MAX_BYTES:
        raise ValueError(f"it is larger than {MAX_BYTES // 2**20} MiB")
    return raw


def listed(folder: str) -> list[str]:
    """The names in a folder, in its own order; none where it cannot be read."""
    try:
        return os.listdir(folder)  # noqa: PTH208 - text is all that is asked of the names
    except OSError:
        return []


def is_absent(exc: Exception) -> bool:
    return isinstance(exc, FileNotFoundError | NotADirectoryError)


def why(path: str, exc: Exception) -> str:
    """What is the matter with it, to complete "the file …"."""
    if is_absent(exc):
        link = Path(path)
        if link.is_symlink():
            return f"is a link to {link.readlink()}, which does not exist"
        return "does not exist"
    reason = exc.strerror if isinstance(exc, OSError) and exc.strerror else str(exc)
    return f"cannot be read: {reason}"


# Plain classes: every run makes them, and few have an instance.
class CompiledIn:
    """The places that the build of OpenSSL knows, before any variable is looked at."""

    __slots__ = ("candidates", "file", "folder")

    def __init__(self, file: str, folder: str, candidates: tuple[str, ...]) -> None:
        self.file = file
        self.folder = folder
        self.candidates = candidates

    @classmethod
    def of_this_python(cls) -> CompiledIn:
        paths = ssl.get_default_verify_paths()
        return cls(paths.openssl_cafile, paths.openssl_capath, CA_FILE_CANDIDATES)


class Locations:
    """Where the store is read from: files first, then folders. ``looked_in`` names them all."""

    __slots__ = ("files", "folders", "looked_in", "warnings")

    def __init__(
        self,
        files: tuple[str, ...],
        folders: tuple[str, ...],
        looked_in: tuple[str, ...],
        warnings: tuple[str, ...] = (),
    ) -> None:
        self.files = files
        self.folders = folders
        self.looked_in = looked_in
        self.warnings = warnings


def locate(environ: Mapping[str, str], compiled_in: CompiledIn | None = None) -> Locations:
    """The places that count, by ``SSL_CERT_FILE``, ``SSL_CERT_DIR`` and what OpenSSL has built in.

    Each variable shadows its built-in place, and both count when both are set. Where neither the
    file exists nor the folder holds anything hashed, the first of the distributions' usual files
    is taken instead.
    """
    compiled_in = compiled_in or CompiledIn.of_this_python()
    file = environ.get("SSL_CERT_FILE", compiled_in.file)
    folder = environ.get("SSL_CERT_DIR", compiled_in.folder)
    warnings = _pointing_nowhere(environ)
    # OpenSSL splits the list, and truststore looks at it unsplit before.
    folders = tuple(each for each in folder.split(os.pathsep) if each)
    if _is_file(file) or _holds_hashed_names(folder):
        return Locations((file,), folders, (file, *folders), warnings)
    for candidate in compiled_in.candidates:
        if _is_file(candidate):
            return Locations((candidate,), (), (file, *folders, candidate), warnings)
    return Locations((), (), (file, *folders, *compiled_in.candidates), warnings)


def _is_file(path: str) -> bool:
    return os.path.isfile(path)  # noqa: PTH113 - a path costs as much as all the rest of it


def _holds_hashed_names(folder: str) -> bool:
    try:
        names = os.listdir(folder) if folder else []  # noqa: PTH208
        return any(
            len(name) == len("01234567.0") and name[-1:].isdigit() and hash_in(name)
            for name in names
        )
    except UNREADABLE:
        return False


def _pointing_nowhere(environ: Mapping[str, str]) -> tuple[str, ...]:
    warnings: list[str] = []
    file = environ.get("SSL_CERT_FILE")
    if file is not None and not _is_file(file):
        warnings.append(
            f"SSL_CERT_FILE in the environment names {file or 'nothing'}, which is not a file; "
            "the system's other locations are used"
        )
    folders = environ.get("SSL_CERT_DIR")
    if folders is not None:
        missing = [each for each in folders.split(os.pathsep) if not Path(each).is_dir()]
        if missing or not folders:
            warnings.append(
                f"SSL_CERT_DIR in the environment names {', '.join(missing) or 'nothing'}, "
                "which is not a folder; the system's other locations are used"
            )
        elif not any(_holds_hashed_names(each) for each in folders.split(os.pathsep)):
            warnings.append(
                f"SSL_CERT_DIR in the environment names {folders}, in which no file has the name "
                "that OpenSSL looks for (openssl rehash makes such names)"
            )
    return tuple(warnings)


def platform_verifies(platform: str = sys.platform) -> bool:
    """Whether the operating system itself verifies servers (then ``truststore`` asks it)."""
    return platform in {"darwin", "win32"}
