"""The metadata of one file: which way it comes, what is checked, and what is kept."""

from __future__ import annotations

import hashlib
import io
import struct
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from index.conftest import Connect, MakeIndex, Serve
from index.lookups import Metadata, a_file, sourced
from kedge.environment.metadata import parse_metadata
from kedge.errors import (
    HashMismatchError,
    HttpStatusError,
    NeedsBuildError,
    PageError,
    WheelError,
)
from kedge.index import Index, IndexFile, IndexSources, disagreements
from kedge.index.metadata import SMALL_WHEEL, check_digest, is_static, read_wheel_metadata
from kedge.model import Hashes
from support.indexes import CoreMetadata, SimpleIndex, files_fetched
from support.pki import Authority
from support.servers import Faults, Server, status
from support.wheels import (
    Artifact,
    renamed,
    sdist,
    tampered,
    truncated,
    wheel,
    with_member,
    without_member,
)

#: Too large to be fetched whole, and compressible to nothing: the padding is not.
PADDING = b"".join(
    hashlib.sha256(struct.pack("I", n)).digest() for n in range(3 * SMALL_WHEEL // 32)
)


def big(name: str = "spam", version: str = "1.0", **more: object) -> Artifact:
    return wheel(name, version, files={f"{name}/data.bin": PADDING}, **more)  # type: ignore[arg-type]


def small(**more: object) -> Artifact:
    return wheel("spam", requires=["eggs>=2"], **more)  # type: ignore[arg-type]


def only(index: Index, name: str = "spam") -> IndexFile:
    (file,) = index.files(name)
    return file


# -- which way


@pytest.mark.parametrize(
    "core_metadata", [CoreMetadata.HASHED, CoreMetadata.UNHASHED], ids=lambda kind: kind.name
)
@pytest.mark.parametrize("style", ["json", "html"])
def test_the_metadata_file_spares_the_wheel(
    serve: Serve, make_index: MakeIndex, core_metadata: CoreMetadata, style: str
) -> None:
    artifact = small()
    server = serve(SimpleIndex([artifact], style=style, core_metadata=core_metadata))  # type: ignore[arg-type]
    index = make_index(f"{server.url}/simple")
    found = index.metadata(only(index))
    assert found.canonical_name == "spam"
    assert [str(one) for one in found.requires_dist] == ["eggs>=2"]
    assert files_fetched(server) == []
    assert index.downloaded(only(index)) is None


def test_a_large_wheel_is_read_in_parts(serve: Serve, make_index: MakeIndex) -> None:
    artifact = big(requires=["eggs"])
    server = serve(SimpleIndex([artifact], core_metadata=CoreMetadata.NONE))
    index = make_index(f"{server.url}/simple")
    assert [str(one) for one in index.metadata(only(index)).requires_dist] == ["eggs"]
    asked = [request for request in server.requests if request.path.startswith("/files/")]
    assert 1 <= len(asked) <= 2
    assert all(request.headers["Range"] for request in asked)


@pytest.mark.parametrize(
    ("artifact", "ranges", "style"),
    [
        pytest.param(big(), False, "json", id="large, no ranges"),
        pytest.param(small(), True, "json", id="small"),
        pytest.param(small(), False, "html", id="small of unknown size, no ranges"),
    ],
)
def test_otherwise_the_wheel_is_fetched_whole_and_kept(
    serve: Serve,
    make_index: MakeIndex,
    tmp_path: Path,
    artifact: Artifact,
    ranges: bool,
    style: str,
) -> None:
    server = serve(
        SimpleIndex(
            [artifact],
            core_metadata=CoreMetadata.NONE,
            ranges=ranges,
            style=style,  # type: ignore[arg-type]
        )
    )
    index = make_index(f"{server.url}/simple", downloads=lambda: tmp_path)
    index.metadata(only(index))
    whole = [
        request
        for request in server.requests
        if request.path.startswith("/files/") and not request.headers["Range"]
    ]
    assert len(whole) == 1
    download = index.downloaded(only(index))
    assert download is not None
    assert download.path.read_bytes() == artifact.data
    assert (download.path.name, download.sha256) == (artifact.filename, artifact.sha256)
    assert tmp_path in download.path.parents


def test_a_temporary_folder_goes_with_the_index(serve: Serve, connect: Connect) -> None:
    server = serve(SimpleIndex([small()], core_metadata=CoreMetadata.NONE))
    sources = IndexSources(index_urls=sourced(f"{server.url}/simple"))
    with Index(sources, connect()) as index:
        index.metadata(only(index))
        download = index.downloaded(only(index))
        assert download is not None
        assert download.path.exists()
    assert not download.path.exists()


def test_a_promise_that_is_not_kept_is_got_over(serve: Serve, make_index: MakeIndex) -> None:
    server = serve(SimpleIndex([small()], core_metadata=CoreMetadata.MISSING))
    index = make_index(f"{server.url}/simple")
    assert index.metadata(only(index)).name == "spam"


def test_a_metadata_file_that_cannot_be_had_is_an_error(
    serve: Serve, make_index: MakeIndex
) -> None:
    artifact = small()
    faults = Faults(SimpleIndex([artifact]))
    faults.always(f"/files/{artifact.filename}.metadata", status(403))
    index = make_index(f"{serve(faults).url}/simple")
    with pytest.raises(HttpStatusError):
        index.metadata(only(index))


def test_a_wheel_on_this_machine_is_read_where_it_lies(tmp_path: Path) -> None:
    small().write(tmp_path)
    with Index(IndexSources(find_links=sourced(str(tmp_path))), None) as index:
        assert [str(one) for one in index.metadata(only(index)).requires_dist] == ["eggs>=2"]


def test_metadata_is_fetched_once_however_often_it_is_asked_for(
    serve: Serve, make_index: MakeIndex
) -> None:
    server = serve(SimpleIndex([small()]))
    index = make_index(f"{server.url}/simple")
    index.prefetch_metadata(only(index))
    for _ in range(3):
        index.metadata(only(index))
    assert [path for path in server.paths if path.endswith(".metadata")] == [
        f"/files/{small().filename}.metadata"
    ]


# -- what is checked


@pytest.mark.parametrize(
    "core_metadata", [CoreMetadata.WRONG_HASH, CoreMetadata.WRONG_BYTES], ids=lambda kind: kind.name
)
def test_a_metadata_file_must_have_its_digest(
    serve: Serve, make_index: MakeIndex, core_metadata: CoreMetadata
) -> None:
    server = serve(SimpleIndex([small()], core_metadata=core_metadata))
    cache = Metadata()
    index = make_index(f"{server.url}/simple", metadata=cache)
    with pytest.raises(HashMismatchError) as caught:
        index.metadata(only(index))
    assert caught.value.location.endswith(".metadata")
    assert caught.value.expected != caught.value.actual
    assert not cache.held


def test_a_wheel_fetched_whole_must_have_its_digest(serve: Serve, make_index: MakeIndex) -> None:
    artifact = small()
    index = SimpleIndex(
        [replace(artifact, data=tampered(artifact).data)],
        states={artifact.filename: artifact},
        core_metadata=CoreMetadata.NONE,
        style="html",  # which states no size
        ranges=False,
    )
    cache = Metadata()
    lookup = make_index(f"{serve(index).url}/simple", metadata=cache)
    with pytest.raises(HashMismatchError):
        lookup.metadata(only(lookup))
    assert lookup.downloaded(only(lookup)) is None
    assert not cache.held


@pytest.mark.parametrize(
    ("inside", "filename", "told"),
    [
        pytest.param(small(), "eggs-1.0-py3-none-any.whl", "spam", id="another name"),
        pytest.param(small(), "spam-2.0-py3-none-any.whl", "1.0", id="another version"),
    ],
)
@pytest.mark.parametrize("core_metadata", [CoreMetadata.NONE, CoreMetadata.HASHED])
def test_metadata_must_be_of_the_file_it_is_read_for(
    serve: Serve,
    make_index: MakeIndex,
    inside: Artifact,
    filename: str,
    told: str,
    core_metadata: CoreMetadata,
) -> None:
    artifact = replace(renamed(inside, filename), name=filename.partition("-")[0])
    server = serve(SimpleIndex([artifact], core_metadata=core_metadata))
    cache = Metadata()
    index = make_index(f"{server.url}/simple", metadata=cache)
    with pytest.raises(WheelError) as caught:
        index.metadata(only(index, artifact.name))
    assert caught.value.wheel == filename
    assert told in " ".join(caught.value.problems)
    assert not cache.held


def test_equal_names_and_versions_may_be_spelt_otherwise(tmp_path: Path) -> None:
    described = b"Metadata-Version: 2.1\nName: Spam.Eggs\nVersion: 1.0.0\n"
    file = a_file("spam-eggs", "spam_eggs-1.0-py3-none-any.whl")
    artifact = wheel("spam_eggs", "1.0")
    data = artifact.data.replace(artifact.metadata, described)
    assert data == artifact.data  # compressed: so write it anew
    plain = without_member(artifact, "METADATA")
    mended = with_member(plain, "spam_eggs-1.0.dist-info/METADATA", described)
    path = mended.write(tmp_path)
    assert path.name == file.filename
    with Index(IndexSources(find_links=sourced(str(tmp_path))), None) as index:
        assert index.metadata(only(index, "spam-eggs")).name == "Spam.Eggs"


def extra_folder(artifact: Artifact) -> Artifact:
    return with_member(artifact, "other-1.0.dist-info/METADATA", b"Name: other\nVersion: 1.0\n")


BROKEN = [
    pytest.param(truncated(small()), id="truncated"),
    pytest.param(replace(small(), data=b"<html>not a wheel"), id="a page in its place"),
    pytest.param(replace(small(), data=b""), id="empty"),
    pytest.param(without_member(small(), "METADATA"), id="no METADATA"),
    pytest.param(extra_folder(small()), id="two dist-info folders"),
]


@pytest.mark.parametrize("artifact", BROKEN)
def test_a_broken_wheel_is_told(
    serve: Serve, make_index: MakeIndex, tmp_path: Path, artifact: Artifact
) -> None:
    server = serve(SimpleIndex([artifact], core_metadata=CoreMetadata.NONE))
    index = make_index(f"{server.url}/simple")
    with pytest.raises(WheelError) as caught:
        index.metadata(only(index))
    assert caught.value.wheel == artifact.filename
    artifact.write(tmp_path)
    local = make_index(find_links=(str(tmp_path),))
    with pytest.raises(WheelError):
        local.metadata(only(local))


def test_damage_inside_the_archive_is_told() -> None:
    artifact = big()
    directory = artifact.data.index(b"PK\x01\x02")
    at = artifact.data.rindex(b"METADATA", 0, directory) + len(b"METADATA")
    spoilt = artifact.data[:at] + b"\xff" * 16 + artifact.data[at + 16 :]
    with pytest.raises(WheelError):
        read_wheel_metadata(io.BytesIO(spoilt), artifact.filename)


@pytest.mark.parametrize(
    ("hashes", "passes"),
    [
        (Hashes(), True),
        (Hashes.of({"sha256": hashlib.sha256(b"x").hexdigest()}), True),
        (Hashes.of({"sha256": hashlib.sha256(b"x").hexdigest().upper()}), True),
        (Hashes.of({"sha512": hashlib.sha512(b"x").hexdigest()}), True),
        (Hashes.of({"sha256": hashlib.sha256(b"y").hexdigest()}), False),
        (Hashes.of({"sha256": ""}), False),
    ],
)
def test_digests_are_compared(hashes: Hashes, passes: bool) -> None:
    if passes:
        check_digest(b"x", hashes, location="https://f.example/x")
        return
    with pytest.raises(HashMismatchError) as caught:
        check_digest(b"x", hashes, location="https://u:secret@f.example/x")
    assert caught.value.actual == (("sha256", hashlib.sha256(b"x").hexdigest()),)
    assert "secret" not in f"{caught.value}{caught.value.location}"


# -- source distributions


STATIC = b"Metadata-Version: 2.2\nName: spam\nVersion: 1.0\nRequires-Dist: eggs\n"


@pytest.mark.parametrize(
    ("header", "static"),
    [
        (b"Metadata-Version: 2.2", True),
        (b"Metadata-Version: 2.4\nDynamic: License", True),
        (b"Metadata-Version: 3.0", True),
        (b"Metadata-Version: 2.1", False),
        (b"Metadata-Version: 2.2\nDynamic: Requires-Dist", False),
        (b"Metadata-Version: 2.2\nDynamic: requires-python", False),
        (b"Metadata-Version: 2.2\nDynamic: Provides-Extra", False),
        (b"Metadata-Version: nonsense", False),
        (b"Metadata-Version: x.2", False),
        (b"Metadata-Version: 2.x", False),
        (b"Metadata-Version: 2", False),
        (b"X: y", False),
    ],
)
def test_static_metadata_is_told_by_pep_643(header: bytes, static: bool) -> None:
    assert is_static(parse_metadata(header + b"\nName: a\nVersion: 1\n", where="")) is static


class SdistIndex(SimpleIndex):
    """Announces and serves metadata files for source distributions, too."""

    def _metadata_stated(self, file: Artifact) -> dict[str, str] | bool:
        return {"sha256": hashlib.sha256(file.metadata).hexdigest()}


@pytest.mark.parametrize(
    ("metadata", "known"),
    [
        pytest.param(STATIC, True, id="static"),
        pytest.param(STATIC + b"Dynamic: Requires-Dist\n", False, id="dynamic"),
    ],
)
def test_a_source_distribution_counts_with_static_metadata_only(
    serve: Serve, make_index: MakeIndex, metadata: bytes, known: bool
) -> None:
    artifact = replace(sdist("spam"), metadata=metadata)
    index = make_index(f"{serve(SdistIndex([artifact])).url}/simple")
    if known:
        assert [str(one) for one in index.metadata(only(index)).requires_dist] == ["eggs"]
        return
    with pytest.raises(NeedsBuildError) as caught:
        index.metadata(only(index))
    assert caught.value.filename == artifact.filename


def test_a_source_distribution_without_metadata_needs_a_build(
    serve: Serve, make_index: MakeIndex, tmp_path: Path
) -> None:
    server = serve(SimpleIndex([sdist("spam")]))
    index = make_index(f"{server.url}/simple")
    with pytest.raises(NeedsBuildError):
        index.metadata(only(index))
    assert server.paths == ["/simple/spam/"]
    sdist("spam").write(tmp_path)
    local = make_index(find_links=(str(tmp_path),))
    with pytest.raises(NeedsBuildError):
        local.metadata(only(local))


# -- what is kept between runs


@pytest.mark.parametrize(
    ("artifact", "core_metadata"),
    [
        pytest.param(small(), CoreMetadata.HASHED, id="metadata file"),
        pytest.param(big(), CoreMetadata.NONE, id="in parts"),
        pytest.param(small(), CoreMetadata.NONE, id="whole"),
    ],
)
def test_metadata_is_kept_for_the_next_run(
    serve: Serve, make_index: MakeIndex, artifact: Artifact, core_metadata: CoreMetadata
) -> None:
    server = serve(SimpleIndex([artifact], core_metadata=core_metadata))
    cache = Metadata()
    for _ in range(2):
        index = make_index(f"{server.url}/simple", metadata=cache)
        found = index.metadata(only(index))
        assert found.name == "spam"
    assert len([path for path in server.paths if path.startswith("/files/")]) == 1
    assert list(cache.held.values()) == [artifact.metadata]


def test_damage_in_the_cache_is_fetched_again(serve: Serve, make_index: MakeIndex) -> None:
    server = serve(SimpleIndex([small()]))
    cache = Metadata()
    for spoil in (None, b"Name: spam\n", b"Name: other\nVersion: 1.0\n"):
        if spoil is not None:
            cache.held = dict.fromkeys(cache.held, spoil)
        index = make_index(f"{server.url}/simple", metadata=cache)
        assert index.metadata(only(index)).requirement_lines == ("eggs>=2",)


def test_what_an_index_serves_for_a_digest_is_not_believed_of_another_index(
    serve: Serve, make_index: MakeIndex
) -> None:
    """An index that states a digest it does not have must not change what others install."""
    good = small()
    lie = replace(good, metadata=good.metadata.replace(b"eggs>=2", b"malware"))
    liar = serve(SimpleIndex([lie], states={good.filename: good}))
    honest = serve(SimpleIndex([good]))
    cache = Metadata()
    first = make_index(f"{liar.url}/simple", metadata=cache)
    assert first.metadata(only(first)).requirement_lines == ("malware",)
    second = make_index(f"{honest.url}/simple", metadata=cache)
    assert second.metadata(only(second)).requirement_lines == ("eggs>=2",)


def test_what_was_read_from_the_whole_file_holds_for_every_index(
    serve: Serve, make_index: MakeIndex
) -> None:
    cache = Metadata()
    servers = [serve(SimpleIndex([small()], core_metadata=CoreMetadata.NONE)) for _ in range(2)]
    for server in servers:
        index = make_index(f"{server.url}/simple", metadata=cache)
        index.metadata(only(index))
    assert list(cache.held) == [small().sha256]
    assert files_fetched(servers[1]) == []


@pytest.fixture
def stranger(stranger_ca: Authority) -> Iterator[Server]:
    """An index that nobody vouches for."""
    with Server(SimpleIndex(), certificate=stranger_ca.leaf("localhost")) as server:
        yield server


@pytest.mark.parametrize(
    ("artifact", "core_metadata"),
    [
        pytest.param(small(), CoreMetadata.HASHED, id="metadata file"),
        pytest.param(big(), CoreMetadata.NONE, id="in parts"),
        pytest.param(small(), CoreMetadata.NONE, id="whole"),
    ],
)
def test_nothing_unverified_is_kept(
    stranger: Server,
    connect: Connect,
    make_index: MakeIndex,
    artifact: Artifact,
    core_metadata: CoreMetadata,
) -> None:
    stranger.handler = SimpleIndex([artifact], core_metadata=core_metadata)
    cache = Metadata()
    session = connect(trusted_hosts=sourced(stranger.hostport))
    index = make_index(f"{stranger.url}/simple", metadata=cache, fetcher=session)
    assert index.metadata(only(index)).name == "spam"
    assert not only(index).page_verified
    assert not cache.held


def test_an_unverified_page_does_not_pair_a_digest_with_a_verified_file(
    stranger: Server, serve: Serve, connect: Connect, make_index: MakeIndex
) -> None:
    files = serve(SimpleIndex([big()], core_metadata=CoreMetadata.NONE))
    other = big(requires=["eggs"])
    stranger.handler = SimpleIndex(
        [big()],
        states={big().filename: replace(other, data=b"x" * len(big().data))},
        files_at=files.url,
        core_metadata=CoreMetadata.NONE,
    )
    cache = Metadata()
    session = connect(trusted_hosts=sourced(stranger.hostport))
    index = make_index(f"{stranger.url}/simple", metadata=cache, fetcher=session)
    index.metadata(only(index))
    assert not cache.held


@pytest.mark.parametrize(
    ("hashes", "kept"),
    [
        pytest.param(("sha256",), True, id="a strong digest of a verified page"),
        pytest.param(("md5",), False, id="a weak one"),
        pytest.param((), False, id="none"),
    ],
)
def test_a_file_from_an_unverified_host_is_kept_under_a_strong_digest_only(
    stranger: Server,
    serve: Serve,
    connect: Connect,
    make_index: MakeIndex,
    hashes: tuple[str, ...],
    kept: bool,
) -> None:
    simple = SimpleIndex([small()], core_metadata=CoreMetadata.NONE, hashes=hashes)
    stranger.handler = simple
    page = serve(replace(simple, files_at=stranger.url))
    cache = Metadata()
    session = connect(trusted_hosts=sourced(stranger.hostport))
    index = make_index(f"{page.url}/simple", metadata=cache, fetcher=session)
    index.metadata(only(index))
    assert bool(cache.held) is kept


def test_a_file_from_a_verified_host_is_kept_under_the_digest_it_has(
    serve: Serve, make_index: MakeIndex
) -> None:
    server = serve(SimpleIndex([small()], core_metadata=CoreMetadata.NONE, hashes=()))
    cache = Metadata()
    index = make_index(f"{server.url}/simple", metadata=cache)
    index.metadata(only(index))
    assert cache.held == {small().sha256: small().metadata}


def test_metadata_of_absurd_size_is_not_read() -> None:
    artifact = without_member(small(), "METADATA")
    huge = with_member(artifact, "spam-1.0.dist-info/METADATA", b"\n" * (16 * 1024 * 1024 + 1))
    with pytest.raises(WheelError) as caught:
        read_wheel_metadata(io.BytesIO(huge.data), huge.filename)
    assert str(16 * 1024 * 1024 + 1) in caught.value.message


# -- comparing


def test_what_was_stated_is_compared_with_what_the_wheel_has() -> None:
    stated = parse_metadata(
        b"Name: Spam\nVersion: 1.0\nRequires-Dist: eggs>=1\nRequires-Dist: ham\n", where=""
    )
    same = parse_metadata(
        b"Name: spam\nVersion: 1.0.0\nRequires-Dist: ham\nRequires-Dist: eggs >= 1\n", where=""
    )
    assert disagreements(stated, same) == ()
    other = parse_metadata(
        b"Name: spam\nVersion: 1.1\nRequires-Python: >=3.9\nRequires-Dist: ham\n"
        b"Requires-Dist: bacon\nProvides-Extra: x\n",
        where="",
    )
    found = disagreements(stated, other)
    fields = [sentence.partition(":")[0] for sentence in found]
    assert fields == ["Version", "Requires-Python", "Requires-Dist", "Provides-Extra"]
    assert "eggs>=1" in found[2]
    assert "bacon" in found[2]
    assert "ham" not in found[2]


def test_an_unreadable_place_is_an_error(tmp_path: Path) -> None:
    missing = a_file(
        "spam",
        "spam-1.0-py3-none-any.whl",
        url=(tmp_path / "spam-1.0-py3-none-any.whl").as_uri(),
    )
    with Index(IndexSources(), None) as index, pytest.raises(WheelError):
        index.metadata(missing)


def test_without_a_network_nothing_is_fetched() -> None:
    with Index(IndexSources(), None) as index, pytest.raises(PageError):
        index.metadata(a_file("spam", "spam-1.0-py3-none-any.whl"))
