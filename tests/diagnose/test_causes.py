"""The decision over values: what a machine of the test's own cannot be made to show."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta, timezone

import pytest

from diagnose.zoo import aia
from kedge.diagnose import verify
from kedge.diagnose.capture import Capture, Spoken
from kedge.diagnose.causes import find_causes
from kedge.diagnose.chain import Chain, read_certificate, read_chain
from kedge.diagnose.comparison import Contender, Role, Verdict
from kedge.diagnose.connections import of_source
from kedge.diagnose.evidence import Cause, Evidence, Neighbour
from kedge.diagnose.route import Answer, Place
from kedge.diagnose.sentences import sentence
from kedge.diagnose.wire import Failure, Step, Trouble
from kedge.errors import BundleError, EmptySystemStoreError, TruststoreError
from kedge.model import (
    PYPI_HOSTS,
    Hop,
    NetworkOrigin,
    Origin,
    OriginKind,
    StoreKind,
    TrustDecision,
    TrustSource,
)
from support import pki
from support.pki import Certificate

DECISION = TrustDecision((TrustSource(StoreKind.CERTIFI),))
NOW = datetime.now(timezone.utc)
DAY = timedelta(days=1)


def refused(role: Role, code: int, *anchors: Certificate) -> Verdict:
    failure = Failure(step=Step.TLS, trouble=Trouble.UNVERIFIED, verify_code=code)
    related = tuple(read_certificate(each.der) for each in anchors)
    return Verdict(contender=Contender(role, DECISION), failure=failure, related=related)


def passed(role: Role, anchor: Certificate) -> Verdict:
    return Verdict(
        contender=Contender(role, DECISION), passed=True, anchor=read_certificate(anchor.der)
    )


def evidence(
    host: str, *presented: Certificate, verdicts: tuple[Verdict, ...] = (), **given: object
) -> Evidence:
    place = Place(NetworkOrigin("https", host, 443))
    capture = Capture(
        place=place,
        chain=tuple(each.der for each in presented),
        spoken=Spoken("TLSv1.3", "TLS_AES_256_GCM_SHA384"),
    )
    found = Evidence(
        place=place,
        capture=capture,
        chain=read_chain(capture.chain),
        verdicts=verdicts,
        now=NOW,
    )
    return replace(found, **given)  # type: ignore[arg-type]


def causes(found: Evidence) -> list[Cause]:
    return [finding.cause for finding in find_causes(found)]


def untrusted(host: str, root: pki.Authority, **given: object) -> Evidence:
    verdicts = (refused(Role.DECIDED, 19), refused(Role.CERTIFI, 19))
    return evidence(host, root.leaf(host), root, verdicts=verdicts, **given)


@pytest.mark.parametrize(
    ("host", "other", "same_issuer", "intercepted"),
    [
        pytest.param("a.example", "b.invalid", True, True, id="unrelated hosts"),
        pytest.param("a.example", "b.invalid", False, False, id="other issuer"),
        pytest.param("a.corp.example", "b.corp.example", True, False, id="one domain"),
        pytest.param("pypi", "files.example", True, False, id="a bare name"),
        pytest.param("pypi.internal", "files.example", True, False, id="a private suffix"),
        pytest.param("10.1.2.3", "files.example", True, False, id="an address"),
    ],
)
def test_one_unknown_issuer_of_unrelated_hosts(
    host: str, other: str, same_issuer: bool, intercepted: bool
) -> None:
    root = pki.authority("Corp Root")
    issuer = root.subject if same_issuer else "CN=Another"
    found = untrusted(host, root, neighbours=(Neighbour(host=other, issuer=issuer),))
    expected = Cause.TLS_INTERCEPTION if intercepted else Cause.UNTRUSTED_ROOT
    assert causes(found) == [expected]
    if intercepted:
        assert find_causes(found)[0].hosts == (other,)


def test_a_public_host_that_certifi_vouches_for_is_not_intercepted() -> None:
    """It is the decided bundle that is too narrow."""
    root = pki.authority("Public Root")
    verdicts = (refused(Role.DECIDED, 19), passed(Role.CERTIFI, root))
    found = evidence(PYPI_HOSTS[0], root.leaf(PYPI_HOSTS[0]), root, verdicts=verdicts)
    assert causes(found) == [Cause.UNTRUSTED_ROOT]


def test_a_peer_without_secure_renegotiation_does_not_lack_a_cipher() -> None:
    """A client that takes everything gets through to it, with a cipher that is fine."""
    reason = "UNSAFE_LEGACY_RENEGOTIATION_DISABLED"
    place = Place(NetworkOrigin("https", "a.example", 443))
    capture = Capture(
        place=place,
        failure=Failure(step=Step.TLS, trouble=Trouble.TLS, reason=reason),
        tolerated=Spoken("TLSv1.2", "ECDHE-RSA-AES128-GCM-SHA256"),
    )
    found = evidence("a.example", capture=capture)
    assert causes(found) == [Cause.HANDSHAKE_REFUSED]
    assert "RFC 5746" in sentence(find_causes(found)[0])


def test_a_root_that_another_source_has_is_no_missing_intermediate() -> None:
    root = pki.authority("Corp Root")
    leaf = root.leaf("a.example", extensions=[aia()])
    verdicts = (refused(Role.DECIDED, 20), passed(Role.SYSTEM, root))
    (finding,) = find_causes(evidence("a.example", leaf, verdicts=verdicts))
    assert (finding.cause, finding.certain) == (Cause.UNTRUSTED_ROOT, True)


def test_a_namesake_is_not_blamed_where_another_source_has_the_issuer() -> None:
    root, namesake = pki.authority("Corp Root"), pki.authority("Corp Root")
    verdicts = (refused(Role.DECIDED, 20), passed(Role.SYSTEM, root))
    found = evidence("a.example", root.leaf("a.example"), namesake, verdicts=verdicts)
    assert causes(found) == [Cause.UNTRUSTED_ROOT]


def test_a_sound_connection_has_no_cause() -> None:
    """Whatever else its chain holds: an expired cross-signature is nobody's trouble."""
    root = pki.authority("Root", validity=pki.EXPIRED)
    found = evidence(
        "a.example", root.leaf("a.example"), root, verdicts=(passed(Role.DECIDED, root),)
    )
    assert causes(found) == []


def test_an_expired_root_beside_a_renewed_one_is_not_blamed() -> None:
    """The server still sends the old one; the local one of that name is valid."""
    old = pki.authority("Root", validity=pki.EXPIRED)
    new = pki.authority("Root")
    verdicts = (refused(Role.DECIDED, 62, new),)
    found = evidence("a.example", old.leaf("other.example"), old, verdicts=verdicts)
    assert causes(found) == [Cause.NAME_MISMATCH]


def too_early(
    leaf: Certificate, root: Certificate, *, wait: timedelta, ahead: timedelta
) -> Evidence:
    """Examined so long before the leaf is valid; the server's clock is so far ahead of ours."""
    now = leaf.certificate.not_valid_before_utc - wait
    verdicts = (refused(Role.DECIDED, 9, root),)
    there = now + ahead
    return evidence("a.example", leaf, verdicts=verdicts, now=now, server_time=there)


@pytest.mark.parametrize(
    ("ahead", "cause"),
    [
        pytest.param(timedelta(0), Cause.NOT_YET_VALID, id="clocks agree"),
        pytest.param(10 * DAY, Cause.CLOCK_SKEW, id="the server's clock would do"),
        pytest.param(-10 * DAY, Cause.NOT_YET_VALID, id="it would not"),
    ],
)
def test_whose_clock_is_wrong(ahead: timedelta, cause: Cause) -> None:
    root = pki.authority("Root")
    leaf = root.leaf("a.example", validity=pki.NOT_YET)
    assert causes(too_early(leaf, root, wait=DAY, ahead=ahead)) == [cause]


@pytest.mark.parametrize(
    ("ahead", "cause"),
    [
        pytest.param(50, Cause.NOT_YET_VALID, id="clocks differ a little"),
        pytest.param(70, Cause.CLOCK_SKEW, id="clocks differ"),
    ],
)
def test_an_hour_is_no_wrong_clock(ahead: int, cause: Cause) -> None:
    """``ahead`` in minutes. The certificate is valid in half an hour."""
    root = pki.authority("Root")
    leaf = root.leaf("a.example", validity=pki.Validity(start=0.5 / 24))
    wait, apart = timedelta(minutes=30), timedelta(minutes=ahead)
    assert causes(too_early(leaf, root, wait=wait, ahead=apart)) == [cause]


@pytest.mark.parametrize(
    ("code", "cause"),
    [
        (7, Cause.WRONG_INTERMEDIATE),
        (25, Cause.BAD_CA_CERTIFICATE),
        (32, Cause.BAD_CA_CERTIFICATE),
        (79, Cause.BAD_CA_CERTIFICATE),
        (26, Cause.WRONG_PURPOSE),
        (34, Cause.CRITICAL_EXTENSION),
        (47, Cause.NAME_CONSTRAINTS),
        (48, Cause.NAME_CONSTRAINTS),
        (62, Cause.NAME_MISMATCH),
        (64, Cause.NAME_MISMATCH),
        (66, Cause.WEAK_KEY),
        (67, Cause.WEAK_KEY),
        (68, Cause.WEAK_SIGNATURE),
        (28, Cause.UNTRUSTED_ROOT),
    ],
)
def test_verify_codes(code: int, cause: Cause) -> None:
    root = pki.authority("Root")
    found = evidence(
        "a.example", root.leaf("a.example"), root, verdicts=(refused(Role.DECIDED, code, root),)
    )
    assert causes(found) == [cause]


def test_the_code_that_the_command_met_counts_where_the_probe_met_none() -> None:
    found = evidence("a.example", verify_code=62)
    found = replace(found, chain=Chain((read_certificate(pki.authority("R").leaf("b").der),), (0,)))
    assert causes(found) == [Cause.NAME_MISMATCH]


def test_groups_of_codes_do_not_overlap() -> None:
    groups = [
        verify.NO_ANCHOR,
        verify.NAME,
        verify.SIGNATURE,
        verify.BAD_CA,
        verify.CONSTRAINTS,
        verify.EXTENSION,
        verify.PURPOSE,
        verify.WEAK_KEY,
        verify.WEAK_SIGNATURE,
    ]
    assert sum(len(group) for group in groups) == len(frozenset().union(*groups))


@pytest.mark.parametrize(
    ("wanted", "own", "alert", "cause"),
    [
        pytest.param(True, False, 40, Cause.CLIENT_CERT_REQUIRED, id="asked, none, 40"),
        pytest.param(True, False, 116, Cause.CLIENT_CERT_REQUIRED, id="116"),
        pytest.param(False, False, 48, Cause.HANDSHAKE_REFUSED, id="48, not asked"),
        pytest.param(False, False, 40, Cause.HANDSHAKE_REFUSED, id="40, not asked"),
        pytest.param(False, False, 70, Cause.PROTOCOL_VERSION, id="70"),
        pytest.param(False, False, 71, Cause.NO_SHARED_CIPHER, id="71"),
    ],
)
def test_alerts(wanted: bool, own: bool, alert: int, cause: Cause) -> None:
    found = evidence("a.example")
    failure = Failure(step=Step.TLS, trouble=Trouble.ALERT, alert=alert)
    capture = replace(found.capture, spoken=None, failure=failure, wants_client_certificate=wanted)
    assert causes(replace(found, capture=capture)) == [cause]


@pytest.mark.parametrize("alert", [42, 43, 44, 45, 46, 48, 49, 51])
def test_alerts_about_our_own_certificate(alert: int) -> None:
    """After the handshake, as TLS 1.3 has it; "unknown ca" is about ours, not the server's."""
    root = pki.authority("Root")
    late = Failure(step=Step.ANSWER, trouble=Trouble.ALERT, alert=alert)
    origin = Origin(OriginKind.COMMAND_LINE, "--client-cert")
    found = evidence(
        "a.example",
        root.leaf("a.example"),
        verdicts=(replace(passed(Role.DECIDED, root), after=late),),
        client_cert=origin,
    )
    found = replace(found, capture=replace(found.capture, wants_client_certificate=True))
    (finding,) = find_causes(found)
    assert (finding.cause, finding.origin) == (Cause.CLIENT_CERT_REJECTED, origin)


@pytest.mark.parametrize(
    ("status", "asked", "found"),
    [(400, True, True), (400, False, False), (404, True, False), (200, True, False)],
)
def test_nginx_answers_instead_of_an_alert(status: int, asked: bool, found: bool) -> None:
    root = pki.authority("Root")
    verdict = replace(passed(Role.DECIDED, root), answer=Answer(status))
    given = evidence("a.example", root.leaf("a.example"), verdicts=(verdict,))
    given = replace(given, capture=replace(given.capture, wants_client_certificate=asked))
    assert causes(given) == ([Cause.CLIENT_CERT_REQUIRED] if found else [])


@pytest.mark.parametrize(
    ("host", "location", "names", "portal"),
    [
        pytest.param(PYPI_HOSTS[0], "http://login.hotel.example/", "x.example", True, id="public"),
        pytest.param("a.example", "http://login.hotel.invalid/", "x.invalid", True, id="stranger"),
        pytest.param("a.example", "http://sso.a.example/", "x.invalid", False, id="own domain"),
        pytest.param("a.example", "https://sso.invalid/", "a.example", False, id="own name"),
        pytest.param("a.example", "/login", "x.invalid", False, id="a path"),
    ],
)
def test_portals(host: str, location: str, names: str, portal: bool) -> None:
    leaf = pki.self_signed(names)
    found = evidence(host, leaf, verdicts=(refused(Role.DECIDED, 18), refused(Role.CERTIFI, 18)))
    answer = Answer(302, {"location": location})
    found = replace(found, capture=replace(found.capture, answer=answer))
    assert (Cause.CAPTIVE_PORTAL in causes(found)) is portal


ORIGIN = Origin(OriginKind.FILE, "cert", "pip.conf", "global", 2)


def test_a_bundle_that_cannot_be_used() -> None:
    found = of_source(BundleError("bad", path="a.pem", origin=ORIGIN))
    assert found is not None
    assert (found.cause, found.path, found.origin) == (Cause.BAD_BUNDLE, "a.pem", ORIGIN)


def test_an_empty_store_names_where_it_was_looked_for() -> None:
    found = of_source(EmptySystemStoreError("none", origin=ORIGIN, looked_in=("/a", "/b")))
    assert found is not None
    assert found.cause is Cause.EMPTY_SYSTEM_STORE
    assert "/a" in found.path
    assert "/b" in found.path


def test_another_trouble_of_trust_has_no_cause() -> None:
    assert of_source(TruststoreError("gone")) is None


def test_the_proxy_and_the_server_are_told_apart() -> None:
    found = evidence("a.example")
    for hop, cause in (
        (Hop.SERVER, Cause.CONNECTION_REFUSED),
        (Hop.PROXY, Cause.PROXY_UNREACHABLE),
    ):
        failure = Failure(step=Step.CONNECT, trouble=Trouble.REFUSED, hop=hop)
        given = replace(found, capture=replace(found.capture, failure=failure))
        (finding,) = find_causes(given)
        assert (finding.cause, finding.hop) == (cause, hop)


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        pytest.param(-67818, 10, id="macOS: expired"),
        pytest.param(-67602, 62, id="macOS: name"),
        pytest.param(0x800B0109, 19, id="Windows: untrusted root"),
        pytest.param(0x800B0109 - 2**32, 19, id="Windows, signed"),
        pytest.param(20, 20, id="OpenSSL's own"),
        pytest.param(-1, -1, id="unknown"),
        pytest.param(None, None, id="none"),
    ],
)
def test_platform_codes(code: int | None, expected: int | None) -> None:
    assert verify.as_openssl(code) == expected
