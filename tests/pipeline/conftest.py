"""kedge run inside the test's process, on fresh environments and a cache of its own."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from kedge.cli.main import main
from support.building import Shop
from support.indexes import SimpleIndex
from support.pki import Authority
from support.servers import Server
from support.venvs import Venv, make_venv
from support.wheels import wheel

Run = Callable[..., int]


@pytest.fixture
def index() -> SimpleIndex:
    """``outer`` 1.0 needs ``inner``, of which there are 1.0 and 2.0."""
    return SimpleIndex([wheel("outer", requires=["inner"]), wheel("inner"), wheel("inner", "2.0")])


@pytest.fixture
def server(index: SimpleIndex, private_ca: Authority) -> Iterator[Server]:
    with Server(index, certificate=private_ca.leaf("localhost", "127.0.0.1")) as server:
        yield server


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache"


@pytest.fixture
def venv(tmp_path: Path) -> Venv:
    return make_venv(tmp_path / "env")


@pytest.fixture
def another(tmp_path: Path) -> Venv:
    return make_venv(tmp_path / "another")


@pytest.fixture
def run(clean_environ: dict[str, str], server: Server, cache: Path) -> Run:
    """``run("install", venv, "outer", …)``: the index is the server's, and nothing is trusted
    but what the words say.
    """

    def run(command: str, venv: Venv, *words: str | Path, **environ: str) -> int:
        index = ["-i", f"{server.url}/simple/"] if command == "install" else []
        line = [command, "--python", str(venv.python), *index, "--cache-dir", str(cache)]
        surroundings = {**clean_environ, "PIP_CONFIG_FILE": os.devnull, **environ}
        return main([*line, *map(str, words)], environ=surroundings)

    return run


@pytest.fixture
def shop(
    clean_environ: dict[str, str],
    private_ca: Authority,
    bundle: Path,
    cache: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Shop]:
    """An empty index over TLS, whose authority ``PIP_CERT`` names."""
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    index = SimpleIndex([])
    environ = {**clean_environ, "PIP_CONFIG_FILE": os.devnull, "PIP_CERT": str(bundle)}
    with Server(index, certificate=private_ca.leaf("localhost", "127.0.0.1")) as server:
        yield Shop(index, server, private_ca, environ, cache, temporary)
