"""Lists the anchors of a platform that verifies by itself, to show and to export them.

Nothing here decides what is trusted: the platform does, and it weighs more than such a list can
say (settings of single users, distrusted certificates, roots that Windows fetches when they are
first met). The lists are what other programs on these systems use in the same place.
"""

from __future__ import annotations

import re
import ssl
import subprocess
import sys
from collections.abc import Callable, Iterable, Sequence

from kedge.trust import pem
from kedge.trust.pem import Block

_SERVER_AUTH = "1.3.6.1.5.5.7.3.1"
_MACOS_KEYCHAINS = (
    "/System/Library/Keychains/SystemRootCertificates.keychain",
    "/Library/Keychains/System.keychain",
)

Listing = Callable[[], Sequence[Block]]
WindowsStore = Iterable[tuple[bytes, str, "frozenset[str] | set[str] | bool"]]


def platform_anchors(platform: str = sys.platform) -> tuple[Block, ...]:
    """The roots that the platform lists; empty where it cannot be asked."""
    try:
        if platform == "win32":
            return windows_anchors(_enum_certificates("ROOT"))
        if platform == "darwin":
            return macos_anchors(_run_security())
    except (OSError, subprocess.SubprocessError):
        return ()
    return ()


def windows_anchors(entries: WindowsStore) -> tuple[Block, ...]:
    """Those of ``ssl.enum_certificates`` that are trusted for servers."""
    trusted = [
        data
        for data, encoding, uses in entries
        if encoding == "x509_asn"
        and (uses is True or (not isinstance(uses, bool) and _SERVER_AUTH in uses))
    ]
    return tuple(Block.of_der(data, number=number) for number, data in enumerate(trusted, 1))


def macos_anchors(listing: str) -> tuple[Block, ...]:
    """The certificates that ``security find-certificate -a -p`` prints."""
    return tuple(block for block in pem.split(listing) if block.is_certificate and not block.flaw)


def _enum_certificates(store: str) -> WindowsStore:
    enumerate_store: Callable[[str], WindowsStore] | None
    enumerate_store = getattr(ssl, "enum_certificates", None)  # there on Windows alone
    return enumerate_store(store) if enumerate_store else ()


def _run_security() -> str:
    found = subprocess.run(
        ["/usr/bin/security", "find-certificate", "-a", "-p", *_MACOS_KEYCHAINS],
        capture_output=True,
        check=True,
        timeout=30,
    )
    return re.sub(r"\r\n?", "\n", found.stdout.decode("ascii", "replace"))
