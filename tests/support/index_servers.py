"""Index servers as people run them: nginx over folders, pypiserver and devpi behind nginx's TLS.

Each is a program, so each test that uses one is marked ``tool(…)`` with every program it starts.
"""

from __future__ import annotations

import json
import os
import socket
import urllib.request
import uuid
from base64 import b64encode
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from support.indexes import normalized
from support.pki import Certificate
from support.ports import free_port
from support.proxies import program, run_to_end
from support.servers import PATIENCE
from support.surroundings import tool
from support.wheels import Artifact


@dataclass(frozen=True)
class IndexServer:
    """A running index: the URL that ``--index-url`` takes, and its access log."""

    url: str
    access_log: Path

    @property
    def requests(self) -> list[str]:
        """Method, path and protocol of every request that nginx answered, without the bare
        ``HEAD /`` that a diagnosis may send.
        """
        self._ask_in_clear()
        lines = self.access_log.read_text("utf-8").splitlines()
        asked = [line.split('"')[1] for line in lines]
        return [request for request in asked if request != "HEAD / HTTP/1.1"]

    def _ask_in_clear(self) -> None:
        """One more bare ``HEAD /``, which is refused: nginx writes a line after its answer, and
        has written those of earlier answers before it gives another.
        """
        port = urlsplit(self.url).port or 443
        with socket.create_connection(("127.0.0.1", port), PATIENCE) as one:
            one.sendall(b"HEAD / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            while one.recv(4096):
                pass


@dataclass(frozen=True)
class Guard:
    """What nginx asks of a client: one of these users (name to password), a client certificate by
    this authority, or both.
    """

    users: Mapping[str, str] = field(default_factory=dict)
    client_ca: Certificate | None = None

    def directives(self, folder: Path) -> str:
        """For nginx's ``server`` block; writes the files that they name."""
        lines = []
        if self.users:
            text = "".join(f"{name}:{{PLAIN}}{word}\n" for name, word in self.users.items())
            (folder / "users").write_text(text, "utf-8")
            lines += ["auth_basic tests;", f"auth_basic_user_file {folder}/users;"]
        if self.client_ca is not None:
            self.client_ca.write_pem(folder / "client-ca.pem")
            lines += [f"ssl_client_certificate {folder}/client-ca.pem;", "ssl_verify_client on;"]
        return "\n".join(lines)


OPEN = Guard()


_NGINX = """
{user}
daemon off;
worker_processes 1;
error_log {folder}/error.log warn;
pid {folder}/nginx.pid;
events {{ worker_connections 256; }}
http {{
    access_log {folder}/access.log;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    default_type application/octet-stream;
    types {{ text/html html; }}
    gzip on;
    gzip_types text/html application/json;
    server {{
        listen 127.0.0.1:{port} ssl;
        server_name localhost;
        ssl_certificate {folder}/server.pem;
        ssl_certificate_key {folder}/server.pem;
        {guard}
        {location}
    }}
}}
"""


@contextmanager
def nginx(
    folder: Path, certificate: Certificate, location: str, *, path: str, guard: Guard
) -> Iterator[IndexServer]:
    """Runs nginx with TLS on a loopback port; ``location`` is the body of its ``server`` block."""
    folder.mkdir(parents=True, exist_ok=True)
    certificate.write_identity(folder / "server.pem")
    port = free_port()
    # Started as root, nginx drops to a user who may not enter the tests' folders.
    user = "user root;" if hasattr(os, "geteuid") and os.geteuid() == 0 else ""
    asks = guard.directives(folder)
    text = _NGINX.format(user=user, folder=folder, port=port, guard=asks, location=location)
    (folder / "nginx.conf").write_text(text, "utf-8")
    command = [tool("nginx"), "-p", str(folder), "-c", str(folder / "nginx.conf")]
    command += ["-e", str(folder / "start.log")]
    with program(command, folder / "nginx.log", port):
        yield IndexServer(f"https://localhost:{port}{path}", folder / "access.log")


@contextmanager
def folders_behind_nginx(
    folder: Path, certificate: Certificate, artifacts: Iterable[Artifact], guard: Guard = OPEN
) -> Iterator[IndexServer]:
    """One folder a project, listed by nginx's ``autoindex``: the simplest index there is."""
    root = folder / "www"
    for artifact in artifacts:
        artifact.write(root / "simple" / normalized(artifact.name))
    location = f"location / {{ root {root}; autoindex on; }}"
    with nginx(folder, certificate, location, path="/simple/", guard=guard) as server:
        yield server


@contextmanager
def pypiserver(
    folder: Path, certificate: Certificate, artifacts: Iterable[Artifact], guard: Guard = OPEN
) -> Iterator[IndexServer]:
    """pypiserver over a folder of files, behind nginx."""
    packages = folder / "packages"
    packages.mkdir(parents=True)
    for artifact in artifacts:
        artifact.write(packages)
    port = free_port()
    command = [tool("pypi-server"), "run", "--interface", "127.0.0.1", "--port", str(port)]
    command += ["--disable-fallback", "--authenticate", ".", "--passwords", ".", str(packages)]
    with (
        program(command, folder / "pypiserver.log", port),
        nginx(folder, certificate, _forward(port), path="/simple/", guard=guard) as server,
    ):
        yield server


@contextmanager
def devpi(
    folder: Path, certificate: Certificate, artifacts: Iterable[Artifact], guard: Guard = OPEN
) -> Iterator[IndexServer]:
    """devpi with one private index, ``root/private``, behind nginx."""
    state = folder / "devpi"
    folder.mkdir(parents=True, exist_ok=True)
    port = free_port()
    base = f"http://127.0.0.1:{port}"
    init = [tool("devpi-init"), "--serverdir", str(state), "--no-root-pypi"]
    init += ["--root-passwd", "secret"]
    run_to_end(init, folder / "devpi-init.log")
    command = [tool("devpi-server"), "--serverdir", str(state), "--offline-mode"]
    command += ["--host", "127.0.0.1", "--port", str(port), "--threads", "4"]
    with (
        program(command, folder / "devpi.log", port),
        nginx(
            folder, certificate, _forward(port), path="/root/private/+simple/", guard=guard
        ) as server,
    ):
        _fill_devpi(base, artifacts)
        yield server


def _forward(port: int) -> str:
    return (
        f"location / {{ proxy_pass http://127.0.0.1:{port}; proxy_set_header Host $http_host;"
        " proxy_set_header X-Forwarded-Proto https;"
        # The password is nginx's to check: devpi takes it for one of its own users'.
        ' proxy_set_header Authorization "";'
        " proxy_set_header X-outside-url https://$http_host; }"
    )


def _fill_devpi(base: str, artifacts: Iterable[Artifact]) -> None:
    answer = _ask(
        f"{base}/+login", "POST", json.dumps({"user": "root", "password": "secret"}).encode()
    )
    token = json.loads(answer)["result"]["password"]
    authorization = b64encode(f"root:{token}".encode()).decode()
    headers = {"X-Devpi-Auth": authorization}
    index = json.dumps({"type": "stage", "bases": [], "volatile": True}).encode()
    _ask(f"{base}/root/private", "PUT", index, headers)
    for artifact in artifacts:
        boundary = uuid.uuid4().hex
        kind = f"multipart/form-data; boundary={boundary}"
        upload = _upload_form(artifact, boundary)
        _ask(f"{base}/root/private/", "POST", upload, headers | {"Content-Type": kind})


def _ask(url: str, method: str, body: bytes, headers: Mapping[str, str] | None = None) -> bytes:
    request = urllib.request.Request(url, body, method=method)
    named = {"Content-Type": "application/json", "Accept": "application/json", **(headers or {})}
    for name, value in named.items():
        request.add_header(name, value)
    with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
        return bytes(answer.read())


def _upload_form(artifact: Artifact, boundary: str) -> bytes:
    """As twine posts it."""
    is_wheel = artifact.filename.endswith(".whl")
    fields = {
        ":action": "file_upload",
        "name": artifact.name,
        "version": artifact.version,
        "filetype": "bdist_wheel" if is_wheel else "sdist",
        "pyversion": "py3" if is_wheel else "",
        "metadata_version": "2.1",
    }
    if artifact.requires_python:
        fields["requires_python"] = artifact.requires_python
    lines = []
    for name, value in fields.items():
        lines.append(
            f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}'
        )
    head = (
        f'--{boundary}\r\nContent-Disposition: form-data; name="content";'
        f' filename="{artifact.filename}"\r\nContent-Type: application/octet-stream\r\n\r\n'
    )
    text = "\r\n".join([*lines, head]).encode()
    return text + artifact.data + f"\r\n--{boundary}--\r\n".encode()
