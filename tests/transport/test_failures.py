"""What goes wrong leaves as one of kedge's errors, with the party that is to blame."""

# ruff: noqa: E501  (tables, one case a line)

from __future__ import annotations

import socket
import ssl

import pytest

from kedge.errors import (
    ConnectionFailedError,
    ConnectionTimeoutError,
    HttpStatusError,
    KedgeError,
    RedirectError,
    ResolveHostError,
    TlsError,
    VerificationError,
)
from kedge.errors import InsecureLocationError as Insecure
from kedge.model import Hop, NetworkOrigin
from support.pki import EXPIRED, NOT_YET, Authority, Certificate, LeafMaker, self_signed
from support.proxies import Proxy, free_port
from support.servers import Request, Response, Server, redirect, tree
from transport.sessions import DECISION, Opener, RawServer, saying, silence

PAGE = tree({"/": b"hello"})


@pytest.mark.parametrize(
    ("make", "codes"),
    [
        pytest.param(lambda ca: ca.leaf("localhost", validity=EXPIRED), {10}, id="expired"),
        pytest.param(lambda ca: ca.leaf("localhost", validity=NOT_YET), {9}, id="not-yet-valid"),
        pytest.param(lambda ca: ca.leaf("other.example"), {62}, id="name-mismatch"),
        pytest.param(lambda ca: ca.leaf(common_name="localhost", alternative_names=False), {62}, id="common-name-only"),
        pytest.param(lambda _: self_signed("localhost"), {18}, id="self-signed"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("through", ["direct", "plain-proxy", "tls-proxy"])
def test_a_refused_certificate(
    make: LeafMaker, codes: set[int], through: str, opened: Opener, private_ca: Authority,
    leaf: Certificate,
) -> None:  # fmt: skip
    with (
        Server(PAGE, certificate=make(private_ca)) as server,
        Proxy(certificate=leaf if through == "tls-proxy" else None) as proxy,
    ):
        with pytest.raises(VerificationError) as caught:
            opened(proxy="" if through == "direct" else proxy.url, retries=3).get(f"{server.url}/")
        error = caught.value
        assert error.verify_code in codes
        assert error.hop is Hop.SERVER
        assert error.peer == NetworkOrigin("https", "localhost", server.port)
        assert error.decision is DECISION
        assert error.reason in error.message
        assert "_ssl.c" not in error.message
        assert f"https://localhost:{server.port}" in error.message
        assert str(DECISION) in (error.hint or "")
        assert isinstance(error.__cause__, BaseException)
        assert len(server.refused()) == 1


def test_an_old_protocol(opened: Opener, leaf: Certificate, private_ca: Authority) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(cadata=private_ca.pem.decode())
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    with Server(PAGE, certificate=leaf, maximum_tls=ssl.TLSVersion.TLSv1_2) as server:
        with pytest.raises(TlsError) as caught:
            opened(context=context).get(f"{server.url}/")
        assert not isinstance(caught.value, VerificationError)
        assert caught.value.hop is Hop.SERVER
        assert "protocol version" in caught.value.reason


def test_a_server_that_wants_a_client_certificate(
    opened: Opener, leaf: Certificate, private_ca: Authority
) -> None:
    with Server(PAGE, certificate=leaf, client_ca=private_ca, client_required=True) as server:
        with pytest.raises(ConnectionFailedError) as caught:
            opened().get(f"{server.url}/")
        assert caught.value.hop is Hop.SERVER


def test_plain_http_under_an_https_address(opened: Opener) -> None:
    with RawServer(saying(b"HTTP/1.1 400 Bad Request\r\n\r\n")) as server:
        with pytest.raises(TlsError) as caught:
            opened(retries=3).get(f"https://127.0.0.1:{server.port}/")
        assert caught.value.hop is Hop.SERVER
        assert server.connections == 1


def test_a_handshake_that_is_cut_is_tried_once_more(opened: Opener) -> None:
    with RawServer(saying(b"")) as server:
        with pytest.raises(ConnectionFailedError):
            opened(retries=5).get(f"https://127.0.0.1:{server.port}/")
        assert server.connections == 2


def test_nobody_listens(opened: Opener) -> None:
    port = free_port()
    with pytest.raises(ConnectionFailedError) as caught:
        opened().get(f"https://localhost:{port}/")
    assert type(caught.value) is ConnectionFailedError
    assert caught.value.peer.port == port
    assert "refused" in caught.value.message


def test_an_unknown_host_is_asked_for_twice_at_most(opened: Opener, told: object) -> None:
    with pytest.raises(ResolveHostError) as caught:
        opened(retries=5).get("https://files.invalid/")
    assert caught.value.peer.host == "files.invalid"
    assert len(told.retries) == 1  # type: ignore[attr-defined]


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_silence(scheme: str, opened: Opener) -> None:
    with RawServer(silence) as server:
        with pytest.raises(ConnectionTimeoutError) as caught:
            opened(timeout=0.3).get(f"{scheme}://127.0.0.1:{server.port}/")
        assert caught.value.hop is Hop.SERVER


@pytest.mark.parametrize(
    "words",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"220 mail.example ESMTP\r\n", id="mail"),
        pytest.param(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhel", id="cut"),
        pytest.param(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nhello", id="chunk"),
        pytest.param(b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 500 + b"\r\n", id="headers"),
    ],
)  # fmt: skip
def test_what_is_no_sound_answer(words: bytes, opened: Opener) -> None:
    with RawServer(saying(words)) as server:
        with pytest.raises(ConnectionFailedError) as caught:
            opened().get(f"http://127.0.0.1:{server.port}/")
        assert caught.value.hop is Hop.SERVER


def test_a_length_that_is_no_number_is_none(opened: Opener) -> None:
    """Python converts no more than 4,300 digits. What comes until the end is the body, then."""
    words = b"HTTP/1.1 200 OK\r\nContent-Length: " + b"9" * 5000 + b"\r\n\r\nall of it"
    with RawServer(saying(words)) as server, opened() as session:
        assert session.get(f"http://127.0.0.1:{server.port}/").body == b"all of it"


# --------------------------------------------------------------------------------------------
# Redirects


class TestRedirects:
    @pytest.mark.parametrize("code", [301, 302, 303, 307, 308])
    def test_are_followed(self, code: int, opened: Opener, leaf: Certificate) -> None:
        def handler(request: Request) -> Response:
            return redirect("/b?q=1", code) if request.path == "/a" else Response(200, b"b")

        with Server(handler, certificate=leaf) as server:
            response = opened().get(f"{server.url}/a")
            assert (response.url, response.body) == (f"{server.url}/b?q=1", b"b")
            assert server.connections == 1

    @pytest.mark.parametrize(
        "target",
        ["http://127.0.0.1:{port}/", "http://files.example/", "file:///etc/passwd", "ftp://a/b",
         "https://:80/"],
    )  # fmt: skip
    def test_are_refused(self, target: str, opened: Opener, leaf: Certificate) -> None:
        with (
            Server(PAGE) as plain,
            Server(lambda _: redirect(target.format(port=plain.port)), certificate=leaf) as server,
        ):
            with pytest.raises(RedirectError) as caught:
                opened(retries=3, trusted_hosts=["files.example"]).get(f"{server.url}/")
            assert caught.value.url == f"{server.url}/"
            assert plain.requests == []
            assert len(server.requests) == 1

    def test_from_loopback_to_plain_http_elsewhere_are_refused(self, opened: Opener) -> None:
        with Server(lambda _: redirect("http://files.example/")) as server:
            with pytest.raises(Insecure) as caught:
                opened().get(f"{server.url}/")
            assert "--trusted-host files.example" in (caught.value.hint or "")

    def test_end_some_time(self, opened: Opener, leaf: Certificate) -> None:
        with Server(lambda _: redirect("/"), certificate=leaf) as server:
            with pytest.raises(RedirectError):
                opened(retries=3).get(f"{server.url}/")
            assert len(server.requests) == 21

    def test_without_a_location_are_answers(self, opened: Opener, leaf: Certificate) -> None:
        with Server(lambda _: Response(302), certificate=leaf) as server:
            with pytest.raises(HttpStatusError) as caught:
                opened().get(f"{server.url}/")
            assert caught.value.status == 302

    def test_a_large_body_of_theirs_is_not_read(self, opened: Opener, leaf: Certificate) -> None:
        def handler(request: Request) -> Response:
            if request.path == "/a":
                return Response(302, b"x" * 5_000_000, {"Location": "/b"}, throttle=64 * 1024)
            return Response(200, b"b")

        with Server(handler, certificate=leaf) as server:
            assert opened().get(f"{server.url}/a").body == b"b"
            assert server.connections == 2


GOOD = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"


@pytest.mark.parametrize(
    ("words", "error"),
    [
        pytest.param(GOOD, None, id="sound"),
        pytest.param(GOOD[:17], ConnectionFailedError, id="cut-before-the-headers"),
        pytest.param(GOOD[:33], ConnectionFailedError, id="cut-in-a-header"),
        pytest.param(GOOD.replace(b"200", b"2x0"), ConnectionFailedError, id="status"),
        pytest.param(GOOD.replace(b"5", b"-5"), None, id="negative-length"),
        pytest.param(GOOD.replace(b"5", b"five"), None, id="length-in-words"),
        pytest.param(GOOD.replace(b"HTTP/1.1", b"HTTP/9.9"), ConnectionFailedError, id="version"),
        pytest.param(GOOD.replace(b"\r\n", b"\r"), ConnectionFailedError, id="line-ends"),
        pytest.param(b"\x00" * 70_000, ConnectionFailedError, id="zeros"),
        pytest.param(b"A" * 70_000, ConnectionFailedError, id="long-line"),
        pytest.param(GOOD.replace(b"200 OK", b"302 F\r\nLocation: //[::1"), RedirectError, id="redirect-to-nowhere"),
        pytest.param(GOOD.replace(b"200 OK", b"302 F\r\nLocation: \xff\xfe"), ConnectionFailedError, id="redirect-in-latin-1"),
        pytest.param(GOOD.replace(b"200 OK", b"503 N\r\nRetry-After: 9999999999999999"), HttpStatusError, id="endless-retry-after"),
    ],
)  # fmt: skip
def test_only_kedge_errors_leave(
    words: bytes, error: type[KedgeError] | None, opened: Opener
) -> None:
    said = [words]

    def once(connection: socket.socket) -> None:
        connection.recv(65536)
        connection.sendall(said.pop() if said else b"")

    with RawServer(once) as server:
        url = f"http://127.0.0.1:{server.port}/"
        if error is None:
            assert opened().get(url).body == b"hello"
        else:
            with pytest.raises(error):
                opened().get(url)
