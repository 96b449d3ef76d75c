"""Members of an archive, whatever inflates them: the same bytes, or the same refusal."""

from __future__ import annotations

import random
import struct
import tracemalloc
import zipfile
import zlib
from itertools import product
from pathlib import Path

import pytest

import kedge.inflate
from kedge.install.archive import Archive, BadArchive, batches
from support.inflaters import INFLATERS

TEXT = b"".join(b"%d bottles of beer on the wall\n" % number for number in range(3000))

MUCH = bytes(5 << 19)  # more than comes out at once


def _deflated(data: bytes) -> bytes:
    packer = zlib.compressobj(6, zlib.DEFLATED, -zlib.MAX_WBITS)
    return packer.compress(data) + packer.flush()


def _archive(folder: Path, stream: bytes, size: int) -> Path:
    """An archive of one member that is said to be so long, with that as its deflated data."""
    sizes = struct.pack("<LLLHH", 0, len(stream), size, 1, 0)
    version = struct.pack("<HHHHH", 20, 0, 8, 0, 0)
    local = b"PK\3\4" + version + sizes + b"x" + stream
    entry = b"PK\1\2" + struct.pack("<H", 20) + version + sizes + bytes(14) + b"x"
    end = b"PK\5\6" + struct.pack("<HHHHLLH", 0, 0, 1, 1, len(entry), len(local), 0)
    path = folder / "archive"
    path.write_bytes(local + entry + end)
    return path


def _at_once(archive: Archive) -> bytes:
    return archive.contents(archive.members)[0]


def _in_pieces(archive: Archive) -> bytes:
    return b"".join(archive.chunks(archive.members[0]))


def _outcomes(folder: Path, stream: bytes, size: int) -> dict[tuple[str, object], bytes | None]:
    """What each inflater makes of it, at once and in pieces; nothing where it is refused."""
    path = _archive(folder, stream, size)
    found: dict[tuple[str, object], bytes | None] = {}
    with pytest.MonkeyPatch.context() as patch:
        for (name, inflater), read in product(INFLATERS.items(), (_at_once, _in_pieces)):
            patch.setattr(kedge.inflate, "_best", inflater)
            with Archive(path) as archive:
                try:
                    found[name, read] = read(archive)
                except BadArchive:
                    found[name, read] = None
    return found


@pytest.mark.parametrize(
    ("stream", "size", "expected"),
    [
        pytest.param(_deflated(TEXT), len(TEXT), TEXT, id="sound"),
        pytest.param(_deflated(b""), 0, b"", id="empty"),
        pytest.param(_deflated(TEXT) + b"more", len(TEXT), TEXT, id="bytes behind the end"),
        pytest.param(_deflated(MUCH) + b"x", len(MUCH), MUCH, id="bytes behind the end of much"),
        pytest.param(_deflated(TEXT)[:-20], len(TEXT), None, id="cut short"),
        pytest.param(_deflated(TEXT)[:-1], len(TEXT), None, id="without its last byte"),
        pytest.param(b"", 0, None, id="no data"),
        pytest.param(_deflated(TEXT), len(TEXT) - 1, None, id="longer than stated"),
        pytest.param(_deflated(TEXT), len(TEXT) + 1, None, id="shorter than stated"),
        pytest.param(zlib.compress(TEXT), len(TEXT), None, id="with a header"),
        pytest.param(b"\x07", 0, None, id="a block of no kind"),
        # A fixed block: a copy of 3 bytes from 1 byte before the beginning, and the end.
        pytest.param(b"\x03\x02\x00", 3, None, id="a copy from before the beginning"),
    ],
)
def test_a_stream(tmp_path: Path, stream: bytes, size: int, expected: bytes | None) -> None:
    found = _outcomes(tmp_path, stream, size)
    assert found == dict.fromkeys(found, expected)


def test_a_longer_name_in_front_of_the_data(tmp_path: Path) -> None:
    path = _archive(tmp_path, b"y" + _deflated(TEXT), len(TEXT))
    data = bytearray(path.read_bytes())
    data[26] = 2  # the length of the name, in the header in front of the data: "xy"
    path.write_bytes(data)
    with Archive(path) as archive, pytest.raises(BadArchive, match="another name"):
        archive.read(archive.members[0])


def test_data_that_is_not_where_the_directory_says(tmp_path: Path) -> None:
    path = _archive(tmp_path, _deflated(TEXT), len(TEXT))
    data = bytearray(path.read_bytes())
    data[:4] = b"PK\5\6"
    path.write_bytes(data)
    with Archive(path) as archive, pytest.raises(BadArchive, match="not where"):
        archive.read(archive.members[0])


def test_damage_anywhere(tmp_path: Path) -> None:
    """Many damaged streams: some inflate to the right size all the same, most do not."""
    chance = random.Random(20)
    sound = _deflated(TEXT[:2000])
    read = 0
    for _ in range(250):
        damaged = bytearray(sound)
        damaged[chance.randrange(len(damaged))] ^= 1 << chance.randrange(8)
        found = set(_outcomes(tmp_path, bytes(damaged), 2000).values())
        assert len(found) == 1, damaged.hex()
        read += found != {None}
    assert 0 < read < 250


def test_what_a_bomb_takes(tmp_path: Path) -> None:
    """A member that inflates to more than it states, by every inflater, in little memory."""
    stream = _deflated(bytes(64 << 20))
    tracemalloc.start()
    try:
        found = _outcomes(tmp_path, stream, 1000)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert set(found.values()) == {None}
    assert peak < 8 << 20


def test_neighbours_that_are_small_go_together(tmp_path: Path) -> None:
    """In order, none left out, none large among them, and never so many that memory shows it."""
    chance = random.Random(26)
    sizes = [chance.choice([0, 9, 5000, 90_000, 300_000, 5 << 20]) for _ in range(300)]
    data = [chance.randbytes(size) if size < 1 << 20 else bytes(size) for size in sizes]
    with zipfile.ZipFile(tmp_path / "archive", "w", zipfile.ZIP_DEFLATED) as made:
        for number, each in enumerate(data):
            made.writestr(str(number), each)
    with Archive(tmp_path / "archive") as archive:
        found = list(batches(archive.members))
        for batch in found:
            if len(batch) > 1:
                expected = [data[int(member.name)] for member in batch]
                assert archive.contents(batch) == expected
                assert sum(map(len, expected)) <= 1 << 20
    assert [member for batch in found for member in batch] == list(archive.members)
    assert max(map(len, found)) > 4
    assert len(found) < 200
