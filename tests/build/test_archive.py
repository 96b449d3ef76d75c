"""Unpacking source archives: what is let in, and that nothing gets out."""

from __future__ import annotations

import io
import os
import tarfile
import zipfile
from pathlib import Path

import pytest

from kedge.build import archive as unpacking
from kedge.build.archive import unpack_source
from kedge.errors import SourceError


def tar(path: Path, *members: tarfile.TarInfo | tuple[str, bytes], mode: str = "w:gz") -> Path:
    with tarfile.open(path, mode) as made:  # type: ignore[call-overload]
        for one in members:
            if isinstance(one, tuple):
                info = tarfile.TarInfo(one[0])
                info.size = len(one[1])
                info.mtime = 1_500_000_000
                made.addfile(info, io.BytesIO(one[1]))
            else:
                made.addfile(one)
    return path


def special(name: str, kind: bytes, target: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type = kind
    info.linkname = target
    return info


@pytest.fixture
def into(tmp_path: Path) -> Path:
    folder = tmp_path / "deep" / "into"
    folder.mkdir(parents=True)
    return folder


@pytest.mark.parametrize(
    ("suffix", "mode"),
    [("tar.gz", "w:gz"), ("tar.bz2", "w:bz2"), ("tar.xz", "w:xz"), ("tar", "w"), ("bin", "w:gz")],
)
def test_every_kind_of_tar(tmp_path: Path, into: Path, suffix: str, mode: str) -> None:
    path = tar(tmp_path / f"spam-1.{suffix}", ("spam-1/a/b.txt", b"hello"), mode=mode)
    top = unpack_source(path, into)
    assert top == into / "spam-1"
    assert (top / "a/b.txt").read_bytes() == b"hello"
    assert (top / "a/b.txt").stat().st_mtime == 1_500_000_000


def test_zip_with_a_program_and_windows_separators(tmp_path: Path, into: Path) -> None:
    path = tmp_path / "spam-1.zip"
    with zipfile.ZipFile(path, "w") as made:
        run = zipfile.ZipInfo("spam-1/run")
        run.create_system = 3
        run.external_attr = 0o100755 << 16
        made.writestr(run, "#!/bin/sh\n")
        made.writestr("spam-1\\pkg\\x.py", "x")
    top = unpack_source(path, into)
    assert (top / "pkg/x.py").read_text() == "x"
    assert os.access(top / "run", os.X_OK)
    assert not os.access(top / "pkg/x.py", os.X_OK)


def test_without_a_folder_of_its_own_the_place_itself_is_the_project(
    tmp_path: Path, into: Path
) -> None:
    assert unpack_source(tar(tmp_path / "a.tar.gz", ("x", b""), ("y/z", b"")), into) == into


def test_what_permissions_become(tmp_path: Path, into: Path) -> None:
    program, plain = tarfile.TarInfo("s/run"), tarfile.TarInfo("s/data")
    program.mode, plain.mode = 0o4755, 0o000
    top = unpack_source(tar(tmp_path / "a.tar.gz", program, plain), into)
    mask = os.umask(0)
    os.umask(mask)
    assert (top / "run").stat().st_mode & 0o7777 == 0o777 & ~mask
    assert (top / "data").stat().st_mode & 0o7777 == 0o666 & ~mask


def test_links_inside(tmp_path: Path, into: Path) -> None:
    top = unpack_source(
        tar(
            tmp_path / "a.tar.gz",
            ("s/real.txt", b"text"),
            special("s/sub/soft", tarfile.SYMTYPE, "../real.txt"),
            special("s/hard", tarfile.LNKTYPE, "s/real.txt"),
            special("s/dangling", tarfile.SYMTYPE, "nothing"),
        ),
        into,
    )
    assert (top / "sub/soft").read_bytes() == b"text"
    assert (top / "hard").read_bytes() == b"text"
    assert not (top / "hard").is_symlink()
    assert (top / "dangling").is_symlink()


HOSTILE = {
    "parent": [("../outside", b"x")],
    "parent in the middle": [("s/../../outside", b"x")],
    "parent by backslash": [("s\\..\\..\\outside", b"x")],
    "soft link out": [special("s/l", tarfile.SYMTYPE, "../../outside")],
    "soft link to the root": [special("s/l", tarfile.SYMTYPE, "/etc/passwd")],
    "hard link out": [special("s/l", tarfile.LNKTYPE, "../outside")],
    "hard link to the root": [special("s/l", tarfile.LNKTYPE, "/etc/passwd")],
    "through a link": [special("s/l", tarfile.SYMTYPE, "."), ("s/l/x", b"x")],
    "through a chain of links": [
        ("s/a/b/c/x", b""),
        special("s/a/b/c/up", tarfile.SYMTYPE, "../../.."),
        special("s/out", tarfile.SYMTYPE, "a/b/c/up/../../.."),
    ],
    "hard link to a link": [
        special("s/l", tarfile.SYMTYPE, "x"),
        special("s/h", tarfile.LNKTYPE, "s/l"),
    ],
    "device": [special("s/dev", tarfile.CHRTYPE)],
    "pipe": [special("s/pipe", tarfile.FIFOTYPE)],
    "long path": [("s/" + "x/" * 600 + "y", b"")],
    "long link": [special("s/l", tarfile.SYMTYPE, "x/" * 600)],
    "loop": [
        special("s/a", tarfile.SYMTYPE, "b"),
        special("s/b", tarfile.SYMTYPE, "a"),
    ],
}


@pytest.mark.parametrize("members", HOSTILE.values(), ids=HOSTILE.keys())
def test_hostile_archives(
    tmp_path: Path, into: Path, members: list[tarfile.TarInfo | tuple[str, bytes]]
) -> None:
    path = tar(tmp_path / "evil-1.tar.gz", *members)
    before = {one for one in tmp_path.rglob("*") if into not in one.parents}
    with pytest.raises(SourceError) as caught:
        unpack_source(path, into)
    assert "evil-1.tar.gz" in caught.value.message
    assert {one for one in tmp_path.rglob("*") if into not in one.parents} == before


def test_an_absolute_path_counts_from_the_top(tmp_path: Path, into: Path) -> None:
    top = unpack_source(tar(tmp_path / "a.tar.gz", ("/s/x", b"1")), into)
    assert (top / "x").read_bytes() == b"1"


def test_a_zip_that_leads_out(tmp_path: Path, into: Path) -> None:
    path = tmp_path / "evil.zip"
    with zipfile.ZipFile(path, "w") as made:
        made.writestr("s/../../outside", "x")
    with pytest.raises(SourceError):
        unpack_source(path, into)
    assert not (tmp_path / "deep" / "outside").exists()


def test_the_same_name_again_replaces_and_is_not_written_through(
    tmp_path: Path, into: Path
) -> None:
    top = unpack_source(
        tar(
            tmp_path / "a.tar.gz",
            ("s/real", b"real"),
            special("s/x", tarfile.SYMTYPE, "real"),
            ("s/x", b"new"),
        ),
        into,
    )
    assert (top / "real").read_bytes() == b"real"
    assert (top / "x").read_bytes() == b"new"


def test_growth_is_bounded(tmp_path: Path, into: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unpacking, "_ALWAYS_ALLOWED", 1000)
    path = tar(tmp_path / "bomb.tar.gz", ("s/zeros", bytes(5_000_000)))
    with pytest.raises(SourceError, match="proportion"):
        unpack_source(path, into)


@pytest.mark.parametrize(
    "data",
    [b"", b"<html>not found</html>", b"\x1f\x8b\x08\x00broken", b"PK\x03\x04broken"],
    ids=["empty", "page", "gzip", "zip"],
)
def test_what_is_no_archive(tmp_path: Path, into: Path, data: bytes) -> None:
    path = tmp_path / "spam-1.tar.gz"
    path.write_bytes(data)
    with pytest.raises(SourceError) as caught:
        unpack_source(path, into)
    assert caught.value.exit_code == 1
    assert "spam-1.tar.gz" in caught.value.message


def test_a_truncated_archive(tmp_path: Path, into: Path) -> None:
    path = tar(tmp_path / "cut-1.tar.gz", ("s/random", os.urandom(200_000)))
    path.write_bytes(path.read_bytes()[:100_000])
    with pytest.raises(SourceError, match="cut-1"):
        unpack_source(path, into)
