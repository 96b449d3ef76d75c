"""Unpacking in processes: the same outcome as here, whatever becomes of the process."""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import sys
import threading
import zipfile
from contextlib import closing
from pathlib import Path

import pytest

import kedge
from kedge.cache import WheelStore
from kedge.cache.atomic import Scratch
from kedge.errors import CacheError, KedgeError, WheelError
from kedge.inflate import fast
from kedge.install import processes
from kedge.install.processes import _path
from kedge.install.unpack import unpack_into
from kedge.install.workers import Workers
from support import wheels
from support.processes import is_gone, wait_until
from support.wheels import Artifact, wheel

SMALL = wheel("demo", files={"demo/data.txt": "some text\n" * 100})


#: Of which :class:`Gate` holds up the last.
SEVERAL = wheel("demo", files={f"demo/{n}.bin": b"some text\n" * 100 for n in range(3)})

#: What a process does before all else, and Python with it in an audit hook.
_HELD_UP = """
import os, sys, time
def wait(event, arguments):
    if event == "open" and str(arguments[0]).endswith("/2.bin"):
        open({met!r}, "w").close()
        while not os.path.exists({opened!r}): time.sleep(0.01)
sys.addaudithook(wait)
"""


class Gate:
    """Where a process waits in the middle of unpacking, until it is opened, or for ever."""

    def __init__(self, folder: Path) -> None:
        self._met, self._opened = folder / "met", folder / "opened"
        self.code = _HELD_UP.format(met=str(self._met), opened=str(self._opened))

    def wait_until_met(self) -> None:
        wait_until(self._met.exists)

    def open(self) -> None:
        self._opened.touch()


@pytest.fixture
def gate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Gate:
    """Every process that is begun anew comes to it."""
    gate = Gate(tmp_path)
    monkeypatch.setattr(processes, "_BEGIN", f"exec({gate.code!r}); {processes._BEGIN}")
    return gate


@pytest.fixture(autouse=True)
def _new_interpreters(monkeypatch: pytest.MonkeyPatch) -> None:
    """A copy of the process that runs the tests has what a test changed in it."""
    monkeypatch.setattr(processes, "_may_copy", lambda: False)


@pytest.fixture
def store(tmp_path: Path) -> WheelStore:
    return WheelStore(tmp_path / "wheels", Scratch(tmp_path / "scratch"))


def _sha256(artifact: Artifact) -> str:
    return hashlib.sha256(artifact.data).hexdigest()


def _nothing_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever is unpacked from now on is unpacked in a process."""

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("unpacked here")

    monkeypatch.setattr("kedge.install.unpack.unpack_into", refuse)


def _run(workers: Workers, store: WheelStore, artifact: Artifact, folder: Path) -> object:
    archive = artifact.write(folder / "archives")
    return workers.unpack(store, _sha256(artifact), archive, filename=artifact.filename)


def _pids(workers: Workers) -> list[int]:
    return [process.pid for process in workers._all]


def test_a_process_makes_the_same_entry(
    store: WheelStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = WheelStore(tmp_path / "here", Scratch(tmp_path / "scratch"))
    expected = unpack_into(here, _sha256(SMALL), SMALL.write(tmp_path))
    _nothing_here(monkeypatch)
    with closing(Workers(1)) as workers:
        workers.begin()
        wheel = _run(workers, store, SMALL, tmp_path)
    assert wheel == store.get(_sha256(SMALL))
    found = store.get(_sha256(SMALL))
    assert found is not None
    assert [entry[:4] for entry in found.manifest.files] == [
        entry[:4] for entry in expected.manifest.files
    ]


@pytest.mark.parametrize(
    "artifact",
    [
        pytest.param(wheels.with_wrong_record_hash(SMALL), id="not what RECORD says"),
        pytest.param(wheels.with_member(SMALL, "../evil", "x"), id="a path that leads out"),
        pytest.param(wheels.truncated(SMALL, 0.5), id="cut short"),
    ],
)
def test_a_damaged_wheel_is_refused_in_the_same_words(
    store: WheelStore, tmp_path: Path, artifact: Artifact, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(WheelError) as here:
        unpack_into(store, _sha256(artifact), artifact.write(tmp_path))
    _nothing_here(monkeypatch)
    with closing(Workers(1)) as workers:
        workers.begin()
        with pytest.raises(WheelError) as there:
            _run(workers, store, artifact, tmp_path)
        assert _run(workers, store, SMALL, tmp_path)  # the process goes on
    assert vars(there.value) == vars(here.value)
    assert store.get(_sha256(artifact)) is None
    assert list((tmp_path / "scratch").iterdir()) == []


def test_a_cache_that_cannot_be_written_is_told_in_the_same_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_bytes(b"")
    store = WheelStore(tmp_path / "wheels", Scratch(tmp_path / "file" / "scratch"))
    with pytest.raises(CacheError) as here:
        unpack_into(store, _sha256(SMALL), SMALL.write(tmp_path))
    _nothing_here(monkeypatch)
    with closing(Workers(1)) as workers:
        workers.begin()
        with pytest.raises(CacheError) as there:
            _run(workers, store, SMALL, tmp_path)
    assert vars(there.value) == vars(here.value)


def test_processes_that_rest_end_and_others_are_begun_when_there_is_more(
    store: WheelStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _nothing_here(monkeypatch)
    with closing(Workers(1)) as workers:
        workers.begin()
        _run(workers, store, SMALL, tmp_path)
        (first,) = _pids(workers)
        workers.rest()
        wait_until(lambda: is_gone(first))
        workers.begin()
        store.forget(_sha256(SMALL))
        assert _run(workers, store, SMALL, tmp_path)
        assert len(_pids(workers)) == 2


def test_a_process_at_work_does_not_rest(
    store: WheelStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, gate: Gate
) -> None:
    _nothing_here(monkeypatch)
    with closing(Workers(1)) as workers:
        workers.begin()
        running, outcome = _in_a_thread(workers, store, tmp_path, gate)
        workers.rest()
        gate.open()
        running.join(60)
    assert outcome == [store.get(_sha256(SEVERAL))]
    assert outcome[0] is not None


def test_surroundings_that_would_mislead_a_python(
    store: WheelStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trap = tmp_path / "trap"
    trap.mkdir()
    for module in ("json", "zlib", "hashlib", "kedge", "sitecustomize"):
        (trap / f"{module}.py").write_text("raise SystemExit('a trap')\n")
    monkeypatch.chdir(trap)
    monkeypatch.setenv("PYTHONPATH", str(trap))
    monkeypatch.setenv("PYTHONSTARTUP", str(trap / "json.py"))
    _nothing_here(monkeypatch)
    with closing(Workers(1)) as workers:
        workers.begin()
        assert _run(workers, store, SMALL, tmp_path)


@pytest.mark.skipif(fast() is None, reason="zlib-ng has no wheel here")
def test_a_process_finds_zlib_ng() -> None:
    script = f"import sys; sys.path += {_path()}; from kedge.inflate import fast; assert fast()"
    subprocess.run([sys.executable, "-I", "-S", "-c", script], check=True)


def test_a_process_imports_what_unpacking_takes() -> None:
    """A start is paid for by each of them."""
    script = f"import sys; sys.path += {_path()}; import kedge.install.worker; print(*sys.modules)"
    command = [sys.executable, "-I", "-S", "-c", script]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    own = {name.removeprefix("kedge.") for name in done.stdout.split() if "kedge" in name}
    assert {name for name in own if name.startswith("cache.")} == {
        "cache.atomic",
        "cache.manifest",
        "cache.wheels",
    }
    assert not own & {"install.plan", "install.state", "install.transaction"}


@pytest.mark.parametrize(
    ("words", "kept"), [([], True), (["-B"], False)], ids=["as usual", "not to be written"]
)
def test_bytecode_is_kept_where_the_caller_keeps_it(
    tmp_path: Path, words: list[str], kept: bool
) -> None:
    script = """
import sys
from contextlib import closing
from pathlib import Path
from kedge.cache import open_cache
from kedge.install import processes, workers
processes._may_copy = lambda: False
with closing(workers.Workers(1)) as made:
    made.begin()
    made.unpack(open_cache(Path("cache")).wheels, *sys.argv[1:2], Path(sys.argv[2]),
                filename=sys.argv[2])
assert "kedge.install.unpack" not in sys.modules
"""
    SMALL.write(tmp_path)
    prefix = tmp_path / "bytecode"
    variables = {**os.environ, "PYTHONPYCACHEPREFIX": str(prefix)}
    variables.pop("PYTHONDONTWRITEBYTECODE", None)
    command = [sys.executable, *words, "-c", script, _sha256(SMALL), SMALL.filename]
    subprocess.run(command, cwd=tmp_path, env=variables, check=True)
    assert bool(list(prefix.rglob("install/unpack.*.pyc"))) is kept


def test_kedge_in_a_zip_file(tmp_path: Path) -> None:
    package = Path(kedge.__file__).parent
    archive = tmp_path / "site.zip"
    with zipfile.ZipFile(archive, "w") as packed:
        for path in package.rglob("*.py"):
            packed.write(path, f"kedge/{path.relative_to(package)}")
    script = f"""
import sys; sys.path.insert(0, {str(archive)!r})
from contextlib import closing
from pathlib import Path
from kedge.cache import open_cache
from kedge.install import processes, unpack, workers
assert "site.zip" in workers.__file__
processes._may_copy = lambda: False
unpack.unpack_into = None
with closing(workers.Workers(1)) as made:
    made.begin()
    made.unpack(open_cache(Path("cache")).wheels, {_sha256(SMALL)!r},
                Path({SMALL.filename!r}), filename={SMALL.filename!r})
"""
    SMALL.write(tmp_path)
    subprocess.run([sys.executable, "-c", script], cwd=tmp_path, check=True)


def test_without_an_interpreter_to_start(
    store: WheelStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", str(tmp_path / "nowhere" / "python"))
    with closing(Workers(2)) as workers:
        workers.begin()
        assert _run(workers, store, SMALL, tmp_path)


def test_no_more_are_begun_than_there_is_work_for() -> None:
    with closing(Workers(3)) as workers:
        for number, running in ((1, 1), (1, 1), (2, 2), (9, 3)):
            workers.begin(number)
            assert len(_pids(workers)) == running
    assert _pids(workers) == []
    workers.begin()
    assert _pids(workers) == []


@pytest.mark.skipif(os.name == "nt", reason="signals are POSIX's")
class TestEnding:
    def test_a_process_that_was_killed_before(self, store: WheelStore, tmp_path: Path) -> None:
        with closing(Workers(1)) as workers:
            workers.begin()
            os.kill(_pids(workers)[0], signal.SIGKILL)
            assert _run(workers, store, SMALL, tmp_path)
            assert _pids(workers) == []

    @pytest.mark.parametrize("sent", [signal.SIGKILL, signal.SIGTERM], ids=lambda sent: sent.name)
    def test_a_process_that_is_killed_at_it(
        self, store: WheelStore, tmp_path: Path, gate: Gate, sent: signal.Signals
    ) -> None:
        with closing(Workers(1)) as workers:
            workers.begin()
            running, outcome = _in_a_thread(workers, store, tmp_path, gate)
            os.kill(_pids(workers)[0], sent)
            running.join(60)
        assert outcome == [store.get(_sha256(SEVERAL))]
        assert outcome[0] is not None

    def test_closing_takes_back_what_was_begun(
        self, store: WheelStore, tmp_path: Path, gate: Gate, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("kedge.install.workers._SECONDS_TO_END", 60.0)
        workers = Workers(1)
        workers.begin()
        (pid,) = _pids(workers)
        running, outcome = _in_a_thread(workers, store, tmp_path, gate)
        workers.close()
        running.join(60)
        assert isinstance(outcome[0], CacheError)
        assert store.get(_sha256(SEVERAL)) is None
        assert list((tmp_path / "scratch").iterdir()) == []
        assert is_gone(pid)

    @pytest.mark.parametrize("begun", ["as a copy", "anew"])
    def test_it_does_not_outlive_its_parent(
        self, store: WheelStore, tmp_path: Path, gate: Gate, begun: str
    ) -> None:
        """Killed like this a parent cannot end anything."""
        archive = SEVERAL.write(tmp_path)
        script = f"""
import sys
exec({gate.code!r})  # a copy has it, too
from pathlib import Path
from kedge.cache.atomic import Scratch
from kedge.cache import WheelStore
from kedge.install import processes
from kedge.install.workers import Workers
if {begun == "anew"}: processes._may_copy = lambda: False
processes._BEGIN = {processes._BEGIN!r}
store = WheelStore(Path({str(store.folder)!r}), Scratch(Path({str(store.scratch.folder)!r})))
workers = Workers(1); workers.begin()
print(workers._all[0].pid, flush=True)
workers.unpack(store, {_sha256(SEVERAL)!r}, Path({str(archive)!r}), filename={archive.name!r})
"""
        parent = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE)
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        gate.wait_until_met()
        assert _is_begun(tmp_path)
        parent.kill()
        parent.communicate()
        wait_until(lambda: is_gone(pid))
        assert list((tmp_path / "scratch").iterdir()) == []
        assert not store.has(_sha256(SEVERAL))


def _in_a_thread(
    workers: Workers, store: WheelStore, folder: Path, gate: Gate
) -> tuple[threading.Thread, list[object]]:
    """The wheel of several files, in the middle; what comes of it is put into the list."""
    outcome: list[object] = []

    def work() -> None:
        try:
            outcome.append(_run(workers, store, SEVERAL, folder))
        except KedgeError as exc:
            outcome.append(exc)

    thread = threading.Thread(target=work)
    thread.start()
    gate.wait_until_met()
    assert _is_begun(folder)
    return thread, outcome


def _is_begun(folder: Path) -> bool:
    return any(path.suffix == ".bin" for path in folder.glob("scratch/*/tree/demo/*"))
