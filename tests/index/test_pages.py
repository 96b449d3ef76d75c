"""Both formats of a page, by our reader and by pip's."""

from __future__ import annotations

import gc
import json
import sys
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import pytest
from packaging.utils import canonicalize_name

from kedge.errors import PageError
from kedge.index.files import files_of
from kedge.index.links import Link
from kedge.index.pages import ACCEPT, HTML, JSON, check_version, content_type, read_page
from kedge.index.simple_html import parse_html

URL = "https://i.example/simple/spam/"
DIGEST = "ab" * 32

#: Anchors that a page may hold; each must come out as pip has it.
ANCHORS = [
    pytest.param('<a href="a-1.zip">a</a>', id="plain"),
    pytest.param('<A HREF="a-1.zip">a</A>', id="capitals"),
    pytest.param("<a href=a-1.zip>a", id="unquoted and unclosed"),
    pytest.param(f'<a href="../../f/a-1.zip#sha256={DIGEST}">a</a>', id="relative with digest"),
    pytest.param('<base href="https://f.example/b/"><a href="a-1.zip">a</a>', id="base"),
    pytest.param(
        '<base href="https://f.example/b/"><base href="https://x.example/"><a href="a-1.zip">',
        id="the first base",
    ),
    pytest.param('<a href="a.zip?x=1&amp;y=2">a</a>', id="entities in the link"),
    pytest.param(
        '<a href="a.zip" data-requires-python="&gt;=3.8,&lt;4">', id="entities in a value"
    ),
    pytest.param('<a href="a.zip" data-requires-python="">', id="empty requires-python"),
    pytest.param('<a href="a.zip" data-yanked="">', id="yanked without a reason"),
    pytest.param('<a href="a.zip" data-yanked="it &quot;burns&quot;">', id="yanked"),
    pytest.param(f'<a href="a.zip" data-core-metadata="sha256={DIGEST}">', id="core-metadata"),
    pytest.param(f'<a href="a.zip" data-dist-info-metadata="sha256={DIGEST}">', id="the old name"),
    pytest.param(
        '<a href="a.zip" data-core-metadata="true" data-dist-info-metadata="sha256=0">',
        id="the new name wins",
    ),
    pytest.param('<a href="a.zip" data-core-metadata="true">', id="metadata without digest"),
    pytest.param('<a href="a.zip" data-core-metadata="blake3=00">', id="metadata, unknown digest"),
    pytest.param('<a href="a.zip" data-core-metadata="sha256=">', id="metadata, empty digest"),
    pytest.param('<a href="a.zip" data-gpg-sig="true">', id="gpg-sig is nothing"),
    pytest.param("<a name=top>no link</a><a href=''>neither</a>", id="no links"),
    pytest.param("<!-- <a href='a.zip'> -->", id="comment"),
    pytest.param("<script>'<a href=\"a.zip\">'</script>", id="script"),
    pytest.param("<a href='https://f.example/é%20b.zip'>", id="not ASCII"),
    pytest.param("<a href='git+https://f.example/x#egg=spam-1'>", id="a repository"),
]

ENTRIES = [
    pytest.param({"filename": "a.zip", "url": "a.zip", "hashes": {}}, id="least"),
    pytest.param({"url": "../../f/a.zip", "hashes": {"sha256": DIGEST}}, id="relative"),
    pytest.param({"url": "a.zip", "hashes": {}, "requires-python": ">=3"}, id="requires-python"),
    pytest.param({"url": "a.zip", "hashes": {}, "requires-python": None}, id="null"),
    pytest.param({"url": "a.zip", "hashes": {}, "yanked": False}, id="not yanked"),
    pytest.param({"url": "a.zip", "hashes": {}, "yanked": True}, id="yanked"),
    pytest.param({"url": "a.zip", "hashes": {}, "yanked": "burns"}, id="yanked with reason"),
    pytest.param({"url": "a.zip", "hashes": {}, "yanked": ""}, id="empty reason"),
    pytest.param({"url": "a.zip", "hashes": {}, "core-metadata": True}, id="metadata"),
    pytest.param({"url": "a.zip", "hashes": {}, "core-metadata": False}, id="no metadata"),
    pytest.param({"url": "a.zip", "hashes": {}, "core-metadata": {}}, id="metadata, no digest"),
    pytest.param(
        {"url": "a.zip", "hashes": {}, "core-metadata": {"sha256": DIGEST}}, id="metadata digest"
    ),
    pytest.param(
        {"url": "a.zip", "hashes": {}, "core-metadata": False, "dist-info-metadata": True},
        id="the new name wins",
    ),
    pytest.param(
        {"url": "a.zip", "hashes": {}, "dist-info-metadata": {"sha256": DIGEST}}, id="the old name"
    ),
    pytest.param(
        {"url": f"a.zip#sha256={DIGEST}", "hashes": {"md5": "0"}}, id="digests in both places"
    ),
    pytest.param(
        {
            "url": "a.zip",
            "hashes": {},
            "size": 3,
            "upload-time": "2024-05-01T10:11:12.123456Z",
            "provenance": None,
            "gpg-sig": True,
        },
        id="PEP 700 and 740",
    ),
]


def facts(link: Link) -> tuple[object, ...]:
    """What pip's Link and ours both know."""
    metadata = None if link.metadata is None else dict(link.metadata)
    return (link.url, link.filename, dict(link.hashes), link.requires_python, link.yanked, metadata)


def pip_facts(content_type: str, body: bytes) -> list[tuple[object, ...]]:
    collector = pytest.importorskip("pip._internal.index.collector")
    page = collector.IndexContent(body, content_type, None, URL, cache_link_parsing=False)
    return [
        (
            link.url_without_fragment,
            link.filename,
            link._hashes,
            link.requires_python,
            link.yanked_reason,
            None if link.metadata_file_data is None else link.metadata_file_data.hashes or {},
        )
        for link in collector.parse_links(page)
    ]


@pytest.mark.parametrize("anchor", ANCHORS)
def test_html_is_read_as_pip_reads_it(anchor: str) -> None:
    body = f"<!DOCTYPE html><html><body>{anchor}</body></html>".encode()
    ours = read_page(URL, {"Content-Type": "text/html"}, body)
    assert [facts(link) for link in ours.links] == pip_facts("text/html", body)


@pytest.mark.parametrize(
    ("base", "url"),
    [("/b/", "https://i.example/b/a.zip"), ("../", "https://i.example/simple/a.zip")],
)
def test_a_relative_base_is_relative_to_the_page(base: str, url: str) -> None:
    # Where pip takes it as it stands, and ends up with no address at all.
    body = f'<base target="x"><base href="{base}"><base href="/c/"><a href="a.zip">'.encode()
    assert read_page(URL, {"Content-Type": HTML}, body).links[0].url == url


@pytest.mark.parametrize("entry", ENTRIES)
def test_json_is_read_as_pip_reads_it(entry: dict[str, object]) -> None:
    body = json.dumps({"meta": {"api-version": "1.1"}, "name": "spam", "files": [entry]}).encode()
    ours = read_page(URL, {"Content-Type": JSON}, body)
    assert [facts(link) for link in ours.links] == pip_facts(JSON, body)


def test_json_tells_size_and_the_stated_file_name() -> None:
    entry = {"url": "https://f.example/get?id=7", "filename": "spam-1.zip", "hashes": {}, "size": 9}
    body = json.dumps({"files": [entry]}).encode()
    link = read_page(URL, {"content-type": JSON}, body).links[0]
    assert (link.filename, link.size) == ("spam-1.zip", 9)


def test_a_valueless_yanked_attribute_means_yanked() -> None:
    page = read_page(URL, {"Content-Type": HTML}, b"<a href=a.zip data-yanked>a</a><a href=b.zip>")
    assert [link.yanked for link in page.links] == ["", None]


def test_a_base_that_is_no_url_is_passed_over() -> None:
    page = read_page(URL, {"Content-Type": HTML}, b"<base href='http://[x'><a href=a.zip>")
    assert page.links[0].url == f"{URL}a.zip"


def test_metadata_that_is_denied_is_not_there() -> None:
    page = read_page(URL, {"Content-Type": HTML}, b"<a href=a.zip data-core-metadata=False>")
    assert page.links[0].metadata is None


def test_the_title_is_the_first_one() -> None:
    page = parse_html("before<title>One\n page</title>after<svg><title>Two</title></svg>", URL)
    assert page.title == "One page"


def test_a_link_that_is_no_url_is_passed_over() -> None:
    body = b"<a href='http://[x/a.zip'>a</a><a href=b.zip>b</a>"
    assert [link.filename for link in read_page(URL, {"Content-Type": HTML}, body).links] == [
        "b.zip"
    ]


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({"content-TYPE": "Text/HTML; charset=Latin-1"}, ("text/html", "Latin-1")),
        ({"Content-Type": 'text/html;charset="utf-8"'}, ("text/html", "utf-8")),
        ({"Content-Type": JSON}, (JSON, None)),
        ({}, ("", None)),
    ],
)
def test_the_media_type_is_told_apart(
    headers: Mapping[str, str], expected: tuple[str, str | None]
) -> None:
    assert content_type(headers) == expected


def test_the_charset_is_obeyed() -> None:
    body = '<a href="a-1.zip" data-yanked="é">'.encode("latin-1")
    page = read_page(URL, {"Content-Type": "text/html; charset=latin-1"}, body)
    assert page.links[0].yanked == "é"
    unknown = read_page(URL, {"Content-Type": "text/html; charset=klingon"}, b"<a href=a.zip>")
    assert len(unknown.links) == 1


def test_json_is_preferred_and_html_accepted() -> None:
    weights = dict(part.strip().partition(";q=")[::2] for part in ACCEPT.split(","))
    assert weights == {JSON: "", HTML: "0.2", "text/html": "0.01"}


NOT_PAGES = [
    pytest.param("application/json", b"{}", ["application/json"], id="other json"),
    pytest.param("", b"", ["content type"], id="no type"),
    pytest.param(
        "text/plain", b"<html><title>Sign in</title>", ["text/plain", "Sign in"], id="title told"
    ),
    pytest.param(JSON, b"<html>", ["not JSON"], id="not json at all"),
    pytest.param(JSON, b"[]", ["object"], id="a list"),
    pytest.param(JSON, b'{"projects": []}', ["files"], id="the list of projects"),
    pytest.param(JSON, b'{"files": [{"filename": "a"}]}', ["files[0]", "url"], id="no url"),
    pytest.param(JSON, b'{"files": [{"url": "a", "hashes": {}}, 7]}', ["files[1]"], id="a number"),
    pytest.param(JSON, b'{"files": [{"url": 7, "hashes": {}}]}', ["files[0]", "7"], id="bad url"),
    pytest.param(
        JSON, b'{"files": [{"url": "a", "hashes": ["x"]}]}', ["files[0]"], id="bad hashes"
    ),
    pytest.param(
        "text/html",
        b"<title>Hotel\n WLAN</title><form><input name=room></form><a href=terms.html>t</a>",
        ["Hotel WLAN"],
        id="captive portal",
    ),
    pytest.param(
        "text/html", b"<form><INPUT TYPE=Password></form>", ["person"], id="a login, untitled"
    ),
]


@pytest.mark.parametrize(("kind", "body", "words"), NOT_PAGES)
def test_what_is_no_index_page_is_an_error_that_names_it(
    kind: str, body: bytes, words: list[str]
) -> None:
    with pytest.raises(PageError) as caught:
        read_page("https://u:secret@i.example/simple/spam/", {"Content-Type": kind}, body)
    assert all(word in caught.value.message for word in [*words, "i.example"])
    assert "secret" not in f"{caught.value.message}{caught.value.url}"


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"<title>Links for spam</title><h1>Links for spam</h1>", id="no files left"),
        pytest.param(
            b"<form><input name=search></form><a href=spam-1.zip>", id="search box over the files"
        ),
        pytest.param(
            b'<form action="refresh"><input type="submit" value="Refresh"></form>', id="a button"
        ),
        pytest.param(
            b'<meta name="pypi:repository-version" content="1.0"><input name=search>',
            id="an index that says so",
        ),
    ],
)
def test_a_page_of_an_index_may_be_bare(body: bytes) -> None:
    read_page(URL, {"Content-Type": "text/html"}, body)


@pytest.mark.parametrize(
    ("version", "warned"),
    [
        (None, False),
        ("1.0", False),
        ("1.4", False),
        ("1.5", True),
        ("1.99", True),
        ("nonsense", False),
        ("x.99", False),
        ("1.x", False),
    ],
)
def test_minor_versions_warn(version: str | None, warned: bool) -> None:
    warning = check_version(version, URL)
    assert (warning != "") is warned
    assert not warned or (version is not None and version in warning)


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        (JSON, b'{"meta": {"api-version": "2.0"}, "files": []}'),
        (HTML, b'<meta name="pypi:repository-version" content="2.0">'),
    ],
)
def test_an_unknown_major_version_is_an_error(kind: str, body: bytes) -> None:
    with pytest.raises(PageError, match=r"2\.0"):
        read_page(URL, {"Content-Type": kind}, body)


@pytest.mark.parametrize("noise", ["<![x[ y ]]>", "<![if !IE]>", "<! x>", "<?x>", "</ >"])
def test_what_is_no_html_hides_no_link(noise: str) -> None:
    """html.parser fails at some of it, and pip with it."""
    page = parse_html(f"<a href='x-1.zip'></a>{noise}<a href='x-2.zip'></a>", URL)
    assert [link.filename for link in page.links] == ["x-1.zip", "x-2.zip"]


def test_tags_without_end_do_not_take_for_ever() -> None:
    """A page of 600 kB kept html.parser busy for hours."""
    page = parse_html("<a href='x-1.zip'></a>" + "<a " * 200_000, URL)
    assert [link.filename for link in page.links] == ["x-1.zip"]


def page_of(count: int, *, version: int) -> bytes:
    """A page as PyPI's of so many files, whose versions are found on no other page."""
    files = [
        {
            "filename": f"spam-{version}.{number}-py3-none-any.whl",
            "url": f"https://f.example/packages/aa/spam-{version}.{number}-py3-none-any.whl",
            "hashes": {"sha256": DIGEST},
            "requires-python": ">=3.8",
            "size": number,
            "upload-time": "2024-05-01T10:11:12.123456Z",
            "yanked": False,
        }
        for number in range(count)
    ]
    return json.dumps({"meta": {"api-version": "1.1"}, "files": files}).encode()


def counted(work: Callable[[], object]) -> tuple[Any, int]:
    """What it makes, and how many calls that took, of Python's own functions too."""
    calls = 0

    def count(_: object, event: str, __: object) -> None:
        nonlocal calls
        calls += event in ("call", "c_call")

    gc.disable()  # what it finds may have functions to call
    sys.setprofile(count)
    try:
        made = work()
    finally:
        sys.setprofile(None)
        gc.enable()
    return made, calls


def test_reading_a_page_of_thousands_looks_at_none_of_its_files() -> None:
    """And each takes a few calls once all are asked for, however many there are."""
    name = canonicalize_name("spam")
    to_read, to_look = [], []
    for version, count in enumerate((1000, 2000, 4000)):
        body = page_of(count, version=version)
        page, calls = counted(partial(read_page, URL, {"Content-Type": JSON}, body))
        to_read.append(calls)
        files = files_of(name, page.links, index="", page_verified=True)
        found, calls = counted(partial(list, files))
        to_look.append(calls / count)
        assert len(found) == count
    # The first also makes the expressions that know such pages.
    assert to_read[1] == to_read[2] < 500
    assert max(to_look) < 100
    assert to_look[2] < 1.1 * to_look[1]
