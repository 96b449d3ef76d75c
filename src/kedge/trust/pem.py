"""Finds the blocks of a PEM text (RFC 7468), and says where markers are broken.

Pure: text in, blocks with their numbers and lines out. Whether the inside of a block is sound is
OpenSSL's verdict; what is found here is only what OpenSSL would never see, because a broken
``BEGIN`` line is to it a comment like any other, and the certificate is lost in silence.
"""

from __future__ import annotations

import binascii
import codecs
import re
from collections.abc import Iterator

from kedge.classes import frozen

CERTIFICATE = "CERTIFICATE"
TRUSTED = "TRUSTED CERTIFICATE"

#: What OpenSSL reads as a certificate (``PEM_STRING_X509`` and its relatives in ``pem.h``).
CERTIFICATE_LABELS = frozenset({CERTIFICATE, "X509 CERTIFICATE", TRUSTED})

#: What OpenSSL reads as a PKCS#7 container.
PKCS7_LABELS = frozenset({"PKCS7", "PKCS #7 SIGNED DATA", "CMS"})

# Hyphens, and what word processors make of two or three of them.
_DASH = r"[-\u2010-\u2015\u2212\ufe58\ufe63\uff0d]"
_WANTED = r"(?:X509 |X\.509 |TRUSTED )?CERTIFICATE|PKCS7"
_MARKER = re.compile(
    rf"""
      ^-----(?P<kind>BEGIN|END)[ ](?P<label>[^\n]*?)-----(?P<rest>[^\n]*)$
    | ^[^\S\n]*(?P<broken>
          {_DASH}+[^\S\n]*(?:BEGIN|END)[^\S\n]+(?:{_WANTED})[^\S\n]*(?:{_DASH}[^\n]*)?
        | (?:BEGIN|END)[^\S\n]+(?:{_WANTED})[^\S\n]*{_DASH}[^\n]*
      )$
    """,
    re.MULTILINE | re.VERBOSE,
)

# A line with a hyphen that is not a header such as "DEK-Info: ...".
_HYPHENATED = r"^[^:\n]*-[^:\n]*$"


@frozen
class Block:
    """One block, as it stands in the text.

    ``number`` counts the file's blocks from 1; ``line`` is that of its ``BEGIN`` line, from 1,
    and 0 where the file has no lines (DER). ``flaw`` says what is wrong with the markers.
    """

    label: str
    text: str
    number: int
    line: int
    flaw: str | None = None

    @property
    def is_certificate(self) -> bool:
        return self.label in CERTIFICATE_LABELS

    @property
    def place(self) -> str:
        """Where it stands in its file, in words."""
        return f"block {self.number}" + (f" (line {self.line})" if self.line else "")

    def der(self) -> bytes:
        """The decoded content; ``ValueError`` when it is not base64."""
        body = self.text.split("\n", 1)[1].rpartition("-----END")[0]
        return binascii.a2b_base64(body.encode("ascii", "replace"))

    @classmethod
    def of_der(cls, der: bytes, *, number: int, line: int = 0) -> Block:
        """A certificate that stood in the file in another form than PEM."""
        return cls(CERTIFICATE, encode(der), number, line)


def encode(der: bytes, label: str = CERTIFICATE) -> str:
    """One PEM block, lines of 64 characters, ending in a line break."""
    data = binascii.b2a_base64(der, newline=False).decode("ascii")
    lines = "\n".join(data[start : start + 64] for start in range(0, len(data), 64))
    return f"-----BEGIN {label}-----\n{lines}\n-----END {label}-----\n"


def decode(raw: bytes) -> str:
    """The text of a file: UTF-16 and UTF-32 by their byte-order mark or their zeros, else bytes.

    What is not ASCII can only be a comment; it is kept one character a byte (Latin-1), unless
    it is UTF-8. Line breaks come back as ``\\n``.
    """
    encoding = _encoding(raw)
    text = raw.decode(encoding, "replace")
    return text.replace("\r\n", "\n").replace("\r", "\n").removeprefix("\ufeff")


def _encoding(raw: bytes) -> str:
    # UTF-32's mark is also UTF-16's before a NUL: five hyphens in a row tell them apart.
    if raw.startswith((codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE)) and b"-\0\0\0-" in raw:
        return "utf-32"
    if raw.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    if (found := raw.find(b"-\0B\0E\0G\0I\0N\0")) >= 0:
        return "utf-16-be" if found % 2 else "utf-16-le"
    try:
        raw.decode("utf-8")
    except UnicodeDecodeError:
        return "latin-1"
    return "utf-8"


def split(text: str) -> tuple[Block, ...]:
    """Every block of the text, in order, those with broken markers included.

    ``text`` has ``\\n`` for line breaks (see :func:`decode`).

    >>> one = "# mine\\n-----BEGIN CERTIFICATE-----\\nMAA=\\n-----END CERTIFICATE-----\\n"
    >>> [(block.label, block.number, block.line, block.flaw) for block in split(one)]
    [('CERTIFICATE', 1, 2, None)]
    >>> [block.flaw for block in split(one.replace("-----BEGIN", "----BEGIN"))]
    ["'----BEGIN CERTIFICATE-----' is not a proper marker line"]
    """
    return tuple(_blocks(text))


def _blocks(text: str) -> Iterator[Block]:
    opened: _Marker | None = None
    number = 0
    for marker in _markers(text):
        if marker.begins:
            if opened:
                number += 1
                yield _block(text, opened, marker.start, number, "its END line is missing")
            opened = marker
        elif opened:
            number += 1
            yield _block(text, opened, marker.end, number, _bad_end(opened, marker))
            opened = None
        elif marker.label in CERTIFICATE_LABELS or marker.label in PKCS7_LABELS:
            number += 1
            yield _block(text, marker, marker.end, number, "its BEGIN line is missing")
    if opened:
        yield _block(text, opened, len(text), number + 1, "its END line is missing")


@frozen
class _Marker:
    begins: bool
    label: str
    start: int
    end: int  # of its line, without the line break
    line: int
    flaw: str | None = None


def _markers(text: str) -> Iterator[_Marker]:
    line, counted = 1, 0
    for match in _MARKER.finditer(text):
        line += text.count("\n", counted, match.start())
        counted = match.start()
        where = (match.start(), match.end(), line)
        if match["broken"]:
            shown = match["broken"]
            flaw = f"{shown[:60]!r} is not a proper marker line"
            yield _Marker("BEGIN" in shown, CERTIFICATE, *where, flaw)
        elif not match["rest"].strip():
            yield _Marker(match["kind"] == "BEGIN", match["label"], *where)
        elif match["kind"] == "END" or match["label"] in CERTIFICATE_LABELS:
            flaw = "something follows a marker on the same line (a line break was lost)"
            yield _Marker(match["kind"] == "BEGIN", match["label"], *where, flaw)


def _block(text: str, begin: _Marker, end: int, number: int, flaw: str | None) -> Block:
    inside = text[begin.start : end]
    if not inside.isascii():
        inside = inside.encode("ascii", "replace").decode("ascii")
    flaw = begin.flaw or flaw or _foreign_line(inside)
    return Block(begin.label, inside.rstrip("\n") + "\n", number, begin.line, flaw)


def _foreign_line(inside: str) -> str | None:
    """What is left of a lost marker; to OpenSSL a hyphen ends the base64, and all is well."""
    body = inside.partition("\n")[2].rpartition("-----END")[0]
    if "-" in body and (found := re.search(_HYPHENATED, body, re.MULTILINE)):
        return f"{found.group().strip()[:60]!r} stands in it, which is not base64"
    return None


def _bad_end(begin: _Marker, end: _Marker) -> str | None:
    if end.flaw is None and end.label != begin.label:
        return f"it begins as {begin.label} and ends as {end.label}"
    return end.flaw
