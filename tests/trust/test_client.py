"""The client certificate: presented as it should be, and every way of being unusable told."""

from __future__ import annotations

import contextlib
import ssl
import stat
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest

from kedge import trust
from kedge.errors import ClientCertificateError
from kedge.model import Origin, OriginKind, Sourced
from kedge.trust import ClientCertificate
from support.pki import Authority, Certificate, damaged_pem
from support.servers import Response, Server

ORIGIN = Origin(OriginKind.ENVIRONMENT, "PIP_CLIENT_CERT")
Load = Callable[..., trust.Anchors]


@pytest.fixture(scope="module")
def client(private_ca: Authority) -> Certificate:
    return private_ca.client()


def presented(context: ssl.SSLContext, ca: Authority) -> bytes | None:
    """What a server that insists on a client certificate got to see."""
    import http.client

    with Server(
        lambda _: Response(),
        certificate=ca.leaf("localhost"),
        client_ca=ca,
        client_required=True,
    ) as server:
        connection = http.client.HTTPSConnection("localhost", server.port, context=context)
        with contextlib.closing(connection):
            connection.request("GET", "/")
            connection.getresponse().read()
        return server.requests[0].client_certificate


class TestPresented:
    def test_one_pem_file(
        self, client: Certificate, private_ca: Authority, bundle: Path, tmp_path: Path, load: Load
    ) -> None:
        path = client.write_identity(tmp_path / "client.pem")
        context = trust.make_context(load(bundle), client_cert=ClientCertificate(str(path), ORIGIN))
        assert presented(context, private_ca) == client.der

    def test_a_key_of_its_own(
        self, client: Certificate, private_ca: Authority, bundle: Path, tmp_path: Path, load: Load
    ) -> None:
        client.write_pem(tmp_path / "client.pem")
        (tmp_path / "client.key").write_bytes(client.key_pem)
        certificate = ClientCertificate(
            str(tmp_path / "client.pem"), ORIGIN, key_path=str(tmp_path / "client.key")
        )
        context = trust.make_context(load(bundle), client_cert=certificate)
        assert presented(context, private_ca) == client.der

    @pytest.mark.parametrize("passphrase", [None, "secret"], ids=["bare", "with passphrase"])
    @pytest.mark.parametrize("form", ["pem", "pkcs12"])
    def test_with_and_without_passphrase(
        self,
        form: str,
        passphrase: str | None,
        client: Certificate,
        private_ca: Authority,
        bundle: Path,
        tmp_path: Path,
        load: Load,
    ) -> None:
        path = tmp_path / "client"
        if form == "pem":
            client.write_identity(path, password=passphrase)
        else:
            path.write_bytes(client.pkcs12(passphrase))
        certificate = ClientCertificate(str(path), ORIGIN, passphrase=passphrase)
        context = trust.make_context(load(bundle), client_cert=certificate)
        assert presented(context, private_ca) == client.der

    def test_it_is_not_presented_by_another_context(
        self, client: Certificate, private_ca: Authority, bundle: Path, tmp_path: Path, load: Load
    ) -> None:
        path = client.write_identity(tmp_path / "client.pem")
        anchors = load(bundle)
        trust.make_context(anchors, client_cert=ClientCertificate(str(path), ORIGIN))
        with pytest.raises((ssl.SSLError, OSError)):
            presented(trust.make_context(anchors), private_ca)

    def test_by_an_unverified_context(
        self, client: Certificate, private_ca: Authority, tmp_path: Path
    ) -> None:
        path = client.write_identity(tmp_path / "client.pem")
        context = trust.unverified_context(client_cert=ClientCertificate(str(path), ORIGIN))
        assert presented(context, private_ca) == client.der


def test_a_settings_tilde_is_expanded(tmp_path: Path) -> None:
    environ = {"HOME": str(tmp_path), "USERPROFILE": str(tmp_path)}
    found = ClientCertificate.of(Sourced("~/client.pem", ORIGIN), environ)
    assert (found.path, found.origin) == (f"{tmp_path}/client.pem", ORIGIN)


def test_the_key_of_a_pkcs12_is_on_disk_only_encrypted_and_briefly(
    client: Certificate, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    path = tmp_path / "client.p12"
    path.write_bytes(client.pkcs12("secret"))
    seen: list[tuple[int, bytes]] = []

    class Watching(ssl.SSLContext):
        def load_cert_chain(self, certfile, keyfile=None, password=None):  # type: ignore[no-untyped-def]
            seen.append((stat.S_IMODE(Path(certfile).stat().st_mode), Path(certfile).read_bytes()))
            super().load_cert_chain(certfile, keyfile, password)

    from kedge.trust.client import load_client_certificate

    load_client_certificate(
        Watching(ssl.PROTOCOL_TLS_CLIENT),
        ClientCertificate(str(path), ORIGIN, passphrase="secret"),
    )
    ((mode, content),) = seen
    assert mode == 0o600
    assert b"ENCRYPTED PRIVATE KEY" in content
    assert b"BEGIN PRIVATE KEY" not in content
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("ending", [KeyboardInterrupt(), OSError(28, "full"), ssl.SSLError("no")])
def test_the_key_of_a_pkcs12_is_gone_however_it_ends(
    ending: BaseException, client: Certificate, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    path = tmp_path / "client.p12"
    path.write_bytes(client.pkcs12("secret"))

    class Ending(ssl.SSLContext):
        def load_cert_chain(self, certfile, keyfile=None, password=None):  # type: ignore[no-untyped-def]
            assert list(folder.iterdir()) == [Path(certfile)]
            raise ending

    from kedge.trust.client import load_client_certificate

    with pytest.raises((KeyboardInterrupt, ClientCertificateError)):
        load_client_certificate(
            Ending(ssl.PROTOCOL_TLS_CLIENT),
            ClientCertificate(str(path), ORIGIN, passphrase="secret"),
        )
    assert list(folder.iterdir()) == []


def test_an_empty_passphrase_is_none(client: Certificate, tmp_path: Path) -> None:
    """PKCS#12 tells them apart; users do not."""
    from cryptography.hazmat.primitives.serialization import pkcs12

    path = tmp_path / "client.p12"
    path.write_bytes(client.pkcs12())
    for passphrase in (None, ""):
        trust.check_client_certificate(ClientCertificate(str(path), ORIGIN, passphrase=passphrase))
    assert pkcs12.load_key_and_certificates(path.read_bytes(), None)[0] is not None


def test_a_server_that_asks_after_the_handshake(
    client: Certificate, private_ca: Authority, bundle: Path, tmp_path: Path, load: Load
) -> None:
    """As Apache does for a part of a site (RFC 8446, section 4.6.2)."""
    import socket
    import threading

    from support.pki import server_context

    path = client.write_identity(tmp_path / "client.pem")
    context = trust.make_context(load(bundle), client_cert=ClientCertificate(str(path), ORIGIN))
    asking = server_context(private_ca.leaf("localhost"))
    asking.load_verify_locations(cadata=private_ca.pem.decode())
    asking.verify_mode = ssl.CERT_REQUIRED
    asking.post_handshake_auth = True
    shown: list[bytes | None] = []

    def serve(listener: socket.socket) -> None:
        connection = asking.wrap_socket(listener.accept()[0], server_side=True)
        with connection:
            connection.recv(16)
            shown.append(connection.getpeercert(binary_form=True))
            connection.verify_client_post_handshake()
            connection.sendall(b"who?")
            connection.recv(16)
            shown.append(connection.getpeercert(binary_form=True))
            connection.sendall(b"you")

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve, args=(listener,), daemon=True)
        thread.start()
        with (
            socket.create_connection(listener.getsockname(), timeout=60) as plain,
            context.wrap_socket(plain, server_hostname="localhost") as secured,
        ):
            secured.sendall(b"hello")
            assert secured.recv(16) == b"who?"
            secured.sendall(b"me")
            assert secured.recv(16) == b"you"
        thread.join()
    assert shown == [None, client.der]


class TestAKeyOfItsOwn:
    KEY = Origin(OriginKind.COMMAND_LINE, "--client-key")

    def refused(self, path: Path, key: Path, **more: str) -> ClientCertificateError:
        with pytest.raises(ClientCertificateError) as caught:
            trust.check_client_certificate(
                ClientCertificate(str(path), ORIGIN, key_path=str(key), key_origin=self.KEY, **more)
            )
        return caught.value

    def test_that_is_missing(self, client: Certificate, tmp_path: Path) -> None:
        error = self.refused(client.write_pem(tmp_path / "c.pem"), tmp_path / "no.key")
        assert "no.key" in error.message
        assert "--client-key" in error.message
        assert "c.pem" not in error.message

    def test_that_is_no_key(self, client: Certificate, tmp_path: Path) -> None:
        certificate = client.write_pem(tmp_path / "c.pem")
        error = self.refused(certificate, client.write_pem(tmp_path / "other.pem"))
        assert "no private key" in error.message
        assert "other.pem" in error.message

    def test_of_another_certificate(
        self, client: Certificate, private_ca: Authority, tmp_path: Path
    ) -> None:
        (tmp_path / "k.pem").write_bytes(private_ca.client().key_pem)
        error = self.refused(client.write_pem(tmp_path / "c.pem"), tmp_path / "k.pem")
        assert "does not belong" in error.message

    def test_beside_a_pkcs12(self, client: Certificate, tmp_path: Path) -> None:
        (tmp_path / "c.p12").write_bytes(client.pkcs12())
        (tmp_path / "k.pem").write_bytes(client.key_pem)
        error = self.refused(tmp_path / "c.p12", tmp_path / "k.pem")
        assert "PKCS#12" in error.message
        assert "--client-key" in (error.hint or "")

    @pytest.mark.parametrize("passphrase", ["wrong", "x" * 5000])
    def test_that_another_passphrase_opens(
        self, client: Certificate, tmp_path: Path, passphrase: str
    ) -> None:
        key = client.write_identity(tmp_path / "k.pem", password="secret")
        certificate = client.write_pem(tmp_path / "c.pem")
        assert self.refused(certificate, key, passphrase=passphrase).locked


UNUSABLE: dict[str, tuple[Callable[[Certificate, Certificate], bytes], str | None, str]] = {
    "no key": (lambda own, _: own.pem, None, "no private key"),
    "no certificate": (lambda own, _: own.key_pem, None, "no certificate"),
    "a text": (lambda own, _: b"hello", None, "no certificate"),
    "empty": (lambda own, _: b"", None, "no certificate"),
    "another's key": (lambda own, other: own.pem + other.key_pem, None, "does not belong"),
    "damaged": (lambda own, _: own.key_pem + damaged_pem(own), None, "OpenSSL"),
    "PKCS#12, no passphrase": (lambda own, _: own.pkcs12("secret"), None, "passphrase"),
    "PKCS#12, wrong passphrase": (lambda own, _: own.pkcs12("secret"), "no", "passphrase"),
    "PKCS#12, damaged": (lambda own, _: own.pkcs12()[:90], None, "passphrase"),
}


@pytest.mark.parametrize(
    ("make", "passphrase", "words"), list(UNUSABLE.values()), ids=list(UNUSABLE)
)
def test_unusable(
    make: Callable[[Certificate, Certificate], bytes],
    passphrase: str | None,
    words: str,
    private_ca: Authority,
    client: Certificate,
    tmp_path: Path,
) -> None:
    path = tmp_path / "client.pem"
    path.write_bytes(make(client, private_ca.client()))
    certificate = ClientCertificate(str(path), ORIGIN, passphrase=passphrase)
    error = _refused(certificate)
    assert words in error.message


@pytest.mark.parametrize(
    ("passphrase", "words"), [(None, "protected by a passphrase"), ("no", "that passphrase")]
)
def test_a_protected_key_is_never_asked_about_on_the_terminal(
    passphrase: str | None, words: str, client: Certificate, tmp_path: Path
) -> None:
    path = client.write_identity(tmp_path / "client.pem", password="secret")
    error = _refused(ClientCertificate(str(path), ORIGIN, passphrase=passphrase))
    assert words in error.message


def test_a_missing_file(tmp_path: Path) -> None:
    error = _refused(ClientCertificate(str(tmp_path / "no.pem"), ORIGIN))
    assert "does not exist" in error.message


def test_the_passphrase_is_not_shown() -> None:
    assert "secret" not in repr(ClientCertificate("a.pem", ORIGIN, passphrase="secret"))


def _refused(certificate: ClientCertificate) -> ClientCertificateError:
    with pytest.raises(ClientCertificateError) as caught:
        trust.unverified_context(client_cert=certificate)
    error = caught.value
    assert (error.path, error.origin) == (certificate.path, ORIGIN)
    assert "PIP_CLIENT_CERT" in error.message
    return error
