from __future__ import annotations

import os
from collections.abc import Callable
from itertools import product
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from kedge.errors import RequirementError
from kedge.model import URL_IN_TEXT, Hashes, Origin, OriginKind, redact_text
from kedge.requirements import Requested, RequestedKind, arguments, parse_argument

HERE = Origin(OriginKind.FILE, path="reqs.txt", line=3)
SHA = "ab" * 32
WHEEL = "spam-1.0-py3-none-any.whl"


def parse(text: str, folder: Path | None = None, *, editable: bool = False) -> Requested:
    return parse_argument(text, HERE, directory=folder, editable=editable)


NAMED = [
    pytest.param("spam", ("spam", "", [], None), id="name"),
    pytest.param("Spam.Eggs==1.0", ("spam-eggs", "==1.0", [], None), id="normalised"),
    pytest.param("spam >= 1, <2", ("spam", "<2,>=1", [], None), id="specifiers"),
    pytest.param("spam(>=1)", ("spam", ">=1", [], None), id="parentheses"),
    pytest.param("spam[A_b, c]~=1.0", ("spam", "~=1.0", ["a-b", "c"], None), id="extras"),
    pytest.param("spam===1.0-x", ("spam", "===1.0-x", [], None), id="arbitrary equality"),
    pytest.param(
        "spam; python_version<'3' and extra=='x'",
        ("spam", "", [], 'python_version < "3" and extra == "x"'),
        id="marker",
    ),
    pytest.param("spam==1;", ("spam", "==1", [], None), id="empty marker"),
]


@pytest.mark.parametrize(("text", "expected"), NAMED)
def test_a_name_for_an_index(text: str, expected: tuple[object, ...]) -> None:
    found = parse(text)
    marker = str(found.marker) if found.marker else None
    assert (found.name, str(found.specifier), sorted(found.extras), marker) == expected
    assert (found.kind, found.url, found.needs_build) == (RequestedKind.INDEX, None, False)
    assert (found.origin, found.text) == (HERE, text)


def test_a_bare_name_is_read_as_the_parser_would_read_it() -> None:
    """Every short word of the characters that names and extras have, alone and as an extra."""

    def by_the_parser(word: str) -> object:
        found = Requirement(word)
        extras = frozenset(map(canonicalize_name, found.extras))
        return found.name, extras, found.specifier, found.url

    def outcome(read: Callable[[str], object], word: str) -> object:
        try:
            return read(word)
        except ValueError:
            return None

    pieces = ["".join(piece) for n in range(5) for piece in product("aZ0._-[, ", repeat=n)]
    words = [word.strip() for piece in pieces for word in (piece, f"a[{piece}]")]
    differing = [w for w in words if outcome(arguments._parsed, w) != outcome(by_the_parser, w)]
    assert differing == []
    assert sum(arguments._PLAIN.fullmatch(word) is not None for word in words) > 1000


URLS = [
    pytest.param(f"https://f.example/{WHEEL}", RequestedKind.WHEEL, "spam", id="wheel"),
    pytest.param(f"HTTPS://f.example/{WHEEL}", RequestedKind.WHEEL, "spam", id="capitals"),
    pytest.param(
        f"https://f.example/{WHEEL}?t=1#sha256=00", RequestedKind.WHEEL, "spam", id="rest"
    ),
    pytest.param("https://f.example/spam-1.0.tar.gz", RequestedKind.SOURCE, None, id="archive"),
    pytest.param("https://f.example/main", RequestedKind.SOURCE, None, id="anything"),
    pytest.param("https://f.example/x.zip#egg=Spam", RequestedKind.SOURCE, "spam", id="egg"),
    pytest.param("git+https://f.example/x", RequestedKind.VCS, None, id="git"),
    pytest.param("git+ssh://git@f.example/x@v1#egg=spam", RequestedKind.VCS, "spam", id="git+ssh"),
    pytest.param("hg+https://f.example/x", RequestedKind.VCS, None, id="hg"),
]


@pytest.mark.parametrize(("url", "kind", "name"), URLS)
def test_a_bare_url(url: str, kind: RequestedKind, name: str | None) -> None:
    found = parse(url)
    assert (found.kind, found.url, found.name) == (kind, url, name)
    assert found.needs_build is (kind is not RequestedKind.WHEEL)
    assert str(found.specifier) == ("==1.0" if kind is RequestedKind.WHEEL else "")


@pytest.mark.parametrize(("url", "kind", "name"), URLS)
def test_a_named_url(url: str, kind: RequestedKind, name: str | None) -> None:
    found = parse(f"Spam[Extra] @ {url}")
    assert (found.kind, found.url, found.name) == (kind, url, "spam")
    assert found.extras == {"extra"}


def test_a_marker_behind_a_url() -> None:
    bare = parse(f"https://f.example/a;b/{WHEEL} ; python_version > '3'")
    assert bare.url == f"https://f.example/a;b/{WHEEL}"
    named = parse(f"spam @ https://f.example/{WHEEL} ; python_version > '3'")
    assert named.url == f"https://f.example/{WHEEL}"
    for found in (bare, named):
        assert str(found.marker) == 'python_version > "3"'


def test_a_url_without_spaces_round_the_at() -> None:
    found = parse(f"spam@https://f.example/{WHEEL}")
    assert (found.kind, found.name) == (RequestedKind.WHEEL, "spam")


PATHS = [
    pytest.param(f"./{WHEEL}", WHEEL, RequestedKind.WHEEL, "spam", id="wheel"),
    pytest.param(WHEEL, WHEEL, RequestedKind.WHEEL, "spam", id="wheel without a dot"),
    pytest.param(f"sub dir/{WHEEL}", f"sub dir/{WHEEL}", RequestedKind.WHEEL, "spam", id="space"),
    pytest.param(f"project/../{WHEEL}", WHEEL, RequestedKind.WHEEL, "spam", id="by detours"),
    pytest.param("./spam-1.0.tar.gz", "spam-1.0.tar.gz", RequestedKind.SOURCE, None, id="archive"),
    pytest.param("./project", "project", RequestedKind.FOLDER, None, id="project"),
    pytest.param("old/", "old", RequestedKind.FOLDER, None, id="project with setup.py"),
]


@pytest.mark.parametrize(("text", "path", "kind", "name"), PATHS)
def test_a_path(folder: Path, text: str, path: str, kind: RequestedKind, name: str | None) -> None:
    for word in (text, str(folder / path), (folder / path).as_uri()):
        found = parse(word, folder)
        assert (found.kind, found.url, found.name) == (kind, (folder / path).as_uri(), name)


def test_extras_and_markers_behind_a_path(folder: Path) -> None:
    found = parse(f"./{WHEEL}[Some_Extra]; python_version > '3'", folder)
    assert (found.name, sorted(found.extras)) == ("spam", ["some-extra"])
    assert str(found.marker) == 'python_version > "3"'
    assert found.url == (folder / WHEEL).as_uri()
    assert parse("./project[x]", folder).extras == {"x"}


def test_relative_file_urls_begin_where_paths_begin(folder: Path) -> None:
    url = (folder / WHEEL).as_uri()
    assert parse(f"file:{WHEEL}", folder).url == url
    assert parse(f"file:project/../{WHEEL}#sha256={SHA}", folder).url == f"{url}#sha256={SHA}"


def test_a_folder_of_a_projects_name_is_no_path(folder: Path) -> None:
    assert parse("project", folder).kind is RequestedKind.INDEX


def test_paths_are_relative_to_the_current_folder_unless_told(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    assert parse(f"./{WHEEL}").url == (folder / WHEEL).as_uri()


EDITABLE = [
    pytest.param("./project", RequestedKind.FOLDER, "project", None, id="path"),
    pytest.param("project", RequestedKind.FOLDER, "project", None, id="path without a dot"),
    pytest.param("empty", RequestedKind.FOLDER, "empty", None, id="any folder"),
    pytest.param("project[x]", RequestedKind.FOLDER, "project", None, id="extras"),
    pytest.param("git+https://f.example/x#egg=spam", RequestedKind.VCS, None, "spam", id="git"),
    pytest.param("spam @ git+https://f.example/x", RequestedKind.VCS, None, "spam", id="named"),
    pytest.param("git://f.example/x#egg=spam", RequestedKind.VCS, None, "spam", id="git:"),
]


def test_the_old_way_to_write_a_repository_gains_its_prefix() -> None:
    assert parse("git://f.example/x#egg=spam", editable=True).url == (
        "git+git://f.example/x#egg=spam"
    )


@pytest.mark.parametrize(("text", "kind", "path", "name"), EDITABLE)
def test_editable(
    folder: Path, text: str, kind: RequestedKind, path: str | None, name: str | None
) -> None:
    found = parse(text, folder, editable=True)
    assert (found.kind, found.editable, found.name) == (kind, True, name)
    assert found.needs_build
    assert path is None or found.url == (folder / path).as_uri()


def test_what_is_beside_the_requirement_comes_through() -> None:
    found = parse_argument(
        "https://f.example/x.zip#egg=spam&subdirectory=a/b",
        HERE,
        hashes=Hashes.of({"sha256": SHA}),
        config_settings={"a": "1"},
    )
    assert (found.subdirectory, found.config_settings) == ("a/b", {"a": "1"})
    assert (found.hash_option, found.hashes) == (True, Hashes.of({"sha256": SHA}))
    assert not parse("spam").hash_option
    assert hash(found)


@pytest.mark.parametrize(
    ("fragment", "given", "expected"),
    [
        ("sha256=AB", {}, {("sha256", "ab")}),
        ("md5=00", {}, {("md5", "00")}),
        ("md5=00&sha256=ab", {}, {("sha256", "ab")}),
        ("md5=00", {"sha256": SHA}, {("sha256", SHA)}),
        ("sha256=ab", {"sha256": SHA}, {("sha256", "ab"), ("sha256", SHA)}),
        ("egg=spam", {}, set()),
    ],
)
def test_a_urls_own_digest_counts_beside_the_given(
    fragment: str, given: dict[str, str], expected: set[tuple[str, str]]
) -> None:
    found = parse_argument(f"https://f.example/{WHEEL}#{fragment}", HERE, hashes=Hashes.of(given))
    assert found.hashes.allowed == expected
    assert found.hash_option is bool(given)


REFUSED = [
    pytest.param("", False, [], id="nothing"),
    pytest.param("spam=1.0", False, ["spam=1.0"], id="a single ="),
    pytest.param("spam==", False, ["spam=="], id="no version"),
    pytest.param("spam; nonsense", False, ["nonsense"], id="bad marker"),
    pytest.param("sp am", False, ["sp am"], id="a space"),
    pytest.param("--nonsense", False, ["--nonsense"], id="an option"),
    pytest.param("./missing", False, ["./missing"], id="missing folder"),
    pytest.param("./missing-1-py3-none-any.whl", False, ["missing-1"], id="missing wheel"),
    pytest.param("./empty", False, ["./empty"], id="a folder without a project"),
    pytest.param("./list.txt", False, ["list.txt"], id="a requirements file"),
    pytest.param("spam @ x/y.whl", False, ["x/y.whl"], id="a URL that is none"),
    pytest.param("https://f.example/spam.whl", False, ["spam.whl"], id="no wheel's name"),
    pytest.param(f"eggs @ https://f.example/{WHEEL}", False, ["eggs", WHEEL], id="another name"),
    pytest.param("ftp://f.example/x", False, ["ftp"], id="ftp"),
    pytest.param(f"https://[f.example/{WHEEL}", False, ["[f.example"], id="half a bracket"),
    pytest.param(f"spam @ https://[f.example/{WHEEL}", False, ["[f.example"], id="the same, named"),
    pytest.param("git+https://[f.example/x", True, ["[f.example"], id="the same, editable"),
    pytest.param("file://[x/y.whl", False, ["[x"], id="the same, file"),
    pytest.param("file://host.example/x.whl", False, ["host.example"], id="another machine"),
    pytest.param("https://f.example/x.zip#egg=sp[am]", False, ["sp[am]"], id="egg with extras"),
    pytest.param("spam", True, ["spam"], id="a name, editable"),
    pytest.param(f"./{WHEEL}", True, [WHEEL], id="a wheel, editable"),
    pytest.param("https://f.example/x", True, ["f.example"], id="a plain URL, editable"),
    pytest.param("./missing", True, ["missing"], id="a missing folder, editable"),
]


@pytest.mark.parametrize(("text", "editable", "words"), REFUSED)
def test_what_cannot_be_asked_for_is_told(
    folder: Path, text: str, editable: bool, words: list[str]
) -> None:
    with pytest.raises(RequirementError) as caught:
        parse(text, folder, editable=editable)
    assert caught.value.origin == HERE
    assert all(word in caught.value.message for word in words)


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("./list.txt", "-r ./list.txt"),
        ("spam=1.0", "=="),
        ("./missing", "missing does not exist"),
        ("./missing.txt", "missing.txt does not exist"),
        ("./project/pyproject.toml", None),
        ("--nonsense", "option"),
        ("sp am", None),
        ("spam >= 1 =", None),
    ],
)
def test_what_was_probably_meant_is_said(folder: Path, text: str, hint: str | None) -> None:
    with pytest.raises(RequirementError) as caught:
        parse(text, folder)
    assert caught.value.hint is None if hint is None else hint in (caught.value.hint or "")


@pytest.mark.parametrize(
    "text", ["./spam@1-1-py3-none-any.whl", "a/spam@1-1-py3-none-any.whl", "x-1-py3-none-any.whl"]
)
def test_a_wheel_that_is_missing_is_told_so(folder: Path, text: str) -> None:
    with pytest.raises(RequirementError) as caught:
        parse(text, folder)
    assert str(folder / text) in caught.value.message


def test_secrets_in_urls_are_not_told() -> None:
    url = f"https://user:s3cret@f.example/{WHEEL}"
    found = parse(f"spam @ {url}")
    assert "s3cret" not in f"{found}{found.text}"
    assert found.url == url
    with pytest.raises(RequirementError) as caught:
        parse(f"eggs @ {url}")
    assert "s3cret" not in f"{caught.value}{caught.value.hint}"
    assert redact_text("a https://t@b/c d").count("****") == 1
    assert "t0ken" not in redact_text(f"1https://t0ken@b {'x' * 50}https://t0ken@b")


def test_a_long_word_is_not_tried_from_each_of_its_letters_to_its_end() -> None:
    """It took a minute; now no more than 31 letters in front of :// are looked at."""
    assert redact_text("x" * 200_000) == "x" * 200_000
    found = URL_IN_TEXT.search("x" * 1000 + "://user:s3cret@f.example")
    assert found is not None
    assert found.start() == 1000 - 31


PIP_TABLE = [case.values[0] for case in NAMED] + [
    f"https://f.example/{WHEEL}",
    f"Spam[x] @ https://f.example/{WHEEL}#sha256=00",
    f"spam @ https://f.example/{WHEEL};python_version>'3'",
    "git+https://f.example/x#egg=spam",
    "https://f.example/x.zip",
    f"./{WHEEL}",
    f"./{WHEEL}[x]; python_version>'3'",
    "./project",
    "./project[x]",
    f"file:{WHEEL}",
    "spam=1",
    "spam; nonsense",
    "./empty",
    "./missing",
    "",
]


@pytest.mark.parametrize("text", PIP_TABLE)
def test_words_are_read_as_pip_reads_them(
    folder: Path, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    constructors = pytest.importorskip("pip._internal.req.constructors")
    monkeypatch.chdir(folder)
    try:
        theirs = constructors.install_req_from_line(text)
    except Exception:  # whatever pip raises
        with pytest.raises(RequirementError):
            parse(text)
        return
    ours = parse(text)
    assert ours.name == (theirs.name and theirs.name.lower().replace(".", "-"))
    assert {extra.replace("_", "-").lower() for extra in theirs.extras} == ours.extras
    assert str(ours.marker or "") == str(theirs.markers or "")
    assert (theirs.link is None) == (ours.url is None)
    if theirs.link is not None and os.name != "nt":
        assert ours.url == theirs.link.url or text.startswith("file:")
    if ours.kind is RequestedKind.INDEX:
        assert str(ours.specifier) == str(theirs.specifier)


def test_requirements_apply_by_their_marker() -> None:
    markers = {"python_version": "3.11", "sys_platform": "linux"}
    assert parse("spam").applies(markers)
    assert parse("spam; sys_platform == 'linux'").applies(markers)
    assert not parse("spam; sys_platform == 'win32'").applies(markers)
    assert not parse("spam; extra == 'x'").applies(markers)
