"""A local index of real wheels: fetched once, served by nginx over TLS, as PyPI serves them.

JSON and HTML pages by content negotiation, with core metadata files (PEP 658), gzip, HTTP/2, and
the index's own caching rules (ten minutes for pages, for ever for files).
"""

from __future__ import annotations

import hashlib
import html
import json
import os
import random
import shutil
import socket
import subprocess
import sys
import time
import zipfile
from collections.abc import Iterator, Mapping, Sequence
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
        location ~ ^/(simple|slow)/[^/]+/$ {{
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


#: Round trip in ms, and Mbit/s.
SLOW = ("20", "200")

_PLATFORMS = [
    f"cp3{minor}-cp3{minor}-{platform}"
    for minor in (8, 9, 10, 11, 12)
    for platform in (
        "macosx_11_0_arm64",
        "manylinux_2_17_aarch64.manylinux2014_aarch64",
        "manylinux_2_17_x86_64.manylinux2014_x86_64",
        "win_amd64",
    )
]


@dataclass(frozen=True)
class LocalIndex:
    """A running index. ``ca`` is the PEM file of the authority behind its certificate, and
    ``other_ca`` that of one which is not.

    ``size`` is that of the ``wheels``, in bytes; ``files`` are those that its pages list.
    """

    url: str
    slow_url: str
    ca: Path
    other_ca: Path
    wheels: int
    size: int
    files: int


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


def lay_out(wheels: Sequence[Path], www: Path, bases: Mapping[str, str]) -> int:
    """Pages, metadata files and links to the wheels, under ``www``; how many files are listed.

    ``bases`` has the folder of each set of pages, and the address that its links begin with: as on
    PyPI they are absolute, so that a slow link needs pages of its own.
    """
    files = www / "files"
    files.mkdir(parents=True)
    pages: dict[str, list[dict[str, object]]] = {}
    for wheel in wheels:
        metadata = _metadata(wheel)
        _link(wheel, files / wheel.name)
        (files / f"{wheel.name}.metadata").write_bytes(metadata)
        entry = _entry(
            wheel.name,
            sha256=_sha256(wheel),
            size=wheel.stat().st_size,
            requires_python=_field(metadata, "Requires-Python"),
            metadata_sha256=hashlib.sha256(metadata).hexdigest(),
        )
        # As on PyPI, what is newest comes last.
        older = [] if wheel.name.startswith("kedge_benchmark") else _older(wheel.name)
        pages.setdefault(_project(wheel), []).extend([*older, entry])
    for project, entries in pages.items():
        for folder, base in bases.items():
            _write_page(www / folder / project, project, entries, base)
    return sum(map(len, pages.values()))


def _write_page(
    folder: Path, project: str, entries: Sequence[dict[str, object]], base: str
) -> None:
    folder.mkdir(parents=True)
    files = [{**one, "url": f"{base}/files/{one['filename']}"} for one in entries]
    page = {
        "meta": {"api-version": "1.4", "_last-serial": 31415926},
        "name": project,
        "versions": list(dict.fromkeys(str(one["filename"]).split("-")[1] for one in files)),
        "files": files,
    }
    (folder / "index.json").write_text(json.dumps(page))
    (folder / "index.html").write_text(_html(files))


def _older(newest: str) -> Iterator[dict[str, object]]:
    """What came before a wheel, as pages list it: releases that nobody chooses, and all parse.

    How many is a matter of the project's name: ten to some hundreds, a few files each for a wheel
    without an ABI, some twenty for one with. The 147 pages that the figures of issue 5 are from
    listed 37,000 files, and so do these, about. The files themselves are not there.
    """
    project = newest.partition("-")[0]
    generator = random.Random(project)  # the same pages each time
    pure = newest.endswith("-none-any.whl")
    releases = int((8 if pure else 4) * 2 ** (5 * generator.random()))
    for number in range(releases):
        version = f"0.0.0.{number}"
        tags = ["py3-none-any"] if pure else _PLATFORMS
        names = [f"{project}-{version}-{tag}.whl" for tag in tags]
        for name in [*names, f"{project}-{version}.tar.gz"]:
            wheel = name.endswith(".whl")
            yield _entry(
                name,
                sha256=generator.randbytes(32).hex(),
                size=generator.randrange(10_000, 5_000_000),
                requires_python=">=3.8",
                metadata_sha256=generator.randbytes(32).hex() if wheel else None,
            )


def _entry(
    filename: str,
    *,
    sha256: str,
    size: int,
    requires_python: str | None,
    metadata_sha256: str | None,
) -> dict[str, object]:
    """One file as PyPI's JSON has it."""
    metadata: object = {"sha256": metadata_sha256} if metadata_sha256 else False
    return {
        "filename": filename,
        "hashes": {"sha256": sha256},
        "size": size,
        "upload-time": "2026-01-02T03:04:05.678901Z",
        "requires-python": requires_python,
        "core-metadata": metadata,
        "data-dist-info-metadata": metadata,
        "provenance": None,
        "yanked": False,
    }


def _html(entries: Sequence[dict[str, object]]) -> str:
    head = '<!DOCTYPE html><html><head><meta name="pypi:repository-version" content="1.4"></head>'
    return f"{head}<body>{'<br>'.join(map(_anchor, entries))}</body></html>"


def _anchor(entry: dict[str, object]) -> str:
    hashes, metadata = entry["hashes"], entry["core-metadata"]
    assert isinstance(hashes, dict)
    attributes = ""
    if isinstance(metadata, dict):
        attributes += f' data-core-metadata="sha256={metadata["sha256"]}"'
        attributes += f' data-dist-info-metadata="sha256={metadata["sha256"]}"'
    if entry["requires-python"]:
        attributes += f' data-requires-python="{html.escape(str(entry["requires-python"]))}"'
    link = f"{entry['url']}#sha256={hashes['sha256']}"
    return f'<a href="{link}"{attributes}>{entry["filename"]}</a>'


@contextmanager
def serve(wheels: Sequence[Path], folder: Path) -> Iterator[LocalIndex]:
    """nginx on a loopback port, with a certificate of an authority made for this run."""
    port, slow_port = _free_port(), _free_port()
    bases = {"simple": f"https://localhost:{port}", "slow": f"https://localhost:{slow_port}"}
    files = lay_out(wheels, folder / "www", bases)
    _make_certificates(folder)
    relay = [sys.executable, str(Path(__file__).with_name("relay.py")), str(slow_port), str(port)]
    with _running(_nginx(folder, port), port), _running([*relay, *SLOW], slow_port):
        yield LocalIndex(
            url=f"{bases['simple']}/simple/",
            slow_url=f"{bases['slow']}/slow/",
            ca=folder / "ca.pem",
            other_ca=folder / "other.pem",
            wheels=len(wheels),
            size=sum(wheel.stat().st_size for wheel in wheels),
            files=files,
        )


def _make_certificates(folder: Path) -> None:
    import trustme

    authority, other = trustme.CA(), trustme.CA()
    identity = authority.issue_cert("localhost")
    identity.private_key_and_cert_chain_pem.write_to_path(folder / "server.pem")
    authority.cert_pem.write_to_path(folder / "ca.pem")
    other.cert_pem.write_to_path(folder / "other.pem")


def _nginx(folder: Path, port: int) -> list[str]:
    program = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
    if program is None:
        raise SystemExit("The benchmark needs nginx.")
    user = "user root;" if hasattr(os, "geteuid") and os.geteuid() == 0 else ""
    pattern = _JSON.replace(".", r"\.").replace("+", r"\+")
    text = _NGINX.format(user=user, folder=folder, port=port, json=_JSON, pattern=pattern)
    (folder / "nginx.conf").write_text(text)
    return [program, "-p", str(folder), "-c", str(folder / "nginx.conf"), "-e", "stderr"]


@contextmanager
def _running(command: list[str], port: int) -> Iterator[None]:
    process = subprocess.Popen(command)
    try:
        _wait_for(port)
        yield
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
            raise SystemExit(f"Nothing answers on port {port}.")
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
