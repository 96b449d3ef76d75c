"""Large wheels are inflated while they arrive: what is installed is what plain unpacking makes."""

from __future__ import annotations

import base64
import errno
import hashlib
import io
import os
import random
import signal
import struct
import sys
import threading
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from kedge.cache import open_cache
from kedge.errors import WheelError
from kedge.install.unpack import unpack
from kedge.pipeline import fetch
from support import wheels
from support.indexes import SimpleIndex, files_fetched
from support.pki import Authority
from support.processes import wait_until
from support.servers import Faults, Request, Response, Server, body, cut
from support.venvs import Kedge, Venv
from support.wheels import Artifact, wheel

Run = Callable[..., int]

#: Does not get smaller, and is large enough to be inflated while it arrives.
BYTES = random.Random(7).randbytes(5 << 20)
ZEROS = bytes(6 << 20)

BIG = wheel("big", files={"big/lib.so": BYTES, "big/zeros.so": ZEROS})
PATH = f"/files/{BIG.filename}"


def part_of(archive: bytes, name: str) -> tuple[int, int]:
    """Where the local header of that member stands, and where its entry in the directory does."""
    with zipfile.ZipFile(io.BytesIO(archive)) as opened:
        local = opened.getinfo(name).header_offset
        start = opened.start_dir
    return local, archive.index(name.encode(), start) - 46


def patched(artifact: Artifact, name: str, *, local: str = "", entry: str = "") -> Artifact:
    """Other fields in the two headers of a member: ``size+1``, ``crc=0``."""
    data = bytearray(artifact.data)
    at = part_of(artifact.data, name)
    fields = {"crc": (14, 16), "compressed": (18, 20), "size": (22, 24)}
    for words, which in ((local, 0), (entry, 1)):
        for word in words.split():
            field, sign, number = next(word.partition(c) for c in "=+-" if c in word)
            place = at[which] + fields[field][which]
            (value,) = struct.unpack_from("<L", data, place)
            change = {"=": int(number) - value, "+": int(number), "-": -int(number)}
            struct.pack_into("<L", data, place, value + change[sign])
    return replace(artifact, data=bytes(data))


def stored(artifact: Artifact, prefix: bytes = b"") -> Artifact:
    """The same members without compression; ``prefix`` is a gap before the first."""
    buffer = io.BytesIO(prefix)
    with zipfile.ZipFile(buffer, "a", zipfile.ZIP_STORED) as archive:
        for path, data in wheels._members(artifact):
            archive.writestr(zipfile.ZipInfo(path, (2020, 2, 2, 0, 0, 0)), data)
    return replace(artifact, data=buffer.getvalue())


def listing(path: str, digest: str, size: int) -> Artifact:
    """``BIG`` under a RECORD that says so of one file."""
    return wheels.with_record(
        BIG,
        lambda rows: [(path, digest, str(size)) if row[0] == path else row for row in rows],
    )


def digest_of(data: bytes) -> str:
    found = hashlib.sha256(data).digest()
    return "sha256=" + base64.urlsafe_b64encode(found).rstrip(b"=").decode()


def with_sizes_behind() -> Artifact:
    class Pipe(io.RawIOBase):
        def __init__(self) -> None:
            self.data = bytearray()

        def writable(self) -> bool:
            return True

        def write(self, piece: bytes, /) -> int:  # type: ignore[override]
            self.data += piece
            return len(piece)

    pipe = Pipe()
    with zipfile.ZipFile(pipe, "w", zipfile.ZIP_DEFLATED) as archive:
        for path, data in wheels._members(BIG):
            archive.writestr(zipfile.ZipInfo(path, (2020, 2, 2, 0, 0, 0)), data)
    return replace(BIG, data=bytes(pipe.data))


def twice() -> Artifact:
    with pytest.warns(UserWarning, match="Duplicate"):
        return wheels.with_member(BIG, "big/lib.so", BYTES)


def head(name: bytes, size: int) -> bytes:
    """A local header of a member that the directory does not know."""
    fields = (b"PK\3\4", 20, 0, 8, 0, 0, 0, size, size, len(name), 0)
    return struct.pack("<4sHHHHHLLLHH", *fields) + name


#: An archive, and how often it is fetched.
ARCHIVES: dict[str, tuple[Callable[[], Artifact], int]] = {
    "sound": (lambda: BIG, 1),
    "not compressed": (lambda: stored(BIG), 1),
    "sizes behind the data": (with_sizes_behind, 1),
    "the same member twice": (twice, 1),
    "the head states less than it makes": (
        lambda: patched(BIG, "big/lib.so", local="size-1"), 2,
    ),
    "the head states more data than there is": (
        lambda: patched(BIG, "big/lib.so", local="compressed+1000"), 2,
    ),
    "the head states more than the archive has": (
        lambda: patched(BIG, "big/lib.so", local="compressed+99000000"), 2,
    ),
    "a head that the directory does not know": (
        lambda: stored(BIG, head(b"big/other.so", 5 << 20)), 2,
    ),
    "its hole is what RECORD lists": (
        lambda: patched(
            stored(listing("big/lib.so", digest_of(bytes(len(BYTES) - 1)), len(BYTES) - 1)),
            "big/lib.so", entry="size-1 compressed-1",
        ), 2,
    ),
    "RECORD and directory state no digest": (
        lambda: patched(
            listing("big/lib.so", "sha256=", len(BYTES)), "big/lib.so", entry="crc=0"
        ), 2,
    ),
    "both headers state more than it makes": (
        lambda: patched(
            listing("big/lib.so", "sha256=", len(BYTES) + 1),
            "big/lib.so", local="size+1", entry="size+1 crc=0",
        ), 2,
    ),
    "RECORD states no digest": (lambda: listing("big/lib.so", "sha256=", len(BYTES)), 1),
    "another file than RECORD lists": (
        lambda: listing("big/lib.so", digest_of(b"another"), len(BYTES)), 2,
    ),
}  # fmt: skip


@pytest.fixture
def index() -> SimpleIndex:
    return SimpleIndex([BIG])


@pytest.fixture
def faults(index: SimpleIndex) -> Faults:
    return Faults(index)


@pytest.fixture
def server(faults: Faults, private_ca: Authority) -> Iterator[Server]:
    with Server(faults, certificate=private_ca.leaf("localhost", "127.0.0.1")) as server:
        yield server


@pytest.fixture
def all_followed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wheels of any size are."""
    monkeypatch.setattr(fetch, "WORTH_FOLLOWING", 1)


def left_of_run(cache: Path) -> list[str]:
    return [path.name for path in (cache / "tmp").rglob("*")]


@pytest.mark.usefixtures("all_followed")
@pytest.mark.parametrize("others", [0, 1], ids=["alone", "in processes"])
def test_it_is_inflated_while_it_arrives_and_stored_once(
    run: Run, server: Server, faults: Faults, index: SimpleIndex, bundle: Path, venv: Venv,
    cache: Path, others: int,
) -> None:  # fmt: skip
    """The connection breaks in the middle of a large member, and again further on."""
    names = ["big", "other"][: 1 + others]
    index.add(wheel("other", files={"other/lib.so": BYTES[::-1]}))
    answer = faults.handler
    there: list[tuple[bytes, bytes]] = []

    def look(request: Request) -> Response:
        if request.path == PATH and request.headers["Range"]:
            (folder,) = (cache / "tmp").glob("run-*")
            arrived = int(request.headers["Range"].removeprefix("bytes=").rstrip("-"))
            wait_until(lambda: any(each.stat().st_size > arrived // 2 for each in made(folder)))
            (part,) = folder.glob(f"*{BIG.filename}.*.part")
            there.append((part.read_bytes(), made(folder)[0].read_bytes()))
        return answer(request)

    def made(folder: Path) -> list[Path]:
        return [*folder.glob(f"*{BIG.filename}.member-0")]

    faults.handler = look
    faults.next(PATH, cut(3 << 20), cut(1 << 20))
    assert run("install", venv, *names, "--cert", bundle, "--timeout", "600") == 0
    assert [each.headers["Range"] is None for each in server.requests if each.path == PATH] == [
        True, False, False,
    ]  # fmt: skip
    for part, made_of_it in there:
        assert len(made_of_it) > 1 << 20
        assert BYTES.startswith(made_of_it)
        assert BYTES[1 << 20 : (1 << 20) + 100] in made_of_it
        assert BIG.data[1 << 20 : (1 << 20) + 100] not in part
    assert (venv.site / "big" / "lib.so").read_bytes() == BYTES
    assert (venv.site / "big" / "zeros.so").read_bytes() == ZEROS
    assert not others or (venv.site / "other" / "lib.so").read_bytes() == BYTES[::-1]
    assert left_of_run(cache) == []
    assert not [thread for thread in threading.enumerate() if thread.name == "kedge-inflate"]


@pytest.mark.usefixtures("all_followed")
@pytest.mark.parametrize("damaged", [1, 2], ids=["once", "twice"])
def test_what_does_not_have_the_digest_counts_for_nothing(
    run: Run, server: Server, faults: Faults, bundle: Path, venv: Venv, cache: Path,
    capsys: pytest.CaptureFixture[str], damaged: int,
) -> None:  # fmt: skip
    """Neither members that are what RECORD lists, nor what was found wrong with others."""
    faults.next(PATH, *[body(patched(BIG, "big/lib.so", local="size-1").data)] * damaged)
    assert run("install", venv, "big", "--cert", bundle) == (0 if damaged == 1 else 1)
    assert files_fetched(server) == [BIG.filename] * 2
    assert left_of_run(cache) == []
    kept = {entry.name for entry in open_cache(cache).list()}
    if damaged == 1:
        assert (venv.site / "big" / "lib.so").read_bytes() == BYTES
        assert kept == {"big"}
    else:
        assert BIG.sha256 in capsys.readouterr().err
        assert (venv.versions(), kept) == ({}, set())


@pytest.mark.usefixtures("all_followed")
@pytest.mark.parametrize("name", ARCHIVES)
def test_what_comes_of_it_is_what_plain_unpacking_makes(
    run: Run, server: Server, index: SimpleIndex, bundle: Path, venv: Venv, cache: Path,
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str,
) -> None:  # fmt: skip
    make, fetched = ARCHIVES[name]
    artifact = make()
    index.files[:] = [artifact]
    plain = tmp_path / "plain"
    plain.mkdir()
    problems: tuple[str, ...] = ()
    try:
        unpack(artifact.write(tmp_path), plain)
    except WheelError as exc:
        problems = exc.problems
    code = run("install", venv, "big", "--cert", bundle)
    assert code == (1 if problems else 0)
    assert files_fetched(server) == [artifact.filename] * fetched
    said = " ".join(capsys.readouterr().err.split())
    assert all(problem in said for problem in problems)
    assert left_of_run(cache) == []
    if problems:
        assert (venv.versions(), [*open_cache(cache).list()]) == ({}, [])
    else:
        for path in plain.glob("big/*"):
            assert (venv.site / "big" / path.name).read_bytes() == path.read_bytes()


@pytest.mark.usefixtures("all_followed")
@pytest.mark.skipif(sys.platform == "win32", reason="limits are POSIX's")
def test_what_cannot_be_written_is_a_sentence(
    run: Run, server: Server, index: SimpleIndex, bundle: Path, venv: Venv, cache: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    """The archive is small enough; what it makes is not."""
    import resource

    index.files[:] = [wheel("big", files={"big/zeros.so": ZEROS})]
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    previous = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (3 << 20, before[1]))
    try:
        code = run("install", venv, "big", "--cert", bundle)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, previous)
    assert code == 1
    said = capsys.readouterr().err
    assert os.strerror(errno.EFBIG) in said
    assert "bug in kedge" not in said
    assert files_fetched(server) == [BIG.filename]
    assert (venv.versions(), left_of_run(cache)) == ({}, [])


def test_an_interrupt_in_the_middle_leaves_nothing(
    clean_environ: dict[str, str], private_ca: Authority, bundle: Path, venv: Venv, cache: Path,
) -> None:  # fmt: skip
    """A wheel of a size that is followed without being asked to."""
    artifact = stored(wheel("big", files={"big/lib.so": bytes(70 << 20)}))
    assert len(artifact.data) > fetch.WORTH_FOLLOWING
    index = Faults(SimpleIndex([artifact]))
    index.always(PATH, lambda response: replace(response, throttle=100_000))
    kedge = Kedge(clean_environ, python=venv).having("--cert", bundle, "--cache-dir", cache)
    before = venv.snapshot()
    with Server(index, certificate=private_ca.leaf("localhost", "127.0.0.1")) as server:
        process = kedge.start("install", "big", "-i", f"{server.url}/simple/")
        wait_until(lambda: any(each.stat().st_size for each in cache.glob("tmp/run-*/*-0")))
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "Traceback" not in said
    assert venv.snapshot() == before
    assert left_of_run(cache) == []
