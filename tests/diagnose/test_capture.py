"""The probe: what it sends and to whom, how long it takes, what it keeps."""

from __future__ import annotations

import socket
import ssl
import threading
import time
from collections.abc import Callable
from dataclasses import replace

import pytest

from diagnose import zoo
from diagnose.zoo import Keeper
from kedge import trust
from kedge.diagnose.capture import capture
from kedge.diagnose.evidence import Cause
from kedge.diagnose.examine import examine
from kedge.diagnose.route import _PATIENCE, Place, read_answer
from kedge.diagnose.wire import Deadline, Trouble, certificates_of, connect
from kedge.model import Hop, NetworkOrigin
from support import pki
from support.proxies import Proxy
from support.unhurried import LONG
from transport.sessions import RawServer, silence

LIMIT = LONG


def place_of(url: str) -> Place:
    return Place(NetworkOrigin.of(url))


def test_the_server_hears_nothing_but_head_of_the_root(keeper: Keeper) -> None:
    """Neither the path nor the credentials of the URL, over verified connections and others."""
    root = pki.authority("Corp Root")
    keeper.trusts(root)
    url = keeper.serves(root.leaf("localhost"))
    secret = url.replace("https://", "https://user:hunter2@") + "?token=hunter2"
    examine(secret, keeper.surroundings)
    requests = keeper.servers[0].requests
    assert len(requests) >= 2  # the probe, and the verified one
    assert {(each.method, each.target) for each in requests} == {("HEAD", "/")}
    sent = {name.lower() for each in requests for name in each.headers}
    assert sent == {"host", "user-agent", "accept", "connection"}


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_the_whole_chain_in_its_order(keeper: Keeper, version: ssl.TLSVersion) -> None:
    root = pki.authority("Corp Root")
    issuing = root.intermediate("Corp Issuing")
    leaf = issuing.leaf("localhost")
    url = keeper.serves(zoo.sent_with(leaf, root, issuing), maximum_tls=version)
    found = capture(place_of(url), limit=LIMIT)
    assert found.chain == (leaf.der, root.der, issuing.der)
    assert found.spoken is not None
    assert found.spoken.protocol == {771: "TLSv1.2", 772: "TLSv1.3"}[version.value]


def test_the_chain_of_a_server_that_refuses_us(keeper: Keeper) -> None:
    """TLS 1.2 sends its certificate before it refuses a client without one."""
    root = pki.authority("Corp Root")
    leaf = root.leaf("localhost")
    url = keeper.serves(
        leaf, client_ca=root, client_required=True, maximum_tls=ssl.TLSVersion.TLSv1_2
    )
    found = capture(place_of(url), limit=LIMIT)
    assert found.failure is not None
    assert found.failure.trouble is Trouble.ALERT
    assert found.chain[0] == leaf.der


@pytest.mark.parametrize("trusted", [True, False])
def test_a_client_certificate_is_shown_over_verified_connections_alone(
    keeper: Keeper, trusted: bool
) -> None:
    root, other = pki.authority("Corp Root"), pki.authority("Other Root")
    keeper.trusts(root if trusted else other)
    url = keeper.serves(root.leaf("localhost"), client_ca=root)
    client = root.client()
    keeper.presents(client, url)
    examine(url, keeper.surroundings)
    seen = {request.client_certificate for request in keeper.servers[0].requests}
    assert seen == ({None, client.der} if trusted else {None})


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_a_client_certificate_that_is_accepted(keeper: Keeper, version: ssl.TLSVersion) -> None:
    """That the probe, which shows none, is turned away is no cause then."""
    root = pki.authority("Corp Root")
    keeper.trusts(root)
    leaf = root.leaf("localhost")
    url = keeper.serves(leaf, client_ca=root, client_required=True, maximum_tls=version)
    keeper.presents(root.client(), url)
    found = examine(url, keeper.surroundings)
    assert found.findings == ()
    assert found.sound


def test_a_client_certificate_is_for_its_origins(keeper: Keeper) -> None:
    url = zoo.client_refused(ssl.TLSVersion.TLSv1_3)(keeper)
    keeper.client_origins = frozenset({NetworkOrigin("https", "elsewhere.example", 443)})
    found = examine(url, keeper.surroundings).findings
    assert [finding.cause for finding in found] == [Cause.CLIENT_CERT_REQUIRED]


def test_credentials_of_the_proxy_go_to_the_proxy(keeper: Keeper) -> None:
    root = pki.authority("Corp Root")
    keeper.trusts(root)
    url = keeper.serves(root.leaf("localhost"))
    proxy = keeper.stack.enter_context(Proxy(credentials=("user", "hunter2")))
    keeper.uses(proxy.authorized_url)
    assert examine(url, keeper.surroundings).sound
    assert {entry.credentials for entry in proxy.entries} == {("user", "hunter2")}
    assert not any(
        "proxy-authorization" in str(each.headers).lower() for each in keeper.servers[0].requests
    )


@pytest.mark.parametrize("build", [zoo.proxy_untrusted, zoo.proxy_and_no_anchors])
def test_an_unverified_proxy_gets_no_credentials(
    keeper: Keeper, build: Callable[[Keeper], str]
) -> None:
    found = examine(build(keeper), keeper.surroundings)
    assert found.evidence.place.hop is Hop.PROXY
    assert len(found.evidence.chain.certificates) == 2
    (proxy,) = keeper.proxies
    assert {(entry.method, entry.target) for entry in proxy.entries} <= {("HEAD", "/")}
    assert {entry.credentials for entry in proxy.entries} <= {None}


@pytest.mark.parametrize("proxied", [False, True])
def test_a_silent_peer_cannot_hold_it(keeper: Keeper, proxied: bool) -> None:
    server = keeper.stack.enter_context(RawServer(silence))
    url = f"https://localhost:{server.port}/"
    if proxied:
        keeper.uses(f"http://localhost:{server.port}")
    found = examine(url, replace(keeper.surroundings, limit=0.5))
    assert not found.sound
    assert found.evidence.capture.failure is not None
    assert found.evidence.capture.failure.trouble is Trouble.TIMEOUT


def test_an_answer_that_does_not_come_is_not_waited_for(
    keeper: Keeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The handshakes are done, and all that matters is known: the limit, of hours, is not."""
    monkeypatch.setattr("kedge.diagnose.route._PATIENCE", _PATIENCE)
    root = pki.authority("Corp Root")
    keeper.trusts(root)
    url = keeper.serves(root.leaf("localhost"), zoo.mute)
    found = examine(url, replace(keeper.surroundings, limit=9999))
    assert found.sound
    assert found.evidence.capture.after is not None
    assert found.evidence.capture.after.trouble is Trouble.TIMEOUT


def test_a_peer_that_drips_cannot_hold_it(keeper: Keeper) -> None:
    """A byte of a record now and then: each read succeeds, the handshake never does."""

    def drip(connection: socket.socket) -> None:
        connection.sendall(b"\x16\x03\x03\x40\x00")
        while True:
            connection.sendall(b"\0")
            time.sleep(0.05)

    server = keeper.stack.enter_context(RawServer(drip))
    found = capture(place_of(f"https://localhost:{server.port}/"), limit=0.6)
    assert found.failure is not None
    assert found.failure.trouble is Trouble.TIMEOUT


def test_a_resolver_that_hangs_cannot_hold_it(monkeypatch: pytest.MonkeyPatch) -> None:
    over = threading.Event()

    def hang(*_: object, **__: object) -> list[object]:
        over.wait()
        return []

    monkeypatch.setattr("socket.getaddrinfo", hang)
    with pytest.raises(TimeoutError):
        connect("localhost", 1, Deadline.after(0.3))
    over.set()


def test_what_the_context_of_trust_makes_is_not_watched(keeper: Keeper) -> None:
    """Its messages are looked at on a context of the probe's own."""
    assert getattr(trust.unverified_context(), "_msg_callback", None) is None


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        pytest.param(b"\0\0\x05\0\0\x02ab", (b"ab",), id="TLS 1.2"),
        pytest.param(b"\0\0\x09\0\0\x01a\0\0\x02bc", (b"a", b"bc"), id="two"),
        pytest.param(b"\0\0\0\x07\0\0\x02ab\0\0", (b"ab",), id="TLS 1.3"),
        pytest.param(b"\0\0\0\x09\0\0\x02ab\0\x02xy", (b"ab",), id="with extensions"),
        pytest.param(b"\0\0\0", (), id="none"),
        pytest.param(b"", (), id="empty"),
        pytest.param(b"\0\0\x09\0\0\x02ab", (), id="cut"),
        pytest.param(b"\xff\xff\xff\xff", (), id="nonsense"),
    ],
)
def test_a_certificate_message(message: bytes, expected: tuple[bytes, ...]) -> None:
    assert certificates_of(message) == expected


def test_an_answer_loses_what_a_terminal_would_obey() -> None:
    answer = read_answer(b"HTTP/1.1 302 Found\r\nLocation: http://x/\x1b[2J\r\n\r\n")
    assert answer is not None
    assert answer.headers == {"location": "http://x/[2J"}


@pytest.mark.parametrize("data", [b"", b"SSH-2.0-x", b"HTTP/1.1", b"HTTP/1.1 abc\r\n\r\n"])
def test_no_answer(data: bytes) -> None:
    assert read_answer(data) is None
