"""Entries of unpacked wheels: complete or absent, whoever writes them and whatever stops it."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from kedge.cache import Cache, Linked, Manifest, ManifestEntry, open_cache
from kedge.errors import CacheError

SHA = "ab" * 32


def _build(tree: Path, text: str = "contents") -> Manifest:
    (tree / "pkg").mkdir()
    file = tree / "pkg" / "a.py"
    file.write_text(text)
    status = file.stat()
    entry = ManifestEntry("pkg/a.py", status.st_size, "x" * 43, 0o644, status.st_mtime_ns)
    return Manifest(
        name="Demo",
        version="1.0",
        filename="demo-1.0-py3-none-any.whl",
        dist_info="demo-1.0.dist-info",
        root_is_purelib=True,
        linked=Linked((entry,), ("pkg",), "pkg/a.py,,\n"),
        others=(entry._replace(path="demo-1.0.dist-info/RECORD"),),
        entry_points="[console_scripts]",
        stated=("Demo", "1.0", None, ("other>1",), ()),
    )


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    return open_cache(tmp_path / "cache")


def _scratch(cache: Cache) -> list[Path]:
    return list((cache.directory / "tmp").iterdir())


def test_what_was_added_is_found_again(cache: Cache) -> None:
    assert cache.wheels.get(SHA) is None
    added = cache.wheels.add(SHA, _build)
    found = open_cache(cache.directory).wheels.get(SHA)
    assert found == added
    assert (added.tree / "pkg" / "a.py").read_text() == "contents"
    assert found is not None
    assert found.manifest.files[0].mtime_ns == (added.tree / "pkg/a.py").stat().st_mtime_ns
    assert _scratch(cache) == []


def test_a_build_that_fails_leaves_nothing(cache: Cache) -> None:
    def build(tree: Path) -> Manifest:
        _build(tree)
        raise RuntimeError("no wheel")

    with pytest.raises(RuntimeError, match="no wheel"):
        cache.wheels.add(SHA, build)
    assert cache.wheels.get(SHA) is None
    assert _scratch(cache) == []


@pytest.mark.parametrize("call", ["mkdir", "rename"])
def test_an_interruption_right_after_a_system_call_leaves_nothing(
    cache: Cache, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    """That is when Python acts on a signal that came meanwhile."""
    cache.wheels.add(SHA, _build)
    done = getattr(Path, call)

    def interrupted(path: Path, *args: object, **options: object) -> None:
        done(path, *args, **options)
        if "tmp" in (path.parent.name, *(Path(str(arg)).parent.name for arg in args)):
            monkeypatch.undo()
            raise KeyboardInterrupt

    monkeypatch.setattr(Path, call, interrupted)
    with pytest.raises(KeyboardInterrupt):
        cache.wheels.forget(SHA) if call == "rename" else cache.wheels.add("cd" * 32, _build)
    assert _scratch(cache) == []


def test_a_full_disk_is_a_sentence(cache: Cache) -> None:
    def build(tree: Path) -> Manifest:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(tree / "x"))

    with pytest.raises(CacheError) as caught:
        cache.wheels.add(SHA, build)
    assert "full" in caught.value.message
    assert str(cache.directory) in caught.value.message
    assert cache.wheels.get(SHA) is None


def test_the_first_of_two_wins(cache: Cache) -> None:
    def slow(tree: Path) -> Manifest:
        cache.wheels.add(SHA, lambda other: _build(other, "first"))
        return _build(tree, "second")

    wheel = cache.wheels.add(SHA, slow)
    assert (wheel.tree / "pkg" / "a.py").read_text() == "first"
    assert _scratch(cache) == []


@pytest.mark.parametrize(
    "damage",
    [
        pytest.param(lambda entry: (entry / "manifest").unlink(), id="no manifest"),
        pytest.param(lambda entry: (entry / "manifest").write_bytes(b""), id="empty manifest"),
        pytest.param(
            lambda entry: (entry / "manifest").write_bytes((entry / "manifest").read_bytes()[:-5]),
            id="torn manifest",
        ),
        pytest.param(
            lambda entry: (entry / "manifest").write_bytes(
                (entry / "manifest").read_bytes().replace(b"pkg/a.py", b"pkg/b.py", 1)
            ),
            id="a changed byte",
        ),
        pytest.param(
            lambda entry: (entry / "manifest").write_bytes(
                (entry / "manifest").read_bytes().replace(b'"format": 2', b'"format": 1')
            ),
            id="another format",
        ),
        pytest.param(lambda entry: (entry / "tree").rename(entry / "gone"), id="no tree"),
        pytest.param(
            lambda entry: (entry.rename(entry.with_name("x")), entry.write_text("")), id="a file"
        ),
    ],
)
def test_a_damaged_entry_is_absent_and_can_be_made_again(cache: Cache, damage: object) -> None:
    entry = cache.wheels.add(SHA, _build).tree.parent
    damage(entry)  # type: ignore[operator]
    assert cache.wheels.get(SHA) is None
    assert not entry.exists()
    again = cache.wheels.add(SHA, lambda tree: _build(tree, "again"))
    assert (again.tree / "pkg" / "a.py").read_text() == "again"


def test_a_damaged_entry_that_is_in_the_way_is_replaced(cache: Cache) -> None:
    entry = cache.wheels.add(SHA, _build).tree.parent
    (entry / "manifest").unlink()
    wheel = cache.wheels.add(SHA, lambda tree: _build(tree, "again"))
    assert (wheel.tree / "pkg" / "a.py").read_text() == "again"


def test_looking_for_what_just_comes_does_not_remove_it(cache: Cache) -> None:
    """It was not there, then it was, and then it was thrown away as damaged."""
    digests = [f"{number:064x}" for number in range(300)]
    now = [digests[0]]
    looking = True

    def look() -> None:
        while looking:
            cache.wheels.get(now[0])

    with ThreadPoolExecutor(1) as threads:
        ended = threads.submit(look)
        try:
            for digest in digests:
                now[0] = digest
                cache.wheels.add(digest, _build)
        finally:
            looking = False
        ended.result()
    assert [digest for digest in digests if cache.wheels.get(digest) is None] == []


@pytest.mark.parametrize("digest", ["", "ab", "AB" * 32, "../" + "a" * 61, "ab" * 31 + "/x"])
def test_only_digests_are_keys(cache: Cache, digest: str) -> None:
    assert cache.wheels.get(digest) is None
    with pytest.raises(ValueError, match="SHA-256"):
        cache.wheels.add(digest, _build)


_ADDER = """
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from kedge.cache import Linked, Manifest, open_cache

def build(tree):
    for number in range(50):
        (tree / str(number)).write_text(sys.argv[2])
    return Manifest(name="x", version="1", filename="x", dist_info="x", root_is_purelib=True,
                    linked=Linked())

cache = open_cache(Path(sys.argv[1]))
print("ready", flush=True)
sys.stdin.readline()
for digit in "0123456789abcdef":
    tree = cache.wheels.add(digit * 64, build).tree
    assert len({(tree / str(number)).read_text() for number in range(50)}) == 1
"""


def test_several_processes_at_once(tmp_path: Path) -> None:
    children = [
        subprocess.Popen(
            [sys.executable, "-c", _ADDER, str(tmp_path / "cache"), str(number)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for number in range(3)
    ]
    for child in children:
        assert child.stdout is not None
        assert child.stdout.readline() == "ready\n"
    for child in children:  # all of them, before any has ended
        assert child.stdin is not None
        child.stdin.write("go\n")
        child.stdin.flush()
    for child in children:
        child.communicate()
    assert [child.returncode for child in children] == [0, 0, 0]
    cache = open_cache(tmp_path / "cache")
    assert len(cache.list()) == 16
    assert _scratch(cache) == []


_KILLED = """
import os, signal, sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from kedge.cache import open_cache

def build(tree):
    (tree / "half").write_text("done")
    os.kill(os.getpid(), signal.SIGKILL)

open_cache(Path(sys.argv[1])).wheels.add("ab" * 32, build)
"""


@pytest.mark.skipif(os.name == "nt", reason="needs SIGKILL")
def test_what_a_killed_process_left_is_removed_when_it_is_old(tmp_path: Path) -> None:
    place = tmp_path / "cache"
    assert subprocess.run([sys.executable, "-c", _KILLED, str(place)]).returncode == -9
    cache = open_cache(place)
    assert cache.wheels.get(SHA) is None
    (left,) = _scratch(cache)
    long_ago = time.time() - 2 * 24 * 3600
    os.utime(left, (long_ago, long_ago))
    assert _scratch(open_cache(place)) == [left]  # what is in it might be a living process's
    for path in left.iterdir():
        os.utime(path, (long_ago, long_ago))
    assert _scratch(open_cache(place)) == []


def test_archives_on_their_way_lie_on_the_disk_of_the_cache(cache: Cache) -> None:
    with cache.wheels.folder_aside() as folder:
        (folder / "some.whl").touch()
        assert _scratch(cache) == [folder]
    assert _scratch(cache) == []


def test_archives_of_a_run_that_takes_hours_are_not_purged(cache: Cache) -> None:
    with cache.wheels.folder_aside() as folder, cache.wheels.scratch.directory() as other:
        for hours, left in ((0, {folder, other}), (2, {folder}), (25, set())):
            for path in _scratch(cache):
                os.utime(path, (time.time() - hours * 3600,) * 2)
            cache.purge()
            assert set(_scratch(cache)) == left


def test_where_no_archive_can_be_put(cache: Cache) -> None:
    cache.wheels.scratch.folder.rmdir()
    cache.wheels.scratch.folder.touch()
    with pytest.raises(CacheError, match="cannot be written"), cache.wheels.folder_aside():
        pass


def test_bytecode_stands_and_falls_with_its_wheel(cache: Cache) -> None:
    wheel = cache.wheels.add(SHA, _build)
    entry = ManifestEntry("pkg/__pycache__/a.cpython-311.pyc", 3, "y" * 43, 0o644, 1)

    def build(tree: Path) -> Linked:
        (tree / "pkg").mkdir()
        return Linked((entry,), ("pkg", "pkg/__pycache__"), "pkg,,\n")

    assert cache.wheels.bytecode(wheel, "cpython-311") is None
    made = cache.wheels.add_bytecode(wheel, "cpython-311", build)
    assert made.linked.files == (entry,)
    assert cache.wheels.bytecode(wheel, "cpython-311") == made
    assert cache.wheels.bytecode(wheel, "cpython-312") is None
    assert cache.wheels.get(SHA) == wheel
    (made.tree.parent / "manifest").write_bytes(b"{")
    assert cache.wheels.bytecode(wheel, "cpython-311") is None
    assert cache.wheels.add_bytecode(wheel, "cpython-311", build).linked.files == (entry,)
    cache.wheels.forget(SHA)
    assert not made.tree.exists()


@pytest.mark.parametrize(
    "made_of",
    [
        lambda place: place.write_text(""),  # a file in the place of the folder
        lambda place: (place / "manifest").mkdir(parents=True),
        lambda place: place.mkdir(),  # somebody emptied it
        lambda place: place.symlink_to("nowhere"),
    ],
)
def test_bytecode_that_is_damaged_is_made_again(
    cache: Cache, made_of: Callable[[Path], object]
) -> None:
    wheel = cache.wheels.add(SHA, _build)
    made_of(wheel.tree.parent / "bytecode-cpython-311")
    assert cache.wheels.bytecode(wheel, "cpython-311") is None
    made = cache.wheels.add_bytecode(wheel, "cpython-311", lambda tree: Linked((), (), ""))
    assert cache.wheels.bytecode(wheel, "cpython-311") == made


@pytest.mark.skipif(sys.platform == "win32", reason="there is no such limit")
def test_what_cannot_be_opened_now_is_not_thrown_away(cache: Cache) -> None:
    import resource

    wheel = cache.wheels.add(SHA, _build)
    made = cache.wheels.add_bytecode(wheel, "cpython-311", lambda tree: Linked((), (), ""))
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, limits[1]))
    try:
        found = cache.wheels.get(SHA), cache.wheels.bytecode(wheel, "cpython-311")
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
    assert found == (None, None)
    assert cache.wheels.get(SHA) == wheel
    assert cache.wheels.bytecode(wheel, "cpython-311") == made
