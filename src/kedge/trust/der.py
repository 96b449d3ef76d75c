"""Reads the outline of DER: tags, lengths and contents (X.690), and nothing of their meaning.

Just enough to take certificates out of a PKCS#7 container, to read the trust settings of a
``TRUSTED CERTIFICATE`` and to find a certificate's subject. Whether a certificate is damaged is
not decided here: that is OpenSSL's verdict (:mod:`kedge.trust.openssl`).

Indefinite lengths are read too, because PKCS#7 files in BER exist.
"""

from __future__ import annotations

from collections.abc import Iterator

SEQUENCE = 0x30
SET = 0x31
OBJECT_IDENTIFIER = 0x06
INTEGER = 0x02
CONTEXT_0 = 0xA0  # [0], constructed

_END_OF_CONTENTS = b"\0\0"
_MAX_DEPTH = 32


class DerError(ValueError):
    """The bytes are not what DER (or BER) allows."""


class Element:
    """One tag-length-value: ``whole`` is all of it, ``content`` the value alone."""

    __slots__ = ("content", "tag", "whole")  # some twenty are made of each certificate

    def __init__(self, tag: int, content: bytes, whole: bytes) -> None:
        self.tag = tag
        self.content = content
        self.whole = whole

    def children(self) -> tuple[Element, ...]:
        """The elements that a constructed one is made of; :class:`DerError` when it is not."""
        return tuple(elements(self.content))


def elements(data: bytes) -> Iterator[Element]:
    """The elements that stand one after another in ``data``; :class:`DerError` on what is none."""
    offset = 0
    while offset < len(data):
        element, offset = read(data, offset)
        yield element


def read(data: bytes, offset: int = 0, *, depth: int = 0) -> tuple[Element, int]:
    """The element that starts at ``offset``, and the offset after it."""
    if depth > _MAX_DEPTH:
        raise DerError("nested too deeply")
    tag, start, length = header(data, offset)
    if length is None:
        end = _end_of_contents(data, start, depth)
        return Element(tag, data[start:end], data[offset : end + 2]), end + 2
    end = start + length
    if end > len(data):
        raise DerError(f"{end - len(data)} bytes are missing at the end")
    return Element(tag, data[start:end], data[offset:end]), end


def header(data: bytes, offset: int = 0) -> tuple[int, int, int | None]:
    """Tag, offset of the content, and its length (``None``: indefinite)."""
    if len(data) - offset < 2:
        raise DerError("it ends in the middle of a header")
    tag, first = data[offset], data[offset + 1]
    if tag & 0x1F == 0x1F:
        raise DerError("a tag that no certificate uses")
    if first < 0x80:
        return tag, offset + 2, first
    if first == 0x80:
        if not tag & 0x20:
            raise DerError("an indefinite length on a primitive value")
        return tag, offset + 2, None
    size = first & 0x7F
    digits = data[offset + 2 : offset + 2 + size]
    if size > 4 or len(digits) < size:
        raise DerError("a length that cannot be")
    return tag, offset + 2 + size, int.from_bytes(digits, "big")


def _end_of_contents(data: bytes, offset: int, depth: int) -> int:
    while data[offset : offset + 2] != _END_OF_CONTENTS:
        _, offset = read(data, offset, depth=depth + 1)
    return offset


def encode(tag: int, content: bytes) -> bytes:
    """The definite-length encoding of one element."""
    length = len(content)
    if length < 0x80:
        return bytes((tag, length)) + content
    digits = length.to_bytes((length.bit_length() + 7) // 8, "big")
    return bytes((tag, 0x80 | len(digits))) + digits + content
