"""Archives into the cache: what is taken, what is refused, and that nothing else is written."""

from __future__ import annotations

import hashlib
import io
import os
import random
import stat
import struct
import tracemalloc
import zipfile
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest

from kedge.cache import Manifest
from kedge.errors import WheelError
from kedge.install.unpack import unpack
from support import wheels
from support.wheels import Artifact, wheel


def _unpack(artifact: Artifact, folder: Path, *, fold_case: bool | None = None) -> Manifest:
    archive = artifact.write(folder / "archive")
    tree = folder / "outer" / "tree"
    tree.mkdir(parents=True)
    return unpack(archive, tree, fold_case=fold_case)


def _refused(artifact: Artifact, folder: Path, *, fold_case: bool | None = None) -> tuple[str, ...]:
    """The problems; checks that nothing was written beside the tree."""
    with pytest.raises(WheelError) as caught:
        _unpack(artifact, folder, fold_case=fold_case)
    assert caught.value.wheel == artifact.filename
    assert caught.value.problems[0] in caught.value.message
    assert sorted(path.name for path in folder.iterdir()) == ["archive", "outer"]
    assert [path.name for path in (folder / "outer").iterdir()] == ["tree"]
    return caught.value.problems


_chance = random.Random(23)

SOUND = wheel(
    "Demo.Thing",
    "1.0",
    files={"top.py": "x = 1\n", "demo_thing/data.bin": bytes(range(256)) * 100, "empty.txt": ""},
    data={"scripts/run": "#!python\n"},
)


def test_the_tree_is_what_the_archive_has(tmp_path: Path) -> None:
    _unpack(SOUND, tmp_path)
    tree = tmp_path / "outer" / "tree"
    with zipfile.ZipFile(io.BytesIO(SOUND.data)) as archive:
        expected = {name: archive.read(name) for name in archive.namelist()}
    found = {
        str(path.relative_to(tree)).replace(os.sep, "/"): path.read_bytes()
        for path in tree.rglob("*")
        if path.is_file()
    }
    assert found == expected


def test_the_manifest_describes_the_tree(tmp_path: Path) -> None:
    manifest = _unpack(SOUND, tmp_path)
    tree = tmp_path / "outer" / "tree"
    assert (manifest.name, manifest.version) == ("Demo.Thing", "1.0")
    assert manifest.filename == SOUND.filename
    assert manifest.dist_info == "demo_thing-1.0.dist-info"
    assert manifest.root_is_purelib
    for entry in manifest.files:
        status = (tree / entry.path).stat()
        data = (tree / entry.path).read_bytes()
        assert entry.size == status.st_size == len(data)
        assert entry.mtime_ns == status.st_mtime_ns
        assert entry.mode == stat.S_IMODE(status.st_mode)
        assert entry.digest == wheels._base64(hashlib.sha256(data).digest())
    modes = {entry.path: bool(entry.mode & 0o111) for entry in manifest.files}
    assert modes["demo_thing-1.0.data/scripts/run"] == (os.name == "posix")
    assert not modes["top.py"]
    folders = [entry.path.rpartition("/")[0] for entry in manifest.linked.files]
    assert len(set(folders)) == 1 + sum(a != b for a, b in pairwise(folders))


def test_root_is_platlib(tmp_path: Path) -> None:
    assert not _unpack(wheel("demo", purelib=False), tmp_path).root_is_purelib


@pytest.mark.parametrize(
    ("path", "word"),
    [
        ("../outside.py", "out of the wheel"),
        ("demo/../../outside.py", "out of the wheel"),
        ("/absolute.py", "absolute"),
        ("demo\\a.py", "backslash"),
        ("C:/a.py", "drive letter"),
        ("demo//a.py", "empty part"),
        ("demo/a\x1f.py", "control character"),
    ],
)
def test_paths_that_could_lead_elsewhere(tmp_path: Path, path: str, word: str) -> None:
    problems = _refused(wheels.with_member(wheel("demo"), path, "x = 1"), tmp_path)
    assert any(word in problem and repr(path) in problem for problem in problems)


def test_every_finding_is_told(tmp_path: Path) -> None:
    artifact = wheel("demo")
    for path in ("../one", "/two", "three\\four"):
        artifact = wheels.with_member(artifact, path, "x")
    assert len(_refused(artifact, tmp_path)) == 3


def test_a_symbolic_link(tmp_path: Path) -> None:
    problems = _refused(wheels.with_symlink(wheel("demo"), "demo/link", "/etc/passwd"), tmp_path)
    assert "'demo/link' is a symbolic link" in problems


def _zip(members: list[tuple[str, bytes]], **options: int) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", options.get("method", zipfile.ZIP_DEFLATED)) as archive:
        for name, data in members:
            archive.writestr(zipfile.ZipInfo(name), data, options.get("method"))
    return buffer.getvalue()


def _with_members(change: Callable[[list[tuple[str, bytes]]], list[tuple[str, bytes]]]) -> Artifact:
    artifact = wheel("demo")
    return replace(artifact, data=_zip(change(wheels._members(artifact))))


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_the_same_member_twice(tmp_path: Path) -> None:
    same = _with_members(lambda members: [*members, members[0]])
    assert len(_unpack(same, tmp_path / "same").files) == len(wheels._members(wheel("demo")))
    other = _with_members(lambda members: [*members, (members[0][0], b"other")])
    (problem,) = _refused(other, tmp_path / "other")
    assert "twice" in problem


@pytest.mark.parametrize(
    ("change", "word"),
    [
        pytest.param(
            lambda members: [m for m in members if ".dist-info/" not in m[0]],
            "no .dist-info",
            id="none",
        ),
        pytest.param(
            lambda members: [*members, ("more-1.0.dist-info/METADATA", b"")],
            "several .dist-info",
            id="two",
        ),
        pytest.param(
            lambda members: [(name.replace("demo-1.0", "other-1.0"), d) for name, d in members],
            "another project",
            id="another's",
        ),
        pytest.param(
            lambda members: [m for m in members if not m[0].endswith("/RECORD")],
            "no RECORD",
            id="no RECORD",
        ),
    ],
)
def test_the_dist_info_folder(
    tmp_path: Path,
    change: Callable[[list[tuple[str, bytes]]], list[tuple[str, bytes]]],
    word: str,
) -> None:
    assert any(word in problem for problem in _refused(_with_members(change), tmp_path))


def _with_file(ending: str, data: bytes) -> Artifact:
    """The contents of one file replaced, with a RECORD that fits."""
    artifact = wheel("demo")
    path = next(name for name, _ in wheels._members(artifact) if name.endswith(ending))
    artifact = wheels.without_member(artifact, ending)
    artifact = wheels.with_record(
        artifact, lambda rows: [row for row in rows if not row[0].endswith(ending)]
    )
    return wheels.with_member(artifact, path, data)


@pytest.mark.parametrize(
    ("ending", "data", "word"),
    [
        ("/WHEEL", b"Wheel-Version: 2.0\nRoot-Is-Purelib: true\n", "Wheel-Version, 2.0"),
        ("/WHEEL", b"Wheel-Version: one\n", "'one'"),
        ("/WHEEL", b"Root-Is-Purelib: true\n", "Wheel-Version"),
        ("/METADATA", b"Metadata-Version: 2.1\nName: other\nVersion: 1.0\n\n", "of other"),
        ("/METADATA", b"Metadata-Version: 2.1\nName: demo\nVersion: 2.0\n\n", "2.0"),
        ("/METADATA", b"nonsense", "METADATA"),
    ],
)
def test_files_that_contradict_the_name(
    tmp_path: Path, ending: str, data: bytes, word: str
) -> None:
    assert any(word in problem for problem in _refused(_with_file(ending, data), tmp_path))


@pytest.mark.parametrize("ending", ["/WHEEL", "/METADATA"])
def test_files_that_must_be_there(tmp_path: Path, ending: str) -> None:
    artifact = wheels.with_record(
        wheels.without_member(wheel("demo"), ending),
        lambda rows: [row for row in rows if not row[0].endswith(ending)],
    )
    assert f"it has no {ending[1:]}" in _refused(artifact, tmp_path)


@pytest.mark.parametrize(
    "filename",
    [
        "demo-1.0.0-py3-none-any.whl",
        "Demo-1.0-py3-none-any.whl",
        "demo-1.0-1build-py2.py3-none-any.whl",
    ],
)
def test_other_spellings_of_the_name(tmp_path: Path, filename: str) -> None:
    assert _unpack(wheels.renamed(wheel("demo"), filename), tmp_path).version == "1.0"


def test_a_newer_minor_version_of_the_format(tmp_path: Path) -> None:
    _unpack(_with_file("/WHEEL", b"Wheel-Version: 1.9\nRoot-Is-Purelib: true\n"), tmp_path)


# --------------------------------------------------------------------------------------------
# RECORD


def test_a_file_that_is_not_what_record_says(tmp_path: Path) -> None:
    (problem,) = _refused(wheels.with_wrong_record_hash(wheel("demo")), tmp_path)
    assert problem.startswith("demo/__init__.py")


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        pytest.param(lambda p, d, s: (p, d, "1"), "demo/__init__.py", id="another size"),
        pytest.param(lambda p, d, s: (p, d, "many"), "'many'", id="a size that is none"),
        pytest.param(lambda p, d, s: (p, d, "9" * 5000), "no number", id="an endless size"),
        pytest.param(lambda p, d, s: (p, "md5=" + "0" * 22, s), "demo/__init__.py", id="wrong md5"),
        pytest.param(lambda p, d, s: (p + "x", d, s), "demo/__init__.pyx", id="absent"),
    ],
)
def test_rows_that_contradict(
    tmp_path: Path, change: Callable[[str, str, str], wheels.Row], problem: str
) -> None:
    artifact = wheels.with_record(wheel("demo"), lambda rows: [change(*rows[0]), *rows[1:]])
    assert any(problem in found for found in _refused(artifact, tmp_path))


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda p, d, s: [], id="not listed"),
        pytest.param(lambda p, d, s: [(p, "", "")], id="without a digest"),
        pytest.param(lambda p, d, s: [(p, "whirl=abc", s)], id="an unknown digest"),
        pytest.param(lambda p, d, s: [(p, d + "=", s)], id="padded"),
        pytest.param(lambda p, d, s: [(p, d, s), ("demo/", "", "")], id="a folder"),
        pytest.param(lambda p, d, s: [(p.replace("/", "\\"), d, s)], id="backslashes"),
    ],
)
def test_sloppy_rows_are_let_pass(
    tmp_path: Path, change: Callable[[str, str, str], list[wheels.Row]]
) -> None:
    artifact = wheels.with_record(wheel("demo"), lambda rows: [*change(*rows[0]), *rows[1:]])
    manifest = _unpack(artifact, tmp_path)
    data = dict(wheels._members(artifact))["demo/__init__.py"]
    (entry,) = [entry for entry in manifest.files if entry.path == "demo/__init__.py"]
    assert entry.digest == wheels._base64(hashlib.sha256(data).digest())


def test_digests_of_other_kinds_are_checked(tmp_path: Path) -> None:
    def change(rows: list[wheels.Row]) -> list[wheels.Row]:
        data = dict(wheels._members(wheel("demo")))[rows[0][0]]
        digest = wheels._base64(hashlib.sha512(data).digest())
        return [(rows[0][0], f"sha512={digest}", ""), *rows[1:]]

    _unpack(wheels.with_record(wheel("demo"), change), tmp_path)


def test_a_digest_under_the_name_of_another_kind(tmp_path: Path) -> None:
    def change(rows: list[wheels.Row]) -> list[wheels.Row]:
        path, digest, size = rows[0]
        return [(path, digest.replace("sha256=", "sha3_256="), size), *rows[1:]]

    (problem,) = _refused(wheels.with_record(wheel("demo"), change), tmp_path)
    assert problem.startswith("demo/__init__.py")


def test_signatures_need_no_digest(tmp_path: Path) -> None:
    artifact = wheels.with_member(
        wheel("demo"), "demo-1.0.dist-info/RECORD.jws", "{}", recorded=False
    )
    _unpack(artifact, tmp_path)


# --------------------------------------------------------------------------------------------
# Archives that contradict themselves


EITHER_WAY = pytest.mark.usefixtures("inflated")


@EITHER_WAY
def test_not_an_archive(tmp_path: Path) -> None:
    _refused(replace(wheel("demo"), data=b"<html>"), tmp_path / "html")
    _refused(replace(wheel("demo"), data=b""), tmp_path / "empty")
    for keep in (0.1, 0.6, 0.99):
        _refused(wheels.truncated(wheel("demo"), keep), tmp_path / str(keep))


def _patched(
    artifact: Artifact, name: str, change: Callable[[bytearray, int, int], None]
) -> Artifact:
    """``change`` gets the archive and where the member's local and central headers are."""
    data = bytearray(artifact.data)
    with zipfile.ZipFile(io.BytesIO(artifact.data)) as archive:
        local = archive.getinfo(name).header_offset
        start = archive.start_dir
    central = data.index(name.encode(), start) - 46
    assert data[central : central + 4] == b"PK\x01\x02"
    change(data, local, central)
    return replace(artifact, data=bytes(data))


BIG = wheel(
    "demo", files={"demo/big.bin": b"0" * 100_000, "demo/small.bin": _chance.randbytes(1000)}
)
UNLISTED = wheels.with_record(BIG, lambda rows: [r for r in rows if ".bin" not in r[0]])


def _size(size: int) -> Callable[[bytearray, int, int], None]:
    def change(data: bytearray, local: int, central: int) -> None:
        struct.pack_into("<L", data, central + 24, size)
        struct.pack_into("<L", data, local + 22, size)

    return change


@EITHER_WAY
@pytest.mark.parametrize("size", [10, 99_999, 100_001, 130_000], ids=str)
def test_a_member_of_another_size_than_it_states(tmp_path: Path, size: int) -> None:
    problems = _refused(_patched(UNLISTED, "demo/big.bin", _size(size)), tmp_path)
    assert any("demo/big.bin" in problem for problem in problems)
    written = tmp_path / "outer" / "tree" / "demo" / "big.bin"
    assert not written.exists() or written.stat().st_size <= size


@EITHER_WAY
def test_a_lie_about_the_size_costs_no_memory(tmp_path: Path) -> None:
    bomb = wheels.with_record(
        wheel("demo", files={"demo/big.bin": bytes(64 << 20)}),
        lambda rows: [r for r in rows if ".bin" not in r[0]],
    )
    lying = _patched(bomb, "demo/big.bin", _size(10))
    tracemalloc.start()
    try:
        _refused(lying, tmp_path)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 8 << 20


def test_a_size_that_the_data_cannot_have(tmp_path: Path) -> None:
    problems = _refused(_patched(UNLISTED, "demo/big.bin", _size(4_000_000_000)), tmp_path)
    assert any("cannot have" in problem for problem in problems)
    assert not (tmp_path / "outer" / "tree" / "demo").exists()


def test_an_archive_that_grows_out_of_proportion(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kedge.install.archive._ALWAYS_ALLOWED", 1 << 20)
    bomb = wheel("demo", files={"demo/zeros": bytes(4 << 20)})
    assert any("would grow" in problem for problem in _refused(bomb, tmp_path / "bomb"))
    _unpack(
        wheel("demo", files={"demo/random": random.Random(2).randbytes(2 << 20)}),
        tmp_path / "large",
    )


@EITHER_WAY
def test_a_wrong_checksum_where_record_says_nothing(tmp_path: Path) -> None:
    def change(data: bytearray, local: int, central: int) -> None:
        data[central + 16] ^= 0xFF

    (problem,) = _refused(_patched(UNLISTED, "demo/small.bin", change), tmp_path)
    assert "checksum" in problem


def test_another_name_in_front_of_the_data(tmp_path: Path) -> None:
    def change(data: bytearray, local: int, central: int) -> None:
        data[local + 30 : local + 34] = b"evil"

    (problem,) = _refused(_patched(UNLISTED, "demo/small.bin", change), tmp_path)
    assert "another name" in problem


def test_members_that_share_their_data(tmp_path: Path) -> None:
    def change(data: bytearray, local: int, central: int) -> None:
        length = struct.unpack_from("<L", data, central + 20)[0]
        for offset in (central + 20, central + 24, local + 18, local + 22):
            struct.pack_into("<L", data, offset, length + 50)

    stored = replace(UNLISTED, data=_zip(wheels._members(UNLISTED), method=zipfile.ZIP_STORED))
    (problem,) = _refused(_patched(stored, "demo/big.bin", change), tmp_path)
    assert "shares bytes" in problem


def test_a_stored_member_that_states_two_sizes(tmp_path: Path) -> None:
    stored = replace(UNLISTED, data=_zip(wheels._members(UNLISTED), method=zipfile.ZIP_STORED))
    (problem,) = _refused(_patched(stored, "demo/big.bin", _size(99_999)), tmp_path)
    assert "two sizes" in problem
    assert not (tmp_path / "outer" / "tree" / "demo").exists()


def test_a_member_that_is_compressed_in_another_way(tmp_path: Path) -> None:
    def change(data: bytearray, local: int, central: int) -> None:
        data[local + 8] = data[central + 10] = 99

    (problem,) = _refused(_patched(UNLISTED, "demo/small.bin", change), tmp_path)
    assert "method 99" in problem


def test_an_encrypted_member(tmp_path: Path) -> None:
    def change(data: bytearray, local: int, central: int) -> None:
        data[central + 8] |= 1

    (problem,) = _refused(_patched(UNLISTED, "demo/small.bin", change), tmp_path)
    assert "encrypted" in problem


#: Five times the same: what is slow to compress is compressed once.
_LARGE = _chance.randbytes(1 << 20) * 5


@EITHER_WAY
@pytest.mark.parametrize(
    "method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA]
)
def test_every_compression_at_every_size(tmp_path: Path, method: int) -> None:
    artifact = wheel("demo", files={"demo/large": _LARGE, "demo/none": b""})
    packed = replace(artifact, data=_zip(wheels._members(artifact), method=method))
    _unpack(packed, tmp_path)
    expected = dict(wheels._members(artifact))
    for name in ("demo/large", "demo/none", "demo/__init__.py"):
        assert (tmp_path / "outer" / "tree" / name).read_bytes() == expected[name]


@pytest.mark.parametrize("method", [zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_damage_shows_whatever_compressed_it(tmp_path: Path, method: int) -> None:
    data = _zip(wheels._members(BIG), method=method)
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        info = archive.getinfo("demo/small.bin")
    start = info.header_offset + 50 + len(info.filename)  # behind what nobody looks at
    for at in range(start, start + info.compress_size - 20, 97):
        damaged = bytearray(data)
        damaged[at] ^= 0xFF
        problems = _refused(replace(BIG, data=bytes(damaged)), tmp_path / str(at))
        assert problems
        assert all("demo/small.bin" in problem for problem in problems)


@EITHER_WAY
def test_damage_to_some_of_many_small_files(tmp_path: Path) -> None:
    """Each of them is named, and no other."""
    many = wheel("demo", files={f"demo/{n:03}": f"{n} bottles\n" * 50 for n in range(200)})
    data, wanted = bytearray(many.data), ["demo/017", "demo/018", "demo/150"]
    with zipfile.ZipFile(io.BytesIO(many.data)) as archive:
        for name in wanted:
            data[archive.getinfo(name).header_offset + 30 + len(name)] = 0xFF
    problems = _refused(replace(many, data=bytes(data)), tmp_path)
    assert [problem.partition(" ")[0] for problem in problems] == wanted


@EITHER_WAY
def test_large_files_side_by_side(tmp_path: Path) -> None:
    files = {f"demo/{n}": bytes([n]) + _LARGE for n in range(5)}
    artifact = wheel("demo", files={**files, "demo/small": b"x"})
    alone = _unpack(artifact, tmp_path / "alone")
    tree = tmp_path / "tree"
    tree.mkdir()
    archive = artifact.write(tmp_path)
    beside = unpack(archive, tree, threads=4)
    assert [entry[:4] for entry in beside.files] == [entry[:4] for entry in alone.files]
    for path, data in files.items():
        assert (tree / path).read_bytes() == data
    wrong = wheels.with_record(artifact, lambda rows: [(p, "sha256=x", s) for p, _, s in rows])
    (tmp_path / "wrong").mkdir()
    with pytest.raises(WheelError) as caught:
        unpack(wrong.write(tmp_path), tmp_path / "wrong", threads=4)
    assert caught.value.problems == _refused(wrong, tmp_path / "again")


def _with_comment(members: list[tuple[str, bytes]]) -> bytes:
    buffer = io.BytesIO(_zip(members))
    with zipfile.ZipFile(buffer, "a") as archive:
        archive.comment = b"made by hand"
    return buffer.getvalue()


def _with_zip64(members: list[tuple[str, bytes]]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, data in members:
            with archive.open(zipfile.ZipInfo(name), "w", force_zip64=True) as stream:
                stream.write(data)
    return buffer.getvalue()


def _with_extra_fields(members: list[tuple[str, bytes]]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, data in members:
            info = zipfile.ZipInfo(name)
            info.extra = struct.pack("<HHL", 0xCAFE, 4, 1)
            archive.writestr(info, data)
    return buffer.getvalue()


@pytest.mark.parametrize(
    "pack",
    [
        _with_comment,
        _with_zip64,
        _with_extra_fields,
        pytest.param(lambda members: b"#!/bin/sh\n" + _zip(members), id="bytes in front"),
    ],
)
def test_archives_of_an_uncommon_make(
    tmp_path: Path, pack: Callable[[list[tuple[str, bytes]]], bytes]
) -> None:
    members = wheels._members(SOUND)
    manifest = _unpack(replace(SOUND, data=pack(members)), tmp_path)
    assert {entry.path for entry in manifest.files} == {name for name, _ in members}
    for name, data in members:
        assert (tmp_path / "outer" / "tree" / name).read_bytes() == data


@EITHER_WAY
def test_damaged_data(tmp_path: Path) -> None:
    data = bytearray(UNLISTED.data)
    with zipfile.ZipFile(io.BytesIO(UNLISTED.data)) as archive:
        offset = archive.getinfo("demo/big.bin").header_offset + 30 + len("demo/big.bin")
    data[offset : offset + 8] = b"\xff" * 8
    problems = _refused(replace(UNLISTED, data=bytes(data)), tmp_path)
    assert any("demo/big.bin" in problem for problem in problems)


# --------------------------------------------------------------------------------------------
# The rest


@pytest.mark.parametrize(
    ("data", "word"),
    [({"unknown/x": "1"}, "unknown scheme"), ({"loose": "1"}, "no scheme")],
)
def test_data_of_no_scheme(tmp_path: Path, data: dict[str, str], word: str) -> None:
    assert any(word in problem for problem in _refused(wheel("demo", data=data), tmp_path))


@pytest.mark.parametrize(
    "entry_points",
    [
        {"../evil": "demo:main"},
        {".kedge": "demo:main"},
        {"demo": "demo"},
        {"demo": "not a name:x"},
    ],
)
def test_entry_points_that_cannot_be_programs(tmp_path: Path, entry_points: dict[str, str]) -> None:
    problems = _refused(wheel("demo", entry_points=entry_points), tmp_path)
    assert any(next(iter(entry_points)) in problem for problem in problems)


def test_an_entry_point_whose_name_a_terminal_would_obey(tmp_path: Path) -> None:
    problems = _refused(wheel("demo", entry_points={"de\x1b[2Jmo": "demo:main"}), tmp_path)
    assert ["control character" in problem for problem in problems] == [True]


def test_names_that_differ_in_case(tmp_path: Path) -> None:
    artifact = wheel("demo", files={"demo/A.py": "1", "demo/a.py": "2"})
    assert any("case" in found for found in _refused(artifact, tmp_path / "a", fold_case=True))
    if os.path.normcase("A") == "A":
        assert len(_unpack(artifact, tmp_path / "b", fold_case=False).files) == 6


@pytest.mark.skipif(os.name != "posix", reason="needs POSIX permissions")
@pytest.mark.parametrize(
    ("umask", "plain", "program"), [(0o022, 0o644, 0o755), (0o077, 0o600, 0o711)]
)
def test_permissions_are_pips(tmp_path: Path, umask: int, plain: int, program: int) -> None:
    before = os.umask(umask)
    try:
        manifest = _unpack(SOUND, tmp_path)
    finally:
        os.umask(before)
    modes = {entry.path.rpartition("/")[2]: entry.mode for entry in manifest.files}
    assert (modes["top.py"], modes["run"]) == (plain, program)
