"""Whether OpenSSL would let a certificate vouch for anybody: its own verdict, without a network.

A handshake in memory. The server presents a leaf that names the anchor as its issuer and is signed
by another key. OpenSSL judges extensions, key strength, purpose and dates of the whole chain before
it checks that signature: a client that ends with "certificate signature failure" found nothing
wrong with the anchor, and one that ends with anything else says what.
"""

from __future__ import annotations

import ssl
import tempfile
import warnings
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from kedge import trust
from kedge.classes import field, frozen, mutable
from kedge.diagnose.verify import as_openssl
from kedge.model import Sourced, StoreKind, TrustDecision, TrustSource
from kedge.trust.bundle import CertificateFile
from kedge.trust.pem import Block

#: ``X509_V_ERR_CERT_SIGNATURE_FAILURE``: all else had passed.
_SIGNATURE_FAILURE = 7
_HOST = "lint.invalid"


@frozen
class Objection:
    """Why no chain that ends in the anchor would pass: OpenSSL's code and its own words."""

    code: int
    words: str


@mutable
class Court:
    """Tries anchors, with one key for all the leaves. For one thread."""

    _key: ec.EllipticCurvePrivateKey = field(
        default_factory=lambda: ec.generate_private_key(ec.SECP256R1())
    )
    _signers: dict[type, _Signer] = field(default_factory=dict)

    def objections(self, block: Block, der: bytes) -> tuple[Objection | None, Objection | None]:
        """What OpenSSL has against this anchor: as kedge verifies, and strictly; ``None`` where it
        has nothing.

        ``der`` is the block's certificate. ``ValueError`` where that cannot be read, or has a key
        of which no signature can be made here.
        """
        server = self._server(der)
        strictly = _meet(_client(block, strict=True), server)
        # What strictness lets pass passes without it.
        return (_meet(_client(block, strict=False), server) if strictly else None), strictly

    def _server(self, der: bytes) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        with tempfile.TemporaryDirectory(prefix="kedge-") as folder:
            path = Path(folder, "leaf.pem")
            path.write_bytes(self._identity(der))
            context.load_cert_chain(path)
        return context

    def _identity(self, der: bytes) -> bytes:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # old roots have serial numbers that it deprecates
            leaf = self._leaf(x509.load_der_x509_certificate(der))
        key = self._key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        return key + leaf.public_bytes(serialization.Encoding.PEM)

    def _leaf(self, anchor: x509.Certificate) -> x509.Certificate:
        now = datetime.now(timezone.utc)
        public = self._key.public_key()
        server = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH])
        signer = self._signer(anchor)
        return (
            x509.CertificateBuilder()
            .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, _HOST)]))
            .issuer_name(anchor.subject)
            .public_key(public)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(days=1))
            .not_valid_after(now + timedelta(days=1))
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(x509.SubjectAlternativeName([x509.DNSName(_HOST)]), critical=False)
            .add_extension(server, critical=False)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
            .add_extension(_authority(anchor), critical=False)
            .sign(signer, None if isinstance(signer, _PURE) else hashes.SHA256())
        )

    def _signer(self, anchor: x509.Certificate) -> _Signer:
        """A key of the anchor's kind: OpenSSL takes no other signature for one of the anchor's."""
        kind = type(anchor.public_key())
        if kind not in self._signers:
            make = next((make for of, make in _SIGNERS if issubclass(kind, of)), None)
            if make is None:
                raise ValueError(f"a key of the kind {kind.__name__}")
            self._signers[kind] = make()
        return self._signers[kind]


_Signer = (
    ec.EllipticCurvePrivateKey
    | rsa.RSAPrivateKey
    | ed25519.Ed25519PrivateKey
    | ed448.Ed448PrivateKey
)
_PURE = (ed25519.Ed25519PrivateKey, ed448.Ed448PrivateKey)
_SIGNERS: tuple[tuple[type, Callable[[], _Signer]], ...] = (
    (ec.EllipticCurvePublicKey, lambda: ec.generate_private_key(ec.SECP256R1())),
    # Its signature is never looked at as far as it would be weak: the smallest is made soonest.
    (rsa.RSAPublicKey, lambda: rsa.generate_private_key(65537, 1024)),  # noqa: S505
    (ed25519.Ed25519PublicKey, ed25519.Ed25519PrivateKey.generate),
    (ed448.Ed448PublicKey, ed448.Ed448PrivateKey.generate),
)


def _client(block: Block, *, strict: bool) -> ssl.SSLContext:
    """The context of an install whose one anchor this is."""
    source = TrustSource(StoreKind.BUNDLE, path="")
    decision = TrustDecision((source,), strict=Sourced(strict))
    loaded = trust.LoadedSource(source, (CertificateFile("", (block,)),))
    return trust.make_context(trust.Anchors(decision, (loaded,)))


def _authority(anchor: x509.Certificate) -> x509.AuthorityKeyIdentifier:
    """What names the anchor's key; strictness wants one whatever the anchor says of itself."""
    try:
        own = anchor.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value.digest
    except (
        x509.ExtensionNotFound, x509.DuplicateExtension, x509.UnsupportedGeneralNameType,
        ValueError, KeyError,
    ):  # fmt: skip
        # It has none, or one that is not to be read, which is then made as most are.
        own = x509.SubjectKeyIdentifier.from_public_key(anchor.public_key()).digest
    return x509.AuthorityKeyIdentifier(own, None, None)


def _meet(client: ssl.SSLContext, server: ssl.SSLContext) -> Objection | None:
    """The handshake, until the client has judged."""
    to_client, to_server = ssl.MemoryBIO(), ssl.MemoryBIO()
    visitor = client.wrap_bio(to_client, to_server, server_hostname=_HOST)
    host = server.wrap_bio(to_server, to_client, server_side=True)
    for _ in range(6):
        try:
            visitor.do_handshake()
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLCertVerificationError as exc:
            code = as_openssl(exc.verify_code)
            if code == _SIGNATURE_FAILURE:
                return None
            return Objection(code or 0, exc.verify_message.rstrip("."))
        try:
            host.do_handshake()
        except ssl.SSLWantReadError:
            pass
    raise ValueError("the handshake came to no end")
