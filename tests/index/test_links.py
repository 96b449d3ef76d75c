from __future__ import annotations

import pytest

from kedge.index.links import absolute_url, filename_of, fragment_hashes, link_from, stated_hashes

BASE = "https://i.example/simple/spam/"
ABSOLUTE = [
    pytest.param("https://f.example/a-1.zip", "https://f.example/a-1.zip", id="absolute"),
    pytest.param("../../files/a-1.zip", "https://i.example/files/a-1.zip", id="relative"),
    pytest.param("/files/a-1.zip", "https://i.example/files/a-1.zip", id="from the root"),
    pytest.param("//cdn.example/a-1.zip", "https://cdn.example/a-1.zip", id="same scheme"),
    pytest.param("a 1.zip", f"{BASE}a%201.zip", id="space"),
    pytest.param("a%201.zip", f"{BASE}a%201.zip", id="quoted once only"),
    pytest.param("a-1+cpu.zip", f"{BASE}a-1%2Bcpu.zip", id="plus, which S3 takes for a space"),
    pytest.param("a%2Fb@c.zip", f"{BASE}a%2Fb@c.zip", id="reserved characters keep their meaning"),
    pytest.param("a%2fb.zip", f"{BASE}a%2Fb.zip", id="escapes in capitals"),
    pytest.param("é.zip", f"{BASE}%C3%A9.zip", id="not ASCII"),
    pytest.param("a.zip?sig=x%2By&z=1", f"{BASE}a.zip?sig=x%2By&z=1", id="query kept"),
    pytest.param("a.zip#sha256=0", f"{BASE}a.zip#sha256=0", id="fragment kept"),
    pytest.param(" a.zip\n", f"{BASE}a.zip", id="stray white space"),
]


@pytest.mark.parametrize(("href", "expected"), ABSOLUTE)
def test_links_are_seen_from_their_page(href: str, expected: str) -> None:
    assert absolute_url(BASE, href) == expected


@pytest.mark.parametrize(("href", "expected"), ABSOLUTE)
def test_links_are_read_as_pip_reads_them(href: str, expected: str) -> None:
    link = pytest.importorskip("pip._internal.models.link").Link
    if href != href.strip():
        pytest.skip("pip quotes the white space around a link")
    theirs = link.from_json({"url": href}, BASE)
    ours = link_from(BASE, href)
    assert (ours.url, ours.filename) == (theirs.url_without_fragment, theirs.filename)


FRAGMENTS = [
    pytest.param("", (), None, id="none"),
    pytest.param("#sha256=AB", (("sha256", "AB"),), None, id="digest"),
    pytest.param("#md5=0&sha256=1", (("md5", "0"), ("sha256", "1")), None, id="two digests"),
    pytest.param("#egg=spam-1.0", (), "spam-1.0", id="egg"),
    pytest.param("#egg=spam&sha1=7", (("sha1", "7"),), "spam", id="egg and digest"),
    pytest.param("#mysha256=1", (), None, id="not the name of an algorithm"),
    pytest.param("#subdirectory=a", (), None, id="something else"),
]


@pytest.mark.parametrize(("fragment", "hashes", "egg"), FRAGMENTS)
def test_fragments_tell_digests_and_eggs(
    fragment: str, hashes: tuple[tuple[str, str], ...], egg: str | None
) -> None:
    link = link_from(BASE, f"https://f.example/a-1.zip{fragment}")
    assert (link.url, link.hashes, link.egg) == ("https://f.example/a-1.zip", hashes, egg)


@pytest.mark.parametrize(
    ("pairs", "expected"),
    [
        pytest.param((), set(), id="nothing stated"),
        pytest.param((("md5", "AA"),), {("md5", "aa")}, id="weak alone"),
        pytest.param((("md5", "a"), ("sha256", "B")), {("sha256", "b")}, id="weak beside strong"),
        pytest.param(
            (("sha512", "a"), ("sha256", "b")),
            {("sha512", "a"), ("sha256", "b")},
            id="two strong",
        ),
        pytest.param((("blake3", "a"),), set(), id="unknown"),
    ],
)
def test_a_weak_digest_never_stands_beside_a_strong_one(
    pairs: tuple[tuple[str, str], ...], expected: set[tuple[str, str]]
) -> None:
    assert stated_hashes(pairs).allowed == expected


def test_a_direct_url_demands_what_its_fragment_says() -> None:
    hashes = fragment_hashes("https://f.example/a.whl#subdirectory=x&sha256=AbC&md5=0")
    assert hashes.allowed == {("sha256", "abc")}


@pytest.mark.parametrize(
    ("url", "filename"),
    [
        ("https://f.example/a/b-1.zip", "b-1.zip"),
        ("https://f.example/a/b%2B1.zip?x=/y", "b+1.zip"),
        ("https://f.example/a/b.zip/", "b.zip"),
        ("https://f.example", ""),
    ],
)
def test_the_file_name_is_the_last_segment_decoded(url: str, filename: str) -> None:
    assert filename_of(url) == filename


def test_what_is_no_url_is_a_value_error() -> None:
    with pytest.raises(ValueError, match="IPv6"):
        link_from(BASE, "http://[broken/a.zip")
