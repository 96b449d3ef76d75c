"""Parts of files: a wheel's metadata in few requests, and an honest no where it cannot be had."""

# ruff: noqa: E501  (tables, one case a line)

from __future__ import annotations

import io
import random
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest

from kedge.errors import (
    HttpStatusError,
    RangesUnsupportedError,
    VerificationError,
)
from support.pki import Certificate
from support.servers import Faults, Request, Response, Server, file_response, redirect, status, tree
from transport.sessions import Opener


def archive(members: int, size: int, *, metadata_first: bool = False) -> bytes:
    """A wheel-like archive with incompressible members and a METADATA."""
    noise = random.Random(3)
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as made:
        if metadata_first:
            made.writestr("x-1.dist-info/METADATA", METADATA)
        for number in range(members):
            made.writestr(f"x/module_with_a_long_name_{number:06}.py", noise.randbytes(size))
        if not metadata_first:
            made.writestr("x-1.dist-info/METADATA", METADATA)
    return buffer.getvalue()


METADATA = b"Metadata-Version: 2.4\nName: x\nVersion: 1\n" + b"text " * 4000
LARGE = archive(50, 40_000)


def metadata(file: object) -> bytes:
    with zipfile.ZipFile(file) as opened:  # type: ignore[call-overload]
        found: bytes = opened.read("x-1.dist-info/METADATA")
        return found


@pytest.fixture
def faults() -> Faults:
    return Faults(tree({"/x.whl": LARGE}))


@pytest.fixture
def server(faults: Faults, leaf: Certificate) -> Iterator[Server]:
    with Server(faults, certificate=leaf) as server:
        yield server


@pytest.mark.parametrize("stated", [False, True], ids=["size-unknown", "size-known"])
@pytest.mark.parametrize(
    ("contents", "most"),
    [
        pytest.param(LARGE, 1, id="large"),
        pytest.param(archive(3, 100), 1, id="small"),
        pytest.param(archive(50, 40_000, metadata_first=True), 2, id="metadata-first"),
        pytest.param(archive(1500, 10), 3, id="large-directory"),
    ],
)
def test_metadata_takes_few_requests(
    contents: bytes, most: int, stated: bool, opened: Opener, leaf: Certificate
) -> None:
    with Server(tree({"/x.whl": contents}), certificate=leaf) as server:
        size = len(contents) if stated else None
        with opened().open_ranged(f"{server.url}/x.whl", size=size) as file:
            assert metadata(file) == METADATA
            assert file.size == len(contents)
            assert file.requests == len(server.requests) <= most
            assert file.verified
        assert server.connections == 1


def test_it_reads_like_a_file(opened: Opener, server: Server) -> None:
    file = opened().open_ranged(f"{server.url}/x.whl")
    reference = io.BytesIO(LARGE)
    choose = random.Random(11)
    for _ in range(200):
        place = choose.randrange(len(LARGE) + 1000)
        count = choose.choice([0, 1, 30, 5000, 70_000, -1 if place > len(LARGE) - 9999 else 7])
        assert file.seek(place) == reference.seek(place)
        assert file.read(count) == reference.read(count)
        if place <= len(LARGE):
            assert file.tell() == reference.tell()
    assert file.seek(-5, io.SEEK_END) == len(LARGE) - 5
    assert file.seek(2, io.SEEK_CUR) == len(LARGE) - 3
    assert file.read() == LARGE[-3:]
    buffer = bytearray(10)
    file.seek(4)
    assert file.readinto(buffer) == 10
    assert bytes(buffer) == LARGE[4:14]
    assert file.seekable()
    assert file.readable()
    assert not file.writable()
    with pytest.raises(ValueError, match="negative"):
        file.seek(-1)


def test_nothing_is_fetched_twice(opened: Opener, server: Server) -> None:
    file = opened().open_ranged(f"{server.url}/x.whl")
    for _ in range(2):
        file.seek(0)
        assert file.read() == LARGE
    sent = sum(
        int(last) - int(first) + 1
        for first, last in (
            request.headers["Range"].removeprefix("bytes=").split("-")
            for request in server.requests[1:]
        )
    )
    assert sent + 64 * 1024 == len(LARGE)


def no_ranges(request: Request) -> Response:
    return file_response(request, LARGE, content_type="x/y", ranges=False)


def no_suffix(code: int) -> Callable[[Request], Response]:
    def handler(request: Request) -> Response:
        if (request.headers["Range"] or "").startswith("bytes=-"):
            return Response(code)
        return file_response(request, LARGE, content_type="x/y")

    return handler


@pytest.mark.parametrize("code", [400, 405, 416, 501])
def test_a_server_without_suffix_ranges(code: int, opened: Opener, leaf: Certificate) -> None:
    with (
        Server(no_suffix(code), certificate=leaf) as server,
        opened().open_ranged(f"{server.url}/x.whl") as file,
    ):
        assert metadata(file) == METADATA
        assert file.requests <= 3


def test_a_whole_file_is_not_read(opened: Opener, leaf: Certificate) -> None:
    def handler(request: Request) -> Response:
        # So slowly that reading it all would take minutes.
        return replace(no_ranges(request), throttle=1024)

    with Server(handler, certificate=leaf) as server, pytest.raises(RangesUnsupportedError):
        opened().open_ranged(f"{server.url}/x.whl")


@pytest.mark.parametrize(
    "spoil",
    [
        pytest.param(lambda r: replace(r, headers={**r.headers, "Content-Range": "bytes 0-9/99"}), id="other-part"),
        pytest.param(lambda r: replace(r, headers={**r.headers, "Content-Range": "bytes 9-0/99"}), id="backwards"),
        pytest.param(lambda r: replace(r, headers={**r.headers, "Content-Range": f"bytes 7-{len(r.body) + 6}/{len(LARGE)}"}), id="shifted"),
        pytest.param(lambda r: replace(r, headers={**r.headers, "Content-Range": "bytes 0-9/*"}), id="no-total"),
        pytest.param(lambda r: replace(r, headers={n: v for n, v in r.headers.items() if n != "Content-Range"}), id="unplaced"),
        pytest.param(lambda r: replace(r, headers={**r.headers, "Content-Encoding": "gzip"}), id="encoded"),
        pytest.param(lambda r: replace(r, body=r.body[:-1]), id="too-short"),
        pytest.param(lambda r: replace(r, body=r.body + b"x"), id="too-long"),
        pytest.param(lambda r: replace(r, status=200), id="200"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("stated", [False, True], ids=["size-unknown", "size-known"])
def test_a_part_that_cannot_be_believed(
    spoil: Callable[[Response], Response], stated: bool, opened: Opener, server: Server,
    faults: Faults,
) -> None:  # fmt: skip
    faults.always("/x.whl", spoil)
    with pytest.raises(RangesUnsupportedError) as caught:
        opened().open_ranged(f"{server.url}/x.whl", size=len(LARGE) if stated else None)
    assert caught.value.url == f"{server.url}/x.whl"


def test_another_size_than_stated(opened: Opener, server: Server) -> None:
    with pytest.raises(RangesUnsupportedError):
        opened().open_ranged(f"{server.url}/x.whl", size=len(LARGE) - 1)


@pytest.mark.parametrize("tagged", [True, False], ids=["if-range", "tag-ignored"])
def test_a_file_that_changes(tagged: bool, opened: Opener, leaf: Certificate) -> None:
    files = {"/x.whl": LARGE}
    serve = tree(files)

    def handler(request: Request) -> Response:
        if not tagged:
            del request.headers["If-Range"]
        return serve(request)

    with Server(handler, certificate=leaf) as server:
        file = opened().open_ranged(f"{server.url}/x.whl")
        files["/x.whl"] = LARGE[::-1]
        file.seek(0)
        with pytest.raises(RangesUnsupportedError):
            file.read(100)
        if tagged:
            assert server.requests[-1].headers["If-Range"].startswith('"')


def test_an_absent_file_is_absent(opened: Opener, server: Server) -> None:
    with pytest.raises(HttpStatusError) as caught:
        opened().open_ranged(f"{server.url}/y.whl")
    assert caught.value.status == 404


def test_what_passes_is_repeated(opened: Opener, server: Server, faults: Faults) -> None:
    faults.next("/x.whl", status(503), lambda response: replace(response, hang_up=True))
    with opened(retries=2).open_ranged(f"{server.url}/x.whl") as file:
        assert metadata(file) == METADATA
    assert len(server.requests) == 3


def test_redirects_are_followed_and_pinned(
    opened: Opener, server: Server, leaf: Certificate, stranger_leaf: Certificate
) -> None:
    with (
        Server(lambda _: redirect(f"{server.url}/x.whl"), certificate=leaf) as front,
        opened().open_ranged(f"{front.url}/x.whl") as file,
    ):
        assert metadata(file) == METADATA
    with (
        Server(tree({"/x.whl": LARGE}), certificate=stranger_leaf) as stranger,
        Server(lambda _: redirect(f"{stranger.url}/x.whl"), certificate=leaf) as front,
        pytest.raises(VerificationError),
    ):
        opened().open_ranged(f"{front.url}/x.whl")


def test_unverified_is_said(opened: Opener, stranger_leaf: Certificate) -> None:
    with Server(tree({"/x.whl": LARGE}), certificate=stranger_leaf) as server:
        file = opened(trusted_hosts=["localhost"]).open_ranged(f"{server.url}/x.whl")
        assert not file.verified
