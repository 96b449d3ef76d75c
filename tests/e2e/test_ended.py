"""kedge ended in the middle of unpacking: nothing goes on, nothing half-made is left."""

from __future__ import annotations

import os
import shlex
import signal
import sys
from collections.abc import Iterator
from dataclasses import replace
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

# Stands in for the interpreter of a process that unpacks: goes on as that would, and comes to no
# end with the third file. It leaves its number where the test looks for it.
_HELD = """\
import os, sys, time
def hold(event, arguments):
    if event == "open" and str(arguments[0]).endswith("2.bin") and arguments[2] & os.O_CREAT:
        open(os.path.join({marks!r}, str(os.getpid())), "x").close()
        for _ in range(30_000):  # small steps, as unpacking is: what interrupts it comes between
            time.sleep(0.01)
sys.addaudithook(hold)
exec(sys.argv[-1])
"""
_KEDGE = "import sys; sys.executable = {stand_in!r}; from kedge.cli.main import script; script()"


@pytest.fixture(scope="module")
def private(private_ca: Authority) -> Iterator[Server]:
    """``one`` and ``two`` are worth processes."""
    several = {f"{n}.bin": os.urandom(4096) * 256 for n in range(4)}
    index = SimpleIndex()
    for name in ("one", "two"):
        files = {f"{name}/{path}": data for path, data in several.items()}
        index.add(wheel(name, files={**files, f"{name}/random": os.urandom(5 << 20)}))
    with Server(index, certificate=private_ca.leaf("localhost", "127.0.0.1")) as server:
        yield server


def held(kedge: Kedge, folder: Path, marks: Path) -> Kedge:
    """kedge whose processes stay in the middle of the first wheel that each is given."""
    marks.mkdir()
    stand_in = folder / "python"
    words = [sys.executable, "-I", "-S", "-c", _HELD.format(marks=str(marks))]
    stand_in.write_text(f'#!/bin/sh\nexec {shlex.join(words)} "$@"\n')
    stand_in.chmod(0o755)
    code = _KEDGE.format(stand_in=str(stand_in))
    return replace(kedge, program=(sys.executable, "-c", code))


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
    cache, temporary, marks = (tmp_path / name for name in ("cache", "temporary", "marks"))
    temporary.mkdir()
    words = ("--cert", bundle, "-i", f"{private.url}/simple/", "--cache-dir", cache)
    kedge = plain_kedge.having(*words, TMPDIR=str(temporary))
    before = target.snapshot()
    process = held(kedge, tmp_path, marks).start("install", "one", "two")
    # A wheel that is there before the other is asked for is unpacked without processes.
    wait_until(lambda: any(marks.iterdir()) or process.poll() is not None)
    assert any(cache.glob("tmp/*/tree/*/1.bin")), process.communicate(timeout=60)
    unpacking = {int(mark.name) for mark in marks.iterdir()}
    workers = children(process.pid)
    assert unpacking <= set(workers)
    process.send_signal(sent)
    _, said = process.communicate(timeout=60)
    assert process.returncode == (-sent if sent == signal.SIGKILL else 1)
    assert "Traceback" not in said
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
