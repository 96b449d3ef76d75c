"""Pages and metadata: what was stored is found, torn files are not, credentials never are."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from kedge.cache import Cache, CachedPage, open_cache

URL = "https://index.example/simple/demo/"
PAGE = CachedPage(
    url=URL,
    content_type="application/vnd.pypi.simple.v1+json",
    body=b'{"files": []}\n\x00\xff',
    etag='"abc"',
    last_modified="Mon, 01 Jan 2024 00:00:00 GMT",
    fresh_until=1000.0,
)


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    return open_cache(tmp_path / "cache", clock=lambda: 999.0)


def _file(cache: Cache) -> Path:
    (found,) = [path for path in cache.pages.folder.rglob("*") if path.is_file()]
    return found


def test_a_page_comes_back_as_it_was(cache: Cache) -> None:
    assert cache.pages.get(URL) is None
    assert cache.pages.put(URL, PAGE)
    assert open_cache(cache.directory).pages.get(URL) == PAGE
    cache.pages.put(URL, replace(PAGE, body=b"newer", etag=None))
    assert cache.pages.get(URL) == replace(PAGE, body=b"newer", etag=None)
    assert cache.pages.get(URL + "other/") is None
    cache.pages.forget(URL)
    assert cache.pages.get(URL) is None


def test_freshness_is_counted_to_the_second_given(cache: Cache) -> None:
    assert cache.pages.is_fresh(PAGE)
    assert not cache.pages.is_fresh(replace(PAGE, fresh_until=999.0))
    assert not cache.pages.is_fresh(replace(PAGE, fresh_until=0.0))


def test_credentials_are_neither_in_the_key_nor_on_the_disk(cache: Cache) -> None:
    secret = "https://user:hunter2@index.example/simple/demo/"
    cache.pages.put(secret, replace(PAGE, url=secret))
    assert cache.pages.get(URL) == PAGE
    stored = b"".join(path.read_bytes() for path in cache.directory.rglob("*") if path.is_file())
    assert b"hunter2" not in stored


@pytest.mark.parametrize(
    "contents",
    [b"", b"{", b"[]\nbody", b'{"length": 4}\nbody', b"\xff\n"],
    ids=["empty", "torn head", "no head", "no checksum", "no text"],
)
def test_what_is_no_stored_page_is_absent(cache: Cache, contents: bytes) -> None:
    cache.pages.put(URL, PAGE)
    _file(cache).write_bytes(contents)
    assert cache.pages.get(URL) is None


@pytest.mark.parametrize("cut", [-1, -10], ids=["one byte", "several"])
def test_a_torn_page_is_absent(cache: Cache, cut: int) -> None:
    cache.pages.put(URL, PAGE)
    file = _file(cache)
    file.write_bytes(file.read_bytes()[:cut])
    assert cache.pages.get(URL) is None


def test_a_changed_byte_is_noticed(cache: Cache) -> None:
    cache.pages.put(URL, PAGE)
    file = _file(cache)
    file.write_bytes(file.read_bytes().replace(b"files", b"filez"))
    assert cache.pages.get(URL) is None


def test_a_store_that_cannot_be_written_stores_nothing(cache: Cache) -> None:
    for name in ("tmp", "pages-v1", "metadata-v1"):
        folder = cache.directory / name
        folder.rmdir()
        folder.write_text("in the way")
    assert not cache.pages.put(URL, PAGE)
    assert cache.pages.get(URL) is None
    assert not cache.metadata.put("0" * 64, b"x")


def test_metadata_by_digest(cache: Cache) -> None:
    digest = "0123456789abcdef" * 4
    assert cache.metadata.get(digest) is None
    assert cache.metadata.put(digest, b"Name: demo\n")
    assert cache.metadata.get(digest) == b"Name: demo\n"
    cache.metadata.forget(digest)
    assert cache.metadata.get(digest) is None


@pytest.mark.parametrize("digest", ["", "../../../etc/passwd", "A" * 64, "0" * 63, "md5"])
def test_what_an_index_calls_a_digest_leads_nowhere(cache: Cache, digest: str) -> None:
    before = sorted(cache.directory.rglob("*"))
    assert not cache.metadata.put(digest, b"evil")
    assert cache.metadata.get(digest) is None
    cache.metadata.forget(digest)
    assert sorted(cache.directory.rglob("*")) == before


def test_folders_that_were_removed_are_made_again(cache: Cache) -> None:
    for name in ("tmp", "pages-v1"):
        (cache.directory / name).rmdir()
    assert cache.pages.put(URL, PAGE)
    assert cache.pages.get(URL) == PAGE
