"""Reads the trust settings of a ``TRUSTED CERTIFICATE``: for which uses it is trusted or rejected.

OpenSSL's own format (``X509_CERT_AUX`` in ``x_x509a.c``): the certificate's DER, followed by ::

    SEQUENCE { trust SEQUENCE OF OID OPTIONAL, reject [0] SEQUENCE OF OID OPTIONAL, ... }

OpenSSL judges at the handshake, from the block itself. What is read here decides only the order
in which blocks are handed to it, what is described, and what may be exported as a plain block.
"""

from __future__ import annotations

from kedge.trust import der
from kedge.trust.pem import TRUSTED, Block, encode

# id-kp-serverAuth (RFC 5280, 4.2.1.12) and anyExtendedKeyUsage, as DER contents.
_SERVER_AUTH = bytes.fromhex("2b06010505070301")
_SERVER_USES = frozenset({_SERVER_AUTH, bytes.fromhex("551d2500")})


def split(data: bytes) -> tuple[bytes, bytes]:
    """The certificate alone, and the trust settings after it (empty where there are none)."""
    certificate, end = der.read(data)
    return certificate.whole, data[end:]


def certificate_der(block: Block) -> bytes:
    """The certificate's DER without trust settings; ``ValueError`` when it is damaged."""
    return split(block.der())[0] if block.label == TRUSTED else block.der()


def withholds(block: Block) -> bool:
    """Whether the block says that its certificate must *not* vouch for servers.

    The rule is OpenSSL's (``obj_trust`` in ``x509_trust.c``): a reject of serverAuth or of any
    use, or a list of trusted uses in which neither is named.
    """
    if block.label != TRUSTED:
        return False
    try:
        return _withholds(split(block.der())[1])
    except ValueError:
        return True  # OpenSSL will refuse it; until then it must not count as a plain anchor


def vouching(block: Block) -> Block:
    """The block as one that vouches for servers whether or not its certificate is a root."""
    if block.label == TRUSTED:
        return block
    uses = der.encode(der.SEQUENCE, der.encode(der.OBJECT_IDENTIFIER, _SERVER_AUTH))
    text = encode(block.der() + der.encode(der.SEQUENCE, uses), TRUSTED)
    return Block(TRUSTED, text, block.number, block.line)


def _withholds(auxiliary: bytes) -> bool:
    if not auxiliary:
        return False
    settings = der.read(auxiliary)[0].children()
    trusted = [each for each in settings if each.tag == der.SEQUENCE]
    rejected = [each for each in settings if each.tag == der.CONTEXT_0]
    if any(_SERVER_USES & _uses(each) for each in rejected):
        return True
    return bool(trusted) and not any(_SERVER_USES & _uses(each) for each in trusted)


def _uses(listed: der.Element) -> set[bytes]:
    return {use.content for use in listed.children() if use.tag == der.OBJECT_IDENTIFIER}
