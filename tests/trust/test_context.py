"""The verification profile, by handshake: the same on every Python."""

from __future__ import annotations

import ssl
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography import x509

from kedge import trust
from kedge.errors import TruststoreError
from kedge.model import Origin, OriginKind, Sourced
from kedge.trust import profile
from support.handshakes import (
    ACCEPTED,
    EXPIRED,
    HOSTNAME_MISMATCH,
    NOT_YET_VALID,
    UNTRUSTED,
    shake,
    verify_code,
)
from support.pki import (
    CLIENT_AUTH,
    NOT_YET,
    Authority,
    Certificate,
    authority,
    self_signed,
)
from support.pki import (
    EXPIRED as EXPIRED_SPAN,
)
from support.servers import Server, not_found

Trusting = Callable[..., ssl.SSLContext]
Load = Callable[..., trust.Anchors]

INVALID_PURPOSE = 26


@pytest.fixture
def context(bundle: Path, trusting: Trusting) -> ssl.SSLContext:
    return trusting(bundle)


class TestProfile:
    @pytest.mark.parametrize(
        ("host", "name"), [("localhost", None), ("127.0.0.1", None), ("127.0.0.2", None)]
    )
    def test_names_and_addresses(
        self, host: str, name: str | None, context: ssl.SSLContext, private_ca: Authority
    ) -> None:
        assert verify_code(context, private_ca.leaf(host), host=host, name=name) == ACCEPTED

    def test_another_name(self, context: ssl.SSLContext, private_ca: Authority) -> None:
        assert verify_code(context, private_ca.leaf("index.test")) == HOSTNAME_MISMATCH

    def test_another_address(self, context: ssl.SSLContext, private_ca: Authority) -> None:
        code = verify_code(context, private_ca.leaf("127.0.0.2"), host="127.0.0.1")
        assert code == 64  # X509_V_ERR_IP_ADDRESS_MISMATCH

    def test_the_common_name_is_never_looked_at(
        self, context: ssl.SSLContext, private_ca: Authority
    ) -> None:
        leaf = private_ca.leaf(common_name="localhost", alternative_names=False)
        assert verify_code(context, leaf) == HOSTNAME_MISMATCH
        assert context.hostname_checks_common_name is False

    def test_expired(self, context: ssl.SSLContext, private_ca: Authority) -> None:
        leaf = private_ca.leaf("localhost", validity=EXPIRED_SPAN)
        assert verify_code(context, leaf) == EXPIRED

    def test_not_yet_valid(self, context: ssl.SSLContext, private_ca: Authority) -> None:
        leaf = private_ca.leaf("localhost", validity=NOT_YET)
        assert verify_code(context, leaf) == NOT_YET_VALID

    def test_a_client_certificate_is_no_servers(
        self, context: ssl.SSLContext, private_ca: Authority
    ) -> None:
        leaf = private_ca.leaf("localhost", purposes=(CLIENT_AUTH,))
        assert verify_code(context, leaf) == INVALID_PURPOSE

    def test_an_expired_anchor(self, tmp_path: Path, trusting: Trusting) -> None:
        root = authority("Old Root", validity=EXPIRED_SPAN)
        context = trusting(root.write_pem(tmp_path / "ca.pem"))
        assert verify_code(context, root.leaf("localhost")) == EXPIRED

    def test_a_missing_intermediate(self, context: ssl.SSLContext, private_ca: Authority) -> None:
        issuing = private_ca.intermediate("Issuing CA")
        leaf = issuing.leaf("localhost")
        alone = Certificate(leaf.certificate, leaf.key)
        assert verify_code(context, leaf) == ACCEPTED
        assert verify_code(context, alone) in UNTRUSTED

    @pytest.mark.filterwarnings("ignore:ssl.TLSVersion.TLSv1_1 is deprecated")
    @pytest.mark.parametrize("make", ["verified", "unverified"])
    def test_tls_1_1_is_refused(
        self, make: str, context: ssl.SSLContext, private_ca: Authority
    ) -> None:
        leaf = private_ca.leaf("localhost")
        old = ssl.TLSVersion.TLSv1_1
        client = context if make == "verified" else trust.unverified_context()
        with Server(not_found, certificate=leaf, maximum_tls=ssl.TLSVersion.TLSv1_2) as server:
            shake(client, "localhost", server.port)
        with Server(not_found, certificate=leaf, maximum_tls=old) as server:
            assert server.context
            server.context.minimum_version = old
            server.context.set_ciphers("DEFAULT:@SECLEVEL=0")
            with pytest.raises(ssl.SSLError) as caught:
                shake(client, "localhost", server.port)
        assert not isinstance(caught.value, ssl.SSLCertVerificationError)
        assert client.minimum_version is ssl.TLSVersion.TLSv1_2

    def test_http_1_1_is_asked_for(self, context: ssl.SSLContext, private_ca: Authority) -> None:
        import socket

        with Server(not_found, certificate=private_ca.leaf("localhost")) as server:
            assert server.context
            server.context.set_alpn_protocols(["h2", "http/1.1"])
            with (
                socket.create_connection(("localhost", server.port), timeout=60) as plain,
                context.wrap_socket(plain, server_hostname="localhost") as connection,
            ):
                assert connection.selected_alpn_protocol() == "http/1.1"

    def test_no_python_adds_flags_of_its_own(self, context: ssl.SSLContext) -> None:
        assert context.verify_flags == profile.verify_flags()
        assert context.verify_flags & ssl.VerifyFlags.VERIFY_X509_PARTIAL_CHAIN
        assert not context.verify_flags & ssl.VerifyFlags.VERIFY_X509_STRICT
        assert context.verify_mode is ssl.CERT_REQUIRED
        assert context.check_hostname is True


class TestStrictness:
    @pytest.mark.parametrize(("strict", "passes"), [(False, True), (True, False)])
    def test_a_company_root_without_a_key_usage(
        self, strict: bool, passes: bool, tmp_path: Path, trusting: Trusting
    ) -> None:
        root = authority("Company Root", key_usage=False)
        context = trusting(root.write_pem(tmp_path / "ca.pem"), strict=strict)
        assert (verify_code(context, root.leaf("localhost")) == ACCEPTED) is passes

    @pytest.mark.parametrize(("strict", "passes"), [(False, True), (True, False)])
    def test_a_root_without_key_identifiers(
        self, strict: bool, passes: bool, tmp_path: Path, trusting: Trusting
    ) -> None:
        root = authority("Root", identifiers=False)
        context = trusting(root.write_pem(tmp_path / "ca.pem"), strict=strict)
        assert (verify_code(context, root.leaf("localhost")) == ACCEPTED) is passes

    def test_a_sound_chain_passes_when_strict(
        self, bundle: Path, trusting: Trusting, private_ca: Authority
    ) -> None:
        assert verify_code(trusting(bundle, strict=True), private_ca.leaf("localhost")) == 0


class TestPartialChain:
    def test_an_intermediate_is_enough(
        self, private_ca: Authority, tmp_path: Path, trusting: Trusting
    ) -> None:
        issuing = private_ca.intermediate("Issuing CA")
        context = trusting(issuing.write_pem(tmp_path / "issuing.pem"))
        assert verify_code(context, issuing.leaf("localhost")) == ACCEPTED
        assert verify_code(context, private_ca.leaf("localhost")) in UNTRUSTED

    @pytest.mark.parametrize("kind", ["self-signed", "issued"])
    def test_a_servers_own_certificate_vouches_for_itself_alone(
        self, kind: str, private_ca: Authority, tmp_path: Path, load: Load
    ) -> None:
        leaf = self_signed("localhost") if kind == "self-signed" else private_ca.leaf("localhost")
        anchors = load(leaf.write_pem(tmp_path / "server.pem"))
        (warning,) = anchors.warnings
        assert "server.pem" in warning
        assert "itself alone" in warning
        context = trust.make_context(anchors)
        assert verify_code(context, leaf) == ACCEPTED
        for other in (self_signed("localhost"), private_ca.leaf("localhost")):
            assert verify_code(context, other) in UNTRUSTED

    def test_the_word_is_about_that_one_alone(
        self, private_ca: Authority, tmp_path: Path, load: Load
    ) -> None:
        path = tmp_path / "bundle.pem"
        path.write_bytes(private_ca.pem + self_signed("localhost").pem + private_ca.pem)
        (warning,) = load(path).warnings
        assert "block 2" in warning

    def test_it_vouches_for_nothing_that_it_signed(
        self, tmp_path: Path, trusting: Trusting
    ) -> None:
        fake = authority("No Authority", is_ca=False, key_usage=False)
        context = trusting(fake.write_pem(tmp_path / "server.pem"))
        assert verify_code(context, fake.leaf("localhost")) != ACCEPTED

    def test_its_name_and_time_are_still_checked(self, tmp_path: Path, trusting: Trusting) -> None:
        elsewhere = self_signed("index.test")
        old = self_signed("localhost", validity=EXPIRED_SPAN)
        first = trusting(elsewhere.write_pem(tmp_path / "elsewhere.pem"))
        second = trusting(old.write_pem(tmp_path / "old.pem"))
        assert verify_code(first, elsewhere) == HOSTNAME_MISMATCH
        assert verify_code(second, old) == EXPIRED

    def test_a_self_signed_authority_gets_no_such_word(self, bundle: Path, load: Load) -> None:
        assert load(bundle).warnings == ()


def test_name_constraints_hold(private_ca: Authority, bundle: Path, trusting: Trusting) -> None:
    issuing = private_ca.intermediate("Narrow CA", permitted=[x509.DNSName("internal.test")])
    assert verify_code(trusting(bundle), issuing.leaf("localhost")) == 47  # PERMITTED_VIOLATION


class TestUnverified:
    def test_it_verifies_nothing(self, stranger_ca: Authority) -> None:
        leaf = stranger_ca.leaf("index.test", validity=EXPIRED_SPAN)
        assert verify_code(trust.unverified_context(), leaf) == ACCEPTED

    def test_it_trusts_nobody_either(self, stranger_ca: Authority) -> None:
        context = trust.unverified_context()
        assert context.cert_store_stats()["x509"] == 0
        context.verify_mode = ssl.CERT_REQUIRED
        assert verify_code(context, stranger_ca.leaf("localhost")) in UNTRUSTED


class TestPlatformVerifies:
    """What can be tried here of macOS and Windows: which branch, and what is handed over."""

    def _anchors(self, platform: str, *paths: Path, strict: bool = False) -> trust.Anchors:
        origin = Origin(OriginKind.COMMAND_LINE, "--use-feature")
        decision = trust.decide(
            trust.TrustSettings(
                truststore=Sourced(True, origin),
                strict=Sourced(strict, Origin(OriginKind.FILE, "strict-certs", "pip.conf")),
                extra_certs=tuple(
                    Sourced(str(path), Origin(OriginKind.COMMAND_LINE, "--extra-cert"))
                    for path in paths
                ),
            )
        )
        return trust.load(decision, environ={"SSL_CERT_FILE": "/nowhere"}, platform=platform)

    @pytest.mark.parametrize("platform", ["darwin", "win32"])
    def test_truststore_verifies(self, platform: str) -> None:
        import truststore

        anchors = self._anchors(platform)
        assert anchors.by_platform
        assert anchors.sources[0].files == ()
        context = trust.make_context(anchors)
        assert isinstance(context, truststore.SSLContext)
        assert context.check_hostname is True
        assert context.verify_mode is ssl.CERT_REQUIRED
        assert context.minimum_version is ssl.TLSVersion.TLSv1_2

    @pytest.mark.parametrize("platform", ["linux", "freebsd14"])
    def test_elsewhere_the_store_is_read(self, platform: str, bundle: Path) -> None:
        origin = Origin(OriginKind.COMMAND_LINE, "--use-feature")
        decision = trust.decide(trust.TrustSettings(truststore=Sourced(True, origin)))
        environ = {"SSL_CERT_FILE": str(bundle), "SSL_CERT_DIR": "/nowhere"}
        anchors = trust.load(decision, environ=environ, platform=platform)
        assert not anchors.by_platform
        assert type(trust.make_context(anchors)) is ssl.SSLContext

    def test_bundles_are_added_but_not_what_they_reject(
        self, private_ca: Authority, stranger_ca: Authority, tmp_path: Path
    ) -> None:
        from support.pki import SERVER_AUTH, trusted_block

        added = tmp_path / "bundle.pem"
        added.write_bytes(
            trusted_block(private_ca, trust=[SERVER_AUTH])
            + trusted_block(stranger_ca, reject=[SERVER_AUTH])
        )
        context = trust.make_context(self._anchors("darwin", added))
        # What truststore's macOS and Windows code asks the context for.
        listed = context._ctx.get_ca_certs(binary_form=True)  # type: ignore[attr-defined]
        assert listed == [private_ca.der]

    def test_what_the_platform_cannot_be_told_is_said(self, tmp_path: Path) -> None:
        leaf = self_signed("localhost").write_pem(tmp_path / "server.pem")
        anchors = self._anchors("win32", leaf, strict=True)
        assert len(anchors.warnings) == 2
        assert "server.pem" in anchors.warnings[0]
        assert "itself alone" not in anchors.warnings[0]
        assert "strict-certs" in anchors.warnings[1]

    def test_a_truststore_that_is_missing(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "truststore", None)
        with pytest.raises(TruststoreError) as caught:
            trust.make_context(self._anchors("win32"))
        assert "--use-feature" in caught.value.message
        assert caught.value.hint
