"""Servers that the end-to-end tests share for a whole run, and kedge on a fresh environment.

Servers are started once per test process, and their logs are emptied before each test.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from support.indexes import SimpleIndex
from support.pki import Authority
from support.servers import Faults, Server
from support.venvs import Kedge, Venv, make_venv
from support.wheels import sdist, wheel


@pytest.fixture(scope="session")
def catalogue() -> SimpleIndex:
    """The projects that every scenario picks from. Tests must not change it.

    ``apple`` has three versions, the newest needing ``banana>=2``; ``banana`` 2.1 is yanked;
    ``cherry`` has an extra; ``damson`` is newest for no Python that exists, ``elder`` newest as a
    pre-release; ``fig`` is there as a source distribution alone, ``grape`` for another platform;
    ``left`` and ``right`` exclude each other; ``tool`` brings a script and data files.
    """
    return SimpleIndex(
        [
            wheel("apple", "1.0"),
            wheel("apple", "1.1"),
            wheel("apple", "2.0", requires=["banana>=2"]),
            wheel("banana", "1.0"),
            wheel("banana", "2.0"),
            wheel("banana", "2.1"),
            wheel(
                "cherry",
                "1.0",
                extras={"jam": ["banana<2"], "pie": ['apple; python_version >= "3"']},
            ),
            wheel("damson", "1.0"),
            wheel("damson", "2.0", requires_python=">=99"),
            wheel("elder", "1.0"),
            wheel("elder", "2.0rc1"),
            sdist("fig", "1.0"),
            wheel("grape", "1.0", tag="cp39-cp39-win32"),
            wheel("left", "1.0", requires=["banana<2"]),
            wheel("right", "1.0", requires=["banana>=2"]),
            wheel("orphan", "1.0", requires=["nowhere-to-be-found"]),
            wheel(
                "tool",
                "1.0",
                entry_points={"tool-tell": "tool:main"},
                data={
                    "scripts/tool-run": "#!python\nimport tool; print('ran', tool.__version__)\n",
                    "data/share/tool/note.txt": "a note\n",
                },
            ),
            wheel("Mixed.Case_Name", "1.0"),
        ],
        yanked={"banana-2.1-py3-none-any.whl": "eaten"},
    )


@pytest.fixture(scope="session")
def _shared(catalogue: SimpleIndex, private_ca: Authority) -> Iterator[Server]:
    leaf = private_ca.intermediate("Kedge Test Issuing").leaf("localhost", "127.0.0.1")
    with Server(Faults(catalogue), certificate=leaf) as server:
        yield server


@pytest.fixture
def server(_shared: Server) -> Iterator[Server]:
    """The catalogue over TLS, vouched for by the private authority, with an empty log."""
    _shared.forget()
    yield _shared
    assert isinstance(_shared.handler, Faults)
    _shared.handler.clear()


@pytest.fixture
def faults(server: Server) -> Faults:
    """Where the shared server's answers can be spoiled, for this test."""
    assert isinstance(server.handler, Faults)
    return server.handler


@pytest.fixture
def index_url(server: Server) -> str:
    return f"{server.url}/simple/"


@pytest.fixture
def target(tmp_path: Path) -> Venv:
    """A fresh environment."""
    return make_venv(tmp_path / "env")


@pytest.fixture
def plain_kedge(clean_environ: dict[str, str], target: Venv, tmp_path: Path) -> Kedge:
    """kedge on the fresh environment, with no setting at all."""
    folder = tmp_path / "cwd"
    folder.mkdir()
    return Kedge(clean_environ, python=target, cwd=folder)


@pytest.fixture
def kedge(plain_kedge: Kedge, index_url: str, bundle: Path) -> Kedge:
    """kedge on the fresh environment, set up for the shared index by variables."""
    return plain_kedge.having(PIP_INDEX_URL=index_url, PIP_CERT=str(bundle))
