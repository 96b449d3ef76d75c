"""The anchors in force, written out and described: what other programs and people get to see."""

from __future__ import annotations

import doctest
import importlib
import pkgutil
import ssl
import subprocess
import sys
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta, timezone
from pathlib import Path

import certifi
import pytest

import kedge.trust
from kedge import trust
from kedge.errors import EmptySystemStoreError
from kedge.model import Origin, OriginKind, Sourced, StoreKind
from kedge.trust import export, pem, platform_store
from kedge.trust.description import describe
from support.handshakes import ACCEPTED, CERTIFICATE_REJECTED, UNTRUSTED, verify_code
from support.pki import (
    CODE_SIGNING,
    SERVER_AUTH,
    Authority,
    Validity,
    authority,
    pem_file,
    pkcs7_file,
    trusted_block,
)

Load = Callable[..., trust.Anchors]
FEATURE = Origin(OriginKind.COMMAND_LINE, "--use-feature")


def system(environ: dict[str, str], *, platform: str = "linux") -> trust.Anchors:
    decision = trust.decide(trust.TrustSettings(truststore=Sourced(True, FEATURE)))
    return trust.load(decision, environ=environ, platform=platform)


def by_others(text: str, tmp_path: Path) -> ssl.SSLContext:
    """A context as another program would make it of an exported file."""
    path = tmp_path / "exported.pem"
    path.write_text(text, encoding="ascii")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(cafile=path)
    return context


class TestExport:
    def test_certifi(self, tmp_path: Path) -> None:
        anchors = trust.load(trust.decide(trust.TrustSettings()), environ={})
        theirs = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        theirs.load_verify_locations(cafile=certifi.where())
        ours = by_others(trust.export_pem(anchors), tmp_path)
        assert _ders(ours) == _ders(theirs)

    def test_the_systems_store(
        self, private_ca: Authority, stranger_ca: Authority, bundle: Path, tmp_path: Path
    ) -> None:
        environ = {"SSL_CERT_FILE": str(bundle), "SSL_CERT_DIR": "/nowhere"}
        context = by_others(trust.export_pem(system(environ)), tmp_path)
        assert verify_code(context, private_ca.leaf("localhost")) == ACCEPTED
        assert verify_code(context, stranger_ca.leaf("localhost")) in UNTRUSTED

    def test_several_bundles_each_certificate_once(
        self, private_ca: Authority, stranger_ca: Authority, tmp_path: Path, load: Load
    ) -> None:
        one, two = tmp_path / "one.p7b", tmp_path / "Köln.pem"
        one.write_bytes(pkcs7_file(private_ca, stranger_ca))
        two.write_bytes(pem_file(stranger_ca, private_ca))
        text = trust.export_pem(load(one, two))
        assert text.count("BEGIN CERTIFICATE") == 2
        assert text.isascii()
        assert _ders(by_others(text, tmp_path)) == {private_ca.der, stranger_ca.der}

    def test_what_is_rejected_is_never_a_plain_block(
        self, private_ca: Authority, stranger_ca: Authority, tmp_path: Path, load: Load
    ) -> None:
        bundle = tmp_path / "bundle.pem"
        bundle.write_bytes(
            private_ca.pem
            + trusted_block(private_ca, reject=[SERVER_AUTH])
            + trusted_block(stranger_ca, trust=[SERVER_AUTH])
        )
        text = trust.export_pem(load(bundle))
        plain = [block for block in pem.split(text) if block.label == pem.CERTIFICATE]
        assert [block.der() for block in plain] == [stranger_ca.der]
        context = by_others(text, tmp_path)
        assert verify_code(context, private_ca.leaf("localhost")) == CERTIFICATE_REJECTED
        assert verify_code(context, stranger_ca.leaf("localhost")) == ACCEPTED

    def test_it_can_be_read_back(
        self, private_ca: Authority, stranger_ca: Authority, tmp_path: Path, load: Load
    ) -> None:
        bundle, back = tmp_path / "bundle.pem", tmp_path / "back.pem"
        bundle.write_bytes(pem_file(private_ca) + trusted_block(stranger_ca, reject=[SERVER_AUTH]))
        back.write_text(trust.export_pem(load(bundle)))
        again = trust.make_context(load(back))
        assert verify_code(again, private_ca.leaf("localhost")) == ACCEPTED
        assert verify_code(again, stranger_ca.leaf("localhost")) == CERTIFICATE_REJECTED


def _ders(context: ssl.SSLContext) -> set[bytes]:
    return set(context.get_ca_certs(binary_form=True))


class TestPlatformStore:
    """macOS and Windows cannot be asked here; what they would answer can be read."""

    def test_windows_uses(self, private_ca: Authority, stranger_ca: Authority) -> None:
        other = authority("For code")
        entries: list[tuple[bytes, str, frozenset[str] | bool]] = [
            (private_ca.der, "x509_asn", True),
            (stranger_ca.der, "x509_asn", frozenset({SERVER_AUTH.dotted_string})),
            (other.der, "x509_asn", frozenset({CODE_SIGNING.dotted_string})),
            (other.der, "x509_asn", False),
            (b"0\0", "pkcs_7_asn", True),
        ]
        found = platform_store.windows_anchors(entries)
        assert [block.der() for block in found] == [private_ca.der, stranger_ca.der]

    def test_macos_listing(self, private_ca: Authority, stranger_ca: Authority) -> None:
        found = platform_store.macos_anchors(pem_file(private_ca, stranger_ca).decode())
        assert [block.der() for block in found] == [private_ca.der, stranger_ca.der]

    @pytest.mark.parametrize("platform", ["darwin", "win32"])
    def test_a_platform_that_does_not_answer(self, platform: str) -> None:
        if sys.platform == platform:
            pytest.skip("this one answers")
        anchors = system({}, platform=platform)
        with pytest.raises(EmptySystemStoreError) as caught:
            export.export_pem(anchors, platform=platform)
        assert caught.value.origin == FEATURE
        (described,) = describe(anchors, platform=platform)
        assert (described.by_platform, described.count) == (True, 0)

    def test_what_the_platform_lists_is_exported(
        self, private_ca: Authority, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        listing: Iterable[tuple[bytes, str, bool]] = [(private_ca.der, "x509_asn", True)]
        monkeypatch.setattr(ssl, "enum_certificates", lambda store: listing, raising=False)
        anchors = system({}, platform="win32")
        context = by_others(export.export_pem(anchors, platform="win32"), tmp_path)
        assert verify_code(context, private_ca.leaf("localhost")) == ACCEPTED
        (described,) = describe(anchors, platform="win32")
        assert [each.sha256 for each in described.certificates] == [private_ca.fingerprint]


class TestDescription:
    def test_certificate(self, tmp_path: Path, load: Load) -> None:
        root = authority("Described Root", validity=Validity(-3, 30))
        bundle = tmp_path / "bundle.pem"
        bundle.write_bytes(b"# a comment\n" + root.pem)
        (source,) = trust.describe(load(bundle))
        (found,) = source.certificates
        assert found.sha256 == root.fingerprint
        assert found.subject == found.issuer == root.subject
        assert (found.file, found.block, found.line) == (str(bundle), 1, 2)
        assert (found.is_ca, found.vouches) == (True, True)
        now = datetime.now(timezone.utc)
        assert found.not_after
        assert abs(found.not_after - now - timedelta(days=30)) < timedelta(minutes=5)
        assert found.is_valid(now)
        assert not found.is_valid(now + timedelta(days=31))
        assert not found.is_valid(now - timedelta(days=4))

    def test_source(self, tmp_path: Path, load: Load) -> None:
        soon = authority("Soon", validity=Validity(-1, 5))
        late = authority("Late", validity=Validity(-1, 50))
        gone = authority("Rejected", validity=Validity(-1, 2))
        bundle = tmp_path / "bundle.pem"
        bundle.write_bytes(
            pem_file(late, gone, soon, late) + trusted_block(gone, reject=[SERVER_AUTH]) + gone.pem
        )
        (source,) = trust.describe(load(bundle))
        assert source.source.kind is StoreKind.BUNDLE
        assert source.files == (str(bundle),)
        assert len(source.certificates) == 3
        assert source.count == 2
        assert source.first_expiry == soon.certificate.not_valid_after_utc

    def test_certifi(self) -> None:
        (source,) = trust.describe(trust.load(trust.decide(trust.TrustSettings()), environ={}))
        assert source.count > 50
        assert all(found.subject and found.not_after for found in source.certificates)
        assert source.files == (certifi.where(),)

    def test_what_cryptography_cannot_read_is_still_counted(
        self, tmp_path: Path, load: Load
    ) -> None:
        """Version 8 does not exist; OpenSSL does not mind."""
        root = authority("Odd Root")
        at = root.der.index(b"\xa0\x03\x02\x01\x02") + 4
        bundle = tmp_path / "odd.der"
        bundle.write_bytes(root.der[:at] + b"\x07" + root.der[at + 1 :])
        (source,) = trust.describe(load(bundle))
        (found,) = source.certificates
        assert source.count == 1
        assert (found.subject, found.not_after) == (None, None)
        assert len(found.sha256) == 64


def test_the_common_path_does_not_import_cryptography() -> None:
    code = (
        "import sys; from kedge import trust\n"
        "trust.context_for(trust.decide(trust.TrustSettings()), {})\n"
        "wanted = {'cryptography', 'truststore', 'requests', 'urllib3', 'subprocess'}\n"
        "print(sorted(wanted & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True)
    assert done.stdout.strip() == "[]"


def test_public_names() -> None:
    assert trust.__all__ == [
        "Anchors",
        "ClientCertificate",
        "check_client_certificate",
        "DescribedCertificate",
        "DescribedSource",
        "LoadedSource",
        "TrustSettings",
        "context_for",
        "decide",
        "describe",
        "export_pem",
        "load",
        "make_context",
        "truststore_context",
        "unverified_context",
    ]
    # Calling them twice finds the functions still, not submodules of the same name.
    anchors = trust.load(trust.decide(trust.TrustSettings()), environ={})
    assert trust.describe(anchors) == trust.describe(anchors)
    assert trust.export_pem(anchors) == trust.export_pem(anchors)


@pytest.mark.parametrize(
    "name",
    ["kedge.trust", *(f"kedge.trust.{m.name}" for m in pkgutil.iter_modules(kedge.trust.__path__))],
)
def test_examples_run(name: str) -> None:
    result = doctest.testmod(importlib.import_module(name))
    assert result.failed == 0
    assert result.attempted > 0 or name not in {"kedge.trust", "kedge.trust.decide"}
