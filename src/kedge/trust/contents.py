"""Reads what the bytes of one file hold: PEM, ``TRUSTED CERTIFICATE``, DER or PKCS#7.

Bytes in, :class:`Contents` out; paths and settings are :mod:`kedge.trust.bundle`'s. Whether a PEM
certificate is sound is asked of OpenSSL later, for all of them at once; what it would overlook (a
broken marker line, a container it does not open) is found here, and DER, which many kinds of file
share, is told apart by asking it at once.
"""

from __future__ import annotations

from collections.abc import Iterator

from kedge.classes import frozen
from kedge.trust import der, pem
from kedge.trust.mistakes import Mistake, forbidden_block, recognise
from kedge.trust.openssl import judge_der
from kedge.trust.pem import Block

# pkcs7-signedData (RFC 2315, section 14), as DER content.
_SIGNED_DATA = bytes.fromhex("2a864886f70d010702")


@frozen
class Contents:
    """The certificates of one file, and what stands in the way.

    ``others`` are blocks that are no certificate (a revocation list, parameters). ``damaged`` is
    the first block of which it is already clear that it cannot be read. ``mistake`` is set when
    the file as a whole is not a bundle.
    """

    certificates: tuple[Block, ...] = ()
    others: tuple[Block, ...] = ()
    damaged: Block | None = None
    mistake: Mistake | None = None

    @property
    def foreign(self) -> bool:
        """Whether there is no certificate in it, nor the remains of one."""
        return not self.certificates and self.damaged is None


def read(raw: bytes) -> Contents:
    """What a file with these bytes holds."""
    if raw[:1] == b"\x30":  # a SEQUENCE: DER begins so, and no PEM text that OpenSSL reads
        contents = _read_der(raw)
        if contents is not None:
            return contents
    text = pem.decode(raw)
    blocks = pem.split(text)
    certificates: list[Block] = []
    others: list[Block] = []
    damaged: Block | None = None
    for block in blocks:
        if block.flaw:
            damaged = damaged or block
        elif block.is_certificate:
            certificates.append(block)
        elif block.label in pem.PKCS7_LABELS:
            try:
                certificates += _from_container(block)
            except ValueError as exc:
                damaged = damaged or _flawed(block, f"it is no readable PKCS#7 ({exc})")
        else:
            others.append(block)
    mistake = forbidden_block(blocks)
    if not mistake and not certificates and not damaged:
        mistake = recognise(raw, text, blocks)
    return Contents(tuple(certificates), tuple(others), damaged, mistake)


def _read_der(raw: bytes) -> Contents | None:
    """A DER file's certificates; ``None`` when it is not DER, or DER of another kind."""
    try:
        whole = [element.whole for element in der.elements(raw)]
    except ValueError:
        # Cut short or followed by something. If it starts like a certificate, it is a damaged one.
        return _damaged_der(raw)
    if judge_der(raw) is not None:
        blocks = [Block.of_der(data, number=number) for number, data in enumerate(whole, start=1)]
        return Contents(tuple(blocks))
    try:
        certificates = list(signed_data(raw))
    except ValueError:
        return _damaged_der(raw)
    if not certificates:
        return Contents(mistake=recognise(raw, "binary", ()))
    return Contents(
        tuple(Block.of_der(data, number=number) for number, data in enumerate(certificates, 1))
    )


def _damaged_der(raw: bytes) -> Contents | None:
    """The first element that OpenSSL refuses, where the file looks like certificates."""
    offset = number = 0
    while offset < len(raw):
        number += 1
        try:
            element, offset = der.read(raw, offset)
        except ValueError as exc:
            if number == 1 and not _begins_like_certificate(raw):
                return None
            return _damaged_element(raw[offset:], number, str(exc))
        if judge_der(element.whole) is None:
            if number == 1 and not _begins_like_certificate(element.whole):
                return None
            return _damaged_element(element.whole, number, "OpenSSL cannot read it")
    return None


def _damaged_element(data: bytes, number: int, flaw: str) -> Contents:
    return Contents(damaged=_flawed(Block.of_der(data, number=number), flaw))


def _begins_like_certificate(data: bytes) -> bool:
    """Whether it opens with ``SEQUENCE { SEQUENCE { [0] { INTEGER …`` (RFC 5280, 4.1).

    That is a certificate of version 2 or 3, whether or not the rest is there.
    """
    try:
        for tag in (der.SEQUENCE, der.SEQUENCE, der.CONTEXT_0, der.INTEGER):
            found, start, _ = der.header(data)
            if found != tag:
                return False
            data = data[start:]
    except ValueError:
        return False
    return True


def _from_container(block: Block) -> Iterator[Block]:
    found = list(signed_data(block.der()))
    if not found:
        raise ValueError("it holds no certificate")
    for data in found:
        yield Block.of_der(data, number=block.number, line=block.line)


def signed_data(data: bytes) -> Iterator[bytes]:
    """The certificates of a PKCS#7 container, as DER (RFC 2315, 9.1); ``ValueError`` if it is none.

    ::

        SEQUENCE { OID signedData, [0] { SEQUENCE { version, digests, content, [0] certificates …
    """
    outer = der.read(data)[0]
    kind, *rest = outer.children()
    if kind.content != _SIGNED_DATA or not rest:
        raise der.DerError("it is not signed data")
    signed = rest[0].children()[0]
    for part in signed.children():
        if part.tag == der.CONTEXT_0:
            for each in part.children():
                if each.tag == der.SEQUENCE:
                    yield each.whole


def _flawed(block: Block, flaw: str) -> Block:
    return Block(block.label, block.text, block.number, block.line, flaw)
