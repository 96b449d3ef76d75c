"""Pages: bodies, validators, connections that are kept, threads, and the end of a session."""

from __future__ import annotations

import gzip
import os
import signal
import socket
import subprocess
import sys
import threading
import tracemalloc
import zlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from pathlib import Path

import pytest
import requests

import kedge
from kedge import __version__
from kedge.errors import (
    ConnectionFailedError,
    HttpStatusError,
    InsecureLocationError,
    KedgeError,
    RedirectError,
    TransportError,
)
from kedge.transport import Session
from kedge.transport.retry import RetryPolicy
from kedge.transport.user_agent import user_agent
from support.pki import Certificate
from support.processes import wait_until
from support.servers import Faults, Request, Response, Server, compressed, redirect, slow, tree
from transport.sessions import Opener, RawServer, Told, silence, trusting

TEXT = b"<a href=x>x</a>\n" * 5000
PAGE = tree({"/": TEXT})


def answering(body: bytes, **headers: str) -> Callable[[Request], Response]:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return lambda _: Response(200, body, named)


@pytest.mark.usefixtures("inflated")
class TestBodies:
    @pytest.mark.parametrize("chunked", [False, True], ids=["length", "chunked"])
    @pytest.mark.parametrize(
        ("encoding", "pack"),
        [
            ("", bytes),
            ("identity", bytes),
            ("gzip", gzip.compress),
            ("x-gzip", gzip.compress),
            ("deflate", zlib.compress),
            ("deflate", lambda data: zlib.compress(data)[2:-4]),
            ("gzip", lambda data: gzip.compress(data[:9]) + gzip.compress(data[9:])),
        ],
        ids=["plain", "identity", "gzip", "x-gzip", "deflate", "bare-deflate", "two-members"],
    )
    def test_are_unpacked(
        self, encoding: str, pack: Callable[[bytes], bytes], chunked: bool, opened: Opener
    ) -> None:
        headers = {"Content-Encoding": encoding} if encoding else {}
        with Server(lambda _: Response(200, pack(TEXT), headers, chunked=chunked)) as server:
            session = opened()
            assert session.get(f"{server.url}/").body == TEXT
            assert session.get(f"{server.url}/").body == TEXT
            assert server.connections == 1

    def test_are_asked_for_compressed(self, opened: Opener) -> None:
        with Server(compressed(PAGE)) as server:
            response = opened().get(f"{server.url}/")
            assert response.headers["content-encoding"] == "gzip"
            assert response.body == TEXT

    @pytest.mark.parametrize(
        "body",
        [b"not gzip at all", gzip.compress(TEXT)[:-9], gzip.compress(TEXT)[:-4] + b"\0\0\0\0",
         gzip.compress(TEXT)[:30] + b"\0" * 40],
        ids=["not", "cut", "wrong-length", "damaged"],
    )  # fmt: skip
    def test_that_are_damaged_are_refused(self, body: bytes, opened: Opener) -> None:
        with (
            Server(answering(body, Content_Encoding="gzip")) as server,
            pytest.raises(TransportError),
        ):
            opened().get(f"{server.url}/")

    def test_in_a_language_not_asked_for_are_refused(self, opened: Opener) -> None:
        with Server(answering(b"..", Content_Encoding="br")) as server:
            with pytest.raises(TransportError) as caught:
                opened().get(f"{server.url}/")
            assert "br" in caught.value.message

    @pytest.mark.parametrize("chunked", [False, True], ids=["length", "chunked"])
    @pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["plain", "gzip"])
    def test_have_a_limit(
        self, pack: Callable[[bytes], bytes], chunked: bool, opened: Opener
    ) -> None:
        headers = {"Content-Encoding": "gzip"} if pack is gzip.compress else {}
        with Server(lambda _: Response(200, pack(TEXT), headers, chunked=chunked)) as server:
            session = opened()
            assert session.get(f"{server.url}/", limit=len(TEXT)).body == TEXT
            with pytest.raises(TransportError):
                session.get(f"{server.url}/", limit=len(TEXT) - 1)

    def test_that_explode_do_not_fill_the_memory(self, opened: Opener) -> None:
        bomb = gzip.compress(bytes(200_000_000), compresslevel=1)
        with Server(answering(bomb, Content_Encoding="gzip")) as server:
            session = opened()
            tracemalloc.start()
            with pytest.raises(TransportError):
                session.get(f"{server.url}/", limit=1_000_000)
            peak = tracemalloc.get_traced_memory()[1]
            tracemalloc.stop()
            assert peak < 10_000_000


class TestStatuses:
    def test_a_conditional_request_passes_through(self, opened: Opener) -> None:
        with Server(compressed(PAGE)) as server:
            session = opened()
            etag = session.get(f"{server.url}/").headers["ETag"]
            again = session.get(f"{server.url}/", headers={"If-None-Match": etag})
            assert (again.status, again.body) == (304, b"")
            assert again.headers["etag"] == etag
            assert server.connections == 1

    def test_an_absent_page_says_so(self, opened: Opener) -> None:
        with Server(PAGE) as server:
            session = opened()
            for _ in range(3):
                with pytest.raises(HttpStatusError) as caught:
                    session.get(f"{server.url}/nothing/")
                assert caught.value.status == 404
                assert caught.value.url == f"{server.url}/nothing/"
            assert server.connections == 1, "a 404 must not cost the connection"


class TestConnections:
    def test_are_kept(self, opened: Opener, leaf: Certificate) -> None:
        with Server(PAGE, certificate=leaf) as server:
            session = opened()
            for _ in range(5):
                session.get(f"{server.url}/")
            assert server.connections == len(server.handshakes) == 1

    def test_are_kept_for_every_thread(self, opened: Opener, leaf: Certificate) -> None:
        together = threading.Barrier(8)

        def handler(request: Request) -> Response:
            if request.path == "/meet":
                together.wait(60)
            return Response(200, request.path.encode())

        with Server(handler, certificate=leaf) as server, ThreadPoolExecutor(8) as threads:
            session = opened(parallel=8)
            for _ in range(3):
                bodies = list(
                    threads.map(lambda _: session.get(f"{server.url}/meet").body, range(8))
                )
                assert bodies == [b"/meet"] * 8
            assert server.connections == 8

    def test_that_the_server_closed_meanwhile_are_replaced(
        self, opened: Opener, leaf: Certificate
    ) -> None:
        def handler(_: Request) -> Response:
            return Response(200, b"x", {"Connection": "close"})

        with Server(handler, certificate=leaf) as server:
            session = opened()
            assert [session.get(f"{server.url}/").body for _ in range(2)] == [b"x", b"x"]


class Asking(threading.Thread):
    """Asks for a page, and ends with it or with what it raised."""

    def __init__(self, session: Session, url: str) -> None:
        super().__init__(daemon=True)
        self.problem: KedgeError | None = None
        self._ask = partial(session.get, url)
        self.start()

    def run(self) -> None:
        try:
            self._ask()
        except KedgeError as exc:
            self.problem = exc

    def ended(self) -> KedgeError | None:
        """What it raised; what it would have waited for is far longer than this."""
        self.join(60)
        assert not self.is_alive()
        return self.problem


class TestEnd:
    @pytest.mark.parametrize("tls", [False, True], ids=["http", "https"])
    def test_closing_wakes_those_who_wait(
        self, tls: bool, opened: Opener, leaf: Certificate
    ) -> None:
        faults = Faults(PAGE)
        faults.always("/", slow(3600))
        with Server(faults, certificate=leaf if tls else None) as server:
            session = opened(timeout=3600.0, retries=5)
            waiting = [Asking(session, f"{server.url}/") for _ in range(2)]
            wait_until(lambda: len(server.requests) == 2)
            session.close()
            for one in waiting:
                assert isinstance(one.ended(), ConnectionFailedError)

    def test_closing_ends_the_wait_for_a_repeat(self, opened: Opener, told: Told) -> None:
        with Server(lambda _: Response(503, headers={"Retry-After": "3600"})) as server:
            session = opened(retries=5)
            session._exchanger.policy = RetryPolicy(5, patience=3600)
            waiting = Asking(session, f"{server.url}/")
            wait_until(lambda: told.retries)
            session.close()
            assert isinstance(waiting.ended(), HttpStatusError)
            assert len(server.requests) == 1

    def test_a_closed_session_says_so(self, opened: Opener) -> None:
        session = opened()
        session.close()
        with pytest.raises(KedgeError):
            session.get("http://localhost:1/")

    @pytest.mark.skipif(sys.platform == "win32", reason="signals are POSIX's")
    def test_an_interrupt_passes_through_at_once(self, opened: Opener) -> None:
        heard: list[int] = []
        over = threading.Event()

        def interrupt(connection: socket.socket) -> None:
            """Again and again: a signal that comes right before one waits does not end the wait."""
            connection.recv(65536)
            connection.settimeout(0.1)
            with suppress(ConnectionError):
                while True:
                    os.kill(os.getpid(), signal.SIGINT)
                    with suppress(TimeoutError):
                        if not connection.recv(65536):
                            break
            over.set()

        def once(number: int, _: object) -> None:
            heard.append(number)
            if len(heard) == 1:
                raise KeyboardInterrupt

        before = signal.signal(signal.SIGINT, once)
        try:
            with RawServer(interrupt) as server:
                session = opened(timeout=3600.0)
                with pytest.raises(KeyboardInterrupt):
                    session.get(f"http://127.0.0.1:{server.port}/")
                session.close()
                assert over.wait(60)
        finally:
            signal.signal(signal.SIGINT, before)


class TestVerified:
    @pytest.mark.parametrize(
        ("url", "expected"),
        [
            ("https://a.example/x", True),
            ("https://b.example/x", False),
            ("https://c.example:444/x", False),
            ("https://c.example/x", True),
            ("http://localhost/x", False),
            ("http://b.example/x", False),
        ],
    )
    def test_is_known_beforehand(self, url: str, expected: bool, opened: Opener) -> None:
        session = opened(trusted_hosts=["b.example", "c.example:444"])
        assert session.verified(url) is expected


class TestUserAgent:
    def test_names_kedge(self, opened: Opener) -> None:
        with Server(PAGE) as server:
            opened(environ={"CI": "1"}).get(f"{server.url}/")
            opened(user_agent="mine/1").get(f"{server.url}/")
            first, second = (request.headers["User-Agent"] for request in server.requests)
            assert first.startswith(f"kedge/{__version__} {{")
            assert '"ci":true' in first
            assert second == "mine/1"

    def test_holds_no_secret(self) -> None:
        assert "hunter2" not in user_agent({"CI": "hunter2", "HOME": "hunter2"})


def run(code: str) -> str:
    """What a fresh interpreter prints."""
    environ = {**os.environ, "PYTHONPATH": str(Path(kedge.__file__).parents[1])}
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, env=environ, capture_output=True, text=True, check=True)
    return done.stdout.strip()


class TestStartUp:
    def test_importing_the_layer_is_cheap(self) -> None:
        code = (
            "import sys, kedge.transport as t; t.TransportOptions(); "
            "print([m for m in ('urllib3', 'requests', 'ssl', 'http.client') if m in sys.modules])"
        )
        assert run(code) == "[]"

    def test_opening_a_session_does_not_pay_for_cryptography(self) -> None:
        code = (
            "import ssl, sys; from kedge import model, transport as t; "
            "d = model.TrustDecision((model.TrustSource(model.StoreKind.CERTIFI),)); "
            "t.open_session(d, ssl.create_default_context(), t.TransportOptions()); "
            "print('cryptography' in sys.modules)"
        )
        assert run(code) == "False"


Library = Callable[..., requests.Session]


class TestLibrary:
    def test_follows_kedges_rules_for_locations(self, library: Library, leaf: Certificate) -> None:
        with (
            Server(PAGE) as plain,
            Server(lambda _: redirect(f"{plain.url}/"), certificate=leaf) as server,
        ):
            session = library()
            with pytest.raises(RedirectError):
                session.get(server.url)
            with pytest.raises(InsecureLocationError):
                session.get("http://files.example/")
            assert session.get(plain.url).content == TEXT

    def test_repeats_what_passes(self, library: Library, leaf: Certificate) -> None:
        faults = Faults(PAGE)
        faults.next("/", lambda _: Response(503))
        with Server(faults, certificate=leaf) as server:
            assert library(retries=1).get(server.url).status_code == 200

    def test_has_a_timeout(self, library: Library) -> None:
        with RawServer(silence) as server, pytest.raises(requests.exceptions.ConnectionError):
            library(timeout=0.3).get(f"http://127.0.0.1:{server.port}/")

    def test_refuses_a_certificate_of_the_caller(self, library: Library, leaf: Certificate) -> None:
        with (
            Server(PAGE, certificate=leaf) as server,
            pytest.raises(ValueError, match="certificate"),
        ):
            library().get(server.url, cert="client.pem")

    def test_posts_and_streams(self, library: Library, leaf: Certificate) -> None:
        with Server(lambda r: Response(200, r.body * 2), certificate=leaf) as server:
            response = library().post(server.url, data=b"abc" * 1000, stream=True)
            assert b"".join(response.iter_content(100)) == b"abc" * 2000

    def test_says_what_was_decided(self, library: Library) -> None:
        assert library().kedge_decision.sources  # type: ignore[attr-defined]


def test_a_context_of_nobody_trusts_nobody(opened: Opener, leaf: Certificate) -> None:
    with Server(PAGE, certificate=leaf) as server, pytest.raises(KedgeError):
        opened(context=trusting()).get(f"{server.url}/")


def test_a_header_of_the_caller_replaces_ours_in_any_spelling(opened: Opener) -> None:
    with Server(PAGE) as server:
        opened().get(f"{server.url}/", headers={"accept": "a/b", "user-agent": "c/d"})
        (request,) = server.requests
        assert request.headers.get_all("Accept") == ["a/b"]
        assert request.headers.get_all("User-Agent") == ["c/d"]
