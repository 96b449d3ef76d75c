"""Wheels inflated while they arrive: the outcome is the same as afterwards, or a refusal."""

from __future__ import annotations

import errno
import hashlib
import io
import os
import random
import signal
import stat
import struct
import tempfile
import threading
import time
import tracemalloc
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from itertools import cycle
from pathlib import Path
from typing import BinaryIO, NamedTuple

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from kedge.cache import Manifest, ManifestEntry, WheelStore
from kedge.cache.atomic import Scratch, write_all
from kedge.errors import KedgeError, WheelError
from kedge.install import processes
from kedge.install.arriving import Ahead, Arriving
from kedge.install.unpack import unpack, unpack_into
from kedge.install.workers import Workers
from support import wheels
from support.processes import wait_until
from support.wheels import Artifact, Row, wheel

EITHER_WAY = pytest.mark.usefixtures("inflated")

_chance = random.Random(17)
#: Three large files; the first two shrink to some 20 KB.
LARGE = _chance.randbytes(4096) * 1300
OTHER = _chance.randbytes(3000) * 1500 + b"the end"
RANDOM = _chance.randbytes((4 << 20) + 1)

BIG = "demo/big.bin"
ONE_LARGE = wheel("demo", files={BIG: LARGE, "demo/small.bin": b"small"})
MIXED = wheel(
    "demo",
    files={
        **{f"demo/a/{n}.py": f"n = {n}\n" * n for n in range(40)},
        "demo/a.bin": LARGE,
        **{f"demo/b/{n}.py": f"n = {n}\n" * n for n in range(40)},
        "demo/empty": b"",
        "demo/b.bin": OTHER,
        "demo/c.bin": LARGE,
        **{f"demo/d/{n}.py": f"n = {n}\n" * n for n in range(40)},
    },
    data={"scripts/run": b"#!/bin/sh\n" + OTHER, "scripts/walk": b"#!/bin/sh\n"},
)


@pytest.fixture(autouse=True)
def _no_thread_is_left() -> Iterator[None]:
    yield
    assert "kedge-inflate" not in {thread.name for thread in threading.enumerate()}


# --------------------------------------------------------------------------------------------
# A download, and what came of it


class Arrived(NamedTuple):
    archive: Path
    ahead: list[Ahead]

    @property
    def names(self) -> list[str]:
        return [bytes.fromhex(each.raw_name).decode("utf-8", "replace") for each in self.ahead]


class Unpacked(NamedTuple):
    """All that two ways to unpack must agree on. ``tree`` has modes and contents by path."""

    manifest: Manifest
    tree: dict[str, tuple[int, bytes | None]]


@contextmanager
def _file(path: Path) -> Iterator[BinaryIO]:
    """As a download opens it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("xb", buffering=0) as file:
        yield file


def _arrive(data: bytes, folder: Path, pieces: Iterable[bytes] | None = None) -> Arrived:
    """The archive, as one that arrives leaves it in the folder."""
    archive = folder / "archive"
    arriving = Arriving(archive, len(data))
    with _file(archive) as file, closing(arriving):
        arriving.begin(file)
        for piece in _cut(data, [1 << 20]) if pieces is None else pieces:
            arriving.write(piece)
        arriving.finish()
    return Arrived(archive, arriving.ahead)


def _cut(data: bytes, sizes: Sequence[int]) -> Iterator[bytes]:
    """In pieces of those sizes, one after the other, again and again."""
    at = 0
    for size in cycle(sizes):
        if at >= len(data):
            return
        yield data[at : at + size]
        at += size


def _cut_at_heads(data: bytes, small: int, large: int) -> Iterator[bytes]:
    """In small pieces around what stands before each member's data, in large ones elsewhere."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        heads = sorted(info.header_offset for info in archive.infolist())
        heads.append(archive.start_dir)
    at = 0
    for head in heads:
        yield from _cut(data[at : max(at, head - 20)], [large])
        at = max(at, head - 20)
        end = max(at, head + 100)
        yield from _cut(data[at:end], [small])
        at = end
    yield from _cut(data[at:], [large])


def _unpacked(archive: Path, tree: Path, filename: str, ahead: Sequence[Ahead] = ()) -> Unpacked:
    tree.mkdir(parents=True)
    manifest = unpack(archive, tree, filename=filename, ahead=ahead)
    for entry in manifest.files:
        assert entry.mtime_ns == (tree / entry.path).stat().st_mtime_ns
    return Unpacked(_without_times(manifest), _contents(tree))


def _without_times(manifest: Manifest) -> Manifest:
    rows = tuple([(*row[:4], 0) for row in manifest.linked.rows])
    others = tuple([ManifestEntry(*entry[:4], 0) for entry in manifest.others])
    return replace(manifest, linked=replace(manifest.linked, rows=rows), others=others)


def _contents(tree: Path) -> dict[str, tuple[int, bytes | None]]:
    return {
        path.relative_to(tree).as_posix(): (
            stat.S_IMODE(path.lstat().st_mode),
            None if path.is_dir() else path.read_bytes(),
        )
        for path in tree.rglob("*")
    }


def _plain(artifact: Artifact, folder: Path) -> Unpacked:
    """What comes of the archive when it is there as a whole."""
    return _unpacked(artifact.write(folder / "whole"), folder / "plain", artifact.filename)


def _with_holes(data: bytes, ahead: Iterable[Ahead]) -> bytes:
    """The bytes that an archive of which those are inflated reads as."""
    expected = bytearray(data)
    for each in ahead:
        end = each.offset + each.span
        expected[end - each.compressed : end] = bytes(each.compressed)
    return bytes(expected)


def _same_outcome(
    artifact: Artifact, expected: Unpacked, folder: Path, pieces: Iterable[bytes] | None = None
) -> Arrived:
    """Have it arrive and unpack it; what was inflated is moved, not made again."""
    arrived = _arrive(artifact.data, folder, pieces)
    assert arrived.archive.read_bytes() == _with_holes(artifact.data, arrived.ahead)
    made = [f"archive-{number}" for number in range(len(arrived.ahead))]
    assert [each.path for each in arrived.ahead] == [str(folder / name) for name in made]
    assert {path.name for path in folder.iterdir()} == {"archive", *made}
    files = [Path(each.path).stat().st_ino for each in arrived.ahead]
    tree = folder / "outer" / "tree"
    found = _unpacked(arrived.archive, tree, artifact.filename, arrived.ahead)
    assert found == expected
    used = {(tree / name).stat().st_ino for name in arrived.names if (tree / name).exists()}
    assert used <= set(files)
    assert {path.name for path in (folder / "outer").iterdir()} == {"tree"}
    return arrived


# --------------------------------------------------------------------------------------------
# The same outcome


def _pack(
    members: Iterable[tuple[str, bytes]],
    *,
    stored: Sequence[str] = (),
    method: int = zipfile.ZIP_DEFLATED,
    extra: bytes = b"",
    comment: bytes = b"",
    zip64: Sequence[str] = (),
    onto: BinaryIO | None = None,
) -> bytes:
    buffer = io.BytesIO() if onto is None else onto
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.comment = comment
        for path, contents in members:
            info = zipfile.ZipInfo(path)
            info.compress_type = zipfile.ZIP_STORED if path in stored else method
            info.extra = extra
            info.external_attr = (0o100755 if path.endswith("/run") else 0o100644) << 16
            with archive.open(info, "w", force_zip64=path in zip64) as stream:
                stream.write(contents)
            if path in zip64:  # up to 3.11.3 Python states the sizes twice
                end = buffer.tell()
                buffer.seek(info.header_offset + 18)
                buffer.write(b"\xff" * 8)
                buffer.seek(end)
    return buffer.getvalue() if isinstance(buffer, io.BytesIO) else b""


class _Unseekable(io.BytesIO):
    """A stream to which a zip file can only be written in order: the sizes follow the data."""

    def seekable(self) -> bool:
        return False

    def seek(self, *_: int) -> int:
        raise io.UnsupportedOperation

    def tell(self) -> int:
        raise io.UnsupportedOperation


def _repacked(artifact: Artifact, pack: Callable[[list[tuple[str, bytes]]], bytes]) -> Artifact:
    return replace(artifact, data=pack(wheels._members(artifact)))


def _listed(artifact: Artifact, path: str, *rows: Row) -> Artifact:
    """RECORD says that of the file, or nothing."""
    return wheels.with_record(
        artifact, lambda all_: [*rows, *(row for row in all_ if row[0] != path)]
    )


def _in_the_old_encoding() -> Artifact:
    """A name that is not ASCII and not said to be UTF-8."""
    artifact = wheels.with_record(
        wheel("demo", files={"demo/gr~sse.bin": LARGE}),
        lambda rows: [(row[0].replace("~", "ö"), *row[1:]) for row in rows],
    )
    return replace(artifact, data=artifact.data.replace(b"gr~sse", b"gr\x94sse"))


def _twice() -> Artifact:
    members = wheels._members(ONE_LARGE)
    return replace(ONE_LARGE, data=_pack([*members, *(each for each in members if each[0] == BIG)]))


SHA512 = f"sha512={wheels._base64(hashlib.sha512(LARGE).digest())}"
SHAPES: dict[str, tuple[Callable[[], Artifact], list[str]]] = {
    "deflated": (
        lambda: wheel("demo", files={"demo/a.bin": LARGE, "demo/b.bin": OTHER}),
        ["demo/a.bin", "demo/b.bin"],
    ),
    "hardly any smaller": (lambda: wheel("demo", files={BIG: RANDOM}), [BIG]),
    "one that is stored": (
        lambda: _repacked(
            wheel("demo", files={"demo/a.bin": LARGE, BIG: RANDOM, "demo/small.bin": b"small"}),
            lambda members: _pack(members, stored=[BIG]),
        ),
        ["demo/a.bin", BIG],
    ),
    "all are stored": (
        lambda: _repacked(ONE_LARGE, lambda members: _pack(members, method=zipfile.ZIP_STORED)),
        [BIG],
    ),
    "with many small ones, and a program": (
        lambda: MIXED,
        ["demo/a.bin", "demo/b.bin", "demo/c.bin", "demo-1.0.data/scripts/run"],
    ),
    "with extra fields and a comment": (
        lambda: _repacked(
            MIXED,
            lambda members: _pack(
                members, extra=struct.pack("<HHL", 0xCAFE, 4, 1), comment=b"by hand"
            ),
        ),
        ["demo/a.bin", "demo/b.bin", "demo/c.bin", "demo-1.0.data/scripts/run"],
    ),
    "in .dist-info": (
        lambda: wheels.with_member(
            wheel("demo", files={BIG: LARGE}, metadata=["Keywords: " + "many " * (1 << 20)]),
            "demo-1.0.dist-info/licenses/LICENSE",
            LARGE,
        ),
        [BIG],
    ),
    "listed with SHA-512": (lambda: _listed(ONE_LARGE, BIG, (BIG, SHA512, "")), [BIG]),
    "listed without a digest": (lambda: _listed(ONE_LARGE, BIG, (BIG, "", "")), [BIG]),
    "listed with an unknown digest": (lambda: _listed(ONE_LARGE, BIG, (BIG, "whirl=x", "")), [BIG]),
    "not listed": (lambda: _listed(ONE_LARGE, BIG), [BIG]),
    "the same twice": (_twice, [BIG, BIG]),
    "a name in UTF-8": (
        lambda: wheel("demo", files={"demo/größe.bin": LARGE}),
        ["demo/größe.bin"],
    ),
    "a name in another encoding": (_in_the_old_encoding, ["demo/gr\ufffdsse.bin"]),
    "all are small": (lambda: wheel("demo", files={"demo/x": bytes(4 << 20)}), []),
    "sizes that follow the data": (
        lambda: _repacked(MIXED, lambda members: _streamed(members)),
        [],
    ),
    "sizes of 64 bits": (
        lambda: _repacked(MIXED, lambda members: _pack(members, zip64=[m[0] for m in members])),
        [],
    ),
    "sizes of 64 bits behind others": (
        lambda: _repacked(MIXED, lambda members: _pack(members, zip64=["demo/b.bin"])),
        ["demo/a.bin"],
    ),
    "compressed otherwise": (
        lambda: _repacked(
            wheel("demo", files={BIG: bytes(5 << 20)}),
            lambda members: _pack(members, method=zipfile.ZIP_BZIP2),
        ),
        [],
    ),
    "bytes in front": (lambda: replace(MIXED, data=b"#!/bin/sh\n" + MIXED.data), []),
}


def _streamed(members: Iterable[tuple[str, bytes]]) -> bytes:
    stream = _Unseekable()
    _pack(members, onto=stream)
    return stream.getvalue()


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize(("make", "names"), SHAPES.values(), ids=SHAPES)
def test_the_outcome_is_the_same(
    tmp_path: Path, make: Callable[[], Artifact], names: list[str]
) -> None:
    artifact = make()
    expected = _plain(artifact, tmp_path)
    for small, large in [(1, 4096), (7, 50_001), (1 << 30, 1 << 30)]:
        pieces = _cut_at_heads(artifact.data, small, large)
        arrived = _same_outcome(artifact, expected, tmp_path / str(small), pieces)
        assert arrived.names == names


@EITHER_WAY
def test_the_outcome_is_the_same_whatever_inflates(tmp_path: Path) -> None:
    arrived = _same_outcome(MIXED, _plain(MIXED, tmp_path), tmp_path / "arrived")
    assert len(arrived.ahead) == 4


@pytest.mark.skipif(os.name != "posix", reason="needs POSIX permissions")
@pytest.mark.parametrize("umask", [0o022, 0o077])
def test_permissions_are_the_same(tmp_path: Path, umask: int) -> None:
    before = os.umask(umask)
    try:
        expected = _plain(MIXED, tmp_path)
        _same_outcome(MIXED, expected, tmp_path / "arrived")
    finally:
        os.umask(before)
    assert expected.tree["demo-1.0.data/scripts/run"][0] & 0o111 == 0o111
    assert not expected.tree["demo/a.bin"][0] & 0o111


_SIZES = wheel("demo", files={"demo/a.bin": bytes(5 << 20), "demo/b": "b\n" * 99, BIG: LARGE})


@settings(max_examples=10)
@given(st.lists(st.integers(1, 20_000), min_size=1, max_size=20))
@example([5000, 1])
def test_the_outcome_is_the_same_whatever_the_pieces(sizes: list[int]) -> None:
    sizes = [*sizes, 3000]  # not thousands of the smallest
    with tempfile.TemporaryDirectory() as folder:
        expected = _plain(_SIZES, Path(folder))
        pieces = _cut(_SIZES.data, sizes)
        arrived = _same_outcome(_SIZES, expected, Path(folder, "arrived"), pieces)
    assert arrived.names == ["demo/a.bin", BIG]


def test_threads_take_over_too(tmp_path: Path) -> None:
    expected = _plain(MIXED, tmp_path)
    archive, ahead = _arrive(MIXED.data, tmp_path / "arrived")
    tree = tmp_path / "tree"
    tree.mkdir()
    manifest = unpack(archive, tree, filename=MIXED.filename, threads=3, ahead=ahead)
    assert Unpacked(_without_times(manifest), _contents(tree)) == expected
    assert [path.name for path in archive.parent.iterdir()] == ["archive"]


def test_no_byte_takes_its_place_twice(tmp_path: Path) -> None:
    with (tmp_path / "probe").open("wb") as probe:
        probe.seek(8 << 20)
        probe.write(b"x")
    if not _on_disk(tmp_path / "probe") < 8 << 20:
        pytest.skip("files have no holes here")
    artifact = wheel("demo", files={"demo/a.bin": RANDOM, "demo/b": b"b", BIG: RANDOM})
    archive, ahead = _arrive(artifact.data, tmp_path / "arrived")
    assert len(ahead) == 2
    assert archive.stat().st_size == len(artifact.data) > 8 << 20
    assert _on_disk(archive) < 1 << 20


def _on_disk(path: Path) -> int:
    return getattr(path.stat(), "st_blocks", 1 << 40) * 512


# --------------------------------------------------------------------------------------------
# Archives that contradict themselves

_ENCRYPTED, _SIZES_FOLLOW = 1, 8


@dataclass(frozen=True)
class Member:
    """What is written of a member, which is as it should be but for what is said otherwise.

    ``body`` is its data in the archive; ``local`` and ``central`` are what stands in front of the
    data and in the directory, where it has so many ``entries``.
    """

    name: str
    contents: bytes
    stored: bool = False
    body: bytes | None = None
    local: dict[str, int | str] = field(default_factory=dict)
    central: dict[str, int | str] = field(default_factory=dict)
    entries: int = 1


def _deflated(contents: bytes) -> bytes:
    packer = zlib.compressobj(6, zlib.DEFLATED, -zlib.MAX_WBITS)
    return packer.compress(contents) + packer.flush()


def _endless(contents: bytes) -> bytes:
    """All of it, and no word that this is the end."""
    packer = zlib.compressobj(6, zlib.DEFLATED, -zlib.MAX_WBITS)
    return packer.compress(contents) + packer.flush(zlib.Z_SYNC_FLUSH)


def _fields(member: Member, body: bytes, otherwise: dict[str, int | str]) -> tuple[bytes, bytes]:
    """From the version that is needed to the length of the name, as both headers have it."""
    stated: dict[str, int | str] = {
        "name": member.name,
        "flags": 0,
        "method": 0 if member.stored else 8,
        "crc": zlib.crc32(member.contents),
        "compressed": len(body),
        "size": len(member.contents),
        **otherwise,
    }
    name = str(stated.pop("name")).encode()
    flags, method, *numbers = map(int, stated.values())
    return struct.pack("<HHH4xLLLH", 20, flags, method, *numbers, len(name)), name


def _record_of(member: Member) -> tuple[bytes, bytes]:
    """The member as it stands in the archive, and the entry of the directory without its place."""
    body = member.body
    if body is None:
        body = member.contents if member.stored else _deflated(member.contents)
    fields, name = _fields(member, body, member.local)
    local = b"PK\3\4" + fields + bytes(2) + name + body
    fields, name = _fields(member, body, member.central)
    return local, b"PK\1\2" + struct.pack("<H", 20) + fields + bytes(12) + b"%b" + name


def _zip_of(members: Iterable[Member], front: bytes = b"") -> bytes:
    data, directory, count = bytearray(front), bytearray(), 0
    for member in members:
        local, entry = _record_of(member)
        before, after = entry.split(b"%b", 1)
        directory += (before + struct.pack("<L", len(data)) + after) * member.entries
        data += local
        count += member.entries
    end = struct.pack("<4sHHHHLLH", b"PK\5\6", 0, 0, count, count, len(directory), len(data), 0)
    return bytes(data + directory + end)


def _with_big(
    big: Member,
    *,
    listed: bytes | None = LARGE,
    with_size: bool = True,
    last: bool = False,
    front: bytes = b"",
) -> Artifact:
    """A wheel that has it; RECORD lists it with that as its contents, or without a digest."""
    artifact = wheel("demo", files={"demo/small.bin": b"small"})
    digest, size = ("", "") if listed is None else wheels._digest(listed)
    row = (big.name, digest, size if with_size else "")
    artifact = wheels.with_record(artifact, lambda rows: [row, *rows])
    others = [Member(path, contents) for path, contents in wheels._members(artifact)]
    members = [*others, big] if last else [big, *others]
    return replace(artifact, data=_zip_of(members, front))


PACKED = _deflated(LARGE)
SIZE, SHRUNK = len(LARGE), len(PACKED)


def _damaged(at: int) -> bytes:
    return PACKED[:at] + bytes([PACKED[at] ^ 0xFF]) + PACKED[at + 1 :]


def _around(member: Member) -> bytes:
    """The head of a member that the directory does not know, and whose data is that one."""
    local, _ = _record_of(member)
    head, _ = _record_of(Member("demo/ghost.bin", local, stored=True))
    return head[: -len(local)]


SOUND = Member(BIG, LARGE, body=PACKED)
STORED = Member(BIG, LARGE, stored=True)
NOTHING = bytes(SIZE - 1)


def _lying(otherwise: dict[str, int | str], *, stored: bool = False) -> Artifact:
    return _with_big(replace(STORED if stored else SOUND, local=otherwise))


#: Each with whether it is installed when the archive is there as a whole.
REFUSED: dict[str, tuple[Callable[[], Artifact], bool]] = {
    "in front: a byte less": (lambda: _lying({"size": SIZE - 1}), True),
    "in front: a byte more": (lambda: _lying({"size": SIZE + 1}), True),
    "in front: shorter data": (lambda: _lying({"compressed": SHRUNK - 1}), True),
    "in front: longer data": (lambda: _lying({"compressed": SHRUNK + 1}), True),
    "in front: data that takes in the next": (lambda: _lying({"compressed": SHRUNK + 99}), True),
    "in front: stored, shorter": (
        lambda: _lying({"compressed": SIZE - 1, "size": SIZE - 1}, stored=True),
        True,
    ),
    "in front: stored, longer": (
        lambda: _lying({"compressed": SIZE + 50, "size": SIZE + 50}, stored=True),
        True,
    ),
    "in front: stored, and is not": (
        lambda: _with_big(
            Member(BIG, RANDOM, local={"method": 0, "size": len(_deflated(RANDOM))}), listed=RANDOM
        ),
        True,
    ),
    "in front: data that takes in the directory": (
        lambda: _with_big(replace(SOUND, local={"compressed": SHRUNK + 400}), last=True),
        True,
    ),
    "in front: data that never ends": (
        lambda: _with_big(replace(SOUND, local={"compressed": 1 << 31}), last=True),
        True,
    ),
    "in front: another name": (lambda: _lying({"name": "demo/bug.bin"}), False),
    "in front: a longer name": (lambda: _lying({"name": "demo/big.bin2"}), False),
    "in the directory: shorter": (
        lambda: _with_big(
            replace(STORED, central={"compressed": SIZE - 1, "size": SIZE - 1}),
            listed=LARGE[:-1],
        ),
        True,
    ),
    "in the directory: encrypted": (
        lambda: _with_big(replace(SOUND, central={"flags": _ENCRYPTED})),
        False,
    ),
    "in the directory: a place in another's data": (
        lambda: _with_big(STORED, front=_around(STORED)),
        True,
    ),
    "in RECORD: another digest": (lambda: _with_big(SOUND, listed=LARGE[:-1] + b"x"), False),
    "in RECORD: another size": (
        lambda: _listed(ONE_LARGE, BIG, (BIG, wheels._digest(LARGE)[0], str(SIZE - 1))),
        False,
    ),
    "in RECORD: another SHA-512": (
        lambda: _listed(ONE_LARGE, BIG, (BIG, SHA512.replace("=", "=A", 1), "")),
        False,
    ),
    "in RECORD: no digest, and another checksum": (
        lambda: _with_big(replace(SOUND, central={"crc": 1}, local={"crc": 1}), listed=None),
        False,
    ),
    "in RECORD: no digest, and bytes of another": (
        lambda: _with_big(Member(BIG, LARGE, body=_deflated(LARGE[::-1])), listed=None),
        False,
    ),
    "damaged in the beginning": (lambda: _with_big(replace(SOUND, body=_damaged(0))), False),
    "damaged in the middle": (lambda: _with_big(replace(SOUND, body=_damaged(SHRUNK // 2))), False),
    "stored and damaged": (
        lambda: _with_big(replace(STORED, body=LARGE[:-1] + b"x")),
        False,
    ),
    "in the directory: a byte more": (
        lambda: _with_big(replace(SOUND, central={"size": SIZE + 1}), with_size=False),
        False,
    ),
    "in the directory: twice in one place": (
        lambda: _with_big(replace(SOUND, entries=2)),
        False,
    ),
    "without the end of its data": (lambda: _with_big(replace(SOUND, body=_endless(LARGE))), False),
    "longer than both say, and the checksum is that of its beginning": (
        lambda: _with_big(
            Member(
                BIG,
                LARGE,
                body=_deflated(LARGE + b"x"),
                local={"crc": zlib.crc32(LARGE[: 5 << 20])},
                central={"crc": zlib.crc32(LARGE[: 5 << 20])},
            ),
            listed=None,
        ),
        False,
    ),
    "cut short": (lambda: _with_big(replace(SOUND, body=PACKED[:-9])), False),
    "longer than both say": (
        lambda: _with_big(Member(BIG, LARGE, body=_deflated(LARGE + b"x"))),
        False,
    ),
    "shorter than both say": (
        lambda: _with_big(Member(BIG, LARGE, body=_deflated(LARGE[:-1]))),
        False,
    ),
    # What reads as nothing but zeros where the archive was left empty.
    "empty: stored, a byte less in the directory": (
        lambda: _with_big(
            replace(STORED, central={"compressed": SIZE - 1, "size": SIZE - 1}), listed=NOTHING
        ),
        False,
    ),
    "empty: stored, small in the directory": (
        lambda: _with_big(
            replace(STORED, central={"compressed": 99, "size": 99}), listed=bytes(99)
        ),
        False,
    ),
    "empty: stored in the directory, not to be inflated in front": (
        lambda: _with_big(
            Member(
                BIG,
                RANDOM,
                body=RANDOM,
                local={"size": len(RANDOM) + 1},
                central={"method": 0},
            ),
            listed=bytes(len(RANDOM)),
        ),
        False,
    ),
}


@EITHER_WAY
@pytest.mark.parametrize(("make", "is_sound"), REFUSED.values(), ids=REFUSED)
def test_what_does_not_fit_is_refused(
    tmp_path: Path, make: Callable[[], Artifact], is_sound: bool
) -> None:
    """Whoever downloads it has it come again, as a whole, and unpacks that."""
    artifact = make()
    arrived = _arrive(artifact.data, tmp_path / "arrived")
    assert arrived.ahead, "nobody is told that the archive is not whole"
    with pytest.raises(WheelError) as caught:
        _unpacked(arrived.archive, tmp_path / "tree", artifact.filename, arrived.ahead)
    assert caught.value.wheel == artifact.filename
    if is_sound:
        assert BIG in _plain(artifact, tmp_path).tree
    else:
        with pytest.raises(WheelError):
            _plain(artifact, tmp_path)


@pytest.mark.parametrize("flags", [_ENCRYPTED, _SIZES_FOLLOW])
def test_a_flag_that_the_directory_does_not_repeat(tmp_path: Path, flags: int) -> None:
    """What stands in front of the data counts for nothing, and nothing is done ahead by it."""
    artifact = _lying({"flags": flags})
    assert not _same_outcome(artifact, _plain(artifact, tmp_path), tmp_path / "arrived").ahead


def test_a_checksum_that_the_directory_does_not_repeat(tmp_path: Path) -> None:
    artifact = _with_big(replace(SOUND, local={"crc": 1}), listed=None)
    assert _same_outcome(artifact, _plain(artifact, tmp_path), tmp_path / "arrived").ahead


def test_bytes_behind_the_end_of_the_data(tmp_path: Path) -> None:
    artifact = _with_big(replace(SOUND, body=PACKED + b"more"))
    expected = _plain(artifact, tmp_path)
    for size in (3, 1 << 20):
        pieces = _cut(artifact.data, [size])
        assert _same_outcome(artifact, expected, tmp_path / str(size), pieces).ahead


def test_sizes_of_64_bits_are_not_taken_for_sizes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kedge.install.archive._ALWAYS_ALLOWED", 1 << 40)
    artifact = _repacked(ONE_LARGE, lambda members: _pack(members, zip64=[BIG]))
    assert not _same_outcome(artifact, _plain(artifact, tmp_path), tmp_path / "arrived").ahead


def test_a_file_that_is_gone(tmp_path: Path) -> None:
    archive, ahead = _arrive(MIXED.data, tmp_path / "arrived")
    Path(ahead[1].path).unlink()
    with pytest.raises(WheelError) as caught:
        _unpacked(archive, tmp_path / "tree", MIXED.filename, ahead)
    assert ["demo/b.bin" in problem for problem in caught.value.problems] == [True]


@pytest.mark.parametrize("name", ["../../evil.bin", "/evil.bin", "archive", "archive-1"])
def test_no_name_becomes_a_path(tmp_path: Path, name: str) -> None:
    artifact = _with_big(replace(SOUND, name=name))
    archive, ahead = _arrive(artifact.data, tmp_path / "arrived" / "inner")
    assert [each.path for each in ahead] == [f"{archive}-0"]
    assert {path.name for path in archive.parent.iterdir()} == {"archive", "archive-0"}
    assert [path.name for path in tmp_path.iterdir()] == ["arrived"]
    assert [path.name for path in archive.parent.parent.iterdir()] == ["inner"]


def test_an_archive_that_ends_anywhere(tmp_path: Path) -> None:
    """All that came is there, but for what is inflated; and it is no wheel."""
    with zipfile.ZipFile(io.BytesIO(ONE_LARGE.data)) as archive:
        head = archive.getinfo(BIG).header_offset
        following = archive.getinfo("demo/small.bin").header_offset
    ends = [0, 3, head + 2, head + 29, head + 31, head + 30 + len(BIG), head + 99, following - 1]
    for end in [*ends, following, following + 31, len(ONE_LARGE.data) - 1]:
        data = ONE_LARGE.data[:end]
        arrived = _arrive(data, tmp_path / str(end), _cut(data, [7]))
        kept = _with_holes(ONE_LARGE.data, arrived.ahead)[: arrived.archive.stat().st_size]
        assert arrived.archive.read_bytes() == kept
        assert len(arrived.ahead) == (end >= head + 30 + len(BIG))
        assert len(kept) == end or (head + 30 + len(BIG) <= end <= following)
        with pytest.raises(WheelError):
            _unpacked(arrived.archive, tmp_path / f"tree-{end}", ONE_LARGE.filename, arrived.ahead)


# --------------------------------------------------------------------------------------------
# No more than is allowed


def test_an_archive_that_grows_out_of_proportion(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    zeros = bytes(5 << 20)
    artifact = wheel("demo", files={f"demo/{n}": zeros for n in range(5)})
    with monkeypatch.context() as patch:
        patch.setattr("kedge.install.archive._ALWAYS_ALLOWED", 12 << 20)
        archive, ahead = _arrive(artifact.data, tmp_path / "limited")
        assert (
            sum(Path(path).stat().st_size for path in archive.parent.glob("archive-*")) == 10 << 20
        )
        with pytest.raises(WheelError):
            _unpacked(archive, tmp_path / "tree", artifact.filename, ahead)
    expected = _plain(artifact, tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr("kedge.install.archive._ALWAYS_ALLOWED", 12 << 20)
        arrived = _arrive(artifact.data, tmp_path / "again")
    tree = tmp_path / "all"
    assert _unpacked(arrived.archive, tree, artifact.filename, arrived.ahead) == expected


def test_less_is_allowed_before_the_digest_is_known(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kedge.install.archive._ALWAYS_ALLOWED", 1)
    artifact = wheel("demo", files={BIG: _chance.randbytes(100_000) + bytes(5 << 20)})
    assert 30 < (5 << 20) / len(artifact.data) < 200
    arrived = _same_outcome(artifact, _plain(artifact, tmp_path), tmp_path / "arrived")
    assert arrived.ahead == []


@EITHER_WAY
def test_a_lie_about_the_size_takes_no_more_room(tmp_path: Path) -> None:
    stated: dict[str, int | str] = {"size": SIZE}
    bomb = Member(BIG, bytes(64 << 20), local=stated, central=stated)
    arrived = _arrive(_with_big(bomb).data, tmp_path / "arrived")
    assert Path(arrived.ahead[0].path).stat().st_size <= SIZE


def _peak(folder: Path, method: int, compressed: int, size: int, data: Iterable[bytes]) -> int:
    """How much memory a member takes at most, on its way into its file."""
    sizes = struct.pack("<LLLHH", 0, compressed, size, 1, 0)
    arriving = Arriving(folder / "archive", 1 << 30)
    with _file(folder / "archive") as file, closing(arriving):
        arriving.begin(file)
        arriving.write(b"PK\3\4" + struct.pack("<HHH4x", 20, 0, method) + sizes + b"x")
        tracemalloc.start()
        try:
            for piece in data:
                arriving.write(piece)
            arriving.finish()
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    (ahead,) = arriving.ahead
    assert Path(ahead.path).stat().st_size == size
    Path(ahead.path).unlink()
    return peak


@EITHER_WAY
def test_what_comes_out_takes_little_memory(tmp_path: Path) -> None:
    packer = zlib.compressobj(1, zlib.DEFLATED, -zlib.MAX_WBITS)
    zeros = bytes(1 << 20)
    body = b"".join(packer.compress(zeros) for _ in range(200)) + packer.flush()
    assert _peak(tmp_path, 8, len(body), 200 << 20, _cut(body, [1 << 20])) < 40 << 20


def test_what_waits_takes_little_memory(tmp_path: Path) -> None:
    pieces = (bytes(1 << 20) for _ in range(100))
    assert _peak(tmp_path, 0, 100 << 20, 100 << 20, pieces) < 40 << 20


# --------------------------------------------------------------------------------------------
# Downloads that begin anew, or end


def test_a_download_that_begins_anew(tmp_path: Path) -> None:
    other = wheel("other", files={f"other/{n}.bin": OTHER for n in range(4)})
    archive = tmp_path / "arrived" / "archive"
    arriving = Arriving(archive, len(ONE_LARGE.data))
    with _file(archive) as file, closing(arriving):
        arriving.begin(file)
        arriving.restart()
        for piece in _cut(other.data[: len(other.data) * 3 // 4], [4096]):
            arriving.write(piece)
        arriving.restart()
        assert arriving.ahead == []
        assert [path.name for path in archive.parent.iterdir()] == ["archive"]
        assert archive.stat().st_size == 0
        for piece in _cut(ONE_LARGE.data, [4096]):
            arriving.write(piece)
        arriving.finish()
    assert Arrived(archive, arriving.ahead).names == [BIG]
    assert archive.read_bytes() == _with_holes(ONE_LARGE.data, arriving.ahead)
    (ahead,) = arriving.ahead
    assert {*archive.parent.iterdir()} == {archive, Path(ahead.path)}
    found = _unpacked(archive, tmp_path / "tree", ONE_LARGE.filename, arriving.ahead)
    assert found == _plain(ONE_LARGE, tmp_path)


def test_a_download_that_is_given_up(tmp_path: Path) -> None:
    arriving = Arriving(tmp_path / "archive", len(MIXED.data))
    with _file(tmp_path / "archive") as file:
        arriving.begin(file)
        for piece in _cut(MIXED.data[: len(MIXED.data) // 2], [4096]):
            arriving.write(piece)
        arriving.close()
        arriving.close()
        assert (tmp_path / "archive-0").exists()
        (tmp_path / "archive-0").unlink()
        arriving.discard()
    assert [path.name for path in tmp_path.iterdir()] == ["archive"]


def test_nothing_more_is_made_of_a_download_that_is_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All of it is there, and the first megabyte of what it makes about to be written."""
    arriving = Arriving(tmp_path / "archive", len(ONE_LARGE.data))
    begun = threading.Event()

    def write(descriptor: int, data: bytes | memoryview) -> None:
        if descriptor != file.fileno():  # not the archive's
            begun.set()
            while not arriving._in_vain:
                time.sleep(0.001)
        write_all(descriptor, data)

    monkeypatch.setattr("kedge.install.arriving.write_all", write)
    with _file(tmp_path / "archive") as file:
        arriving.begin(file)
        arriving.write(ONE_LARGE.data)
        assert begun.wait(60)
        arriving.close()
    assert 0 < (tmp_path / "archive-0").stat().st_size < len(LARGE)


def test_a_download_of_nothing(tmp_path: Path) -> None:
    arrived = _arrive(b"", tmp_path)
    assert arrived.ahead == []
    assert arrived.archive.read_bytes() == b""


def _write_more(arriving: Arriving) -> None:
    """So much that the first of it was taken when the last is brought."""
    for _ in range(9):
        arriving.write(b"more")


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    """It is told while the rest still comes, and at the end; what begins anew may go well."""
    archive = tmp_path / "arrived" / "archive"
    arriving = Arriving(tmp_path / "later" / "archive", len(ONE_LARGE.data))
    with _file(archive) as file, closing(arriving):
        arriving.begin(file)
        arriving.write(ONE_LARGE.data)
        with pytest.raises(FileNotFoundError):
            _write_more(arriving)
        with pytest.raises(FileNotFoundError):
            arriving.finish()
        (tmp_path / "later").mkdir()
        arriving.restart()
        arriving.write(ONE_LARGE.data)
        arriving.finish()
    assert Arrived(archive, arriving.ahead).names == [BIG]
    found = _unpacked(archive, tmp_path / "tree", ONE_LARGE.filename, arriving.ahead)
    assert found == _plain(ONE_LARGE, tmp_path)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a file that is always full")
def test_a_disk_that_is_full_for_the_archive(tmp_path: Path) -> None:
    arriving = Arriving(tmp_path / "archive", 1 << 20)
    with Path("/dev/full").open("wb", buffering=0) as file, closing(arriving):
        arriving.begin(file)
        with pytest.raises(OSError) as while_it_comes:
            _write_more(arriving)
        with pytest.raises(OSError) as at_the_end:
            arriving.finish()
    assert {while_it_comes.value.errno, at_the_end.value.errno} == {errno.ENOSPC}


def test_a_disk_that_is_full_for_a_member(tmp_path: Path) -> None:
    resource = pytest.importorskip("resource")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2 << 20, limits[1]))
    try:
        with pytest.raises(OSError) as caught:
            _arrive(ONE_LARGE.data, tmp_path, _cut(ONE_LARGE.data, [999]))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert caught.value.errno == errno.EFBIG


# --------------------------------------------------------------------------------------------
# In processes


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> WheelStore:
    """For processes that have nothing of what a test changed."""
    monkeypatch.setattr(processes, "_may_copy", lambda: False)
    return WheelStore(tmp_path / "wheels", Scratch(tmp_path / "scratch"))


def _in_a_process(
    workers: Workers, store: WheelStore, artifact: Artifact, arrived: Arrived
) -> Unpacked:
    made = workers.unpack(
        store, artifact.sha256, arrived.archive, filename=artifact.filename, ahead=arrived.ahead
    )
    return Unpacked(_without_times(made.manifest), _contents(made.tree))


def test_a_process_takes_over(
    store: WheelStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = _plain(MIXED, tmp_path)
    arrived = _arrive(MIXED.data, tmp_path / "arrived")
    damaged = _with_big(replace(SOUND, body=_damaged(SHRUNK // 2)))

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("unpacked here")

    monkeypatch.setattr("kedge.install.unpack.unpack_into", refuse)
    with closing(Workers(1)) as workers:
        workers.begin()
        assert _in_a_process(workers, store, MIXED, arrived) == expected
        assert [path.name for path in arrived.archive.parent.iterdir()] == ["archive"]
        with pytest.raises(WheelError):
            _in_a_process(workers, store, damaged, _arrive(damaged.data, tmp_path / "damaged"))
    assert not store.has(damaged.sha256)


@pytest.mark.skipif(os.name == "nt", reason="signals are POSIX's")
def test_without_a_process_it_is_taken_over_here(store: WheelStore, tmp_path: Path) -> None:
    expected = _plain(MIXED, tmp_path)
    arrived = _arrive(MIXED.data, tmp_path / "arrived")
    with closing(Workers(1)) as workers:
        workers.begin()
        os.kill(workers._all[0].pid, signal.SIGKILL)
        assert _in_a_process(workers, store, MIXED, arrived) == expected


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs a file that nobody can read")
def test_a_process_that_is_killed_when_it_took_some(store: WheelStore, tmp_path: Path) -> None:
    """Then nothing is there to be moved, and the archive is not whole."""
    arrived = _arrive(MIXED.data, tmp_path / "arrived")
    Path(arrived.ahead[1].path).unlink()
    os.mkfifo(arrived.ahead[1].path)  # moved like the others, and waited for
    outcome: list[object] = []

    def work() -> None:
        try:
            outcome.append(_in_a_process(workers, store, MIXED, arrived))
        except KedgeError as exc:
            outcome.append(exc)

    with closing(Workers(1)) as workers:
        workers.begin()
        thread = threading.Thread(target=work)
        thread.start()
        moved = "scratch/*/tree/demo/b.bin"
        wait_until(lambda: any(path.is_fifo() for path in tmp_path.glob(moved)))
        os.kill(workers._all[0].pid, signal.SIGKILL)
        thread.join(60)
    assert [type(each) for each in outcome] == [WheelError]
    assert not store.has(MIXED.sha256)
    whole = MIXED.write(tmp_path / "again")
    assert unpack_into(store, MIXED.sha256, whole).manifest.files
