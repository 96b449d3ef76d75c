"""Which folder is used as a cache, and which is not; what is in it, and taking it out."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from kedge.cache import Cache, CachedPage, Linked, Manifest, Removed, open_cache

posix = pytest.mark.skipif(os.name != "posix", reason="needs POSIX permissions")
as_root = pytest.mark.skipif(
    os.name != "posix" or os.geteuid() != 0, reason="needs to be root, to be somebody else"
)


def _mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@posix
def test_a_new_cache_is_private(tmp_path: Path) -> None:
    cache = open_cache(tmp_path / "a" / "cache")
    assert cache.warning is None
    assert not cache.is_temporary
    assert cache.directory == tmp_path / "a" / "cache"
    assert {_mode(path) for path in [cache.directory, *cache.directory.glob("*-v?")]} == {0o700}
    assert (cache.directory / "CACHEDIR.TAG").read_bytes().startswith(b"Signature: 8a477f597d28d1")


def test_none_is_a_cache_that_goes(tmp_path: Path) -> None:
    with open_cache(None, scratch=tmp_path) as cache:
        assert cache.is_temporary
        assert cache.warning is None
        assert cache.directory.parent == tmp_path
        page = CachedPage(url="https://x.example/", content_type="text/html", body=b"x")
        assert cache.pages.put(page.url, page)
        assert cache.pages.get(page.url) == page
        _add(cache, "demo", "1.0", "a")
        assert len(cache.list()) == 1
    assert list(tmp_path.iterdir()) == []


def _unusable(directory: Path, tmp_path: Path) -> str:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    with open_cache(directory, scratch=scratch) as cache:
        assert cache.is_temporary
        assert cache.directory.parent == scratch
        assert cache.warning is not None
        assert str(directory) in cache.warning
        return cache.warning


@posix
def test_a_folder_that_anybody_can_write_to(tmp_path: Path) -> None:
    place = tmp_path / "cache"
    place.mkdir()
    place.chmod(0o777)
    _unusable(place, tmp_path)
    assert list(place.iterdir()) == []


@posix
def test_a_folder_of_the_users_group_is_used_but_not_its_inside(tmp_path: Path) -> None:
    place = tmp_path / "cache"
    place.mkdir()
    place.chmod(0o775)
    assert open_cache(place).warning is None
    (place / "wheels-v2").chmod(0o770)
    assert str(place / "wheels-v2") in _unusable(place, tmp_path)


@posix
def test_a_link_in_place_of_a_store(tmp_path: Path) -> None:
    place = tmp_path / "cache"
    open_cache(place)
    (place / "wheels-v2").rmdir()
    (tmp_path / "elsewhere").mkdir()
    (place / "wheels-v2").symlink_to(tmp_path / "elsewhere")
    assert str(place / "wheels-v2") in _unusable(place, tmp_path)


def test_a_file_in_the_way(tmp_path: Path) -> None:
    place = tmp_path / "cache"
    place.write_text("")
    _unusable(place, tmp_path)


@as_root
@pytest.mark.parametrize("inside", ["", "new/cache"], ids=["itself", "a folder above"])
def test_root_does_not_touch_the_folder_of_another(tmp_path: Path, inside: str) -> None:
    home = tmp_path / "home"
    home.mkdir(mode=0o755)
    os.chown(home, 4321, 4321)
    assert str(home) in _unusable(home / inside, tmp_path)
    assert list(home.iterdir()) == []


@pytest.fixture
def in_the_open() -> Iterator[Path]:
    """A folder that others can reach; pytest's own they cannot."""
    folder = Path(tempfile.mkdtemp(prefix="kedge-tests-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


_AS_ANOTHER = """
import os, sys, tempfile
from pathlib import Path
from kedge.cache import open_cache  # now: packages may lie where only root reads
os.setgid(4321)
os.setuid(4321)
cache = open_cache(Path(sys.argv[1]), scratch=Path(tempfile.gettempdir()))
print(cache.is_temporary, cache.warning)
"""


@as_root
@pytest.mark.parametrize(("owner", "is_used"), [(4321, True), (0, False)])
def test_a_folder_of_another_user(in_the_open: Path, owner: int, is_used: bool) -> None:
    place = in_the_open / "cache"
    place.mkdir()
    os.chown(place, owner, 4321)
    place.chmod(0o775)  # it can be written all the same
    run = subprocess.run(
        [sys.executable, "-c", _AS_ANOTHER, str(place)], capture_output=True, text=True, check=True
    )
    is_temporary, _, warning = run.stdout.partition(" ")
    assert is_temporary == str(not is_used)
    assert (str(place) in warning) == (not is_used)


# --------------------------------------------------------------------------------------------
# What is in it


def _add(cache: Cache, name: str, version: str, digit: str, used: float | None = None) -> None:
    def build(tree: Path) -> Manifest:
        (tree / "file").write_bytes(b"12345")
        return Manifest(
            name=name,
            version=version,
            filename=f"{name.replace('-', '_').lower()}-{version}-py3-none-any.whl",
            dist_info="x",
            root_is_purelib=True,
            linked=Linked(),
        )

    wheel = cache.wheels.add(digit * 64, build)
    cache.metadata.put(digit * 64, b"Name: x")
    if used is not None:
        os.utime(wheel.tree.parent / "manifest", (used, used))


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    cache = open_cache(tmp_path / "cache", clock=lambda: 10_000_000.0)
    _add(cache, "Demo-Thing", "1.0", "a", used=9_000_000.0)
    _add(cache, "demo-thing", "2.0", "b", used=9_999_999.0)
    _add(cache, "other", "1.0", "c", used=9_999_999.0)
    page = CachedPage(url="https://x.example/", content_type="text/html", body=b"1234567")
    cache.pages.put(page.url, page)
    return cache


def test_listing(cache: Cache) -> None:
    assert [(wheel.name, wheel.version) for wheel in cache.list()] == [
        ("Demo-Thing", "1.0"),
        ("demo-thing", "2.0"),
        ("other", "1.0"),
    ]
    assert [wheel.sha256[0] for wheel in cache.list("demo.thing")] == ["a", "b"]


def test_info(cache: Cache) -> None:
    info = cache.info()
    assert (info.wheels, info.pages, info.metadata) == (3, 1, 3)
    assert info.wheel_bytes > 15
    assert info.page_bytes > 7
    assert info.total_bytes == info.wheel_bytes + info.page_bytes + info.metadata_bytes


@pytest.mark.parametrize(
    ("pattern", "left"),
    [
        ("demo_thing", ["c"]),
        ("demo-thing-2.0", ["a", "c"]),
        ("*-1.0-*", ["b"]),
        ("other-1.0-py3-none-any.whl", ["a", "b"]),
        ("demo", ["a", "b", "c"]),
    ],
)
def test_removing_by_pattern(cache: Cache, pattern: str, left: list[str]) -> None:
    removed = cache.remove(pattern)
    assert sorted(wheel.sha256[0] for wheel in cache.list()) == left
    assert removed.count == 3 - len(left)
    assert [digit for digit in "abc" if cache.metadata.get(digit * 64)] == left
    assert cache.info().pages == 1


def test_purging_what_was_not_used_for_long(cache: Cache) -> None:
    assert cache.purge(older_than=86400.0).count >= 1
    assert [wheel.sha256[0] for wheel in cache.list()] == ["b", "c"]


def test_use_counts(cache: Cache) -> None:
    cache.wheels.get("a" * 64)
    cache.purge(older_than=86400.0)
    assert [wheel.sha256[0] for wheel in cache.list()] == ["a", "b", "c"]


def test_purging_everything(cache: Cache) -> None:
    (cache.directory / "wheels-v0" / "ab").mkdir(parents=True)  # of another version of kedge
    kept = cache.directory / "somebody-elses"
    kept.write_text("x")
    assert cache.purge().count == 4  # metadata goes with its wheel
    assert cache.info().total_bytes == 0
    assert not (cache.directory / "wheels-v0").exists()
    assert kept.exists()
    assert cache.purge() == Removed()
    _add(cache, "demo", "1.0", "d")
    assert len(cache.list()) == 1


def test_purging_down_to_a_size_takes_what_was_not_used_for_longest(cache: Cache) -> None:
    before = cache.info().total_bytes
    removed = cache.purge(keep=before)
    assert removed == Removed()
    removed = cache.purge(keep=before - 1)
    assert removed.count == 1
    assert [wheel.sha256[0] for wheel in cache.list()] == ["b", "c"]
    cache.purge(keep=0)
    assert cache.info().total_bytes == 0


def test_purging_by_both(cache: Cache) -> None:
    cache.purge(older_than=86400.0, keep=10**9)
    assert [wheel.sha256[0] for wheel in cache.list()] == ["b", "c"]
