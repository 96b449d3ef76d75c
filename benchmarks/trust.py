"""What trust costs, in milliseconds of this process's CPU: ``python benchmarks/trust.py``.

Setting it up for each kind of source, in new processes, the first time and with the hints of the
run before; and TLS handshakes through kedge's own path, beside those of a plain ``ssl`` context.
The server is on loopback and in a process of its own. It needs the ``test`` dependency group. Run
it on a quiet machine; the least of several turns counts.
"""

from __future__ import annotations

import json
import os
import socket
import ssl
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import certifi
import trustme

_TURNS = 15
_HANDSHAKES = 60

#: OpenSSL's own start comes with the first context of a process, whatever is loaded into it.
_SET_UP = """\
import json, ssl, sys, time
import kedge.transport.session
from pathlib import Path
from kedge import trust
from kedge.cache import open_cache
from kedge.model import Origin, OriginKind, Sourced
from kedge.trust.staged import StagedTrust

kind, bundle, cache = sys.argv[1:]
flag = Origin(OriginKind.COMMAND_LINE, "--flag")
settings = {
    "certifi": trust.TrustSettings(),
    "a bundle": trust.TrustSettings(cert=Sourced(bundle, flag)),
    "the system's store": trust.TrustSettings(truststore=Sourced(True, flag)),
}
hints = open_cache(Path(cache)).hints
began = time.process_time()
ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
empty = time.process_time()
staged = StagedTrust(trust.decide(settings[kind]), environ={}, store=hints, warn=lambda _: None)
done = time.process_time()
anchor = ssl.PEM_cert_to_DER_cert(Path(bundle).read_text().split("\\n\\n")[-1])
if kind != "a bundle":
    blocks = next(iter(trust.load(staged._decision, environ={}).sources)).blocks
    anchor = next(iter(blocks)).der()
staged.suffices(staged.context, lambda: [anchor])
staged.remember()
print(json.dumps([1000 * (empty - began), 1000 * (done - empty)]))
"""

_SERVE = """\
import socket, ssl, sys
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(sys.argv[1])
with socket.create_server(("127.0.0.1", 0), backlog=256) as listener:
    print(listener.getsockname()[1], flush=True)
    while True:
        plain, _ = listener.accept()
        # Else the byte waits 40 ms for tickets to be acknowledged.
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            with context.wrap_socket(plain, server_side=True) as tls:
                tls.sendall(b"x")
                tls.recv(1)
        except OSError:
            pass
"""


def main() -> None:
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        authority = trustme.CA()
        leaf = authority.issue_cert("localhost", "127.0.0.1")
        leaf.private_key_and_cert_chain_pem.write_to_path(str(folder / "server.pem"))
        bundle = folder / "bundle.pem"
        public = Path(certifi.where()).read_text(encoding="ascii")
        own = authority.cert_pem.bytes().decode("ascii")
        bundle.write_text(f"{public.rstrip()}\n\n{own}", encoding="ascii")
        print("Setting up trust, ms of CPU (an empty context: OpenSSL's own start)")
        for kind in ("certifi", "a bundle", "the system's store"):
            _set_up(kind, bundle, folder / "cache")
        with _server(folder / "server.pem") as port:
            _handshakes(port, bundle)


def _set_up(kind: str, bundle: Path, cache: Path) -> None:
    def turn() -> tuple[float, float]:
        command = [sys.executable, "-c", _SET_UP, kind, str(bundle), str(cache)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        empty, rest = json.loads(done.stdout)
        return rest, empty

    first, _ = turn()
    later, empty = (min(each) for each in zip(*(turn() for _ in range(_TURNS)), strict=True))
    print(f"  {kind:20} first {first:6.1f}   later {later:5.2f}   (empty context {empty:.2f})")


@contextmanager
def _server(chain: Path) -> Iterator[int]:
    command = [sys.executable, "-c", _SERVE, str(chain)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        try:
            yield int(server.stdout.readline())
        finally:
            server.kill()


def _handshakes(port: int, bundle: Path) -> None:
    plain = ssl.create_default_context(cafile=str(bundle))
    variables = {"SSL_CERT_FILE": str(bundle), "SSL_CERT_DIR": os.devnull}
    rows = {
        "a plain ssl context": lambda: _plain(plain, port),
        "the same, resumed": _resumed(plain, port),
        "kedge, a bundle": _kedge(port, bundle, {}, truststore=False),
        "kedge, truststore flag": _kedge(port, None, variables, truststore=True),
    }
    took = dict.fromkeys(rows, float("inf"))
    for _ in range(_TURNS):
        for name, connect in rows.items():
            began = time.process_time()
            for _ in range(_HANDSHAKES):
                connect()
            each = 1000 * (time.process_time() - began) / _HANDSHAKES
            took[name] = min(took[name], each)
    least = took["a plain ssl context"]
    print("A connection and its handshake, ms of CPU of the client")
    for name, spent in took.items():
        print(f"  {name:24} {spent:5.2f}   {spent / least:.2f} x plain")


def _plain(context: ssl.SSLContext, port: int, session: Any = None) -> Any:
    sock = socket.create_connection(("127.0.0.1", port))
    with context.wrap_socket(sock, server_hostname="localhost", session=session) as tls:
        tls.recv(1)  # tickets come after the handshake
        return tls.session


def _resumed(context: ssl.SSLContext, port: int) -> Callable[[], object]:
    session = _plain(context, port)
    return lambda: _plain(context, port, session)


def _kedge(
    port: int, bundle: Path | None, environ: dict[str, str], *, truststore: bool
) -> Callable[[], object]:
    """A new connection on the route of a session, as a request would open it."""
    from kedge import transport, trust
    from kedge.model import Origin, OriginKind, Sourced
    from kedge.trust.staged import StagedTrust

    flag = Origin(OriginKind.COMMAND_LINE, "--flag")
    settings = trust.TrustSettings(
        cert=None if bundle is None else Sourced(str(bundle), flag),
        truststore=Sourced(truststore, flag),
    )
    kept: dict[str, Any] = {}
    decision = trust.decide(settings)

    class Store:
        get = staticmethod(kept.get)

        def put(self, key: str, hints: Any) -> bool:
            kept[key] = json.loads(json.dumps(hints))
            return True

    def staged() -> StagedTrust:
        return StagedTrust(decision, environ=environ, store=Store(), warn=lambda _: None)

    def connected(now: StagedTrust) -> Callable[[], None]:
        options = transport.TransportOptions(environ={})
        session = transport.open_session(decision, now.context, options, staged=now)
        route = session._exchanger.dialler.route(_location(port))

        def connect() -> None:
            connection = route.pool._new_conn()
            connection.connect()
            connection.sock.recv(1)
            connection.close()

        return connect

    before = staged()
    connected(before)()
    before.remember()
    return connected(staged())


def _location(port: int) -> Any:
    from kedge.transport.locations import locate

    return locate(f"https://localhost:{port}/")


if __name__ == "__main__":
    main()
