"""Full, read-only, layered and several file systems; real ones, mounted for the test."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from kedge.environment.interpreter import inspect
from kedge.environment.scheme import Scheme, scheme_for
from kedge.errors import CacheError, InstallError
from kedge.install import carry_out, recover
from kedge.install.files import FileSystems
from kedge.install.lock import locked
from support.installing import Stand, forked, kill, make_stand
from support.venvs import Venv
from support.wheels import wheel

OLD = wheel("demo", "1.0", files={"demo/sub/old.py": "old", "demo/sub/same.py": "1"})
NEW = wheel(
    "demo",
    "2.0",
    files={"demo/sub/new.py": "new", "demo/sub/same.py": "2"},
    entry_points={"demo": "demo:main"},
    data={"data/share/demo/x": "x"},
)


@contextmanager
def _mounted(place: Path, *options: str, within: Path) -> Iterator[Path]:
    """``within`` is the test's own folder: other tests mount in theirs meanwhile."""
    place.mkdir(parents=True, exist_ok=True)
    before = {line.split(" ")[1] for line in Path("/proc/mounts").read_text().splitlines()}
    try:
        subprocess.run(["mount", *options, str(place)], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError) as exc:
        pytest.skip(f"nothing can be mounted here: {exc}")
    try:
        yield place
    finally:
        # Wherever it is now: a mount moves with the folder it is in.
        lines = Path("/proc/mounts").read_text().splitlines()
        places = {line.split(" ")[1] for line in lines} - before
        for found in sorted(places, key=len, reverse=True):
            if Path(found).is_relative_to(within.resolve()):
                subprocess.run(["umount", "-l", found], check=True)


def test_a_full_disk(stand: Stand, tmp_path: Path) -> None:
    """Environment and cache each run out of space; both stay as they were."""
    big = wheel("big", files={f"big/{number}": os.urandom(1 << 16) for number in range(40)})
    plan = stand.plan(big, stand.addition(NEW))
    options = ("-t", "tmpfs", "-o", "size=2m", "none")
    with _mounted(tmp_path / "small", *options, within=tmp_path) as small:
        target = scheme_for(stand.interpreter, target=small / "target")
        with pytest.raises(InstallError) as caught:
            carry_out(replace(plan, scheme=target))
        assert "full" in caught.value.message
        assert list(small.iterdir()) == []
        cached = make_stand(small / "stand")
        (small / "stand" / "wheels").symlink_to(tmp_path)
        with pytest.raises(CacheError) as failed:
            cached.addition(big)
        assert "full" in failed.value.message
        assert cached.cache.list() == ()
        assert cached.cache.info().total_bytes == 0
        cached.install(NEW)


def test_a_read_only_environment(stand: Stand) -> None:
    stand.install(OLD)
    plan = stand.plan(NEW)
    before = stand.snapshot()
    env = str(stand.venv.path)
    with _mounted(stand.venv.path, "--bind", env, within=stand.venv.path.parent):
        subprocess.run(["mount", "-o", "remount,bind,ro", env], check=True)
        with pytest.raises(InstallError) as caught:
            carry_out(plan)
        assert "read-only" in caught.value.message
        assert str(stand.venv.site) in caught.value.message
        assert stand.snapshot() == before
    assert stand.snapshot() == before


@pytest.mark.skipif(os.name != "posix" or os.geteuid() != 0, reason="needs root, to be another")
@pytest.mark.parametrize("closed", ["site-packages", "bin", "share"])
def test_folders_of_another_user(stand_in_memory: Stand, closed: str) -> None:
    """What cannot be written is found at the start or at the end: either way it is undone."""
    stand = stand_in_memory
    stand.install(OLD)
    (stand.venv.path / "share").mkdir()
    plan = stand.plan(NEW)
    home = stand.venv.path.parent
    for path in [home, *home.rglob("*")]:
        os.chown(path, 4321, 4321, follow_symlinks=False)
    place = {"site-packages": stand.venv.site}.get(closed, stand.venv.path / closed)
    os.chown(place, 0, 0)
    before = stand.snapshot()

    def act() -> None:
        os.setgid(4321)
        os.setuid(4321)
        carry_out(plan)

    ended = forked(act, at=10_000, do=kill)
    assert ended.error.startswith("InstallError")
    assert str(place) in ended.error
    assert stand.snapshot() == before


@pytest.fixture
def layered(stand_in_memory: Stand) -> Iterator[Stand]:
    """The environment with the old version on the lower layer of an overlay, as in a container.

    There folders of the lower layer cannot be renamed.
    """
    stand = stand_in_memory
    stand.install(OLD)
    lower = stand.venv.path.with_name("lower")
    stand.venv.path.rename(lower)
    work = [lower.with_name(name) for name in ("upper", "work")]
    for folder in work:
        folder.mkdir()
    options = f"lowerdir={lower},upperdir={work[0]},workdir={work[1]},redirect_dir=off"
    words = ("-t", "overlay", "-o", options, "overlay")
    with _mounted(stand.venv.path, *words, within=lower.parent):
        with pytest.raises(OSError, match="cross-device"):
            (stand.venv.site / "demo").rename(stand.venv.site / "renamed")
        yield stand


def test_an_overlay(layered: Stand) -> None:
    layered.install(NEW)
    names = {path.name for path in (layered.venv.site / "demo" / "sub").iterdir()}
    assert names == {"new.py", "same.py"}
    layered.uninstall("demo")
    assert not (layered.venv.site / "demo").exists()
    assert not (layered.venv.site / ".kedge").exists()


def test_killed_on_an_overlay(layered: Stand) -> None:
    plan = layered.plan(NEW)
    old = layered.snapshot()
    for at in range(1, 300, 2):
        ended = forked(lambda: carry_out(plan), at=at, do=kill)
        layered.recover()
        now = layered.snapshot()
        if now != old:
            break
    assert ended.killed == ended.reached
    assert set(layered.installed()) == {"demo"}
    assert layered.installed()["demo"].version_text == "2.0"
    assert at > 20


def _spread(stand: Stand, data: Path) -> Scheme:
    """The environment's scheme with data and programs elsewhere."""
    return replace(stand.scheme, data=data, scripts=data / "bin")


def test_an_environment_over_two_file_systems(stand_in_memory: Stand, tmp_path: Path) -> None:
    stand = stand_in_memory
    with _mounted(tmp_path / "other", "-t", "tmpfs", "none", within=tmp_path) as other:
        empty = stand.snapshot()
        plan = replace(stand.plan(NEW), scheme=_spread(stand, other / "deep" / "er"))
        for at in range(1, 300):
            ended = forked(lambda: carry_out(plan), at=at, do=kill)
            recover(plan.scheme)
            if (other / "deep").exists():
                break
            assert stand.snapshot() == empty, at
            assert list(other.iterdir()) == [], at
        assert at > 20
        assert ended.reached
        assert (other / "deep" / "er" / "bin" / "demo").exists()
        assert (other / "deep" / "er" / "share" / "demo" / "x").exists()
        assert [path.name for path in other.iterdir()] == ["deep"]
        assert set(stand.installed()) == {"demo"}


def test_a_folder_inside_is_mounted(stand: Stand) -> None:
    """A rename does not reach into it, though it lies in the environment."""
    stand.install(OLD)
    place, home = stand.venv.site / "demo" / "sub", stand.venv.path.parent
    with _mounted(place, "-t", "tmpfs", "none", within=home) as inside:
        (inside / "same.py").write_text("hides the old one")
        stand.install(NEW)
        assert {path.name for path in inside.iterdir()} == {"new.py", "same.py"}
        assert (inside / "same.py").read_text() == "2"
    assert not (stand.venv.site / ".kedge").exists()


def test_a_bind_mount_of_the_same_device(stand: Stand, tmp_path: Path) -> None:
    place = tmp_path / "bound"
    place.mkdir()
    with _mounted(stand.venv.path / "share", "--bind", str(place), within=tmp_path) as share:
        assert share.stat().st_dev == stand.venv.path.stat().st_dev
        spaces = FileSystems()
        assert spaces.key(str(share)) != spaces.key(str(stand.venv.path))
        stand.install(NEW)
        assert (share / "demo" / "x").exists()
        stand.uninstall("demo")
        assert list(share.iterdir()) == []


def test_a_library_folder_behind_a_link(tmp_path: Path) -> None:
    """As ``lib64``: modules of both kinds end up in one folder, and RECORD fits."""
    stand = make_stand(tmp_path)
    link = stand.venv.path / "lib-link"
    link.symlink_to(stand.venv.path / "lib")
    platlib = link / stand.venv.site.relative_to(stand.venv.path / "lib")
    scheme = replace(stand.scheme, platlib=platlib)
    stand.install(wheel("demo", purelib=False, entry_points={"demo": "demo:main"}), scheme=scheme)
    assert set(stand.installed()) == {"demo"}
    assert "../../../bin/demo" in (stand.venv.dist_info("demo") / "RECORD").read_text()
    empty = {path for path in stand.snapshot() if "demo" in path}
    assert empty
    stand.uninstall("demo")
    assert not {path for path in stand.snapshot() if "demo" in path}


def test_an_environment_that_was_moved_after_a_crash(tmp_path: Path) -> None:
    stand = make_stand(tmp_path)
    stand.install(OLD)
    plan = stand.plan(NEW)
    old = stand.snapshot()
    for at in range(1, 300):
        assert forked(lambda: carry_out(plan), at=at, do=kill).killed
        if not (stand.venv.site / "demo").exists():
            break
        stand.recover()
    moved = Venv(tmp_path / "moved")
    stand.venv.path.rename(moved.path)
    assert recover(scheme_for(inspect(moved.python)))
    assert moved.snapshot() == old


@pytest.mark.skipif(os.name != "posix", reason="needs flock()")
def test_the_turn_is_for_the_lock_that_is_there(tmp_path: Path) -> None:
    """Who waited for a lock whose file is gone by now has not got anything."""
    import fcntl

    folder = tmp_path / "state"
    folder.mkdir()
    path = folder / "lock"
    gone = path.open("w")
    fcntl.flock(gone, fcntl.LOCK_EX)
    waits, entered = threading.Event(), threading.Event()

    def wait() -> None:
        with locked(str(folder), waiting=waits.set):
            entered.set()

    thread = threading.Thread(target=wait)
    thread.start()
    assert waits.wait(60)
    path.unlink()
    with path.open("w") as present:
        fcntl.flock(present, fcntl.LOCK_EX)
        gone.close()
        assert not entered.wait(0.3)
    thread.join(60)
    assert entered.is_set()
    assert not folder.exists()


_WAITER = """
import sys
from pathlib import Path
from support.installing import Stand, Told
from support import wheels
from kedge.cache import open_cache
from kedge.environment.interpreter import inspect
from kedge.environment.scheme import scheme_for
from kedge.install import InstallReporter
from support.venvs import Venv

root, number = Path(sys.argv[1]), sys.argv[2]
venv = Venv(root / "env")
interpreter = inspect(venv.python)
stand = Stand(venv, open_cache(root / "cache"), interpreter, scheme_for(interpreter), root / number)

class Slow(InstallReporter):
    def waiting(self, place):
        print("waits", flush=True)
    def staged(self, name, version):
        print("staged", flush=True)
        sys.stdin.readline()

artifact = wheels.wheel(f"p{number}", files={"ns/" + number: number, "same.py": number})
stand.install(artifact, reporter=Slow())
print("done", flush=True)
"""


def test_two_at_once_take_turns(stand: Stand, tmp_path: Path) -> None:
    environ = {**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}

    def start(number: int) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-c", _WAITER, str(tmp_path), str(number)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environ,
        )

    def line(child: subprocess.Popen[str]) -> str:
        assert child.stdout is not None
        return child.stdout.readline().strip()

    first = start(1)
    assert line(first) == "staged"
    others = [start(2), start(3)]
    assert [line(child) for child in others] == ["waits", "waits"]
    first.communicate("go on\n")
    for child in others:  # both: nobody knows whose turn comes first
        assert child.stdin is not None
        child.stdin.write("go on\n")
        child.stdin.flush()
    for child in others:
        assert child.communicate()[0].split() == ["staged", "done"]
    assert set(stand.installed()) == {"p1", "p2", "p3"}
    assert {path.name for path in (stand.venv.site / "ns").iterdir()} == {"1", "2", "3"}
    assert not (stand.venv.site / ".kedge").exists()


def test_the_turn_of_a_killed_process_is_over(stand: Stand) -> None:
    plan = stand.plan(NEW)
    for at in range(1, 200, 10):
        forked(lambda: carry_out(plan), at=at, do=kill)
        if (stand.venv.site / ".kedge" / "lock").exists():
            break
    assert (stand.venv.site / ".kedge" / "lock").exists()
    carry_out(replace(plan, observed=None))
    assert set(stand.installed()) == {"demo"}
