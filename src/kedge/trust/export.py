"""Writes the anchors in force as one PEM text, for programs that read a bundle from a file.

A certificate that withholds trust from servers never becomes a plain block: it stays the
``TRUSTED CERTIFICATE`` that it was, ahead of all others, which OpenSSL obeys and others pass over.
A text cannot say how a platform verifies: on macOS and Windows it lists the platform's roots.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator

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
