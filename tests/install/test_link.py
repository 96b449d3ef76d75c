"""From the cache into an environment: every way, what it falls back to, what it refuses."""

from __future__ import annotations

import os
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from kedge.cache import ManifestEntry, Row
from kedge.errors import DamagedEntryError
from kedge.install.link import Linker
from kedge.install.plan import LinkMode

CONTENTS = b"contents\n" * 1000


class Job(NamedTuple):
    """One file: where it is, where it is to go, and what the manifest says of it."""

    source: str
    destination: str
    row: Row


def _job(folder: Path, name: str = "a", mode: int = 0o644, data: bytes = CONTENTS) -> Job:
    for place in ("cached", "linked"):
        (folder / place / "pkg").mkdir(parents=True, exist_ok=True)
    source = folder / "cached" / "pkg" / name
    source.write_bytes(data)
    source.chmod(mode)
    os.utime(source, ns=(1, 1_600_000_000_123_456_789))
    status = source.stat()
    row = ManifestEntry(f"pkg/{name}", status.st_size, "", mode, status.st_mtime_ns)
    return Job(str(source), str(folder / "linked" / "pkg" / name), row)


def _place(linker: Linker, *jobs: Job, to: Path | None = None) -> None:
    cached = Path(jobs[0].source).parents[1]
    linker.place("ab", str(cached), str(to or cached.with_name("linked")), [j.row for j in jobs])


class _Contested:
    def __init__(self) -> None:
        self.paths: list[str] = []

    def __call__(self, path: str) -> None:
        self.paths.append(path)


def _linker(mode: LinkMode, umask: int = 0o022) -> Linker:
    return Linker(mode, umask=umask, contested=_Contested())


@pytest.mark.parametrize("mode", list(LinkMode))
@pytest.mark.parametrize("permissions", [0o644, 0o755], ids=oct)
@pytest.mark.parametrize("data", [b"", CONTENTS], ids=["empty", "full"])
def test_the_result_is_the_same_in_every_way(
    tmp_path: Path, mode: LinkMode, permissions: int, data: bytes
) -> None:
    job = _job(tmp_path, mode=permissions, data=data)
    _place(_linker(mode), job)
    linked = Path(job[1])
    assert linked.read_bytes() == data
    assert linked.stat().st_mtime_ns == job.row[4]
    if os.name == "posix":
        assert stat.S_IMODE(linked.stat().st_mode) == permissions


def test_hard_links_share_the_file_and_copies_do_not(tmp_path: Path) -> None:
    hard, copied = _job(tmp_path, "hard"), _job(tmp_path, "copied")
    _place(_linker(LinkMode.HARDLINK), hard)
    _place(_linker(LinkMode.COPY), copied)
    assert Path(hard[0]).samefile(hard[1])
    assert not Path(copied[0]).samefile(copied[1])


@pytest.mark.skipif(os.name != "posix", reason="needs POSIX permissions")
def test_a_file_with_other_permissions_is_not_shared(tmp_path: Path) -> None:
    """It was unpacked under another umask; a link would pass its permissions on."""
    job = _job(tmp_path, mode=0o600)
    linker = _linker(LinkMode.HARDLINK)
    other = _job(tmp_path, "b")
    _place(linker, job, other)
    assert stat.S_IMODE(Path(job[1]).stat().st_mode) == 0o644
    assert stat.S_IMODE(Path(job[0]).stat().st_mode) == 0o600
    assert Path(other.source).samefile(other.destination)
    assert linker.way is LinkMode.HARDLINK


def _append(path: Path) -> None:
    with path.open("ab") as file:
        file.write(b"more")


def _append_unseen(path: Path) -> None:
    before = path.stat()
    _append(path)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def _rewrite(path: Path) -> None:
    path.write_bytes(CONTENTS.swapcase())


def _to_link(path: Path) -> None:
    path.rename(path.with_name("moved"))
    path.symlink_to("moved")


@pytest.mark.parametrize(
    "damage",
    [
        pytest.param(lambda path: path.unlink(), id="missing"),
        pytest.param(_append, id="longer"),
        pytest.param(_append_unseen, id="longer, same time"),
        pytest.param(_rewrite, id="same size"),
        pytest.param(_to_link, id="a link"),
        pytest.param(lambda path: (path.unlink(), path.mkdir()), id="a folder"),
    ],
)
@pytest.mark.parametrize("mode", [LinkMode.HARDLINK, LinkMode.COPY])
def test_damage_is_noticed_before_it_is_passed_on(
    tmp_path: Path, mode: LinkMode, damage: object
) -> None:
    job = _job(tmp_path)
    damage(Path(job[0]))  # type: ignore[operator]
    with pytest.raises(DamagedEntryError) as caught:
        _place(_linker(mode), job)
    assert caught.value.sha256 == "ab"
    assert job[0] in caught.value.message
    assert not Path(job[1]).exists()


@pytest.mark.skipif(os.name != "posix", reason="needs times of links")
def test_a_link_is_no_cached_file_whatever_its_size_and_time(tmp_path: Path) -> None:
    job = _job(tmp_path, data=b"x" * 5)
    source = job.source
    Path(source).unlink()
    Path(source).symlink_to("other")
    os.utime(source, ns=(1, job.row[4]), follow_symlinks=False)
    with pytest.raises(DamagedEntryError):
        _place(_linker(LinkMode.HARDLINK), job)


@pytest.mark.parametrize("mode", list(LinkMode))
def test_what_is_there_already_is_replaced_and_told(tmp_path: Path, mode: LinkMode) -> None:
    job = _job(tmp_path)
    shared = tmp_path / "shared"
    shared.write_text("another wheel's")
    os.link(shared, job[1])
    contested = _Contested()
    _place(Linker(mode, umask=0o022, contested=contested), job)
    assert contested.paths
    assert set(contested.paths) == {job[1]}
    assert Path(job[1]).read_bytes() == CONTENTS
    assert shared.read_text() == "another wheel's"


def test_a_missing_folder_is_no_damage(tmp_path: Path) -> None:
    job = _job(tmp_path)
    for mode in LinkMode:
        with pytest.raises(FileNotFoundError):
            _place(_linker(mode), job, to=tmp_path / "no" / "where")


# --------------------------------------------------------------------------------------------
# Between and on other file systems


@pytest.fixture
def elsewhere() -> Iterator[Path]:
    """A folder on another file system than the usual temporary one."""
    import tempfile

    memory = Path("/dev/shm")
    if not memory.is_dir():
        pytest.skip("no second file system: /dev/shm is missing")
    with tempfile.TemporaryDirectory(dir=memory) as folder:
        yield Path(folder)


@pytest.mark.parametrize("mode", list(LinkMode))
def test_to_another_file_system_it_copies(tmp_path: Path, elsewhere: Path, mode: LinkMode) -> None:
    if tmp_path.stat().st_dev == elsewhere.stat().st_dev:
        pytest.skip("no second file system")
    jobs = [_job(tmp_path, name) for name in "ab"]
    linker = _linker(mode)
    (elsewhere / "pkg").mkdir()
    _place(linker, *jobs, to=elsewhere)
    assert linker.way is LinkMode.COPY
    assert (elsewhere / "pkg" / "b").read_bytes() == CONTENTS
    assert (elsewhere / "pkg" / "b").stat().st_mtime_ns == jobs[1].row[4]


def _or_skip(*command: str) -> None:
    try:
        subprocess.run(command, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError) as exc:
        pytest.skip(f"no btrfs can be mounted here: {exc}")


@pytest.fixture(scope="module")
def btrfs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A mounted file system that has reflinks."""
    folder = tmp_path_factory.mktemp("btrfs")
    image = folder / "image"
    with image.open("wb") as file:
        file.truncate(128 << 20)
    place = folder / "mounted"
    place.mkdir()
    _or_skip("mkfs.btrfs", "-q", str(image))
    _or_skip("mount", "-o", "loop", str(image), str(place))
    yield place
    subprocess.run(["umount", place], check=True)


@pytest.mark.parametrize("mode", [LinkMode.AUTO, LinkMode.REFLINK])
def test_reflinks_where_there_are_any(btrfs: Path, mode: LinkMode) -> None:
    job = _job(btrfs, mode.value)
    linker = _linker(mode)
    _place(linker, job)
    assert linker.way is LinkMode.REFLINK
    assert not Path(job[0]).samefile(job[1])
    _append(Path(job[1]))
    assert Path(job[0]).read_bytes() == CONTENTS
    assert Path(job[1]).read_bytes() == CONTENTS + b"more"
