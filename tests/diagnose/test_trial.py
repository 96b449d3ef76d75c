"""The verdict on an anchor without a network, against handshakes with a leaf that it did sign."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519
from cryptography.x509.oid import ExtendedKeyUsageOID

from diagnose import zoo
from kedge import trust
from kedge.diagnose.trial import Court
from kedge.model import Sourced, StoreKind, TrustDecision, TrustSource
from kedge.trust.pem import Block
from support import pki
from support.pki import Authority

Make = Callable[[], Authority]

ANCHORS: dict[str, Make] = {
    "ec": lambda: pki.authority("Root"),
    "rsa": lambda: pki.authority("Root", key="rsa-2048"),
    "intermediate": lambda: pki.authority("Root").intermediate("Issuing"),
    "expired": lambda: pki.authority("Root", validity=pki.EXPIRED),
    "not-yet": lambda: pki.authority("Root", validity=pki.NOT_YET),
    "weak": lambda: pki.authority("Root", key="rsa-1024"),
    "no-ca": lambda: pki.authority("Root", is_ca=False),
    "no-key-usage": lambda: pki.authority("Root", key_usage=False),
    "no-identifier": lambda: pki.authority("Root", identifiers=False),
    "party": lambda: pki.authority("Root", extensions=[zoo.party()]),
    "wrong-purpose": lambda: pki.authority("Root").intermediate(
        "Mail", purposes=[ExtendedKeyUsageOID.EMAIL_PROTECTION]
    ),
    "constrained": lambda: pki.authority("Root").intermediate(
        "Corp", permitted=[x509.DNSName("corp.example")]
    ),
}
#: Where the name that the leaf is for decides, and not the anchor.
NAMES = {"constrained": "index.corp.example"}


def handshake(anchor: Authority, name: str, folder: Path, *, strict: bool) -> int | None:
    """OpenSSL's code for a client that trusts the anchor alone, with a leaf that it signed."""
    bundle = anchor.write_pem(folder / "anchor.pem")
    source = TrustSource(StoreKind.BUNDLE, path=str(bundle))
    decision = TrustDecision((source,), strict=Sourced(strict))
    client = trust.make_context(trust.load(decision, environ={}))
    # The leaf alone: with an intermediate beside it the chain would be another one.
    leaf = anchor.leaf(name)
    server = pki.server_context(pki.Certificate(leaf.certificate, leaf.key))
    to_client, to_server = ssl.MemoryBIO(), ssl.MemoryBIO()
    visitor = client.wrap_bio(to_client, to_server, server_hostname=name)
    host = server.wrap_bio(to_server, to_client, server_side=True)
    try:
        for _ in range(6):
            for end in (visitor, host):
                with suppress(ssl.SSLWantReadError):
                    end.do_handshake()
    except ssl.SSLCertVerificationError as exc:
        return exc.verify_code
    return None


@pytest.mark.parametrize("strict", [False, True], ids=["lax", "strict"])
@pytest.mark.parametrize("name", ANCHORS)
def test_the_same_verdict_as_for_a_leaf_that_it_signed(
    name: str, strict: bool, tmp_path: Path
) -> None:
    anchor = ANCHORS[name]()
    block = Block.of_der(anchor.der, number=1)
    objection = Court().objections(block, anchor.der)[int(strict)]
    expected = handshake(anchor, NAMES.get(name, "index.example"), tmp_path, strict=strict)
    assert (objection.code if objection else None) == expected


def test_one_court_tries_many(private_ca: Authority, stranger_ca: Authority) -> None:
    court = Court()
    rsa = pki.authority("Root", key="rsa-2048")
    for anchor in (private_ca, rsa, stranger_ca, rsa):
        block = Block.of_der(anchor.der, number=1)
        assert court.objections(block, anchor.der) == (None, None)


def test_an_anchor_with_a_modern_key() -> None:
    key = ed25519.Ed25519PrivateKey.generate()
    start, end = pki.VALID.moments()
    name = pki.subject("Ed Root")
    anchor = (
        x509.CertificateBuilder(name, name, key.public_key(), 7, start, end)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, None)
    )
    der = anchor.public_bytes(serialization.Encoding.DER)
    lax, strict = Court().objections(Block.of_der(der, number=1), der)
    assert lax is None
    assert strict is not None  # it has no key usage
