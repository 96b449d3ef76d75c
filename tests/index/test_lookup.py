"""Several indexes and find-links as one, over real connections."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from index.conftest import Connect, MakeIndex, Serve
from index.lookups import Pages, Told, names, sourced, write_page
from kedge.errors import HttpStatusError, InsecureLocationError, PageError, VerificationError
from kedge.index import Index, IndexSources
from kedge.model import Hashes
from support.indexes import SimpleIndex
from support.pki import Authority
from support.processes import wait_until
from support.servers import Request, Response, Server, tree, with_basic_auth
from support.wheels import sdist, wheel

SPAM1, SPAM2, SPAM3 = wheel("spam"), wheel("spam", "2.0"), wheel("spam", "3.0")


def test_all_indexes_count_alike_in_their_order(serve: Serve, make_index: MakeIndex) -> None:
    first = serve(SimpleIndex([SPAM1, SPAM2]))
    second = serve(SimpleIndex([SPAM2, SPAM3]))
    index = make_index(f"{first.url}/simple", f"{second.url}/simple/")
    files = index.files("Spam")
    assert [str(file.version) for file in files] == ["1.0", "2.0", "2.0", "3.0"]
    assert [file.index for file in files] == [f"{first.url}/simple"] * 2 + [
        f"{second.url}/simple/"
    ] * 2
    assert first.paths == second.paths == ["/simple/spam/"]


def test_a_project_that_one_index_lacks_comes_from_the_other(
    serve: Serve, make_index: MakeIndex
) -> None:
    first, second = serve(SimpleIndex([SPAM1])), serve(SimpleIndex([wheel("eggs")]))
    index = make_index(f"{first.url}/simple", f"{second.url}/simple")
    assert names(index.files("eggs")) == ["eggs-1.0-py3-none-any.whl"]
    assert not index.files("nowhere")


def test_names_are_normalised_for_the_page(serve: Serve, make_index: MakeIndex) -> None:
    server = serve(SimpleIndex([wheel("zope_interface")]))
    index = make_index(f"{server.url}/simple")
    assert len(index.files("Zope.Interface")) == 1
    assert server.paths == ["/simple/zope-interface/"]


@pytest.mark.parametrize("broken_first", [True, False])
def test_an_index_that_fails_is_never_fallen_through(
    serve: Serve, make_index: MakeIndex, broken_first: bool
) -> None:
    urls = [
        f"{serve(lambda _: Response(503)).url}/simple",
        f"{serve(SimpleIndex([SPAM1])).url}/simple",
    ]
    index = make_index(*(urls if broken_first else reversed(urls)))
    for _ in range(2):
        with pytest.raises(HttpStatusError) as caught:
            index.files("spam")
        assert caught.value.status == 503


@pytest.mark.parametrize("option", ["index", "find_links"])
def test_a_failure_of_trust_at_any_place_is_fatal(
    serve: Serve, make_index: MakeIndex, stranger_ca: Authority, option: str
) -> None:
    good = serve(SimpleIndex([SPAM1]))
    with Server(SimpleIndex([SPAM1]), certificate=stranger_ca.leaf("localhost")) as bad:
        if option == "index":
            index = make_index(f"{good.url}/simple", f"{bad.url}/simple")
        else:
            index = make_index(f"{good.url}/simple", find_links=(f"{bad.url}/simple/spam/",))
        with pytest.raises(VerificationError) as caught:
            index.files("spam")
        assert caught.value.peer.port == bad.port


def test_plain_http_outside_loopback_is_refused(make_index: MakeIndex) -> None:
    index = make_index("http://index.example/simple")
    with pytest.raises(InsecureLocationError):
        index.files("spam")


def test_credentials_reach_the_page_and_the_files_and_no_message(
    serve: Serve, connect: Connect, make_index: MakeIndex
) -> None:
    server = serve(with_basic_auth(SimpleIndex([SPAM1]), "user", "s3cret"))
    url = f"{server.url}/simple".replace("//", "//user:s3cret@")
    index = make_index(url, fetcher=connect(index_urls=(url,)))
    (file,) = index.files("spam")
    assert index.metadata(file).name == "spam"
    assert "s3cret" not in f"{file}{file!r}{file.index}"


# -- find-links


def test_a_folder_gives_its_files_and_those_of_its_pages(tmp_path: Path) -> None:
    for artifact in (SPAM1, SPAM3, sdist("spam", "0.9"), wheel("eggs"), wheel("spam_more")):
        artifact.write(tmp_path)
    SPAM2.write(tmp_path / "elsewhere")
    (tmp_path / "notes.txt").write_text("spam")
    write_page(tmp_path, f"elsewhere/{SPAM2.filename}", "nothing.txt")
    with Index(IndexSources(find_links=sourced(str(tmp_path))), None) as index:
        files = index.files("spam")
        # As pip: the folder's own by URL, highest first, then what its pages list.
        assert names(files) == [
            SPAM3.filename,
            SPAM1.filename,
            "spam-0.9.tar.gz",
            SPAM2.filename,
        ]
        assert all(file.local is not None and file.local.is_file() for file in files)
        assert all(file.page_verified for file in files)
        assert names(index.files("spam-more")) == ["spam_more-1.0-py3-none-any.whl"]


def test_a_page_on_a_server_lists_many_projects(serve: Serve, make_index: MakeIndex) -> None:
    page = "".join(
        f'<a href="files/{name}">x</a>'
        for name in (SPAM1.filename, "eggs-1.0-py3-none-any.whl", "spam-2.0.tar.gz", "spam-3.0.zip")
    )
    server = serve(tree({"/links": page.encode()}))
    index = make_index(find_links=(f"{server.url}/links",))
    assert names(index.files("spam")) == [SPAM1.filename, "spam-2.0.tar.gz", "spam-3.0.zip"]
    assert len(index.files("eggs")) == 1
    assert not index.files("spa")
    assert server.paths == ["/links"]
    assert index.files("spam")[0].url == f"{server.url}/files/{SPAM1.filename}"


def test_single_files_are_named_by_path_and_by_url(
    serve: Serve, make_index: MakeIndex, tmp_path: Path
) -> None:
    server = serve(tree({f"/{SPAM2.filename}": SPAM2.data}))
    path = SPAM1.write(tmp_path)
    remote = f"{server.url}/{SPAM2.filename}#sha256={SPAM2.sha256}"
    index = make_index(find_links=(str(path), remote))
    found = {str(file.version): file for file in index.files("spam")}
    assert found["1.0"].local == path
    assert found["2.0"].hashes == Hashes.of({"sha256": SPAM2.sha256})
    assert server.paths == []
    assert index.metadata(found["2.0"]).version_text == "2.0"


def test_find_links_come_before_indexes(
    serve: Serve, make_index: MakeIndex, tmp_path: Path
) -> None:
    SPAM1.write(tmp_path)
    server = serve(SimpleIndex([SPAM2]))
    index = make_index(f"{server.url}/simple", find_links=(str(tmp_path),))
    assert [str(file.version) for file in index.files("spam")] == ["1.0", "2.0"]


def test_a_find_links_page_that_is_not_there_is_a_warning(
    serve: Serve, make_index: MakeIndex
) -> None:
    server = serve(tree({}))
    told = Told()
    index = make_index(find_links=(f"{server.url}/gone",), reporter=told)
    assert not index.files("spam")
    assert not index.files("eggs")
    (warning,) = told.warnings
    assert f"{server.url}/gone" in warning


def test_places_that_are_nowhere_are_told_at_once(make_index: MakeIndex, tmp_path: Path) -> None:
    told = Told()
    make_index(find_links=(str(tmp_path / "missing"),), reporter=told)
    assert len(told.warnings) == 1


# -- an index in a folder


@pytest.mark.parametrize("as_url", [True, False])
def test_an_index_in_a_folder(make_index: MakeIndex, tmp_path: Path, as_url: bool) -> None:
    path = SPAM1.write(tmp_path / "files")
    write_page(tmp_path / "simple" / "spam", f"../../files/{SPAM1.filename}#sha256={SPAM1.sha256}")
    root = tmp_path / "simple"
    index = make_index(root.as_uri() if as_url else str(root))
    (file,) = index.files("Spam")
    assert file.local == path
    assert file.hashes == Hashes.of({"sha256": SPAM1.sha256})
    assert index.metadata(file).name == "spam"
    assert not index.files("eggs")


# -- newer pages, pages that are none


def test_a_newer_api_version_is_told_once(serve: Serve, make_index: MakeIndex) -> None:
    body = b'{"meta": {"api-version": "1.77"}, "files": []}'
    kind = {"Content-Type": "application/vnd.pypi.simple.v1+json"}
    server = serve(lambda _: Response(200, body, kind))
    told = Told()
    index = make_index(f"{server.url}/simple", reporter=told)
    for _ in range(2):
        index.files("spam")
    (warning,) = told.warnings
    assert "1.77" in warning
    assert told.pages == [f"{server.url}/simple/spam/"]
    listed = Told()
    make_index(find_links=(f"{server.url}/links",), reporter=listed).files("spam")
    assert "1.77" in listed.warnings[0]


def test_a_page_that_is_no_index_is_an_error(serve: Serve, make_index: MakeIndex) -> None:
    server = serve(lambda _: Response(200, b"<title>Hello</title>", {"Content-Type": "text/plain"}))
    with pytest.raises(PageError, match="Hello"):
        make_index(f"{server.url}/simple").files("spam")


# -- ahead, and together


@dataclass
class Gate:
    """An index whose answers wait until so many requests are there at once."""

    index: SimpleIndex
    wanted: int

    def __post_init__(self) -> None:
        self.barrier = threading.Barrier(self.wanted, timeout=60)

    def __call__(self, request: Request) -> Response:
        self.barrier.wait()
        return self.index(request)


def test_pages_are_fetched_ahead_side_by_side(serve: Serve, make_index: MakeIndex) -> None:
    projects = [f"p{number}" for number in range(6)]
    server = serve(Gate(SimpleIndex([wheel(name) for name in projects]), wanted=6))
    index = make_index(f"{server.url}/simple")
    index.prefetch(projects)
    for name in projects:
        assert len(index.files(name)) == 1
    assert sorted(server.paths) == sorted(f"/simple/{name}/" for name in projects)


def test_the_indexes_of_one_project_are_asked_side_by_side(
    serve: Serve, make_index: MakeIndex
) -> None:
    gate = Gate(SimpleIndex([SPAM1]), wanted=3)
    servers = [serve(gate) for _ in range(3)]
    index = make_index(*(f"{server.url}/simple" for server in servers))
    assert len(index.files("spam")) == 3


def test_one_page_is_fetched_once_however_many_ask(serve: Serve, make_index: MakeIndex) -> None:
    server = serve(SimpleIndex([SPAM1]))
    index = make_index(f"{server.url}/simple")
    answers: list[int] = []
    asking = [
        threading.Thread(target=lambda: answers.append(len(index.files("spam")))) for _ in range(8)
    ]
    for thread in asking:
        thread.start()
    for thread in asking:
        thread.join(60)
    assert answers == [1] * 8
    assert server.paths == ["/simple/spam/"]


def test_what_fails_ahead_is_raised_when_it_is_asked_for(
    serve: Serve, make_index: MakeIndex
) -> None:
    server = serve(lambda _: Response(500))
    index = make_index(f"{server.url}/simple", parallel=1)
    index.prefetch(["spam", "eggs"])
    wait_until(lambda: "/simple/eggs/" in server.paths)  # and so the other has failed by now
    with pytest.raises(HttpStatusError):
        index.files("spam")
    assert server.paths == ["/simple/spam/", "/simple/eggs/"]


def test_closing_does_not_wait_for_what_is_under_way(serve: Serve, make_index: MakeIndex) -> None:
    gate = threading.Event()

    def handler(_: Request) -> Response:
        gate.wait()
        return Response(404)

    server = serve(handler)
    before = set(threading.enumerate())
    index = make_index(f"{server.url}/simple", parallel=2)
    index.prefetch(["a", "b", "c", "d"])
    try:
        wait_until(lambda: len(server.paths) == 2)
        begun = {each for each in threading.enumerate() if each.name.startswith("kedge-index")}
        index.close()
        assert [each.is_alive() for each in begun - before] == [True, True]
    finally:
        gate.set()
    wait_until(lambda: not any(each.is_alive() for each in begun - before))
    assert len(server.paths) == 2


def test_find_links_pages_are_fetched_ahead_too(serve: Serve, make_index: MakeIndex) -> None:
    barrier = threading.Barrier(2, timeout=60)
    pages = tree({"/a": b"<a href=spam-1.zip>", "/b": b"<a href=spam-2.zip>"})

    def handler(request: Request) -> Response:
        barrier.wait()
        return pages(request)

    server = serve(handler)
    told = Told()
    index = make_index(find_links=(f"{server.url}/a", f"{server.url}/b"), reporter=told)
    index.prefetch([])
    assert len(index.files("spam")) == 2
    assert sorted(told.pages) == [f"{server.url}/a", f"{server.url}/b"]
    assert told.warnings == []


def test_metadata_is_fetched_ahead_side_by_side(serve: Serve, make_index: MakeIndex) -> None:
    barrier = threading.Barrier(3, timeout=60)
    simple = SimpleIndex([SPAM1, SPAM2, SPAM3, sdist("spam", "4")])

    def handler(request: Request) -> Response:
        if request.path.endswith(".metadata"):
            barrier.wait()
        return simple(request)

    server = serve(handler)
    index = make_index(f"{server.url}/simple")
    files = index.files("spam")
    for file in files:
        index.prefetch_metadata(file)
    for file in files[:3]:
        assert index.metadata(file).version == file.version
    assert len([path for path in server.paths if path.endswith(".metadata")]) == 3


def test_the_whole_metadata_can_be_had(serve: Serve, make_index: MakeIndex) -> None:
    index = make_index(f"{serve(SimpleIndex([SPAM1])).url}/simple")
    assert index.metadata_file(index.files("spam")[0]) == SPAM1.metadata


def test_the_places_can_be_named(serve: Serve, make_index: MakeIndex, tmp_path: Path) -> None:
    index = make_index("https://u:s3cret@i.example/simple", find_links=(str(tmp_path),))
    assert index.searched() == (tmp_path.as_uri(), "https://u:****@i.example/simple")


def test_a_page_is_asked_about_unless_told_otherwise(serve: Serve, make_index: MakeIndex) -> None:
    simple = SimpleIndex([SPAM1])

    def handler(request: Request) -> Response:
        response = simple(request)
        return replace(response, headers={**response.headers, "Cache-Control": "max-age=600"})

    server, pages = serve(handler), Pages()
    for _ in range(2):
        make_index(f"{server.url}/simple", pages=pages).files("spam")
    assert len(server.paths) == 2
    make_index(f"{server.url}/simple", pages=pages, revalidate=False).files("spam")
    assert len(server.paths) == 2


# -- direct


@dataclass(frozen=True)
class Asked:
    url: str | None
    hashes: Hashes = field(default_factory=Hashes)


def test_a_direct_wheel_is_a_file_like_any_other(serve: Serve, make_index: MakeIndex) -> None:
    server = serve(tree({f"/{SPAM1.filename}": SPAM1.data}))
    index = make_index()
    demanded = Hashes.of({"sha256": SPAM1.sha256})
    file = index.direct(Asked(f"{server.url}/{SPAM1.filename}", demanded))
    assert server.paths == []
    assert (file.name, file.hashes) == ("spam", demanded)
    assert index.metadata(file).name == "spam"
