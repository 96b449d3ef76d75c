"""Facts about certificates, and which of them signed which."""

from __future__ import annotations

import pytest

from diagnose import zoo
from kedge import trust
from kedge.diagnose.chain import read_certificate, read_chain, related
from kedge.diagnose.names import matches, product_of
from support import pki


def test_the_path_is_found_in_any_order() -> None:
    root = pki.authority("Root")
    upper = root.intermediate("Upper", path_length=1)
    lower = upper.intermediate("Lower")
    leaf = lower.leaf("localhost")
    chain = read_chain([leaf.der, upper.der, root.der, lower.der])
    assert chain.path == (0, 3, 1, 2)
    assert not chain.in_order
    assert chain.root is not None
    assert chain.root.sha256 == root.fingerprint
    assert chain.missing_issuer is None


def test_what_hangs_loose_is_told() -> None:
    root, stranger = pki.authority("Root"), pki.authority("Stranger")
    leaf = root.leaf("localhost")
    chain = read_chain([leaf.der, stranger.der])
    assert chain.path == (0,)
    assert [each.sha256 for each in chain.unused] == [stranger.fingerprint]
    assert chain.missing_issuer == root.subject
    assert chain.impostors == ()


def test_the_name_is_not_the_signature() -> None:
    root, namesake = pki.authority("Root"), pki.authority("Root")
    chain = read_chain([root.leaf("localhost").der, namesake.der])
    assert chain.path == (0,)
    assert chain.impostors == (1,)


def test_facts() -> None:
    root = pki.authority("Root", path_length=1)
    leaf = root.leaf(
        "localhost",
        "127.0.0.1",
        key="rsa-2048",
        purposes=(pki.CLIENT_AUTH,),
        extensions=[zoo.aia(), zoo.unknown_critical()],
    )
    top, facts = read_certificate(root.der), read_certificate(leaf.der)
    assert (top.is_ca, top.path_length, top.may_sign, top.self_signed) == (True, 1, True, True)
    assert facts.names == ("localhost", "127.0.0.1")
    assert (facts.key, facts.security_bits) == ("RSA 2048", 112)
    assert (facts.is_ca, facts.may_sign, facts.for_servers) == (False, False, False)
    assert facts.issuer_urls == (zoo.AIA_URL,)
    assert facts.unhandled_critical == ("1.3.6.1.4.1.99999.7",)
    assert facts.issuer_key_id == top.key_id
    assert facts.issuer == top.subject
    assert facts.not_after == leaf.certificate.not_valid_after_utc
    assert facts.sha256 == leaf.fingerprint


def test_what_cannot_be_read_keeps_its_fingerprint() -> None:
    facts = read_certificate(b"no certificate")
    assert len(facts.sha256) == 64
    assert facts.not_after is None
    assert read_chain([b"no certificate"]).path == (0,)
    assert read_chain([]).leaf is None


def test_words_of_a_certificate_do_not_reach_the_terminal() -> None:
    leaf = pki.authority("Root\x1b[2J\u202e").leaf("localhost", common_name="a\x07b")
    facts = read_certificate(leaf.der)
    assert (facts.label + facts.issuer + facts.subject + facts.issuer_label).isprintable()


def test_anchors_that_are_related() -> None:
    root, namesake, other = (pki.authority(name) for name in ("Root", "Root", "Other"))
    chain = read_chain([root.leaf("localhost").der])
    named, kin = related([namesake.der, other.der], chain)
    assert [each.sha256 for each in named] == [namesake.fingerprint]
    assert kin
    assert related([], chain) == ((), False)


@pytest.mark.parametrize(
    ("host", "names", "fits"),
    [
        ("a.example", ["a.example"], True),
        ("a.example", ["A.EXAMPLE."], True),
        ("a.b.example", ["*.b.example"], True),
        ("a.b.example", ["*.example"], False),
        ("example", ["*"], False),
        ("a.example", ["a*.example"], False),
        ("127.0.0.1", ["127.0.0.1"], True),
        ("127.0.0.1", ["*.0.0.1"], False),
        ("::1", ["0:0:0:0:0:0:0:1"], True),
        ("a.example", [], False),
    ],
)
def test_names(host: str, names: list[str], fits: bool) -> None:
    assert matches(host, names) is fits


@pytest.mark.parametrize(
    ("issuer", "product"),
    [
        ("CN=Zscaler Intermediate Root CA (zscaler.net),O=Zscaler Inc.", "Zscaler"),
        ("CN=ca.acme.goskope.com,O=Acme", "Netskope"),
        ("CN=Cisco Umbrella Root CA,O=Cisco", "Cisco Umbrella"),
        ("CN=FG100D3G16800000,OU=Certificate Authority,O=Fortinet", "Fortinet"),
        ("CN=Palo Alto Networks Decryption", "Palo Alto Networks"),
        ("CN=Blue Coat SSL Intercept", "Blue Coat (Symantec)"),
        ("CN=mitmproxy,O=mitmproxy", "mitmproxy"),
        ("CN=ISRG Root X1,O=Internet Security Research Group", ""),
        ("CN=GlobalSign Atlas R3 DV TLS CA 2025 Q1,O=GlobalSign nv-sa", ""),
    ],
)
def test_products(issuer: str, product: str) -> None:
    assert product_of(issuer) == product


def test_no_root_of_mozilla_is_taken_for_a_product() -> None:
    (loaded,) = trust.load(trust.decide(trust.TrustSettings()), environ={}).sources
    names = [read_certificate(block.der()).subject for block in loaded.blocks]
    assert len(names) > 50
    assert [name for name in names if product_of(name)] == []
