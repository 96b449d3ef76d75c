"""What is read without ``cryptography`` is what ``cryptography`` reads, or nothing."""

from __future__ import annotations

import random
import subprocess
import sys
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.x509.oid import NameOID

from diagnose import zoo
from kedge import trust
from kedge.diagnose import certificates, plain
from support import pki

_ROOT = pki.authority('Root, "Inc." <x>+y; #1', path_length=1)
_ISSUING = _ROOT.intermediate("Ausstellende Größe", path_length=0)
#: Ends after 2050, and so in another form of time.
_FAR = pki.Validity(-9000, 300000)

ORDINARY = {
    "a root": _ROOT,
    "an intermediate": _ISSUING,
    "a server's": _ISSUING.leaf("localhost", "127.0.0.1", "::1"),
    "one with an RSA key": _ISSUING.leaf("*.a.example", key="rsa-2048"),
    "a client's": _ISSUING.leaf("a.example", purposes=(pki.CLIENT_AUTH,)),
    "one that says where its issuer is": _ISSUING.leaf("a.example", extensions=[zoo.aia()]),
    "one without purposes": _ISSUING.leaf("a.example", purposes=None, key_usage=False),
    "one for long": _ISSUING.leaf("a.example", validity=_FAR),
}


@pytest.mark.parametrize("certificate", ORDINARY.values(), ids=ORDINARY)
def test_ordinary_certificates_are_read_alike(certificate: pki.Certificate) -> None:
    assert plain.read(certificate.der) == certificates.read(certificate.der)


def test_the_roots_are_read_alike_or_not_at_all() -> None:
    (loaded,) = trust.load(trust.decide(trust.TrustSettings()), environ={}).sources
    roots = [block.der() for block in loaded.blocks]
    read = {der: facts for der in roots if (facts := plain.read(der)) is not None}
    assert len(read) > len(roots) / 2
    for der, facts in read.items():
        assert facts == certificates.read(der)


@pytest.mark.parametrize("certificate", ORDINARY.values(), ids=ORDINARY)
def test_a_changed_byte_is_read_alike_or_not_at_all(certificate: pki.Certificate) -> None:
    chance = random.Random(certificate.fingerprint)
    for at in range(len(certificate.der)):
        for flip in (0x01, 0x80, chance.randrange(1, 256)):
            changed = bytearray(certificate.der)
            changed[at] ^= flip
            facts = plain.read(bytes(changed))
            assert facts in (None, certificates.read(bytes(changed))), (at, flip)


def test_a_piece_is_not_read() -> None:
    der = ORDINARY["a server's"].der
    for end in range(len(der)):
        assert plain.read(der[:end]) is None
    assert plain.read(der + b"\0") is None
    assert plain.read(der + der) is None


@pytest.mark.parametrize(
    "extension",
    [
        zoo.unknown_critical(),
        (x509.NameConstraints([x509.DNSName("a.example")], None), True),
    ],
    ids=["unknown and critical", "name constraints"],
)
def test_what_is_seldom_is_left_to_cryptography(extension: tuple[x509.ExtensionType, bool]) -> None:
    assert plain.read(_ROOT.leaf("a.example", extensions=[extension]).der) is None


def test_a_name_that_cryptography_does_not_read() -> None:
    """It reads no extension of that certificate, then: that it names no host cannot be said."""
    facts = certificates.read(_ROOT.leaf("a.example", extensions=[zoo.party()]).der)
    assert facts.subject
    assert facts.not_after
    assert (facts.names, facts.key) == ((), "")


def test_names_of_several_attributes() -> None:
    """The first of a kind counts, and all are in the whole name."""
    name = [
        (NameOID.DOMAIN_COMPONENT, "com"),
        (NameOID.DOMAIN_COMPONENT, "example"),
        (NameOID.ORGANIZATIONAL_UNIT_NAME, "One"),
        (NameOID.ORGANIZATIONAL_UNIT_NAME, "Two"),
        (NameOID.EMAIL_ADDRESS, "ca@example.com"),
    ]
    written = x509.Name([x509.NameAttribute(kind, text) for kind, text in name]).public_bytes()
    (element,) = plain._parts(written)
    read = plain._name(element)
    assert plain._label(read) == "One"
    assert plain._text(read) == "emailAddress=ca@example.com,OU=Two,OU=One,DC=example,DC=com"


def test_cryptography_is_not_loaded_for_what_is_plain(tmp_path: Path) -> None:
    """It takes a quarter of all the memory that a refused certificate costs."""
    path = tmp_path / "leaf.der"
    path.write_bytes(ORDINARY["a server's"].der)
    script = (
        "import pathlib, sys\n"
        "import kedge.diagnose.diagnosis\n"
        "from kedge.diagnose.chain import read_chain, related\n"
        "chain = read_chain([pathlib.Path(sys.argv[1]).read_bytes()])\n"
        "related([chain.leaf.der], chain)\n"
        "print(chain.leaf.names[0], 'cryptography' in sys.modules)\n"
    )
    command = [sys.executable, "-c", script, str(path)]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert said.split() == ["localhost", "False"]
