"""A local index of real wheels: fetched once, served by nginx over TLS, as PyPI serves them.

JSON and HTML pages by content negotiation, with core metadata files (PEP 658), gzip, HTTP/2, and
the index's own caching rules (ten minutes for pages, for ever for files).
"""

from __future__ import annotations

import hashlib
import html
import json
import os
import shutil
import socket
import subprocess
import sys
import time
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

_JSON = "application/vnd.pypi.simple.v1+json"

_NGINX = """\
{user}
daemon off;
worker_processes 2;
error_log {folder}/error.log warn;
pid {folder}/nginx.pid;
events {{ worker_connections 512; }}
http {{
    access_log off;
    client_body_temp_path {folder}/t1; proxy_temp_path {folder}/t2; fastcgi_temp_path {folder}/t3;
    uwsgi_temp_path {folder}/t4; scgi_temp_path {folder}/t5;
    sendfile on;
    keepalive_requests 100000;
    types {{ {json} json; text/html html; }}
    default_type application/octet-stream;
    gzip on;
    gzip_types {json};
    map $http_accept $page {{ default index.html; "~{pattern}" index.json; }}
    server {{
        listen 127.0.0.1:{port} ssl http2;
        server_name localhost;
        ssl_certificate {folder}/server.pem;
        ssl_certificate_key {folder}/server.pem;
        root {folder}/www;
        location ~ ^/simple/[^/]+/$ {{
            add_header Cache-Control "max-age=600, public";
            add_header Vary "Accept";
            try_files $uri$page =404;
        }}
        location /files/ {{
            add_header Cache-Control "max-age=365000000, immutable, public";
        }}
    }}
}}
"""


@dataclass(frozen=True)
class LocalIndex:
    """A running index. ``ca`` is the PEM file of the authority behind its certificate."""

    url: str
    ca: Path
    wheels: int
    size: int


def fetch_wheels(cache: Path, pins: Path) -> list[Path]:
    """The pinned wheels for the running Python, from the user's index; only what is missing."""
    folder = cache / f"wheels-cp{sys.version_info[0]}{sys.version_info[1]}"
    folder.mkdir(parents=True, exist_ok=True)
    wanted = [line for line in pins.read_text().splitlines() if line and line[0] != "#"]
    done = folder / "complete"
    digest = hashlib.sha256("\n".join(wanted).encode()).hexdigest()
    if not done.is_file() or done.read_text() != digest:
        print(f"Fetching {len(wanted)} wheels into {folder} …", file=sys.stderr)
        command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary", ":all:"]
        command += ["--quiet", "--dest", str(folder), "-r", str(pins)]
        subprocess.run(command, check=True)
        done.write_text(digest)
    names = {_normal(line.partition("==")[0]) for line in wanted}
    return [path for path in sorted(folder.glob("*.whl")) if _project(path) in names]


def lay_out(wheels: Sequence[Path], www: Path) -> None:
    """Pages, metadata files and links to the wheels, under ``www``."""
    files = www / "files"
    files.mkdir(parents=True)
    for wheel in wheels:
        metadata = _metadata(wheel)
        _link(wheel, files / wheel.name)
        (files / f"{wheel.name}.metadata").write_bytes(metadata)
        folder = www / "simple" / _project(wheel)
        folder.mkdir(parents=True, exist_ok=True)
        entry = {
            "filename": wheel.name,
            "url": f"../../files/{wheel.name}",
            "hashes": {"sha256": _sha256(wheel)},
            "size": wheel.stat().st_size,
            "requires-python": _field(metadata, "Requires-Python"),
            "core-metadata": {"sha256": hashlib.sha256(metadata).hexdigest()},
            "yanked": False,
        }
        entry["data-dist-info-metadata"] = entry["core-metadata"]
        version = wheel.name.split("-")[1]
        page = {
            "meta": {"api-version": "1.1"},
            "name": _project(wheel),
            "versions": [version],
            "files": [entry],
        }
        (folder / "index.json").write_text(json.dumps(page))
        (folder / "index.html").write_text(_html(entry))


def _html(entry: dict[str, object]) -> str:
    hashes, metadata = entry["hashes"], entry["core-metadata"]
    assert isinstance(hashes, dict)
    assert isinstance(metadata, dict)
    attributes = f' data-core-metadata="sha256={metadata["sha256"]}"'
    attributes += f' data-dist-info-metadata="sha256={metadata["sha256"]}"'
    if entry["requires-python"]:
        attributes += f' data-requires-python="{html.escape(str(entry["requires-python"]))}"'
    link = f'<a href="{entry["url"]}#sha256={hashes["sha256"]}"{attributes}>{entry["filename"]}</a>'
    head = '<!DOCTYPE html><html><head><meta name="pypi:repository-version" content="1.1"></head>'
    return f"{head}<body>{link}</body></html>"


@contextmanager
def serve(wheels: Sequence[Path], folder: Path) -> Iterator[LocalIndex]:
    """nginx on a loopback port, with a certificate of an authority made for this run."""
    import trustme

    nginx = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
    if nginx is None:
        raise SystemExit("The benchmark needs nginx.")
    lay_out(wheels, folder / "www")
    authority = trustme.CA()
    authority.issue_cert("localhost").private_key_and_cert_chain_pem.write_to_path(
        folder / "server.pem"
    )
    authority.cert_pem.write_to_path(folder / "ca.pem")
    port = _free_port()
    user = "user root;" if hasattr(os, "geteuid") and os.geteuid() == 0 else ""
    pattern = _JSON.replace(".", r"\.").replace("+", r"\+")
    text = _NGINX.format(user=user, folder=folder, port=port, json=_JSON, pattern=pattern)
    (folder / "nginx.conf").write_text(text)
    command = [nginx, "-p", str(folder), "-c", str(folder / "nginx.conf"), "-e", "stderr"]
    process = subprocess.Popen(command)
    try:
        _wait_for(port)
        size = sum(wheel.stat().st_size for wheel in wheels)
        url = f"https://localhost:{port}/simple/"
        yield LocalIndex(url, folder / "ca.pem", len(wheels), size)
    finally:
        process.terminate()
        process.wait()


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def _wait_for(port: int) -> None:
    until = time.monotonic() + 10
    while not _answers(port):
        if time.monotonic() > until:
            raise SystemExit("nginx did not start.")
        time.sleep(0.02)


def _answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _link(source: Path, target: Path) -> None:
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as source:
        while block := source.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def _metadata(wheel: Path) -> bytes:
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (
            name
            for name in archive.namelist()
            if name.count("/") == 1 and name.endswith(".dist-info/METADATA")
        )
        return archive.read(name)


def _field(metadata: bytes, name: str) -> str | None:
    for line in metadata.decode("utf-8", "replace").split("\n\n")[0].splitlines():
        if line.lower().startswith(f"{name.lower()}:"):
            return line.partition(":")[2].strip()
    return None


def _project(wheel: Path) -> str:
    return _normal(wheel.name.partition("-")[0])


def _normal(name: str) -> str:
    return name.lower().replace("_", "-").replace(".", "-")
