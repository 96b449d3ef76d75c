"""kedge ended in the middle of unpacking: nothing goes on, nothing half-made is left."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from kedge.cache import open_cache
from support.indexes import SimpleIndex
from support.pki import Authority
from support.processes import children, is_gone, listed, wait_until
from support.servers import Server
from support.venvs import Kedge, Venv
from support.wheels import wheel

pytestmark = listed


@pytest.fixture(scope="module")
def private(private_ca: Authority) -> Iterator[Server]:
    """``one`` and ``two`` are worth processes, and take a while to unpack."""
    slow = {f"{n}.bin": os.urandom(4096) * 2048 for n in range(12)}
    index = SimpleIndex()
    for name in ("one", "two"):
        files = {f"{name}/{path}": data for path, data in slow.items()}
        index.add(wheel(name, files={**files, f"{name}/random": os.urandom(5 << 20)}))
    with Server(index, certificate=private_ca.leaf("localhost", "127.0.0.1")) as server:
        yield server


@pytest.mark.parametrize(
    "sent", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL], ids=lambda sent: sent.name
)
def test_ended_while_unpacking(
    plain_kedge: Kedge,
    target: Venv,
    private: Server,
    bundle: Path,
    tmp_path: Path,
    sent: signal.Signals,
) -> None:
    cache, temporary = tmp_path / "cache", tmp_path / "temporary"
    temporary.mkdir()
    words = ("--cert", bundle, "-i", f"{private.url}/simple/", "--cache-dir", cache)
    kedge = plain_kedge.having(*words, TMPDIR=str(temporary))
    before = target.snapshot()
    process = kedge.start("install", "one", "two")
    # A wheel that is there before the other is asked for is unpacked without processes.
    wait_until(lambda: any(cache.glob("tmp/*/tree/*/0.bin")) and children(process.pid))
    workers = children(process.pid)
    process.send_signal(sent)
    _, said = process.communicate(timeout=30)
    assert process.returncode == (-sent if sent == signal.SIGKILL else 1)
    assert "Traceback" not in said
    assert workers
    wait_until(lambda: all(map(is_gone, workers)))
    assert target.snapshot() == before
    left = [path.name for path in (cache / "tmp").rglob("*") if path.is_file()]
    # Nobody was left to remove what had arrived, or was about to; that is cleaned later.
    assert [name for name in left if sent != signal.SIGKILL or ".whl" not in name] == []
    assert list(temporary.iterdir()) == []  # memory, often: archives do not go there
    for entry in open_cache(cache).list():  # made in time: whole, then
        assert open_cache(cache).wheels.get(entry.sha256) is not None
    if sent == signal.SIGKILL:
        kedge("install", "one", "two").succeeded()
        assert target.versions() == {"one": "1.0", "two": "1.0"}
