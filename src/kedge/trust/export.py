"""Writes the anchors in force as one PEM text, and names the variables that lead programs to it.

A certificate that withholds trust from servers never becomes a plain block: it stays the
``TRUSTED CERTIFICATE`` that it was, ahead of all others, which OpenSSL obeys and others pass over.
A text cannot say how a platform verifies: on macOS and Windows it lists the platform's roots.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

from kedge.classes import frozen
from kedge.errors import EmptySystemStoreError
from kedge.trust import pem, trusted
from kedge.trust.anchors import Anchors, LoadedSource
from kedge.trust.pem import Block
from kedge.trust.platform_store import platform_anchors


def export_pem(anchors: Anchors, *, platform: str = sys.platform) -> str:
    """ASCII text: a comment for each source, then its certificates; each certificate once.

    Raises :class:`~kedge.errors.EmptySystemStoreError` where the platform would not list its
    roots: a bundle without them would refuse what kedge accepts.
    """
    blocks = [(loaded, tuple(_blocks(loaded, platform))) for loaded in anchors.sources]
    withheld = {
        trusted.certificate_der(block): block
        for _, listed in blocks
        for block in listed
        if trusted.withholds(block)
    }
    parts = [block.text for block in withheld.values()]
    written = set(withheld)
    for loaded, listed in blocks:
        parts.append(f"# {_ascii(str(loaded.source))}\n")
        for block in listed:
            certificate = trusted.certificate_der(block)
            if certificate not in written:
                written.add(certificate)
                parts.append(pem.encode(certificate))
    return "".join(parts)


def _blocks(loaded: LoadedSource, platform: str) -> Iterator[Block]:
    if not loaded.by_platform:
        yield from loaded.blocks
        return
    listed = platform_anchors(platform)
    if not listed:
        raise EmptySystemStoreError(
            "The platform did not list its root certificates, so they cannot be exported",
            origin=loaded.source.origin,
            looked_in=(),
            hint="Name a bundle with --cert instead.",
        )
    yield from listed


def _ascii(comment: str) -> str:
    text = comment.encode("ascii", "backslashreplace").decode("ascii")
    return text.replace("\n", " ").replace("\r", " ")


# --------------------------------------------------------------------------------------------
# For other programs


@frozen
class Variable:
    """A variable that leads ``programs`` to a bundle, or to no folder of certificates at all.

    ``adds`` is whether the program goes on to trust what it trusts anyway. ``folder`` variables
    name where *more* certificates are looked for, which is what an empty folder puts an end to.
    """

    name: str
    programs: str
    adds: bool = False
    folder: bool = False


#: What each program really does with its variable, from its own documentation or source.
VARIABLES = (
    # OpenSSL's default locations are a file *and* a folder; Go reads both variables, too.
    Variable("SSL_CERT_FILE", "OpenSSL, Python's ssl, Ruby, Go, uv"),
    Variable("SSL_CERT_DIR", "OpenSSL, Python's ssl, Ruby, Go", folder=True),
    # Since 24.2 pip's --cert is an addition to the system's store and certifi.
    Variable("PIP_CERT", "pip", adds=True),
    Variable("REQUESTS_CA_BUNDLE", "requests"),
    # libcurl may have a folder compiled in, which no variable of curl's takes away.
    Variable("CURL_CA_BUNDLE", "curl", adds=True),
    Variable("GIT_SSL_CAINFO", "git"),
    Variable("GIT_SSL_CAPATH", "git", folder=True),
    Variable("NODE_EXTRA_CA_CERTS", "Node.js, npm", adds=True),
    Variable("CARGO_HTTP_CAINFO", "cargo"),
    Variable("CONDA_SSL_VERIFY", "conda"),
    Variable("AWS_CA_BUNDLE", "the AWS command line and SDKs"),
)


def variables(bundle: Path, nothing: Path) -> dict[str, str]:
    """Each variable's value, for a bundle and an empty folder."""
    return {each.name: str(nothing if each.folder else bundle) for each in VARIABLES}


def write_for_others(anchors: Anchors, folder: Path) -> dict[str, str]:
    """Write the anchors below ``folder``; the variables that lead other programs to them.

    The bundle is replaced as a whole: others may be reading it. Raises as :func:`export_pem` does,
    and ``OSError`` where the folder cannot be written.
    """
    text = export_pem(anchors)
    bundle, nothing = folder / "anchors.pem", folder / "no-certificates"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    nothing.mkdir(exist_ok=True)
    part = folder / f"anchors.{os.getpid()}.part"
    part.write_text(text, encoding="ascii")
    part.replace(bundle)
    return variables(bundle, nothing)
