"""Files: streamed, checked, resumed; the destination complete or as it was."""

# ruff: noqa: E501  (tables, one case a line)

from __future__ import annotations

import errno
import gzip
import hashlib
import os
import random
import sys
import tracemalloc
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import BinaryIO

import pytest

from kedge import transport
from kedge.errors import (
    ConnectionFailedError,
    HashMismatchError,
    HttpStatusError,
    IncompleteDownloadError,
    KedgeError,
    TransportError,
)
from kedge.model import Hashes
from kedge.transport import Session, downloads
from support.pki import Authority, Certificate
from support.servers import Faults, Request, Response, Server, cut, file_response, status, tree
from transport.sessions import DECISION, Opener, Told, make_options, trusting

FILE = random.Random(5).randbytes(1_000_000)
SHA256 = hashlib.sha256(FILE).hexdigest()
GOOD = Hashes.of({"sha256": SHA256})
NONE = Hashes()


@pytest.fixture
def faults() -> Faults:
    return Faults(tree({"/x.whl": FILE}))


@pytest.fixture
def server(faults: Faults, leaf: Certificate) -> Iterator[Server]:
    with Server(faults, certificate=leaf) as server:
        yield server


@pytest.fixture
def session(opened: Opener) -> Session:
    return opened(retries=3)


def ranges(server: Server) -> list[str | None]:
    return [request.headers["Range"] for request in server.requests]


def leftovers(target: Path) -> list[str]:
    return sorted(path.name for path in target.parent.iterdir())


class TestWhole:
    def test_a_file_arrives(
        self, session: Session, server: Server, target: Path, told: Told
    ) -> None:
        done = session.download(
            f"{server.url}/x.whl", target, hashes=GOOD, size=len(FILE), name="x 1.0"
        )
        assert target.read_bytes() == FILE
        assert (done.path, done.size, done.sha256) == (target, len(FILE), SHA256)
        assert done.verified
        assert leftovers(target) == [target.name]
        assert server.requests[0].headers["Accept-Encoding"] == "identity"
        assert told.events[0] == ("started", "x 1.0", len(FILE))
        assert told.events[-2:] == [("advanced", "x 1.0", len(FILE)), ("finished", "x 1.0", None)]
        assert len(told.events) > 4

    def test_every_hash_that_was_asked_for_is_computed(
        self, session: Session, server: Server, target: Path
    ) -> None:
        sha512 = hashlib.sha512(FILE).hexdigest()
        hashes = Hashes.of({"sha512": sha512, "sha384": "0" * 96})
        done = session.download(f"{server.url}/x.whl", target, hashes=hashes)
        assert done.digests["sha512"] == sha512
        assert done.digests["sha256"] == done.sha256 == SHA256

    def test_bytes_are_kept_as_they_were_sent(
        self, session: Session, target: Path, leaf: Certificate
    ) -> None:
        # A server that calls a .tar.gz a gzipped tar: its hash is that of the archive.
        packed = gzip.compress(FILE)

        def handler(_: Request) -> Response:
            return Response(200, packed, {"Content-Encoding": "gzip"})

        with Server(handler, certificate=leaf) as server:
            session.download(server.url, target, hashes=NONE)
        assert target.read_bytes() == packed

    def test_an_empty_file_is_a_file(self, session: Session, target: Path) -> None:
        with Server(lambda _: Response(200, b"")) as server:
            assert session.download(server.url, target, hashes=NONE).size == 0
        assert target.read_bytes() == b""

    def test_the_destination_is_replaced(
        self, session: Session, server: Server, target: Path
    ) -> None:
        target.write_bytes(b"old")
        session.download(f"{server.url}/x.whl", target, hashes=GOOD)
        assert target.read_bytes() == FILE

    @pytest.mark.skipif(sys.platform == "win32", reason="modes are POSIX's")
    def test_the_umask_decides_the_mode(
        self, session: Session, server: Server, target: Path
    ) -> None:
        before = os.umask(0o027)
        try:
            session.download(f"{server.url}/x.whl", target, hashes=GOOD)
        finally:
            os.umask(before)
        assert target.stat().st_mode & 0o777 == 0o640

    def test_memory_is_bounded(self, session: Session, target: Path) -> None:
        big = bytes(60_000_000)
        with Server(lambda _: Response(200, big)) as server:
            tracemalloc.start()
            session.download(server.url, target, hashes=NONE)
            peak = tracemalloc.get_traced_memory()[1]
            tracemalloc.stop()
        assert target.stat().st_size == len(big)
        assert peak < 4_000_000

    @pytest.mark.parametrize(
        ("soon", "large", "steps"),
        [
            (1e9, 1, [100_000, *[300_000] * 3]),
            (-1.0, 1, [100_000] * 10),
            (1e9, 1 << 30, [100_000] * 10),
        ],
        ids=["fast", "slow", "not large"],
    )
    def test_the_pieces_of_a_large_file_grow_while_it_comes_fast(
        self, session: Session, server: Server, target: Path, told: Told,
        monkeypatch: pytest.MonkeyPatch, soon: float, large: int, steps: list[int],
    ) -> None:  # fmt: skip
        sizes = {"CHUNK": 100_000, "_LARGE_CHUNK": 300_000, "_LARGE": large, "_SOON": soon}
        for name, size in sizes.items():
            monkeypatch.setattr(downloads, name, size)
        session.download(f"{server.url}/x.whl", target, hashes=GOOD, size=len(FILE))
        done = [size or 0 for what, _, size in told.events if what == "advanced"]
        assert [after - before for before, after in pairwise([0, *done])] == steps
        assert target.read_bytes() == FILE

    def test_unverified_is_said(
        self, opened: Opener, target: Path, stranger_leaf: Certificate, faults: Faults
    ) -> None:
        with Server(faults, certificate=stranger_leaf) as server:
            session = opened(trusted_hosts=["localhost"])
            assert not session.download(f"{server.url}/x.whl", target, hashes=GOOD).verified


class TestResuming:
    @pytest.mark.parametrize("hashes", [GOOD, NONE], ids=["hash", "no-hash"])
    def test_a_broken_transfer_goes_on_where_it_broke(
        self, hashes: Hashes, session: Session, server: Server, faults: Faults, target: Path,
        told: Told,
    ) -> None:  # fmt: skip
        faults.next("/x.whl", cut(300_000), cut(200_000))
        done = session.download(f"{server.url}/x.whl", target, hashes=hashes, size=len(FILE))
        assert target.read_bytes() == FILE
        assert (done.sha256, done.size) == (SHA256, len(FILE))
        assert ranges(server) == [None, "bytes=300000-", "bytes=500000-"]
        assert server.requests[1].headers["If-Range"].startswith('"')
        assert len(told.retries) == 2
        assert leftovers(target) == [target.name]

    def test_by_date_where_there_is_no_strong_tag(
        self, session: Session, target: Path, leaf: Certificate
    ) -> None:
        date = "Thu, 01 Jan 1970 00:01:00 GMT"
        asked: list[str | None] = []

        def handler(request: Request) -> Response:
            asked.append(request.headers["If-Range"])
            del request.headers["If-Range"]  # it names a date, and the handler below knows tags
            found = file_response(request, FILE, content_type="x/y")
            headers = {name: text for name, text in found.headers.items() if name != "ETag"}
            return replace(found, headers=headers | {"Last-Modified": date})

        faults = Faults(handler)
        faults.next("/", cut(300_000))
        with Server(faults, certificate=leaf) as server:
            session.download(f"{server.url}/", target, hashes=NONE)
            assert ranges(server) == [None, "bytes=300000-"]
        assert asked == [None, date]
        assert target.read_bytes() == FILE

    @pytest.mark.parametrize(
        ("tag", "hashes", "resumes"),
        [
            pytest.param('W/"weak"', NONE, False, id="weak-tag"),
            pytest.param("", NONE, False, id="no-tag"),
            pytest.param('W/"weak"', GOOD, True, id="weak-tag-but-hash"),
            pytest.param("", GOOD, True, id="no-tag-but-hash"),
        ],
    )
    def test_without_a_validator_only_under_a_hash(
        self, tag: str, hashes: Hashes, resumes: bool, session: Session, target: Path,
        leaf: Certificate,
    ) -> None:  # fmt: skip
        def handler(request: Request) -> Response:
            found = file_response(request, FILE, content_type="x/y")
            headers = {name: text for name, text in found.headers.items() if name != "ETag"}
            return replace(found, headers=headers | ({"ETag": tag} if tag else {}))

        faults = Faults(handler)
        faults.next("/", cut(300_000))
        with Server(faults, certificate=leaf) as server:
            session.download(f"{server.url}/", target, hashes=hashes)
            assert ranges(server) == [None, "bytes=300000-" if resumes else None]
            assert server.requests[1].headers["If-Range"] is None
        assert target.read_bytes() == FILE

    def test_starts_again_where_the_server_does_not_resume(
        self, session: Session, target: Path, leaf: Certificate, told: Told
    ) -> None:
        faults = Faults(tree({"/x.whl": FILE}, ranges=False))
        faults.next("/x.whl", cut(300_000))
        with Server(faults, certificate=leaf) as server:
            session.download(f"{server.url}/x.whl", target, hashes=GOOD)
            assert len(server.requests) == 2
        assert target.read_bytes() == FILE

    def test_starts_again_where_the_file_changed(
        self, session: Session, target: Path, leaf: Certificate
    ) -> None:
        files = {"/x.whl": FILE[::-1]}
        faults = Faults(tree(files))

        def cut_and_change(response: Response) -> Response:
            files["/x.whl"] = FILE
            return replace(response, cut_after=300_000)

        faults.next("/x.whl", cut_and_change)
        with Server(faults, certificate=leaf) as server:
            session.download(f"{server.url}/x.whl", target, hashes=NONE)
            assert len(server.requests) == 2
        assert target.read_bytes() == FILE

    @pytest.mark.parametrize(
        "spoil",
        [
            pytest.param(lambda r: replace(r, headers={**r.headers, "ETag": '"other"'}), id="tag"),
            pytest.param(lambda r: replace(r, headers={**r.headers, "Content-Range": "bytes 0-9/10"}), id="place"),
            pytest.param(lambda r: replace(r, headers={**r.headers, "Content-Range": f"bytes 300000-{len(FILE)}/{len(FILE) + 1}"}), id="total"),
            pytest.param(lambda r: replace(r, headers={**r.headers, "Content-Range": "whatever"}), id="nonsense"),
            pytest.param(status(416), id="416"),
        ],
    )  # fmt: skip
    def test_starts_again_where_a_part_cannot_be_believed(
        self, spoil: Callable[[Response], Response], session: Session, server: Server,
        faults: Faults, target: Path,
    ) -> None:  # fmt: skip
        faults.next("/x.whl", cut(300_000), spoil)
        session.download(f"{server.url}/x.whl", target, hashes=NONE)
        assert target.read_bytes() == FILE
        assert ranges(server) == [None, "bytes=300000-", None]

    def test_gives_up_and_cleans_up(
        self, session: Session, server: Server, faults: Faults, target: Path, told: Told
    ) -> None:
        target.write_bytes(b"old")
        faults.always("/x.whl", cut(1000))
        with pytest.raises(ConnectionFailedError):
            session.download(f"{server.url}/x.whl", target, hashes=GOOD)
        assert len(server.requests) == 4
        assert target.read_bytes() == b"old"
        assert leftovers(target) == [target.name]
        assert told.events[-1][0] == "finished"

    def test_goes_on_while_it_advances(
        self, opened: Opener, target: Path, leaf: Certificate
    ) -> None:
        big = random.Random(1).randbytes(5_000_000)
        faults = Faults(tree({"/x": big}))
        faults.always("/x", cut(1_200_000))
        with Server(faults, certificate=leaf) as server:
            opened(retries=1).download(f"{server.url}/x", target, hashes=NONE)
            assert len(server.requests) == 5
        assert target.read_bytes() == big

    def test_does_not_go_round_in_circles(
        self, opened: Opener, target: Path, leaf: Certificate
    ) -> None:
        # Progress that is lost again each time is none.
        big = bytes(5_000_000)
        faults = Faults(tree({"/x": big}, ranges=False))
        faults.always("/x", cut(1_200_000))
        with Server(faults, certificate=leaf) as server:
            with pytest.raises(ConnectionFailedError):
                opened(retries=1).download(f"{server.url}/x", target, hashes=NONE)
            assert len(server.requests) <= 3

    def test_a_stream_without_length_that_ends_early(
        self, session: Session, target: Path, leaf: Certificate
    ) -> None:
        def handler(_: Request) -> Response:
            return Response(200, FILE[:1000], chunked=True)

        with Server(handler, certificate=leaf) as server, pytest.raises(IncompleteDownloadError):
            session.download(server.url, target, hashes=NONE, size=len(FILE))
        assert leftovers(target) == []


class TestChecks:
    def test_another_file_is_refused_after_one_more_try(
        self, session: Session, server: Server, target: Path
    ) -> None:
        wrong = Hashes.of({"sha256": "0" * 64})
        with pytest.raises(HashMismatchError) as caught:
            session.download(f"{server.url}/x.whl", target, hashes=wrong)
        assert caught.value.expected == (("sha256", "0" * 64),)
        assert caught.value.actual == (("sha256", SHA256),)
        assert caught.value.location == f"{server.url}/x.whl"
        assert len(server.requests) == 2
        assert leftovers(target) == []

    def test_damage_on_the_way_is_mended(
        self, session: Session, server: Server, faults: Faults, target: Path
    ) -> None:
        faults.next("/x.whl", lambda response: replace(response, body=FILE[::-1]))
        session.download(f"{server.url}/x.whl", target, hashes=GOOD)
        assert target.read_bytes() == FILE
        assert ranges(server) == [None, None]

    @pytest.mark.parametrize("chunked", [False, True], ids=["length", "chunked"])
    @pytest.mark.parametrize("size", [len(FILE) - 1, len(FILE) + 1, 1])
    def test_another_size_is_refused(
        self, size: int, chunked: bool, session: Session, target: Path
    ) -> None:
        with (
            Server(lambda _: Response(200, FILE, chunked=chunked)) as server,
            pytest.raises(TransportError),
        ):
            session.download(server.url, target, hashes=NONE, size=size)
        assert leftovers(target) == []

    def test_an_endless_body_is_not_written(self, session: Session, target: Path) -> None:
        def handler(_: Request) -> Response:
            return Response(200, bytes(5_000_000), chunked=True)

        with Server(handler) as server, pytest.raises(TransportError):
            session.download(server.url, target, hashes=NONE, size=1000)

    def test_an_unknown_hash_is_no_hash(
        self, session: Session, server: Server, target: Path
    ) -> None:
        with pytest.raises(KedgeError) as caught:
            session.download(f"{server.url}/x.whl", target, hashes=Hashes.of({"crc9": "00"}))
        assert "crc9" in caught.value.message
        assert server.requests == []

    def test_an_absent_file(self, session: Session, server: Server, target: Path) -> None:
        with pytest.raises(HttpStatusError) as caught:
            session.download(f"{server.url}/y.whl", target, hashes=GOOD)
        assert caught.value.status == 404
        assert leftovers(target) == []


class TestDisk:
    def test_an_absent_folder(self, session: Session, server: Server, tmp_path: Path) -> None:
        with pytest.raises(KedgeError) as caught:
            session.download(f"{server.url}/x.whl", tmp_path / "no" / "x.whl", hashes=GOOD)
        assert "x.whl" in caught.value.message
        assert server.requests == []

    @pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
    def test_a_full_disk(
        self, session: Session, server: Server, target: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def create(_: Path) -> BinaryIO:
            return open("/dev/full", "wb", buffering=0)  # noqa: PTH123

        monkeypatch.setattr(downloads, "_create", create)
        with pytest.raises(KedgeError) as caught:
            session.download(f"{server.url}/x.whl", target, hashes=GOOD)
        assert isinstance(caught.value.__cause__, OSError)
        assert caught.value.__cause__.errno == errno.ENOSPC
        assert "space" in caught.value.message
        assert caught.value.hint
        assert len(server.requests) == 1

    @pytest.mark.skipif(sys.platform == "win32", reason="limits are POSIX's")
    def test_a_file_that_may_not_grow(self, session: Session, server: Server, target: Path) -> None:
        import resource
        import signal

        before = resource.getrlimit(resource.RLIMIT_FSIZE)
        previous = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, before[1]))
        try:
            with pytest.raises(KedgeError) as caught:
                session.download(f"{server.url}/x.whl", target, hashes=GOOD)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
            signal.signal(signal.SIGXFSZ, previous)
        assert isinstance(caught.value.__cause__, OSError)
        assert leftovers(target) == []

    def test_a_reporter_of_its_own_can_end_it(
        self, session: Session, server: Server, target: Path
    ) -> None:
        class Ends(transport.TransportReporter):
            def download_advanced(self, name: str, done: int) -> None:
                raise KedgeError("Enough.")

        with pytest.raises(KedgeError, match="Enough"):
            session.download(f"{server.url}/x.whl", target, hashes=GOOD, reporter=Ends())
        assert leftovers(target) == []
        assert len(server.requests) == 1
        session.download(f"{server.url}/x.whl", target, hashes=GOOD)
        assert target.read_bytes() == FILE

    def test_an_interrupt_leaves_nothing(
        self, private_ca: Authority, server: Server, target: Path
    ) -> None:
        class Interrupted(Told):
            def download_advanced(self, name: str, done: int) -> None:
                raise KeyboardInterrupt

        session = transport.open_session(
            DECISION, trusting(private_ca), make_options({}), Interrupted()
        )
        with session, pytest.raises(KeyboardInterrupt):
            session.download(f"{server.url}/x.whl", target, hashes=GOOD)
        assert leftovers(target) == []
