"""What the test support leaves to no chance: ports, dates, ends, and what stands in a log."""

from __future__ import annotations

import errno
import select
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography import x509

from kedge.trust import openssl
from support import ports
from support.backends import as_sdist, project
from support.index_servers import folders_behind_nginx
from support.pki import Authority, authority, misdated_der
from support.processes import is_gone, wait_until, wait_until_idle
from support.servers import Response, Server, not_found
from support.wheels import sdist, wheel
from transport.sessions import trusting

pytestmark = pytest.mark.once

linux_only = pytest.mark.skipif(sys.platform != "linux", reason="elsewhere nothing can be held")


def connected(host: str, port: int) -> bool:
    try:
        socket.create_connection((host, port)).close()
    except OSError:
        return False
    return True


def bound(host: str, port: int) -> int:
    """Why a socket that shares with nobody cannot have this address; 0: it can."""
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as alone:
        try:
            alone.bind((host, port))
        except OSError as error:
            return error.errno or -1
    return 0


def has_ipv6() -> bool:
    return socket.has_ipv6 and not bound("::1", 0)


class TestPorts:
    @linux_only
    def test_one_for_a_program_is_nobodys_until_the_program_listens(self) -> None:
        port = ports.free_port()
        assert not connected("127.0.0.1", port)
        assert bound("127.0.0.1", port) == errno.EADDRINUSE
        with socket.create_server(("127.0.0.1", port)):
            assert connected("127.0.0.1", port)

    @linux_only
    def test_only_so_many_are_held(self) -> None:
        first = ports.free_port()
        for _ in range(ports._MOST):
            ports.free_port()
        assert len(ports._held) == ports._MOST
        assert bound("127.0.0.1", first) == 0

    def test_a_servers_is_nobodys_on_the_other_localhost(self) -> None:
        if not has_ipv6():
            pytest.skip("no IPv6 here")
        with Server(not_found) as server:
            assert bound("::1", server.port) == errno.EADDRINUSE
            assert not connected("::1", server.port)
        assert bound("::1", server.port) == 0

    def test_one_that_is_another_servers_there_is_not_taken(self) -> None:
        if not has_ipv6():
            pytest.skip("no IPv6 here")
        with Server(not_found, host="::1") as other:
            assert ports.held_twin(other.port) is None
        twin = ports.held_twin(other.port)
        assert twin
        for each in twin:
            each.close()


def serving(server: Server) -> list[str]:
    """The threads that serve its connections."""
    names = [thread.name for thread in threading.enumerate()]
    return [name for name in names if name.startswith(f"{server.url} ")]


class TestTheEndOfAServer:
    def test_in_the_middle_of_a_request(self, private_ca: Authority) -> None:
        """The thread that reads it goes on with what it has: an error there fails the test."""
        context = trusting(private_ca)
        with Server(not_found, certificate=private_ca.leaf("localhost")) as server:
            plain = socket.create_connection(("localhost", server.port))
            client = context.wrap_socket(plain, server_hostname="localhost")
            client.sendall(b"GET / HTTP/1.1\r\n")
            wait_until(lambda: server.handshakes)
        wait_until(lambda: not serving(server))
        client.close()

    def test_while_an_answer_is_delayed(self) -> None:
        with (
            Server(lambda _: Response(delay=3600)) as server,
            socket.create_connection(("localhost", server.port)) as client,
        ):
            client.sendall(b"GET / HTTP/1.1\r\n\r\n")
            wait_until(lambda: server.requests)
        wait_until(lambda: not serving(server))


_SETTLES = """\
import sys, time
for _ in range(50):
    time.sleep(0.01)
print("now", flush=True)
sys.stdin.read()
"""


@linux_only
def test_a_process_is_idle_when_it_waits_and_not_while_it_only_pauses() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", _SETTLES], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as child:
        assert child.stdin
        assert child.stdout
        wait_until_idle(child.pid)
        assert select.select([child.stdout], [], [], 0)[0]
        child.stdin.close()
        wait_until_idle(child.pid)
        wait_until(lambda: is_gone(child.pid))


@pytest.mark.parametrize(
    "make",
    [lambda: sdist("x").data, lambda: as_sdist("x", "1.0", project("x")).data],
    ids=["sdist", "project"],
)
def test_a_source_archive_is_the_same_at_any_time(
    make: Callable[[], bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = make()
    monkeypatch.setattr(time, "time", lambda: 1_000_000_000.0)
    assert make() == now


def test_a_date_is_spoiled_and_no_serial_number_that_looks_like_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    number = int.from_bytes(b"\x17\x0d" * 9, "big")
    monkeypatch.setattr(x509, "random_serial_number", lambda: number)
    root = authority("Root")
    assert b"\x17\x0d" * 9 in misdated_der(root)
    assert openssl.judge_der(root.der) is not None
    assert openssl.judge_der(misdated_der(root)) is None


@pytest.mark.tool("nginx")
def test_nginx_has_written_of_all_that_it_answered(private_ca: Authority, tmp_path: Path) -> None:
    """It is asked once more for that, which does not count."""
    leaf = private_ca.leaf("localhost")
    with folders_behind_nginx(tmp_path, leaf, [wheel("demo")]) as server:
        assert server.requests == []
        lines = server.access_log.read_text().splitlines()
        assert ['"HEAD / HTTP/1.1" 400' in line for line in lines] == [True]
