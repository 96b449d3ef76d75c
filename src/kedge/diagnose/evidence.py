"""What is known about one connection, and what is found in it: the values between the layers' acts.

Evidence is gathered by :mod:`kedge.diagnose.examine` and judged by :mod:`kedge.diagnose.causes`.
Everything is frozen; nothing here connects, reads or decides.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import Enum
from typing import TYPE_CHECKING

from kedge.classes import frozen
from kedge.diagnose import verify
from kedge.diagnose.comparison import Role, Verdict
from kedge.diagnose.names import matches
from kedge.model import Hop, Origin

if TYPE_CHECKING:
    from kedge.diagnose.capture import Capture
    from kedge.diagnose.chain import Chain
    from kedge.diagnose.facts import CertificateFacts
    from kedge.diagnose.route import Answer, Place
    from kedge.transport.proxies import Proxy


class Cause(str, Enum):
    """The closed set; the values are stable, and name the pages of the documentation."""

    UNTRUSTED_ROOT = "untrusted-root"
    TLS_INTERCEPTION = "tls-interception"
    SELF_SIGNED = "self-signed"
    MISSING_INTERMEDIATE = "missing-intermediate"
    WRONG_INTERMEDIATE = "wrong-intermediate"
    EXPIRED = "expired"
    NOT_YET_VALID = "not-yet-valid"
    CLOCK_SKEW = "clock-skew"
    NAME_MISMATCH = "name-mismatch"
    BAD_CA_CERTIFICATE = "bad-ca-certificate"
    NAME_CONSTRAINTS = "name-constraints"
    CRITICAL_EXTENSION = "critical-extension"
    WRONG_PURPOSE = "wrong-purpose"
    WEAK_KEY = "weak-key"
    WEAK_SIGNATURE = "weak-signature"
    STRICT_ONLY = "strict-only"
    PROTOCOL_VERSION = "protocol-version"
    NO_SHARED_CIPHER = "no-shared-cipher"
    HANDSHAKE_REFUSED = "handshake-refused"
    CLIENT_CERT_REQUIRED = "client-cert-required"
    CLIENT_CERT_REJECTED = "client-cert-rejected"
    NOT_TLS = "not-tls"
    CONNECTION_CUT = "connection-cut"
    CONNECTION_REFUSED = "connection-refused"
    DNS = "dns"
    TIMEOUT = "timeout"
    PROXY_AUTH = "proxy-auth"
    PROXY_REFUSED = "proxy-refused"
    PROXY_UNREACHABLE = "proxy-unreachable"
    PROXY_TLS = "proxy-tls"
    CAPTIVE_PORTAL = "captive-portal"
    NOT_AN_INDEX = "not-an-index"
    INSECURE_REDIRECT = "insecure-redirect"
    BAD_BUNDLE = "bad-bundle"
    EMPTY_SYSTEM_STORE = "empty-system-store"


@frozen(kw_only=True)
class Finding:
    """One cause, and what it is about; what does not apply is empty.

    ``certificate`` is the one at fault and ``moment`` the date in it that matters. ``known`` are
    local anchors that contradict what was presented (the same name, another key) or are at fault
    themselves. ``name`` is the host or the name that does not fit, ``issuer`` the issuer that is
    missing or unknown (RFC 4514), ``product`` who makes the interceptor. ``path`` and ``origin``
    are the file and the setting to look at, ``advice`` what mends them. ``skew`` is how far this
    machine's clock is ahead.
    ``certain`` is false where the evidence fits another cause as well.
    """

    cause: Cause
    hop: Hop = Hop.SERVER
    certificate: CertificateFacts | None = None
    moment: datetime | None = None
    known: tuple[CertificateFacts, ...] = ()
    name: str = ""
    issuer: str = ""
    product: str = ""
    hosts: tuple[str, ...] = ()
    protocol: str = ""
    cipher: str = ""
    alert: int | None = None
    status: int | None = None
    url: str = ""
    path: str = ""
    origin: Origin | None = None
    said: bytes = b""
    reason: str = ""
    advice: str = ""
    skew: timedelta | None = None
    certain: bool = True


@frozen(kw_only=True)
class Neighbour:
    """Another configured host, and the fingerprint or name of the unknown issuer of its chain."""

    host: str
    issuer: str


@frozen(kw_only=True)
class Evidence:
    """What is known about one failed (or sound) connection.

    ``now`` is this machine's clock in UTC when the chain was captured, ``server_time`` what the
    peer's ``Date`` header said then. ``verify_code`` is what the failed command met, for where
    the probe met nothing; ``beyond`` what OpenSSL says once the top of the chain is supposed to be
    trusted. ``client_cert`` is the setting of the certificate that was presented,
    ``proxy`` the proxy on the way, also where it is the peer itself. ``exempt`` is the
    ``--trusted-host`` by which the server's certificate is not looked at.
    """

    place: Place
    capture: Capture
    chain: Chain
    verdicts: tuple[Verdict, ...]
    now: datetime
    server_time: datetime | None = None
    verify_code: int | None = None
    beyond: int | None = None
    client_cert: Origin | None = None
    proxy: Proxy | None = None
    neighbours: tuple[Neighbour, ...] = ()
    exempt: Origin | None = None

    @property
    def unverified(self) -> bool:
        """Whether there is nothing to verify here: plain HTTP, or an exempt host."""
        return self.exempt is not None or self.place.origin.scheme != "https"

    @property
    def host(self) -> str:
        return self.place.origin.host

    def verdict(self, role: Role) -> Verdict | None:
        """The first verdict of that role."""
        return next((each for each in self.verdicts if each.role is role), None)

    @property
    def decided(self) -> Verdict | None:
        return self.verdict(Role.DECIDED)

    @property
    def knowing(self) -> Verdict | None:
        """The first choice of anchors that leads to a root, refused for another reason or not."""
        return next(
            (
                each
                for each in self.verdicts
                if each.passed or each.verify_code not in {None, *verify.NO_ANCHOR}
            ),
            None,
        )

    @property
    def decided_paths(self) -> tuple[str, ...]:
        """The bundles in force."""
        sources = self.decided.contender.decision.sources if self.decided else ()
        return tuple(source.path for source in sources if source.path)

    @property
    def code(self) -> int | None:
        """OpenSSL's verify code with what was decided."""
        decided = self.decided
        if decided is not None and (decided.passed or decided.verify_code is not None):
            return decided.verify_code
        return self.verify_code

    @property
    def answer(self) -> Answer | None:
        """The head of the answer, over the verified connection where there was one."""
        verified = self.decided.answer if self.decided else None
        return verified or self.capture.answer

    @property
    def wrong_name(self) -> bool:
        """By OpenSSL's verdict, and by the names themselves where it did not come to that."""
        leaf = self.chain.leaf
        if leaf is None:
            return False
        readable = bool(leaf.key)
        return self.code in verify.NAME or (readable and not matches(self.host, leaf.names))
