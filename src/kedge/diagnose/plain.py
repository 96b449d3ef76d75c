"""Reads a certificate as most are written, without the library that reads any of them.

That library takes more memory and time to load than all the rest of a diagnosis. Here only those
forms are known that CAs use every day; whatever has one byte that is not, gives ``None``, and is
for :mod:`.certificates` to read. What is known is read as it is there, to the last field; the tests
hold the two against each other. Signatures are not looked at.
"""

from __future__ import annotations

import hashlib
import ipaddress
import re
from collections.abc import Callable
from datetime import datetime, timezone
from typing import Any, TypeAlias

from kedge.diagnose.facts import CertificateFacts, factoring_bits
from kedge.model import printable
from kedge.trust import der
from kedge.trust.der import Element

_BIT_STRING, _OCTET_STRING = 0x03, 0x04
_UTC_TIME, _GENERALIZED_TIME = 0x17, 0x18
_EXTENSIONS = 0xA3  # [3]
_DNS_NAME, _URI, _IP_ADDRESS = 0x82, 0x86, 0x87  # GeneralName (RFC 5280, section 4.2.1.6)
_KEY_IDENTIFIER = 0x80  # [0] of AuthorityKeyIdentifier
_VERSION_3 = bytes.fromhex("a003020102")

#: Attribute types (RFC 5280, appendix A.1) by the names that :mod:`.certificates` gives them.
_ATTRIBUTES = {
    bytes.fromhex("550403"): "CN",
    bytes.fromhex("550405"): "serialNumber",
    bytes.fromhex("550406"): "C",
    bytes.fromhex("550407"): "L",
    bytes.fromhex("550408"): "ST",
    bytes.fromhex("55040a"): "O",
    bytes.fromhex("55040b"): "OU",
    bytes.fromhex("0992268993f22c640119"): "DC",
    bytes.fromhex("2a864886f70d010901"): "emailAddress",
}
_STRINGS = {
    0x0C: re.compile(r"[^\0]+"),  # UTF8String
    0x13: re.compile(r"[A-Za-z0-9 '()+,\-./:=?]+"),  # PrintableString
    0x16: re.compile(r"[\1-\x7f]+"),  # IA5String
}
_SPECIAL = re.compile(r'[\\"+,;<>]')  # RFC 4514, section 2.4

#: Whole AlgorithmIdentifiers, and the hash that is signed.
_SIGNATURES = {
    bytes.fromhex("300d06092a864886f70d0101050500"): "sha1",
    bytes.fromhex("300d06092a864886f70d01010b0500"): "sha256",
    bytes.fromhex("300d06092a864886f70d01010c0500"): "sha384",
    bytes.fromhex("300d06092a864886f70d01010d0500"): "sha512",
    bytes.fromhex("300a06082a8648ce3d040302"): "sha256",
    bytes.fromhex("300a06082a8648ce3d040303"): "sha384",
    bytes.fromhex("300a06082a8648ce3d040304"): "sha512",
}
_RSA = bytes.fromhex("300d06092a864886f70d0101010500")
#: Whole AlgorithmIdentifiers, names, and the curves (SEC 2): y^2 = x^3 - 3x + b, modulo p.
_CURVES = {
    bytes.fromhex("301306072a8648ce3d020106082a8648ce3d030107"): (
        "secp256r1",
        2**256 - 2**224 + 2**192 + 2**96 - 1,
        0x5AC635D8AA3A93E7B3EBBD55769886BC651D06B0CC53B0F63BCE3C3E27D2604B,
    ),
    bytes.fromhex("301006072a8648ce3d020106052b81040022"): (
        "secp384r1",
        2**384 - 2**128 - 2**96 + 2**32 - 1,
        0xB3312FA7E23EE7E4988E056BE3F82D19181D9C6EFE8141120314088F5013875AC656398D8A2ED19D2A85C8EDD3EC2AEF,
    ),
}
_PURPOSE = re.compile(rb"\x06\x08\x2b\x06\x01\x05\x05\x07\x03[\x01-\x7f]")  # id-kp
_SERVER_USE, _ANY_USE = bytes.fromhex("06082b06010505070301"), bytes.fromhex("0604551d2500")
_OCSP, _CA_ISSUERS = (bytes.fromhex("06082b0601050507300" + last) for last in "12")

_Name: TypeAlias = "tuple[tuple[str, str], ...]"


def read(data: bytes) -> CertificateFacts | None:
    """The facts about a certificate (DER), but whether it signed itself; ``None``: ask who knows
    more."""
    try:
        return _read(data)
    except (ValueError, KeyError, IndexError):
        return None


def _read(data: bytes) -> CertificateFacts:
    (whole,) = _parts(data)
    certificate, algorithm, signature = _inside(whole, der.SEQUENCE)
    version, serial, inner, issuer, validity, subject, key, more = _inside(
        certificate, der.SEQUENCE
    )
    _demand(version.whole == _VERSION_3 and algorithm.whole == inner.whole)
    _demand(_positive(serial) < 1 << 160)
    _demand(signature.tag == _BIT_STRING and signature.content[0] == 0)
    owner, issued = _name(subject), _name(issuer)
    not_before, not_after = map(_moment, _inside(validity, der.SEQUENCE))
    kind, bits = _key(key)
    _demand(more.tag == _EXTENSIONS)
    says = _extensions(more)
    names: tuple[str, ...] = says.get("names", ())
    return CertificateFacts(
        sha256=hashlib.sha256(data).hexdigest(),
        der=data,
        subject=_text(owner),
        issuer=_text(issued),
        label=_label(owner) or next(iter(names), "") or "without a name",
        issuer_label=_label(issued) or "without a name",
        organization=_first(owner, "O"),
        issuer_organization=_first(issued, "O"),
        not_before=not_before,
        not_after=not_after,
        key=kind,
        security_bits=bits,
        signature_hash=_SIGNATURES[algorithm.whole],
        **says,
    )


def _demand(known: bool) -> None:
    if not known:
        raise ValueError("not as most are written")


def _parts(data: bytes) -> list[Element]:
    """The elements in ``data``, each with the one length that DER allows it."""
    found = list(der.elements(data))
    _demand(all(der.encode(each.tag, each.content) == each.whole for each in found))
    return found


def _inside(element: Element, tag: int) -> list[Element]:
    _demand(element.tag == tag)
    return _parts(element.content)


def _positive(element: Element) -> int:
    content = element.content
    _demand(element.tag == der.INTEGER and content[0] < 0x80)
    _demand(content[0] > 0 or (len(content) > 1 and content[1] >= 0x80))
    return int.from_bytes(content, "big")


def _name(element: Element) -> _Name:
    """The attributes, by their short names, in order."""
    found = []
    for rdn in _inside(element, der.SEQUENCE):
        (pair,) = _inside(rdn, der.SET)
        kind, value = _inside(pair, der.SEQUENCE)
        text = value.content.decode("utf-8")
        _demand(kind.tag == der.OBJECT_IDENTIFIER)
        _demand(_STRINGS[value.tag].fullmatch(text) is not None)
        _demand(text[0] not in "# " and text[-1] != " ")
        found.append((_ATTRIBUTES[kind.content], printable(text)))
    return tuple(found)


def _text(name: _Name) -> str:
    """The name as RFC 4514 writes it."""
    pairs = [short + "=" + _SPECIAL.sub(r"\\\g<0>", text) for short, text in name]
    return ",".join(reversed(pairs))


def _first(name: _Name, kind: str) -> str:
    return next((text for short, text in name if short == kind), "")


def _label(name: _Name) -> str:
    return _first(name, "CN") or _first(name, "OU") or _first(name, "O") or _text(name)


def _moment(element: Element) -> datetime:
    digits, zone = element.content[:-1].decode("ascii"), element.content[-1:]
    _demand(digits.isdigit() and zone == b"Z")
    if element.tag == _UTC_TIME:
        _demand(len(digits) == 12)
        digits = ("19" if digits >= "5" else "20") + digits
    else:
        _demand(element.tag == _GENERALIZED_TIME and len(digits) == 14 and digits >= "2050")
    year, *rest = (digits[:4], *(digits[at : at + 2] for at in range(4, 14, 2)))
    month, day, hour, minute, second = map(int, rest)
    return datetime(int(year), month, day, hour, minute, second, tzinfo=timezone.utc)


def _key(element: Element) -> tuple[str, int]:
    algorithm, bits = _inside(element, der.SEQUENCE)
    _demand(bits.tag == _BIT_STRING and bits.content[0] == 0)
    if algorithm.whole == _RSA:
        (pair,) = _parts(bits.content[1:])
        modulus, exponent = map(_positive, _inside(pair, der.SEQUENCE))
        size = modulus.bit_length()
        _demand(modulus % 2 == 1 and exponent in (3, 65537) and 1024 <= size <= 16384)
        return f"RSA {size}", factoring_bits(size)
    curve, p, b = _CURVES[algorithm.whole]
    size = p.bit_length()
    form, point = bits.content[1], bits.content[2:]
    x, y = (int.from_bytes(point[at : at + size // 8], "big") for at in (0, size // 8))
    _demand(form == 4 and len(point) == size // 4 and max(x, y) < p)
    _demand((y * y - x * x * x + 3 * x - b) % p == 0)  # what is on no curve is no key
    return f"EC {curve}", size // 2


# --------------------------------------------------------------------------------------------
# Extensions (RFC 5280, section 4.2)


def _extensions(element: Element) -> dict[str, Any]:
    """The fields of :class:`CertificateFacts` that they fill."""
    (listed,) = _parts(element.content)
    says: dict[str, Any] = {}
    seen = set()
    for each in _inside(listed, der.SEQUENCE):
        kind, *critical, value = _inside(each, der.SEQUENCE)
        reader, may_be_critical = _READERS[kind.content]
        _demand(kind.content not in seen and kind.tag == der.OBJECT_IDENTIFIER)
        _demand(not critical or (may_be_critical and [c.whole for c in critical] == [_TRUE]))
        _demand(value.tag == _OCTET_STRING)
        seen.add(kind.content)
        (inner,) = _parts(value.content)
        says |= reader(inner)
    return says


def _basic_constraints(element: Element) -> dict[str, Any]:
    parts = _inside(element, der.SEQUENCE)
    if not parts:
        return {"is_ca": False}
    ca, *length = parts
    _demand(ca.whole == _TRUE and len(length) <= 1)
    none = bool(length) and length[0].whole == _ZERO
    return {"is_ca": True, "path_length": 0 if none else _positive(length[0]) if length else None}


def _key_usage(element: Element) -> dict[str, Any]:
    _demand(element.tag == _BIT_STRING and len(element.content) == 2)
    unused, bits = element.content
    # No more bits than the last that is set (X.690, section 11.2.2); encipherOnly is rare.
    _demand(unused < 8 and bits & 0x01 == 0 and bits & ((2 << unused) - 1) == 1 << unused)
    return {"may_sign": bits & 0x04 != 0}  # keyCertSign


def _purposes(element: Element) -> dict[str, Any]:
    uses = _inside(element, der.SEQUENCE)
    found = {each.whole for each in uses}
    _demand(bool(found) and all(each == _ANY_USE or _PURPOSE.fullmatch(each) for each in found))
    return {"for_servers": not found.isdisjoint({_SERVER_USE, _ANY_USE})}


def _names(element: Element) -> dict[str, Any]:
    names = []
    for each in _inside(element, der.SEQUENCE):
        if each.tag == _IP_ADDRESS:
            names.append(str(ipaddress.ip_address(each.content)))
        else:
            _demand(each.tag == _DNS_NAME)
            names.append(printable(each.content.decode("ascii")))
    return {"names": tuple(names)}


def _own_key(element: Element) -> dict[str, Any]:
    _demand(element.tag == _OCTET_STRING)
    return {"key_id": element.content.hex()}


def _issuers_key(element: Element) -> dict[str, Any]:
    (key,) = _inside(element, der.SEQUENCE)
    _demand(key.tag == _KEY_IDENTIFIER)
    return {"issuer_key_id": key.content.hex()}


def _information(element: Element) -> dict[str, Any]:
    urls = []
    for each in _inside(element, der.SEQUENCE):
        method, location = _inside(each, der.SEQUENCE)
        url = location.content.decode("ascii")
        _demand(location.tag == _URI and method.whole in (_OCSP, _CA_ISSUERS))
        if method.whole == _CA_ISSUERS:
            urls.append(printable(url))
    return {"issuer_urls": tuple(urls)}


_TRUE, _ZERO = bytes.fromhex("0101ff"), bytes.fromhex("020100")
#: The reader of an extension, and whether OpenSSL handles it where it is critical.
_READERS: dict[bytes, tuple[Callable[[Element], dict[str, Any]], bool]] = {
    bytes.fromhex("551d0e"): (_own_key, True),
    bytes.fromhex("551d0f"): (_key_usage, True),
    bytes.fromhex("551d11"): (_names, True),
    bytes.fromhex("551d13"): (_basic_constraints, True),
    bytes.fromhex("551d23"): (_issuers_key, True),
    bytes.fromhex("551d25"): (_purposes, True),
    bytes.fromhex("2b06010505070101"): (_information, False),
}
