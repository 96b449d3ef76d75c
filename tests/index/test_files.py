from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from packaging.tags import parse_tag
from packaging.utils import InvalidWheelFilename, canonicalize_name, parse_wheel_filename
from packaging.version import Version

from index.lookups import a_file
from kedge.errors import WheelError
from kedge.index import Link, direct_file
from kedge.index.files import files_of, sdist_version, split_extension, wheel_version
from kedge.model import Hashes

NAME = canonicalize_name("spam-eggs")


def test_a_wheel_tells_version_build_and_tags() -> None:
    file = a_file("spam-eggs", "Spam_Eggs-1.0.post1-12abc-cp310.cp311-abi3-linux_x86_64.whl")
    assert (file.name, file.version, file.build) == ("spam-eggs", Version("1.0.post1"), (12, "abc"))
    assert file.is_wheel
    assert file.tags == parse_tag("cp310.cp311-abi3-linux_x86_64")


@pytest.mark.parametrize(
    ("filename", "version"),
    [
        ("spam-eggs-1.0.tar.gz", "1.0"),
        ("spam_eggs-1.0.zip", "1.0"),
        ("Spam.Eggs-1.0-rc1.tar.bz2", "1.0rc1"),
        ("spam--eggs-1.tgz", "1"),
        ("spam-eggs-1.0.tar.xz", "1.0"),
        ("spam-eggs-1.0.TAR.gz", None),
        ("spam-eggs-1.0.egg", None),
        ("spam-eggs-1.0.win32.exe", None),
        ("spam-eggs-extra-1.0.tar.gz", None),
        ("spam-1.0.tar.gz", None),
        ("spam-eggs.tar.gz", None),
        ("spam-eggs-1.0.linux-x86_64.tar.gz", None),
        ("../spam-eggs-1.0.tar.gz", None),
        ("spam-eggs-1.0", None),
        ("", None),
    ],
)
def test_source_distributions_are_told_by_the_name_asked_for(
    filename: str, version: str | None
) -> None:
    link = Link(url=f"https://f.example/{filename}", filename=filename)
    found = [file.version for file in files_of(NAME, [link], index="", page_verified=True)]
    assert found == ([Version(version)] if version else [])


WORDS = (
    "spam_eggs Spam.Eggs spam__eggs spam 1.0 1.0+cpu.1 1_0 v1 1.0-1 2abc b2 py3 py2.py3 cp3! none "
    "any win32.linux a..b 3py é"
)
parts = st.sampled_from([*WORDS.split(), ""])


WHEELS = [
    "spam_eggs-1.0-py3-none-any.whl",
    "spam_eggs-1.0-1-py3-none-any.whl",
    "spam_eggs-1.0-1-2-py3-none-any.whl",
    "spam_eggs-1.0-py3-none.whl",
    "spam_eggs-1.0-x1-py3-none-any.whl",
    "spam_eggs-1.0-py3-none-a.whl",
    "spam_eggs-1.0-py3-none-.whl",
    "spam__eggs-1.0-py3-none-any.whl",
    "spam_eggs-one-py3-none-any.whl",
    "spam_eggs-1.0-py3-none-any.zip",
    "spam_eggs-1.0-py3-none-any",
]


@pytest.mark.parametrize("filename", WHEELS)
def test_these_wheel_names_are_judged_as_packaging_judges_them(filename: str) -> None:
    try:
        expected = parse_wheel_filename(filename)[1]
    except InvalidWheelFilename:
        expected = None
    assert wheel_version(filename, NAME) == expected


def test_a_wheel_named_by_an_egg_fragment_is_no_wheel() -> None:
    # What it is installed as would not be what its file name says.
    link = Link(url="https://f.example/x.whl", filename="x.whl", egg="spam_eggs-3.0")
    (file,) = files_of(NAME, [link], index="", page_verified=True)
    assert (file.is_wheel, file.tags) == (False, frozenset())


def test_a_file_says_where_it_is_from() -> None:
    assert str(a_file("spam-eggs", "spam_eggs-1.0.zip")) == "spam_eggs-1.0.zip from an index"
    direct = direct_file("https://u:pw@f.example/spam_eggs-1.0-py3-none-any.whl")
    assert str(direct).endswith("from https://u:****@f.example/spam_eggs-1.0-py3-none-any.whl")
    assert direct.page_verified


@example("-1.0-py3-none-any", ".whl")
@given(st.lists(parts, min_size=3, max_size=7).map("-".join), st.sampled_from([".whl", ".WHL", ""]))
def test_wheel_names_are_judged_as_packaging_judges_them(stem: str, extension: str) -> None:
    filename = stem + extension
    try:
        name, version, build, tags = parse_wheel_filename(filename)
    except InvalidWheelFilename:
        name = canonicalize_name(stem.partition("-")[0])
        assert wheel_version(filename, name) is None
        return
    assert wheel_version(filename, name) == version
    assert wheel_version(filename, canonicalize_name("another")) is None
    file = a_file(name, filename)
    assert (file.build, file.tags) == (build, tags)


def test_a_tag_set_that_explodes_is_not_computed() -> None:
    many = ".".join(f"py{number}" for number in range(200))
    assert wheel_version(f"spam_eggs-1-{many}-{many}-{many}.whl", NAME) is None


def test_each_url_counts_once_and_eggs_come_last() -> None:
    links = [
        Link(url="https://f.example/x", filename="x", egg="spam_eggs-3.0"),
        Link(url="https://f.example/1", filename="spam_eggs-1.0.zip"),
        Link(url="https://f.example/1", filename="spam_eggs-1.0.zip"),
        Link(url="https://f.example/2", filename="spam_eggs-2.0-py3-none-any.whl"),
    ]
    found = list(files_of(NAME, links, index="here", page_verified=False))
    assert [str(file.version) for file in found] == ["1.0", "2.0", "3.0"]
    assert [file.is_wheel for file in found] == [False, True, False]
    assert {(file.index, file.page_verified) for file in found} == {("here", False)}


def test_what_the_page_says_comes_through() -> None:
    file = a_file(
        "spam-eggs",
        "spam_eggs-1.0-py3-none-any.whl",
        hashes=(("sha256", "AB"), ("md5", "0")),
        requires_python=">=3.9",
        yanked="broken",
        metadata=(("sha256", "CD"),),
        size=17,
    )
    assert file.hashes == Hashes.of({"sha256": "ab"})
    assert (file.requires_python, file.yanked, file.size) == (">=3.9", "broken", 17)
    assert (file.metadata, file.metadata_hashes) == (True, Hashes.of({"sha256": "cd"}))
    bare = a_file("spam-eggs", "spam_eggs-1.0.zip")
    assert (bare.metadata, bare.yanked, bare.tags, bare.build) == (False, None, frozenset(), ())
    assert bare.local is None


def test_files_are_values_that_can_be_keys() -> None:
    one, two = (a_file("spam-eggs", "spam_eggs-1.0.zip") for _ in range(2))
    assert {one: 1}[two] == 1


def test_a_direct_url_names_its_wheel() -> None:
    url = "https://u:pw@f.example/x/spam_eggs-1.0%2Bcpu-py3-none-any.whl#sha256=AB"
    file = direct_file(url)
    assert file.filename == "spam_eggs-1.0+cpu-py3-none-any.whl"
    assert file.url == url.partition("#")[0]
    assert (file.name, file.version) == ("spam-eggs", Version("1.0+cpu"))
    assert file.hashes == Hashes.of({"sha256": "ab"})
    given = Hashes.of({"sha512": "cc"})
    assert direct_file(url, hashes=given).hashes == given


def test_a_direct_url_of_something_else_is_refused() -> None:
    with pytest.raises(WheelError) as caught:
        direct_file("https://u:pw@f.example/spam-1.0.tar.gz")
    assert caught.value.wheel == "spam-1.0.tar.gz"
    assert "pw" not in str(caught.value)


@pytest.mark.parametrize(
    ("filename", "split"),
    [
        ("a-1.tar.gz", ("a-1", ".tar.gz")),
        ("a-1.whl", ("a-1", ".whl")),
        ("a-1.TAR.GZ", ("a-1", ".TAR.GZ")),
        ("a", ("a", "")),
    ],
)
def test_extensions_take_tar_along(filename: str, split: tuple[str, str]) -> None:
    assert split_extension(filename) == split


def test_the_first_dash_that_ends_the_name_counts() -> None:
    assert sdist_version("spam-eggs-1", NAME) == Version("1")
    assert sdist_version("spam-eggs-1-2", NAME) == Version("1.post2")
    assert sdist_version("spam-1", NAME) is None
