"""A page that is looked through says what the reader of JSON says of it, or nothing."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest

from kedge.index import kept, usual
from kedge.index.entries import Links
from kedge.index.pages import JSON, Page, read_page
from kedge.index.simple_json import NotSimpleJsonError, parse_json, stated_version
from kedge.index.usual import look_through

URL = "https://i.example/simple/spam/"
DIGEST = "ab" * 32
SPACED = (", ", ": ")
COMPACT = (",", ":")


@pytest.fixture(params=["short", "long"], autouse=True)
def length(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a long page the entries are expected to be alike; here every page counts as one, too."""
    if request.param == "long":
        monkeypatch.setattr(usual, "_LONG", 0)


def entry(number: int, **more: Any) -> dict[str, Any]:
    name = f"spam-1.{number}-py3-none-any.whl"
    return {
        "core-metadata": {"sha256": DIGEST},
        "data-dist-info-metadata": {"sha256": DIGEST},
        "filename": name,
        "hashes": {"sha256": DIGEST},
        "provenance": None,
        "requires-python": ">=3.8",
        "size": number,
        "upload-time": "2024-05-01T10:11:12.123456Z",
        "url": f"https://f.example/packages/aa/{name}",
        "yanked": False,
        **more,
    }


def page_of(*entries: dict[str, Any], separators: tuple[str, str] = SPACED) -> bytes:
    page = {
        "alternate-locations": [],
        "files": list(entries),
        "meta": {"_last-serial": 7, "api-version": "1.4"},
        "name": "spam",
        "versions": ["1.0", "1.1"],
    }
    return json.dumps(page, separators=separators, ensure_ascii=False).encode()


@pytest.mark.parametrize("separators", [SPACED, COMPACT])
@pytest.mark.parametrize(
    "entries",
    [
        pytest.param([entry(0), entry(1)], id="as PyPI's"),
        pytest.param([dict(reversed(entry(0).items()))], id="in another order"),
        pytest.param([{key: entry(0)[key] for key in ("url", "filename")}], id="the least"),
        pytest.param([entry(0, **{"requires-python": None, "hashes": {}})], id="nothing stated"),
        pytest.param([entry(0, yanked="it is bröken"), entry(1, yanked=True)], id="yanked"),
        pytest.param([entry(0, **{"core-metadata": False}), entry(1)], id="no metadata"),
        pytest.param([entry(0, url=entry(1)["url"]), entry(1)], id="an address twice"),
        pytest.param([entry(0), dict(reversed(entry(1).items())), entry(2)], id="not alike"),
        pytest.param([entry(0), entry(1, **{"a.b+c": 1})], id="one key more"),
        pytest.param([entry(0, **{"a.b+c": 1, "é": ""}), entry(1)], id="one key less"),
    ],
)
def test_what_indexes_write_is_looked_through(
    entries: list[dict[str, Any]], separators: tuple[str, str]
) -> None:
    body = page_of(*entries, separators=separators)
    found = look_through(body)
    assert found is not None
    links, stated = found
    parsed = parse_json(body, URL)
    assert tuple(links) == parsed.links
    assert links.filenames == tuple(link.filename for link in parsed.links)
    assert links.is_plain == Links.of(parsed.links).is_plain
    assert stated_version(stated) == parsed.version == "1.4"
    assert kept.load(kept.dump(Page(links))) == Page(links)


#: What a page may have in a place of each of these, well-formed or not.
INSTEAD = [
    *(
        b'"',
        b"'",
        b"\\",
        b",",
        b", ",
        b":",
        b": ",
        b"{",
        b"}",
        b"[",
        b"]",
        b"{}",
        b"[]",
        b"\n",
        b"\0",
    ),
    *(
        b"true",
        b"null",
        b"NaN",
        b"-1",
        b"01",
        b"1.5",
        b"1e3",
        b"9" * 5000,
        b"\xff",
        b"\xed\xa0\x80",
    ),
    *(b'"url"', b'"url": 7, ', b'"url": "a.zip", ', b'"filename": "", ', b'"filename": null, '),
    *(b'"hashes": null, ', b'"hashes": {"a": 1}, ', b'"hashes": {"a": "b", "c": "d"}, '),
    *(b'"files": [{', b'"files": "the files of this page", ', b"/", b"", b"", b"", b""),
]


@pytest.mark.parametrize("seed", range(10))
def test_it_never_says_anything_else_than_the_reader_of_json(seed: int) -> None:
    rng = random.Random(seed)
    separators = rng.choice([SPACED, COMPACT])
    body = page_of(entry(0), entry(1, yanked="é"), separators=separators)
    told = 0
    for _ in range(1500):
        damaged = bytearray(body)
        for _ in range(rng.choice([1, 1, 2])):
            place = rng.randrange(len(damaged))
            damaged[place : place + rng.choice([0, 1, 1, 2, 10])] = rng.choice(INSTEAD)
        found = look_through(bytes(damaged))
        try:
            parsed = parse_json(bytes(damaged), URL)
        except NotSimpleJsonError:
            assert found is None, bytes(damaged)
            continue
        if found is not None:
            told += 1
            assert tuple(found[0]) == parsed.links, bytes(damaged)
            assert found[0].filenames == tuple(link.filename for link in parsed.links)
            assert found[0].is_plain == Links.of(parsed.links).is_plain
            assert stated_version(found[1]) == parsed.version
    assert told > 100


@pytest.mark.parametrize(
    ("good", "bad"),
    [
        pytest.param('"yanked": false}', '"yanked": false, }', id="a comma too many"),
        pytest.param("}]", "}, ]", id="another"),
        pytest.param("}]", '}, {"yanked": false}]', id="a file without an address"),
        pytest.param('">=3.8"', "3.8", id="a Python that is a number"),
        pytest.param('"2024-05-01T10:11:12.123456Z"', "2024", id="a time that is a number"),
        pytest.param(f'{{"sha256": "{DIGEST}"}}', f'"{DIGEST}"', id="digests that are a string"),
        pytest.param('"size": 1', '"size": 01', id="no number in JSON"),
        pytest.param("bröken", "bro\nken", id="a line's end in a string"),
    ],
)
def test_what_is_refused_is_not_looked_through(good: str, bad: str) -> None:
    text = page_of(entry(0), entry(1, yanked="bröken")).decode()
    assert good in text
    body = bad.join(text.rsplit(good, 1)).encode()
    assert look_through(body) is None
    with pytest.raises(NotSimpleJsonError):
        parse_json(body, URL)


def test_what_ends_too_early_is_not_looked_through() -> None:
    whole = json.dumps({"files": [entry(0)]})
    assert look_through(whole.encode()) is not None
    assert look_through(whole.replace("}]}", "}, {}").encode()) is None


def test_files_of_something_else_are_not_the_pages() -> None:
    inner = b'{"meta": {"files": [%b]}, "files": %b}' % (json.dumps(entry(0)).encode(), b"[]")
    assert read_page(URL, {"Content-Type": JSON}, inner).links == ()
    sentinel = inner.replace(b'"files": []', b'"files": "the files of this page"')
    with pytest.raises(NotSimpleJsonError):
        parse_json(sentinel, URL)
    assert look_through(sentinel) is None
