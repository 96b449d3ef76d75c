"""Servers with one defect each (or two, where two meet), and what a client trusts before them.

Each animal builds its servers in a :class:`Keeper`, which closes them, and says which causes must
be found, no more and no fewer, and what the findings must name.
"""

from __future__ import annotations

import socket
import ssl
import tempfile
import warnings
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import AuthorityInformationAccessOID, ExtensionOID, ObjectIdentifier

from kedge import trust
from kedge.diagnose.evidence import Cause, Finding
from kedge.diagnose.examine import Surroundings
from kedge.model import PYPI_HOSTS, Hop, NetworkOrigin, Origin, OriginKind, Sourced, TrustDecision
from kedge.trust import der
from support import pki
from support.pki import Authority, Certificate
from support.proxies import Proxy, free_port
from support.servers import Handler, Request, Response, Server, never
from support.unhurried import LONG
from transport.sessions import RawServer, saying, silence

AIA_URL = "http://pki.example/issuing.crt"
#: Seconds for who will never answer; for all others there is time enough.
PATIENCE = 4.0
CERT = Origin(OriginKind.COMMAND_LINE, "--cert")


@dataclass
class Keeper:
    """Keeps servers, bundles and what a client works with, for one test."""

    folder: Path
    stack: ExitStack
    environ: dict[str, str] = field(default_factory=dict)
    proxy: Sourced[str] | None = None
    client_cert: trust.ClientCertificate | None = None
    client_origins: frozenset[NetworkOrigin] = frozenset()
    trusted_hosts: tuple[str, ...] = ()
    settings: dict[str, Any] = field(default_factory=dict)
    #: Seconds after which nothing is waited for.
    limit: float = LONG
    #: What a test needs again when it looks at the findings.
    notes: dict[str, Certificate] = field(default_factory=dict)
    servers: list[Server] = field(default_factory=list)
    proxies: list[Proxy] = field(default_factory=list)

    def trusts(self, *certificates: Certificate, name: str = "trusted.pem") -> Path:
        """``--cert`` names a bundle of these."""
        path = self.bundle(*certificates, name=name)
        self.settings["cert"] = Sourced(str(path), CERT)
        return path

    def bundle(self, *certificates: Certificate, name: str) -> Path:
        path = self.folder / name
        path.write_bytes(pki.pem_file(*certificates))
        return path

    def serves(
        self,
        certificate: Certificate | None,
        handler: Handler | None = None,
        *,
        context: ssl.SSLContext | None = None,
        **given: Any,
    ) -> str:
        """The URL of an index on a server of its own; ``context`` replaces the server's."""
        server = Server(handler or page, certificate=certificate, **given)
        self.stack.enter_context(server)
        server.context = context or server.context
        self.servers.append(server)
        return server.url + "/simple/"

    def behind(self, name: str, certificate: Certificate, **given: Any) -> str:
        """The server is called ``name``, and reached through a proxy that knows the name."""
        url = self.serves(certificate, **given)
        proxy = self.stack.enter_context(Proxy(names={name: "127.0.0.1"}))
        self.uses(proxy.url)
        port = url.partition("://")[2].partition("/")[0].rpartition(":")[2]
        return f"https://{name}:{port}/simple/"

    def uses(self, proxy: str) -> None:
        self.proxy = Sourced(proxy, Origin(OriginKind.COMMAND_LINE, "--proxy"))

    def presents(self, certificate: Certificate, url: str) -> None:
        """``--client-cert`` names this one, and the URL is an index's."""
        path = certificate.write_identity(self.folder / "client.pem")
        setting = Sourced(str(path), Origin(OriginKind.COMMAND_LINE, "--client-cert"))
        self.client_cert = trust.ClientCertificate.of(setting, {})
        self.client_origins = frozenset({NetworkOrigin.of(url)})

    @property
    def decision(self) -> TrustDecision:
        return trust.decide(trust.TrustSettings(**self.settings))

    @property
    def surroundings(self) -> Surroundings:
        return Surroundings(
            decision=self.decision,
            environ=self.environ,
            proxy=self.proxy,
            client_cert=self.client_cert,
            client_origins=self.client_origins,
            trusted_hosts=tuple(
                Sourced(each, Origin(OriginKind.COMMAND_LINE, "--trusted-host"))
                for each in self.trusted_hosts
            ),
            limit=self.limit,
        )


def lax_context(certificate: Certificate, ciphers: str = "ALL:@SECLEVEL=0") -> ssl.SSLContext:
    """A server's context that presents what OpenSSL would rather not."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.set_ciphers(ciphers)
    with tempfile.TemporaryDirectory() as folder:
        context.load_cert_chain(certificate.write_identity(Path(folder, "server.pem")))
    return context


Check = Callable[[Sequence[Finding], Keeper], None]


def nothing_more(findings: Sequence[Finding], keeper: Keeper) -> None:
    """No specifics beyond the cause."""


@dataclass(frozen=True)
class Animal:
    """One defect: ``build`` returns the URL to examine.

    ``told`` is what a command says of it, where it is refused before it meets all of them.
    """

    id: str
    build: Callable[[Keeper], str]
    causes: tuple[Cause, ...]
    check: Check = nothing_more
    told: tuple[Cause, ...] | None = None


def page(_: Request) -> Response:
    return Response(200, b"", {"Content-Type": "text/html"})


def dated(moment: datetime) -> Handler:
    return lambda _: Response(200, b"", {"Date": format_datetime(moment, usegmt=True)})


def in_days(days: float) -> datetime:
    return datetime.now(timezone.utc) + timedelta(days=days)


def mute(_: Request) -> Response:
    """Takes every request, and answers none."""
    return never(Response())


def redirecting(location: str) -> Handler:
    return lambda _: Response(302, b"", {"Location": location})


def bare(certificate: Certificate) -> Certificate:
    """Sent without its intermediates."""
    return Certificate(certificate.certificate, certificate.key, None)


def sent_with(certificate: Certificate, *others: Certificate) -> Certificate:
    """Sent with these, whoever signed it; made for the server's file alone."""
    above: Authority | None = Authority(certificate.certificate, certificate.key, None)
    for other in reversed(others):
        above = Authority(other.certificate, other.key, above)
    return Certificate(certificate.certificate, certificate.key, above)


def aia() -> tuple[x509.ExtensionType, bool]:
    description = x509.AccessDescription(
        AuthorityInformationAccessOID.CA_ISSUERS, x509.UniformResourceIdentifier(AIA_URL)
    )
    return x509.AuthorityInformationAccess([description]), False


def unknown_critical() -> tuple[x509.ExtensionType, bool]:
    return x509.UnrecognizedExtension(ObjectIdentifier("1.3.6.1.4.1.99999.7"), b"\x05\x00"), True


def party() -> tuple[x509.ExtensionType, bool]:
    """The issuer's other name, an EDIPartyName (RFC 5280, 4.2.1.6): cryptography reads none."""
    name = bytes.fromhex("3007a505a1030c0178")
    return x509.UnrecognizedExtension(ExtensionOID.ISSUER_ALTERNATIVE_NAME, name), False


def names_certificate(key: str) -> Check:
    """The first finding is about that certificate."""

    def check(findings: Sequence[Finding], keeper: Keeper) -> None:
        assert findings[0].certificate is not None
        assert findings[0].certificate.sha256 == keeper.notes[key].fingerprint

    return check


def about(cause: Cause, findings: Sequence[Finding]) -> Finding:
    return next(each for each in findings if each.cause is cause)


# --------------------------------------------------------------------------------------------
# Who vouches


def private_root(keeper: Keeper) -> str:
    root = pki.authority("Corp Root")
    issuing = root.intermediate("Corp Issuing")
    keeper.notes |= {"issuing": issuing, "root": root}
    return keeper.serves(issuing.leaf("localhost"))


def private_root_presented(keeper: Keeper) -> str:
    root = pki.authority("Corp Root")
    issuing = root.intermediate("Corp Issuing")
    keeper.notes |= {"root": root}
    return keeper.serves(sent_with(issuing.leaf("localhost"), issuing, root))


def private_root_lone_leaf(keeper: Keeper) -> str:
    root = pki.authority("Corp Root")
    leaf = root.leaf("localhost")
    keeper.notes |= {"leaf": leaf}
    return keeper.serves(leaf)


def stale_bundle(keeper: Keeper) -> str:
    old, new = pki.authority("Corp Root"), pki.authority("Corp Root")
    keeper.notes |= {"old": old, "new": new}
    keeper.trusts(old, name="stale.pem")
    return keeper.serves(sent_with(new.leaf("localhost"), new))


def names_stale(findings: Sequence[Finding], keeper: Keeper) -> None:
    (finding,) = findings
    assert [each.sha256 for each in finding.known] == [keeper.notes["old"].fingerprint]
    assert finding.path.endswith("stale.pem")
    assert finding.certificate is not None
    assert finding.certificate.sha256 == keeper.notes["new"].fingerprint


def missing_with_aia(keeper: Keeper) -> str:
    root = pki.authority("Corp Root")
    keeper.trusts(root)
    leaf = root.intermediate("Corp Issuing").leaf("localhost", extensions=[aia()])
    return keeper.serves(bare(leaf))


def names_missing(findings: Sequence[Finding], keeper: Keeper) -> None:
    assert "Corp Issuing" in findings[0].issuer
    assert findings[0].certificate is not None
    assert findings[0].certificate.issuer_urls == (AIA_URL,)


def missing_without_aia(keeper: Keeper) -> str:
    root = pki.authority("Corp Root")
    keeper.trusts(root)
    return keeper.serves(bare(root.intermediate("Corp Issuing").leaf("localhost")))


def missing_known_elsewhere(keeper: Keeper) -> str:
    """Another bundle, which is overridden, has the very intermediate."""
    root = pki.authority("Corp Root")
    issuing = root.intermediate("Corp Issuing")
    keeper.trusts(root)
    path = keeper.bundle(issuing, name="bridge.pem")
    keeper.settings["requests_ca_bundle"] = Sourced(
        str(path), Origin(OriginKind.ENVIRONMENT, "REQUESTS_CA_BUNDLE")
    )
    return keeper.serves(bare(issuing.leaf("localhost")))


def known_to_another_bundle(keeper: Keeper) -> str:
    """Another bundle, which is overridden, has the root; the name is wrong all the same."""
    root = pki.authority("Corp Root")
    keeper.trusts(pki.authority("Old Corp Root"))
    path = keeper.bundle(root, name="new.pem")
    keeper.settings["requests_ca_bundle"] = Sourced(
        str(path), Origin(OriginKind.ENVIRONMENT, "REQUESTS_CA_BUNDLE")
    )
    return keeper.serves(root.leaf("other.example"))


def rekeyed_intermediate(keeper: Keeper) -> str:
    root = pki.authority("Corp Root")
    keeper.trusts(root)
    old, new = root.intermediate("Corp Issuing"), root.intermediate("Corp Issuing")
    keeper.notes |= {"old": old}
    return keeper.serves(sent_with(new.leaf("localhost"), old))


def self_signed(keeper: Keeper) -> str:
    leaf = pki.self_signed("localhost")
    keeper.notes |= {"leaf": leaf}
    return keeper.serves(leaf)


def self_signed_expired_elsewhere(keeper: Keeper) -> str:
    return keeper.serves(pki.self_signed("other.example", validity=pki.EXPIRED))


def intercepted(keeper: Keeper) -> str:
    root = pki.authority("Zscaler Root CA")
    issuing = root.intermediate("Zscaler Intermediate")
    keeper.notes |= {"issuing": issuing}
    return keeper.behind(PYPI_HOSTS[0], issuing.leaf(PYPI_HOSTS[0]))


def names_product(findings: Sequence[Finding], keeper: Keeper) -> None:
    assert findings[0].product == "Zscaler"
    assert "Zscaler Root CA" in findings[0].issuer
    assert findings[0].name == PYPI_HOSTS[0]


def intercepted_unknown_maker(keeper: Keeper) -> str:
    root = pki.authority("Corp TLS Inspection")
    return keeper.behind(PYPI_HOSTS[1], sent_with(root.leaf(PYPI_HOSTS[1]), root))


def product_on_private_name(keeper: Keeper) -> str:
    root = pki.authority("Netskope CA")
    return keeper.serves(sent_with(root.leaf("localhost"), root))


def names_netskope(findings: Sequence[Finding], keeper: Keeper) -> None:
    assert findings[0].product == "Netskope"


def public_name_self_signed(keeper: Keeper) -> str:
    return keeper.behind("github.com", pki.self_signed("github.com"))


def public_name_expired(keeper: Keeper) -> str:
    """Of a root that is trusted: nobody is in the line."""
    root = pki.authority("Public Root")
    keeper.trusts(root)
    leaf = root.leaf(PYPI_HOSTS[0], validity=pki.EXPIRED)
    keeper.notes |= {"leaf": leaf}
    return keeper.behind(PYPI_HOSTS[0], leaf)


# --------------------------------------------------------------------------------------------
# What the certificates say


def trusted_leaf(**given: Any) -> Callable[[Keeper], str]:
    """A leaf of a trusted root, with something wrong in it."""

    def build(keeper: Keeper) -> str:
        root = pki.authority("Corp Root")
        keeper.trusts(root)
        names = given.get("names", ("localhost",))
        rest = {key: value for key, value in given.items() if key != "names"}
        leaf = root.leaf(*names, **rest)
        keeper.notes |= {"leaf": leaf, "root": root}
        return keeper.serves(root.leaf("localhost"), context=lax_context(leaf))

    return build


def stranger_leaf(**given: Any) -> Callable[[Keeper], str]:
    """The same of a root that nobody knows, and that is presented."""

    def build(keeper: Keeper) -> str:
        root = pki.authority("Corp Root")
        names = given.get("names", ("localhost",))
        rest = {key: value for key, value in given.items() if key != "names"}
        leaf = root.leaf(*names, **rest)
        keeper.notes |= {"leaf": leaf, "root": root}
        return keeper.serves(sent_with(leaf, root))

    return build


def under(**given: Any) -> Callable[[Keeper], str]:
    """A sound leaf of an intermediate with something wrong in it, under a trusted root."""

    def build(keeper: Keeper) -> str:
        root = pki.authority("Corp Root")
        keeper.trusts(root)
        issuing = root.intermediate("Corp Issuing", **given)
        keeper.notes |= {"issuing": issuing}
        leaf = issuing.leaf("localhost")
        return keeper.serves(root.leaf("localhost"), context=lax_context(leaf))

    return build


def under_a_stranger(**given: Any) -> Callable[[Keeper], str]:
    """The same under a root that nobody knows; all of it is sent."""

    def build(keeper: Keeper) -> str:
        root = pki.authority("Corp Root")
        issuing = root.intermediate("Corp Issuing", **given)
        keeper.notes |= {"issuing": issuing, "root": root}
        leaf = sent_with(issuing.leaf("localhost"), issuing, root)
        return keeper.serves(root.leaf("localhost"), context=lax_context(leaf))

    return build


_SHA1_ALGORITHM = bytes.fromhex("300906072a8648ce3d0401")  # ecdsa-with-SHA1 (RFC 3279, 2.2.3)


def weakly_signed(keeper: Keeper) -> str:
    """Signed with SHA-1, which cryptography would not do by itself any more."""
    root = pki.authority("Corp Root")
    keeper.trusts(root)
    leaf = root.leaf("localhost")
    weak = Certificate(signed_with_sha1(leaf, root), leaf.key)
    keeper.notes |= {"leaf": weak}
    return keeper.serves(leaf, context=lax_context(weak))


def signed_with_sha1(certificate: Certificate, issuer: Authority) -> x509.Certificate:
    parts = [each.whole for each in _tbs(certificate).children()]
    parts[2] = _SHA1_ALGORITHM  # [0] version, serialNumber, signature (RFC 5280, 4.1)
    signed = der.encode(der.SEQUENCE, b"".join(parts))
    assert isinstance(issuer.key, ec.EllipticCurvePrivateKey)
    signature = issuer.key.sign(signed, ec.ECDSA(hashes.SHA1()))
    whole = signed + _SHA1_ALGORITHM + der.encode(0x03, b"\0" + signature)
    return x509.load_der_x509_certificate(der.encode(der.SEQUENCE, whole))


def out_of_all_order(keeper: Keeper) -> str:
    """An end of its validity that is no moment: OpenSSL refuses it, and no cause is about that."""
    root = pki.authority("Corp Root")
    keeper.trusts(root)
    keeper.notes |= {"root": root}
    leaf = root.leaf("localhost")
    parts = [each.whole for each in _tbs(leaf).children()]
    start, end = der.read(parts[4])[0].children()  # validity (RFC 5280, 4.1)
    broken = der.encode(end.whole[0], b"99X" + end.content[3:])
    parts[4] = der.encode(der.SEQUENCE, start.whole + broken)
    signed = der.encode(der.SEQUENCE, b"".join(parts))
    assert isinstance(root.key, ec.EllipticCurvePrivateKey)
    signature = der.encode(0x03, b"\0" + root.key.sign(signed, ec.ECDSA(hashes.SHA256())))
    raw = der.encode(der.SEQUENCE, signed + parts[2] + signature)
    path = keeper.folder / "odd.pem"
    path.write_bytes(pki.pem_block("CERTIFICATE", raw) + leaf.key_pem)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path)
    return keeper.serves(leaf, context=context)


def _tbs(certificate: Certificate) -> der.Element:
    return der.read(certificate.certificate.tbs_certificate_bytes)[0]


def expired_anchor(keeper: Keeper) -> str:
    root = pki.authority("Corp Root", validity=pki.EXPIRED)
    keeper.trusts(root)
    keeper.notes |= {"root": root}
    return keeper.serves(root.leaf("localhost"))


def no_ca_and_untrusted(keeper: Keeper) -> str:
    root = pki.authority("Corp Root")
    issuing = root.intermediate("Corp Issuing", is_ca=False)
    keeper.notes |= {"issuing": issuing}
    return keeper.serves(
        root.leaf("localhost"), context=lax_context(sent_with(issuing.leaf("localhost"), issuing))
    )


def names_no_ca(findings: Sequence[Finding], keeper: Keeper) -> None:
    certificate = about(Cause.BAD_CA_CERTIFICATE, findings).certificate
    assert certificate is not None
    assert certificate.sha256 == keeper.notes["issuing"].fingerprint


def ca_may_not_sign(keeper: Keeper) -> str:
    """A CA by its constraints, and not by its key usage."""
    usage = dict.fromkeys(
        (
            "content_commitment",
            "key_encipherment",
            "data_encipherment",
            "key_agreement",
            "key_cert_sign",
            "crl_sign",
            "encipher_only",
            "decipher_only",
        ),
        False,
    )
    extension = x509.KeyUsage(digital_signature=True, **usage), True
    return under(key_usage=False, extensions=[extension])(keeper)


def path_too_long(keeper: Keeper) -> str:
    root = pki.authority("Corp Root", path_length=0)
    keeper.trusts(root)
    return keeper.serves(root.intermediate("Corp Issuing").leaf("localhost"))


def expired_leaf_date(findings: Sequence[Finding], keeper: Keeper) -> None:
    finding = about(Cause.EXPIRED, findings)
    leaf = keeper.notes["leaf"]
    assert finding.moment == leaf.certificate.not_valid_after_utc
    assert finding.certificate is not None
    assert finding.certificate.sha256 == leaf.fingerprint


def future_leaf_date(findings: Sequence[Finding], keeper: Keeper) -> None:
    leaf = keeper.notes["leaf"].certificate
    assert about(Cause.NOT_YET_VALID, findings).moment == leaf.not_valid_before_utc


def skewed(days: float, validity: pki.Validity) -> Callable[[Keeper], str]:
    def build(keeper: Keeper) -> str:
        root = pki.authority("Corp Root")
        keeper.trusts(root)
        return keeper.serves(root.leaf("localhost", validity=validity), dated(in_days(days)))

    return build


def names_skew(days: int) -> Check:
    def check(findings: Sequence[Finding], keeper: Keeper) -> None:
        assert findings[0].skew is not None
        assert round(findings[0].skew.total_seconds() / 86400) == days

    return check


def all_in_the_future(keeper: Keeper) -> str:
    """No ``Date`` from it, and every certificate begins later than now."""
    root = pki.authority("Corp Root", validity=pki.NOT_YET)
    issuing = root.intermediate("Corp Issuing", validity=pki.NOT_YET)
    keeper.trusts(root)
    return keeper.serves(issuing.leaf("localhost", validity=pki.NOT_YET))


def other_name(findings: Sequence[Finding], keeper: Keeper) -> None:
    finding = about(Cause.NAME_MISMATCH, findings)
    assert finding.name == "localhost"
    assert finding.certificate is not None
    assert "other.example" in finding.certificate.names


def strict(keeper: Keeper) -> str:
    root = pki.authority("Corp Root", key_usage=False)
    keeper.trusts(root)
    keeper.settings["strict"] = Sourced(True, Origin(OriginKind.COMMAND_LINE, "--strict-certs"))
    return keeper.serves(root.leaf("localhost"))


def names_strict_flag(findings: Sequence[Finding], keeper: Keeper) -> None:
    assert findings[0].origin is not None
    assert findings[0].origin.name == "--strict-certs"


CERTIFICATES = (
    Animal("private-root", private_root, (Cause.UNTRUSTED_ROOT,), names_certificate("issuing")),
    Animal(
        "private-root-presented",
        private_root_presented,
        (Cause.UNTRUSTED_ROOT,),
        names_certificate("root"),
    ),
    Animal(
        "private-root-lone-leaf",
        private_root_lone_leaf,
        (Cause.UNTRUSTED_ROOT,),
        names_certificate("leaf"),
    ),
    Animal("stale-bundle", stale_bundle, (Cause.UNTRUSTED_ROOT,), names_stale),
    Animal("missing-aia", missing_with_aia, (Cause.MISSING_INTERMEDIATE,), names_missing),
    Animal(
        "missing-no-aia",
        missing_without_aia,
        (Cause.MISSING_INTERMEDIATE, Cause.UNTRUSTED_ROOT),
    ),
    Animal("missing-known", missing_known_elsewhere, (Cause.MISSING_INTERMEDIATE,)),
    Animal("rekeyed", rekeyed_intermediate, (Cause.WRONG_INTERMEDIATE,), names_certificate("old")),
    Animal("self-signed", self_signed, (Cause.SELF_SIGNED,), names_certificate("leaf")),
    Animal(
        "self-signed-expired-elsewhere",
        self_signed_expired_elsewhere,
        (Cause.SELF_SIGNED, Cause.EXPIRED, Cause.NAME_MISMATCH),
    ),
    Animal("zscaler", intercepted, (Cause.TLS_INTERCEPTION,), names_product),
    Animal("interceptor", intercepted_unknown_maker, (Cause.TLS_INTERCEPTION,)),
    Animal("product-at-home", product_on_private_name, (Cause.UNTRUSTED_ROOT,), names_netskope),
    Animal(
        "github-self-signed",
        public_name_self_signed,
        (Cause.TLS_INTERCEPTION, Cause.SELF_SIGNED),
    ),
    Animal("pypi-expired", public_name_expired, (Cause.EXPIRED,), expired_leaf_date),
    Animal("expired", trusted_leaf(validity=pki.EXPIRED), (Cause.EXPIRED,), expired_leaf_date),
    Animal(
        "expired-untrusted",
        stranger_leaf(validity=pki.EXPIRED),
        (Cause.UNTRUSTED_ROOT, Cause.EXPIRED),
        expired_leaf_date,
    ),
    Animal(
        "expired-elsewhere",
        trusted_leaf(validity=pki.EXPIRED, names=("other.example",)),
        (Cause.EXPIRED, Cause.NAME_MISMATCH),
        other_name,
    ),
    Animal(
        "untrusted-elsewhere",
        stranger_leaf(names=("other.example",)),
        (Cause.UNTRUSTED_ROOT, Cause.NAME_MISMATCH),
        other_name,
    ),
    Animal(
        "untrusted-elsewhere-known",
        known_to_another_bundle,
        (Cause.UNTRUSTED_ROOT, Cause.NAME_MISMATCH),
        other_name,
    ),
    Animal(
        "all-three",
        stranger_leaf(names=("other.example",), validity=pki.EXPIRED),
        (Cause.UNTRUSTED_ROOT, Cause.EXPIRED, Cause.NAME_MISMATCH),
        other_name,
    ),
    Animal(
        "expired-intermediate",
        under(validity=pki.EXPIRED),
        (Cause.EXPIRED,),
        names_certificate("issuing"),
    ),
    Animal("expired-anchor", expired_anchor, (Cause.EXPIRED,), names_certificate("root")),
    Animal("not-yet", trusted_leaf(validity=pki.NOT_YET), (Cause.NOT_YET_VALID,), future_leaf_date),
    Animal(
        "not-yet-untrusted",
        stranger_leaf(validity=pki.NOT_YET),
        (Cause.UNTRUSTED_ROOT, Cause.NOT_YET_VALID),
        future_leaf_date,
    ),
    Animal("clock-slow", skewed(10, pki.NOT_YET), (Cause.CLOCK_SKEW,), names_skew(-10)),
    Animal("clock-fast", skewed(-10, pki.EXPIRED), (Cause.CLOCK_SKEW,), names_skew(10)),
    Animal("clock-fine-expired", skewed(0, pki.EXPIRED), (Cause.EXPIRED,)),
    Animal("clock-by-chain", all_in_the_future, (Cause.CLOCK_SKEW,)),
    Animal("name", trusted_leaf(names=("other.example",)), (Cause.NAME_MISMATCH,), other_name),
    Animal(
        "common-name-only",
        trusted_leaf(common_name="localhost", alternative_names=False),
        (Cause.NAME_MISMATCH,),
    ),
    Animal("wrong-purpose", trusted_leaf(purposes=(pki.CLIENT_AUTH,)), (Cause.WRONG_PURPOSE,)),
    Animal(
        "wrong-purpose-untrusted",
        stranger_leaf(purposes=(pki.CLIENT_AUTH,)),
        (Cause.UNTRUSTED_ROOT, Cause.WRONG_PURPOSE),
    ),
    Animal(
        "wrong-purpose-expired-untrusted",
        stranger_leaf(purposes=(pki.CLIENT_AUTH,), validity=pki.EXPIRED),
        (Cause.UNTRUSTED_ROOT, Cause.EXPIRED, Cause.WRONG_PURPOSE),
        expired_leaf_date,
    ),
    Animal(
        "wrong-purpose-ca",
        under(purposes=(pki.EMAIL_PROTECTION,)),
        (Cause.WRONG_PURPOSE,),
        names_certificate("issuing"),
    ),
    Animal(
        "not-a-ca", under(is_ca=False), (Cause.BAD_CA_CERTIFICATE,), names_certificate("issuing")
    ),
    Animal(
        "no-ca-untrusted",
        no_ca_and_untrusted,
        (Cause.UNTRUSTED_ROOT, Cause.BAD_CA_CERTIFICATE),
        names_no_ca,
    ),
    Animal(
        "ca-may-not-sign",
        ca_may_not_sign,
        (Cause.BAD_CA_CERTIFICATE,),
        names_certificate("issuing"),
    ),
    Animal("path-too-long", path_too_long, (Cause.BAD_CA_CERTIFICATE,)),
    Animal(
        "constraints",
        under(permitted=(x509.DNSName("corp.example"),)),
        (Cause.NAME_CONSTRAINTS,),
        names_certificate("issuing"),
    ),
    Animal(
        "critical",
        trusted_leaf(extensions=[unknown_critical()]),
        (Cause.CRITICAL_EXTENSION,),
        names_certificate("leaf"),
    ),
    Animal(
        "critical-ca",
        under(extensions=[unknown_critical()]),
        (Cause.CRITICAL_EXTENSION,),
        names_certificate("issuing"),
    ),
    Animal(
        "constraints-untrusted",
        under_a_stranger(permitted=(x509.DNSName("corp.example"),)),
        (Cause.UNTRUSTED_ROOT, Cause.NAME_CONSTRAINTS),
    ),
    Animal(
        "critical-untrusted",
        stranger_leaf(extensions=[unknown_critical()]),
        (Cause.UNTRUSTED_ROOT, Cause.CRITICAL_EXTENSION),
    ),
    Animal(
        "ca-expired-untrusted",
        under_a_stranger(validity=pki.EXPIRED),
        (Cause.UNTRUSTED_ROOT, Cause.EXPIRED),
    ),
    Animal("weak-key", trusted_leaf(key="rsa-1024"), (Cause.WEAK_KEY,), names_certificate("leaf")),
    Animal("weak-ca-key", under(key="rsa-1024"), (Cause.WEAK_KEY,), names_certificate("issuing")),
    Animal(
        "weak-signature",
        weakly_signed,
        (Cause.WEAK_SIGNATURE,),
        names_certificate("leaf"),
    ),
    Animal("strict", strict, (Cause.STRICT_ONLY,), names_strict_flag),
)


# --------------------------------------------------------------------------------------------
# Handshakes


def client_wanted(version: ssl.TLSVersion) -> Callable[[Keeper], str]:
    def build(keeper: Keeper) -> str:
        root = pki.authority("Corp Root")
        keeper.trusts(root)
        return keeper.serves(
            root.leaf("localhost"), client_ca=root, client_required=True, maximum_tls=version
        )

    return build


def client_refused(version: ssl.TLSVersion) -> Callable[[Keeper], str]:
    """The certificate that is presented is of an authority that the server does not know."""

    def build(keeper: Keeper) -> str:
        root, other = pki.authority("Corp Root"), pki.authority("Other Root")
        keeper.trusts(root)
        url = keeper.serves(
            root.leaf("localhost"), client_ca=root, client_required=True, maximum_tls=version
        )
        keeper.presents(other.client(), url)
        return url

    return build


def names_client_flag(findings: Sequence[Finding], keeper: Keeper) -> None:
    assert findings[0].origin is not None
    assert findings[0].origin.name == "--client-cert"


def like_nginx(keeper: Keeper) -> str:
    root = pki.authority("Corp Root")
    keeper.trusts(root)
    return keeper.serves(
        root.leaf("localhost"), lambda _: Response(400, b"no certificate"), client_ca=root
    )


def like_nginx_unconvinced(keeper: Keeper) -> str:
    url = like_nginx(keeper)
    keeper.presents(pki.authority("Corp Root").client(), url)
    return url


def old_protocol(keeper: Keeper) -> str:
    root = pki.authority("Corp Root")
    keeper.trusts(root)
    context = lax_context(root.leaf("localhost"))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        context.minimum_version = ssl.TLSVersion.TLSv1_1
        context.maximum_version = ssl.TLSVersion.TLSv1_1
    return keeper.serves(root.leaf("localhost"), context=context)


def names_old_protocol(findings: Sequence[Finding], keeper: Keeper) -> None:
    assert findings[0].protocol == "TLSv1.1"


def old_protocol_exempt(keeper: Keeper) -> str:
    """Nobody vouches for it, which is nobody's business."""
    url = old_protocol(keeper)
    keeper.settings.clear()
    keeper.trusted_hosts = ("localhost",)
    return url


def old_cipher(keeper: Keeper) -> str:
    root = pki.authority("Corp Root")
    keeper.trusts(root)
    context = lax_context(root.leaf("localhost", key="rsa-2048"), "CAMELLIA256-SHA:@SECLEVEL=0")
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    return keeper.serves(root.leaf("localhost"), context=context)


def names_old_cipher(findings: Sequence[Finding], keeper: Keeper) -> None:
    assert findings[0].cipher == "CAMELLIA256-SHA"


#: The prime of 1024 bits of RFC 2409, section 6.2: too small by now.
_SMALL_PRIME = bytes.fromhex(
    "FFFFFFFFFFFFFFFFC90FDAA22168C234C4C6628B80DC1CD129024E088A67CC74020BBEA63B139B22514A0879"
    "8E3404DDEF9519B3CD3A431B302B0A6DF25F14374FE1356D6D51C245E485B576625E7EC6F44C42E9A637ED6B"
    "0BFF5CB6F406B7EDEE386BFB5A899FA5AE9F24117C4B1FE649286651ECE65381FFFFFFFFFFFFFFFF"
)


def small_exchange(keeper: Keeper) -> str:
    """The certificate is sound; the key of the handshake is not."""
    root = pki.authority("Corp Root")
    keeper.trusts(root)
    context = lax_context(
        root.leaf("localhost", key="rsa-2048"), "DHE-RSA-AES128-GCM-SHA256:@SECLEVEL=0"
    )
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    numbers = der.encode(0x02, b"\0" + _SMALL_PRIME) + der.encode(0x02, b"\2")
    path = keeper.folder / "dh.pem"
    path.write_bytes(pki.pem_block("DH PARAMETERS", der.encode(der.SEQUENCE, numbers)))
    context.load_dh_params(str(path))
    return keeper.serves(root.leaf("localhost"), context=context)


def names_exchange(findings: Sequence[Finding], keeper: Keeper) -> None:
    assert findings[0].reason == "DH_KEY_TOO_SMALL"


HANDSHAKES = (
    Animal("small-dh", small_exchange, (Cause.WEAK_KEY,), names_exchange),
    Animal("client-1.2", client_wanted(ssl.TLSVersion.TLSv1_2), (Cause.CLIENT_CERT_REQUIRED,)),
    Animal("client-1.3", client_wanted(ssl.TLSVersion.TLSv1_3), (Cause.CLIENT_CERT_REQUIRED,)),
    Animal(
        "client-refused-1.2",
        client_refused(ssl.TLSVersion.TLSv1_2),
        (Cause.CLIENT_CERT_REJECTED,),
        names_client_flag,
    ),
    Animal(
        "client-refused-1.3",
        client_refused(ssl.TLSVersion.TLSv1_3),
        (Cause.CLIENT_CERT_REJECTED,),
        names_client_flag,
    ),
    Animal("nginx-400", like_nginx, (Cause.CLIENT_CERT_REQUIRED,)),
    Animal(
        "old-protocol-exempt", old_protocol_exempt, (Cause.PROTOCOL_VERSION,), names_old_protocol
    ),
    Animal("old-protocol", old_protocol, (Cause.PROTOCOL_VERSION,), names_old_protocol),
    Animal("old-cipher", old_cipher, (Cause.NO_SHARED_CIPHER,), names_old_cipher),
)


# --------------------------------------------------------------------------------------------
# The way there


def speaking(speak: Callable[[socket.socket], None]) -> Callable[[Keeper], str]:
    def build(keeper: Keeper) -> str:
        server = keeper.stack.enter_context(RawServer(speak))
        return f"https://localhost:{server.port}/simple/"

    return build


def hang_up(connection: socket.socket) -> None:
    connection.recv(65536)


def silent(keeper: Keeper) -> str:
    """Nothing but the end of our patience ends that."""
    keeper.limit = PATIENCE
    return speaking(silence)(keeper)


def plain(words: bytes) -> Callable[[Keeper], str]:
    return speaking(saying(words))


def says(start: bytes) -> Check:
    def check(findings: Sequence[Finding], keeper: Keeper) -> None:
        assert about(findings[-1].cause, findings).said.startswith(start)

    return check


def alert(number: int) -> Callable[[Keeper], str]:
    """Answers a ClientHello with a fatal alert."""
    return speaking(saying(bytes([0x15, 3, 3, 0, 2, 2, number])))


def without_secure_renegotiation(connection: socket.socket) -> None:
    """A ServerHello of TLS 1.2 with no extension at all (RFC 5246, section 7.4.1.3)."""
    connection.recv(65536)
    hello = b"\x03\x03" + bytes(32) + b"\x00" + b"\xc0\x2f" + b"\x00"
    message = b"\x02" + len(hello).to_bytes(3, "big") + hello
    connection.sendall(b"\x16\x03\x03" + len(message).to_bytes(2, "big") + message)
    connection.shutdown(socket.SHUT_WR)  # a client that takes it would wait for more
    connection.recv(65536)


def names_renegotiation(findings: Sequence[Finding], keeper: Keeper) -> None:
    assert "RENEGOTIATION" in findings[0].reason


def names_alert(number: int) -> Check:
    def check(findings: Sequence[Finding], keeper: Keeper) -> None:
        assert findings[0].alert == number

    return check


def nobody_listens(keeper: Keeper) -> str:
    return f"https://localhost:{free_port()}/simple/"


def no_such_host(keeper: Keeper) -> str:
    # Names under .localhost that no resolver has, asked for without leaving the machine.
    return "https://a..localhost/simple/"


def proxied(**given: Any) -> Callable[[Keeper], str]:
    def build(keeper: Keeper) -> str:
        keeper.uses(keeper.stack.enter_context(Proxy(**given)).url)
        return "https://files.example/simple/"

    return build


def names_status(status: int) -> Check:
    def check(findings: Sequence[Finding], keeper: Keeper) -> None:
        assert findings[0].status == status
        assert findings[0].hop is Hop.PROXY
        assert findings[0].origin is not None
        assert findings[0].origin.name == "--proxy"

    return check


def proxy_gone(keeper: Keeper) -> str:
    keeper.uses(f"http://localhost:{free_port()}")
    return "https://files.example/simple/"


def proxy_speaking(
    speak: Callable[[socket.socket], None], scheme: str = "http"
) -> Callable[[Keeper], str]:
    def build(keeper: Keeper) -> str:
        server = keeper.stack.enter_context(RawServer(speak))
        keeper.uses(f"{scheme}://localhost:{server.port}")
        return "https://files.example/simple/"

    return build


def proxy_silent(keeper: Keeper) -> str:
    keeper.limit = PATIENCE
    return proxy_speaking(silence)(keeper)


def proxy_untrusted(keeper: Keeper) -> str:
    root = pki.authority("Proxy Root")
    leaf = root.leaf("localhost")
    keeper.notes |= {"leaf": leaf, "root": root}
    proxy = keeper.stack.enter_context(
        Proxy(certificate=sent_with(leaf, root), credentials=("user", "secret"))
    )
    keeper.proxies.append(proxy)
    keeper.uses(proxy.authorized_url)
    return "https://files.example/simple/"


def proxy_and_no_anchors(keeper: Keeper) -> str:
    """With a bundle that cannot be loaded there is nothing to verify the proxy with."""
    url = proxy_untrusted(keeper)
    path = keeper.folder / "page.pem"
    path.write_text("<!DOCTYPE html><title>Sign in</title>")
    keeper.settings["cert"] = Sourced(str(path), CERT)
    return url


def proxy_expired(keeper: Keeper) -> str:
    root = pki.authority("Proxy Root")
    keeper.trusts(root)
    leaf = root.leaf("localhost", validity=pki.EXPIRED)
    keeper.uses(keeper.stack.enter_context(Proxy(certificate=leaf)).url)
    return "https://files.example/simple/"


def on_the_proxy(findings: Sequence[Finding], keeper: Keeper) -> None:
    assert {finding.hop for finding in findings} == {Hop.PROXY}


def behind_tls_proxy(keeper: Keeper) -> str:
    """The proxy is sound; the server behind it is not."""
    root = pki.authority("Corp Root")
    keeper.trusts(root)
    leaf = root.leaf("files.example", validity=pki.EXPIRED)
    keeper.notes |= {"leaf": leaf}
    url = keeper.serves(leaf)
    proxy = Proxy(certificate=root.leaf("localhost"), names={"files.example": "127.0.0.1"})
    keeper.uses(keeper.stack.enter_context(proxy).url)
    return url.replace("localhost", "files.example")


def portal(keeper: Keeper) -> str:
    return keeper.behind(
        "index.example",
        pki.self_signed("portal.hotel.example.net"),
        handler=redirecting("http://portal.hotel.example.net/login"),
    )


def names_portal(findings: Sequence[Finding], keeper: Keeper) -> None:
    assert about(Cause.CAPTIVE_PORTAL, findings).url.startswith("http://portal.hotel")


def must_log_in(keeper: Keeper) -> str:
    root = pki.authority("Corp Root")
    keeper.trusts(root)
    return keeper.serves(root.leaf("localhost"), lambda _: Response(511))


def bad_bundle(keeper: Keeper) -> str:
    path = keeper.folder / "page.pem"
    path.write_text("<!DOCTYPE html><title>Sign in</title>")
    keeper.settings["cert"] = Sourced(str(path), CERT)
    return keeper.serves(pki.authority("Corp Root").leaf("localhost"))


def names_bundle(findings: Sequence[Finding], keeper: Keeper) -> None:
    assert findings[0].path.endswith("page.pem")
    assert findings[0].origin == CERT


ROUTES = (
    Animal("refused", nobody_listens, (Cause.CONNECTION_REFUSED,)),
    Animal("cut", speaking(hang_up), (Cause.CONNECTION_CUT,)),
    Animal("silent", silent, (Cause.TIMEOUT,)),
    Animal(
        "plain-http",
        plain(b"HTTP/1.1 400 Bad Request\r\n\r\n"),
        (Cause.NOT_TLS,),
        says(b"HTTP/1.1 400"),
    ),
    Animal("ssh", plain(b"SSH-2.0-OpenSSH_9.9\r\n"), (Cause.NOT_TLS,), says(b"SSH-2.0")),
    Animal(
        "plain-portal",
        plain(b"HTTP/1.1 302 Found\r\nLocation: http://login.hotel.example/\r\n\r\n"),
        (Cause.CAPTIVE_PORTAL, Cause.NOT_TLS),
    ),
    Animal("alert-40", alert(40), (Cause.HANDSHAKE_REFUSED,), names_alert(40)),
    Animal("alert-name", alert(112), (Cause.HANDSHAKE_REFUSED,), names_alert(112)),
    Animal("alert-internal", alert(80), (Cause.HANDSHAKE_REFUSED,), names_alert(80)),
    Animal("alert-version", alert(70), (Cause.PROTOCOL_VERSION,), names_alert(70)),
    Animal("alert-security", alert(71), (Cause.NO_SHARED_CIPHER,), names_alert(71)),
    Animal("alert-unknown-ca", alert(48), (Cause.HANDSHAKE_REFUSED,), names_alert(48)),
    Animal(
        "legacy-renegotiation",
        speaking(without_secure_renegotiation),
        (Cause.HANDSHAKE_REFUSED,),
        names_renegotiation,
    ),
    Animal("dns", no_such_host, (Cause.DNS,)),
    Animal("proxy-407", proxied(credentials=("u", "p")), (Cause.PROXY_AUTH,), names_status(407)),
    Animal("proxy-403", proxied(refuse=403), (Cause.PROXY_REFUSED,), names_status(403)),
    Animal("proxy-502", proxied(refuse=502), (Cause.PROXY_REFUSED,), names_status(502)),
    Animal("proxy-gone", proxy_gone, (Cause.PROXY_UNREACHABLE,), on_the_proxy),
    Animal("proxy-cut", proxy_speaking(hang_up), (Cause.CONNECTION_CUT,), on_the_proxy),
    Animal("proxy-silent", proxy_silent, (Cause.TIMEOUT,), on_the_proxy),
    Animal("proxy-ssh", proxy_speaking(saying(b"SSH-2.0-x\r\n")), (Cause.PROXY_REFUSED,)),
    Animal(
        "proxy-is-plain",
        proxy_speaking(saying(b"HTTP/1.1 400 Bad Request\r\n\r\n"), "https"),
        (Cause.PROXY_TLS,),
        says(b"HTTP/1.1 400"),
    ),
    Animal(
        "proxy-is-tls",
        proxy_speaking(saying(bytes([0x15, 3, 1, 0, 2, 2, 70]))),
        (Cause.PROXY_TLS,),
        on_the_proxy,
    ),
    Animal("proxy-tls-cut", proxy_speaking(hang_up, "https"), (Cause.PROXY_TLS,), on_the_proxy),
    Animal(
        "proxy-tls-alert",
        proxy_speaking(saying(bytes([0x15, 3, 3, 0, 2, 2, 80])), "https"),
        (Cause.PROXY_TLS, Cause.HANDSHAKE_REFUSED),
        on_the_proxy,
    ),
    Animal(
        "proxy-untrusted",
        proxy_untrusted,
        (Cause.PROXY_TLS, Cause.UNTRUSTED_ROOT),
        on_the_proxy,
    ),
    Animal(
        "proxy-no-anchors",
        proxy_and_no_anchors,
        (Cause.BAD_BUNDLE, Cause.PROXY_TLS),
        names_bundle,
        told=(Cause.BAD_BUNDLE,),
    ),
    Animal("proxy-expired", proxy_expired, (Cause.PROXY_TLS, Cause.EXPIRED), on_the_proxy),
    Animal("behind-tls-proxy", behind_tls_proxy, (Cause.EXPIRED,), expired_leaf_date),
    Animal(
        "portal",
        portal,
        (Cause.CAPTIVE_PORTAL, Cause.SELF_SIGNED, Cause.NAME_MISMATCH),
        names_portal,
    ),
    Animal("log-in", must_log_in, (Cause.CAPTIVE_PORTAL,)),
    Animal("bad-bundle", bad_bundle, (Cause.BAD_BUNDLE,), names_bundle),
)


# --------------------------------------------------------------------------------------------
# What only a command meets: the handshake passes, or nobody is asked


def answering(response: Response) -> Callable[[Keeper], str]:
    """A trusted server that gives everybody this answer."""

    def build(keeper: Keeper) -> str:
        root = pki.authority("Corp Root")
        keeper.trusts(root)
        return keeper.serves(root.leaf("localhost"), lambda _: response)

    return build


def never_answering(keeper: Keeper) -> str:
    """The handshake passes, and that is all."""
    root = pki.authority("Corp Root")
    keeper.trusts(root)
    keeper.limit = PATIENCE
    return keeper.serves(root.leaf("localhost"), mute)


def plain_address(keeper: Keeper) -> str:
    return "http://index.example/simple/"


def no_store(keeper: Keeper) -> str:
    """A container without certificates, in which the system's store was asked for."""
    folder = keeper.folder / "certs"
    folder.mkdir()
    (keeper.folder / "none.pem").touch()
    keeper.environ |= {
        "SSL_CERT_FILE": str(keeper.folder / "none.pem"),
        "SSL_CERT_DIR": str(folder),
    }
    patch = keeper.stack.enter_context(pytest.MonkeyPatch.context())
    patch.setattr("kedge.trust.files.CA_FILE_CANDIDATES", ())
    flag = Origin(OriginKind.COMMAND_LINE, "--use-feature=truststore")
    keeper.settings["truststore"] = Sourced(True, flag)
    return "https://localhost/simple/"


SIGN_IN = b"""<!DOCTYPE html><html><head><title>Hotel Wi-Fi</title></head>
<body><form action="/login"><input name="room"></form></body></html>"""

COMMANDS = (
    Animal(
        "to-http",
        answering(Response(302, b"", {"Location": "http://files.example/x/"})),
        (Cause.INSECURE_REDIRECT,),
    ),
    Animal(
        "sign-in",
        answering(Response(200, SIGN_IN, {"Content-Type": "text/html"})),
        (Cause.NOT_AN_INDEX,),
    ),
    Animal(
        "pdf",
        answering(Response(200, b"%PDF-1.7", {"Content-Type": "application/pdf"})),
        (Cause.NOT_AN_INDEX,),
    ),
    Animal("hangs-up", answering(Response(hang_up=True)), (Cause.CONNECTION_CUT,)),
    Animal("mute", never_answering, (Cause.TIMEOUT,)),
    Animal("nginx-400-own", like_nginx_unconvinced, (Cause.CLIENT_CERT_REJECTED,)),
    Animal("plain-address", plain_address, (Cause.NOT_TLS,)),
    Animal("no-store", no_store, (Cause.EMPTY_SYSTEM_STORE,)),
)
