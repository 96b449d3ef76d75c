"""Whether the bundled store is still the one that certifi's wheel brought.

Administrators append to it, tools patch it, and Linux distributions point it at the system's
store. It is in force all the same, since it is what ``certifi.where()`` names; whoever is told of
"the bundled certifi store" should hear that it is not Mozilla's collection any more. Nothing is
judged here.
"""

from __future__ import annotations

import base64
import hashlib
from enum import Enum
from importlib import metadata
from pathlib import Path


class Provenance(Enum):
    """Where a file that certifi names comes from, by the ``RECORD`` of certifi's installation."""

    ORIGINAL = "as its wheel brought it"
    CHANGED = "changed since certifi was installed: it is not Mozilla's collection as published"
    ELSEWHERE = "not certifi's own file: the certifi package here was altered to point at it"
    UNKNOWN = "of unknown origin: certifi's installation has no record of it"


def provenance(path: str) -> Provenance:
    """Compare the file with the digest that the installation recorded (PEP 376's ``RECORD``)."""
    try:
        files = metadata.distribution("certifi").files or ()
    except metadata.PackageNotFoundError:
        return Provenance.UNKNOWN
    own = [(file, file.hash) for file in files if file.name == "cacert.pem"]
    for file, recorded in own:
        if recorded is None:
            return Provenance.UNKNOWN
        if Path(str(file.locate())).resolve() == Path(path).resolve():
            digest = hashlib.new(recorded.mode, Path(path).read_bytes()).digest()
            found = base64.urlsafe_b64encode(digest).rstrip(b"=").decode("ascii")
            return Provenance.ORIGINAL if found == recorded.value else Provenance.CHANGED
    return Provenance.ELSEWHERE if own else Provenance.UNKNOWN
