"""Requirements files in the large: what pip makes of them, what includes what, what is told."""

from __future__ import annotations

import optparse
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from kedge.errors import RequirementError
from kedge.model import Hashes, Origin, OriginKind, Sourced
from kedge.requirements import Locations, ParsedFile, Requested, merge_files, parse_file

FLAG = Origin(OriginKind.COMMAND_LINE, "-r")
SHA = "ab" * 32


@dataclass(frozen=True)
class Fetched:
    url: str
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass
class Web:
    """Files behind URLs."""

    files: dict[str, bytes]
    kind: str = "text/plain"
    asked: list[str] = field(default_factory=list)

    def get(self, url: str) -> Fetched:
        self.asked.append(url)
        return Fetched(url, self.files[url], {"Content-Type": self.kind})


def parse(
    folder: Path,
    text: str | bytes | None = None,
    *,
    name: str = "reqs.txt",
    web: Web | None = None,
    environ: Mapping[str, str] | None = None,
    constraint: bool = False,
) -> ParsedFile:
    if text is not None:
        (folder / name).write_bytes(text if isinstance(text, bytes) else text.encode())
    return parse_file(
        name, web, environ=environ or {}, origin=FLAG, directory=folder, constraint=constraint
    )


def texts(found: tuple[Requested, ...]) -> list[str]:
    return [one.text for one in found]


def test_requirements_know_their_line(tmp_path: Path) -> None:
    found = parse(tmp_path, f"# first\nspam==1 \\\n   --hash=sha256:{SHA}\n\neggs ; extra == 'x'\n")
    assert texts(found.requirements) == ["spam==1", "eggs ; extra == 'x'"]
    spam, eggs = found.requirements
    path = str(tmp_path / "reqs.txt")
    assert spam.origin == Origin(OriginKind.FILE, path=path, line=2)
    assert eggs.origin.line == 5
    assert (spam.hashes, spam.hash_option) == (Hashes.of({"sha256": SHA}), True)
    assert (found.constraints, found.settings, found.warnings) == ((), (), ())


def test_settings_know_their_line(tmp_path: Path) -> None:
    found = parse(
        tmp_path,
        "-i https://a.example/\n--extra-index-url https://b.example/\n--pre\n--trusted-host h\n"
        "--require-hashes\n--prefer-binary\n--use-feature=truststore\n--only-binary :all:\n"
        "--no-binary spam\n--no-index\n",
    )
    path = str(tmp_path / "reqs.txt")
    assert found.index_url == Sourced(
        "https://a.example/", Origin(OriginKind.FILE, "--index-url", path, line=1)
    )
    assert [one.value for one in found.extra_index_urls] == ["https://b.example/"]
    assert found.pre is not None
    assert (found.pre.value, found.pre.origin.line) == (True, 3)
    assert [(one.value, one.origin.line) for one in found.trusted_hosts] == [("h", 4)]
    assert found.require_hashes is not None
    assert found.prefer_binary is not None
    assert found.no_index is not None
    assert [one.value for one in found.features] == ["truststore"]
    assert [one.value for one in found.selections] == [
        ("--only-binary", ":all:"),
        ("--no-binary", "spam"),
    ]
    bare = parse(tmp_path, "spam\n")
    assert [bare.index_url, bare.pre, bare.no_index, bare.require_hashes] == [None] * 4


def test_variables_come_from_the_environment_given(tmp_path: Path) -> None:
    environ = {"TOKEN": "s3cret", "token": "no"}
    found = parse(tmp_path, "-i https://u:${TOKEN}@i.example/${token}\n", environ=environ)
    assert found.index_url is not None
    assert found.index_url.value == "https://u:s3cret@i.example/${token}"


# -- files that include files


def test_included_paths_are_relative_to_the_file_that_names_them(tmp_path: Path) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / "one.txt").write_text("one\n-r b/two.txt\n-c ../limits.txt\nfour\n")
    (tmp_path / "a" / "b" / "two.txt").write_text("two\n-r ../three.txt\n")
    (tmp_path / "a" / "three.txt").write_text("three\n")
    (tmp_path / "limits.txt").write_text("limit<2\n-r a/five.txt\n")
    (tmp_path / "a" / "five.txt").write_text("five\n")
    found = parse(tmp_path, "-r a/one.txt\n")
    # -r inside a constraints file asks again, as in pip.
    assert texts(found.requirements) == ["one", "two", "three", "five", "four"]
    assert texts(found.constraints) == ["limit<2"]
    assert found.constraints[0].origin.path == str(tmp_path / "limits.txt")


def test_paths_of_distributions_are_relative_to_the_current_folder(folder: Path) -> None:
    (folder / "sub").mkdir()
    (folder / "sub" / "reqs.txt").write_text("./spam-1.0-py3-none-any.whl\n-e ./project\n")
    found = parse(folder, name="sub/reqs.txt")
    assert [one.url for one in found.requirements] == [
        (folder / "spam-1.0-py3-none-any.whl").as_uri(),
        (folder / "project").as_uri(),
    ]
    assert [one.editable for one in found.requirements] == [False, True]


def test_find_links_beside_the_file_are_found(folder: Path) -> None:
    (folder / "sub" / "wheels").mkdir(parents=True)
    (folder / "sub" / "reqs.txt").write_text(
        "-f wheels\n-f elsewhere\n-f https://f.example/\n-f ~/w\n"
    )
    found = parse(folder, name="sub/reqs.txt")
    assert [one.value for one in found.find_links] == [
        str(folder / "sub" / "wheels"),
        "elsewhere",
        "https://f.example/",
        "~/w",
    ]


def test_a_file_may_be_included_twice_but_not_by_itself(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("spam\n")
    assert texts(parse(tmp_path, "-r a.txt\n-r a.txt\n").requirements) == ["spam", "spam"]
    (tmp_path / "b.txt").write_text("\n-r c.txt\n")
    (tmp_path / "c.txt").write_text("-c ./b.txt\n")
    with pytest.raises(RequirementError) as caught:
        parse(tmp_path, "-r b.txt\n")
    assert caught.value.origin.path == str(tmp_path / "c.txt")
    assert all(word in caught.value.message for word in ("b.txt, line 2", "c.txt, line 1"))
    with pytest.raises(RequirementError):
        parse(tmp_path, "-r reqs.txt\n")


def test_files_behind_urls(tmp_path: Path) -> None:
    web = Web(
        {
            "https://u:s3cret@i.example/a/reqs.txt": b"spam\n-r ../b.txt\n-c /c.txt\n",
            "https://u:s3cret@i.example/b.txt": b"\xef\xbb\xbfeggs\n",
            "https://u:s3cret@i.example/c.txt": b"ham<2\n",
        }
    )
    found = parse(tmp_path, name="https://u:s3cret@i.example/a/reqs.txt", web=web)
    assert texts(found.requirements) == ["spam", "eggs"]
    assert texts(found.constraints) == ["ham<2"]
    assert found.requirements[0].origin.path == "https://u:****@i.example/a/reqs.txt"


def test_a_path_may_include_a_url_and_a_file_url(tmp_path: Path) -> None:
    (tmp_path / "b c.txt").write_text("ham\n")
    web = Web({"https://i.example/a.txt": b"eggs\n"})
    text = f"-r https://i.example/a.txt\n-r {(tmp_path / 'b c.txt').as_uri()}\n"
    assert texts(parse(tmp_path, text, web=web).requirements) == ["eggs", "ham"]


def test_a_broken_url_in_a_file_behind_a_url(tmp_path: Path) -> None:
    web = Web({"https://i.example/a.txt": b"spam\n-r https://[x/b.txt\n"})
    with pytest.raises(RequirementError) as caught:
        parse(tmp_path, name="https://i.example/a.txt", web=web)
    assert (caught.value.origin.path, caught.value.origin.line) == ("https://i.example/a.txt", 2)


def test_the_charset_of_the_answer_is_obeyed(tmp_path: Path) -> None:
    web = Web({"https://i.example/a": "-i https://é/\n".encode("latin-1")})
    web.kind = "text/plain; charset=latin-1"
    found = parse(tmp_path, name="https://i.example/a", web=web)
    assert found.index_url is not None
    assert found.index_url.value == "https://é/"


# -- where to look


BASE = Locations(
    index_urls=(Sourced("https://base/"), Sourced("https://extra/")), find_links=(Sourced("w"),)
)


@pytest.mark.parametrize(
    ("text", "indexes", "links", "no_index"),
    [
        pytest.param("spam", ["https://base/", "https://extra/"], ["w"], False, id="nothing said"),
        pytest.param("-i https://a/", ["https://a/"], ["w"], False, id="index replaces extras"),
        pytest.param(
            "--extra-index-url https://b/\n-i https://a/", ["https://a/"], ["w"], False, id="late"
        ),
        pytest.param(
            "--extra-index-url https://b/ -i https://a/",
            ["https://a/", "https://b/"],
            ["w"],
            False,
            id="on one line",
        ),
        pytest.param(
            "--extra-index-url https://b/",
            ["https://base/", "https://extra/", "https://b/"],
            ["w"],
            False,
            id="extra",
        ),
        pytest.param("-f x\n-f y", ["https://base/", "https://extra/"], ["w", "x", "y"], False),
        pytest.param("--no-index\n-i https://a/\n-f x", [], ["w", "x"], True, id="no index"),
    ],
)
def test_where_to_look_is_what_pip_makes_of_it(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    text: str,
    indexes: list[str],
    links: list[str],
    no_index: bool,
) -> None:
    over = parse(tmp_path, text).over(BASE)
    found = ([one.value for one in over.index_urls], [one.value for one in over.find_links])
    assert (*found, over.no_index) == (indexes, links, no_index)

    pip_file = pytest.importorskip("pip._internal.req.req_file")
    from pip._internal.models.search_scope import SearchScope
    from pip._internal.network.session import PipSession

    monkeypatch.chdir(tmp_path)

    class Finder:
        search_scope = SearchScope(["w"], ["https://base/", "https://extra/"], no_index=False)
        format_control = release_control = None

        @property
        def find_links(self) -> list[str]:
            return list(self.search_scope.find_links)

        @property
        def index_urls(self) -> list[str]:
            return list(self.search_scope.index_urls)

    finder = Finder()
    with PipSession() as session:
        for _ in pip_file.parse_requirements(str(tmp_path / "reqs.txt"), session, finder):
            pass
    scope = finder.search_scope
    assert (scope.index_urls, scope.find_links, scope.no_index) == (indexes, links, no_index)


def test_files_add_up_in_their_order(tmp_path: Path) -> None:
    first = parse(tmp_path, "spam\n-i https://a/\n")
    second = parse(tmp_path, "eggs\n-i https://b/\n", constraint=True)
    both = merge_files([first, second])
    assert (texts(both.requirements), texts(both.constraints)) == (["spam"], ["eggs"])
    assert both.index_url is not None
    assert both.index_url.value == "https://b/"


# -- what is passed over, and what is refused


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("spam --pre\n", ["--pre", "line 1"]),
        ("\n-e git+https://x/y#egg=z ; python_version<'3'\n", ["line 2", "python_version"]),
        (f"--hash=sha256:{SHA}\n", ["--hash"]),
        ("-f a -f b\n", ["--find-links"]),
    ],
)
def test_what_pip_passes_over_silently_is_told(tmp_path: Path, text: str, words: list[str]) -> None:
    (warning,) = parse(tmp_path, text).warnings
    assert all(word in warning for word in words)


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        pytest.param("a\n\n--nonsense\n", 3, ["--nonsense"], id="option"),
        pytest.param("a\nb ==\n", 2, ["b =="], id="requirement"),
        pytest.param("a --hash=md5:00\n", 1, ["md5"], id="weak hash"),
        pytest.param("a\n-r missing.txt\n", 2, ["missing.txt"], id="missing file"),
        pytest.param("--no-require-hashes\n", 1, ["--no-require-hashes"], id="not obeyed"),
        pytest.param("-e spam\n", 1, ["spam"], id="editable"),
    ],
)
def test_errors_name_file_and_line(tmp_path: Path, text: str, line: int, words: list[str]) -> None:
    with pytest.raises(RequirementError) as caught:
        parse(tmp_path, text)
    origin = caught.value.origin
    assert (origin.path, origin.line) == (str(tmp_path / "reqs.txt"), line)
    assert all(word in caught.value.message for word in words)


@pytest.mark.parametrize(
    ("name", "content"),
    [("missing.txt", None), (".", None), ("bad.txt", b"# coding: ascii\n\xff")],
)
def test_an_unreadable_file_blames_whoever_named_it(
    tmp_path: Path, name: str, content: bytes | None
) -> None:
    with pytest.raises(RequirementError) as caught:
        parse(tmp_path, content, name=name)
    assert caught.value.origin == FLAG


@pytest.mark.parametrize(
    ("text", "allowed"),
    [
        ("spam<2", True),
        ("spam ; python_version > '3'", True),
        ("spam @ https://f.example/spam-1-py3-none-any.whl", True),
        ("spam[x]", False),
        ("-e git+https://f.example/x#egg=spam", False),
        ("https://f.example/x.zip", False),
    ],
)
def test_constraints_have_a_name_and_no_extras(tmp_path: Path, text: str, allowed: bool) -> None:
    if allowed:
        found = parse(tmp_path, text, constraint=True)
        assert len(found.constraints) == 1
        assert not found.requirements
        return
    with pytest.raises(RequirementError) as caught:
        parse(tmp_path, text, constraint=True)
    assert caught.value.origin.line == 1
    assert len(parse(tmp_path, text).requirements) == 1


# -- pip as the judge


FILES = [
    "spam\neggs>=1,<2 # why\n",
    "spam \\\n  ; python_version >= '3' \\\n  --hash=sha256:" + SHA + "\n",
    "spam==1 --hash=sha256:" + SHA + " --hash=sha512:" + "cd" * 64 + "\n",
    "Spam[a, b] ~= 1.0 ; sys_platform == 'linux' and (extra == 'x' or extra == \"y\")\n",
    "spam -C a=b --config-settings=c=d\n",
    "${NAME}==${VERSION}\n",
    "https://f.example/spam-1.0-py3-none-any.whl#sha256=00\n",
    "spam @ https://f.example/spam-1.0-py3-none-any.whl ; python_version>'3'\n",
    "-e git+https://f.example/x#egg=spam\n--editable=git+https://f.example/y#egg=eggs\n",
    "\ufeffspam\n\n\n#x\n   # y\n\teggs\t\n",
    "spam --pre\n--pre\n",
    "-r other.txt\nspam\n-c limits.txt\n",
    "--requirement other.txt --constraint limits.txt\n",
    "spam -r other.txt\n",
    "a\\\nb\n",
    "spam --no-such-option\n",
    "spam --hash=md5:00\n",
    "-r loop.txt\n",
    "-r missing.txt\n",
]


@pytest.mark.parametrize("text", FILES)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_files_are_read_as_pip_reads_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, encoding: str
) -> None:
    req_file = pytest.importorskip("pip._internal.req.req_file")
    from pip._internal.exceptions import PipError
    from pip._internal.network.session import PipSession

    monkeypatch.chdir(tmp_path)
    environ = {"NAME": "spam", "VERSION": "3"}
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    (tmp_path / "other.txt").write_text("other\n")
    (tmp_path / "limits.txt").write_text("limited<2\n-r other.txt\n")
    (tmp_path / "loop.txt").write_text("-r loop.txt\n")
    (tmp_path / "reqs.txt").write_bytes(text.lstrip("\ufeff").encode(encoding))
    options = optparse.Values(
        {"require_hashes": False, "no_require_hashes": False, "features_enabled": []}
    )
    try:
        with PipSession() as session:
            path = str(tmp_path / "reqs.txt")
            theirs = list(req_file.parse_requirements(path, session, options=options))
    except PipError:
        with pytest.raises(RequirementError):
            parse(tmp_path, environ=environ)
        return
    ours = parse(tmp_path, environ=environ)
    found = sorted((*ours.requirements, *ours.constraints), key=lambda one: str(one.origin))
    theirs.sort(key=lambda one: one.line_source.split(" of ")[1] + one.line_source)
    assert len(found) == len(theirs)
    for mine, other in zip(found, theirs, strict=True):
        assert f"line {mine.origin.line} of {mine.origin.path}" == other.line_source
        assert mine.text == other.requirement.strip()
        assert (mine in ours.constraints) is other.constraint
        assert mine.editable is other.is_editable
        options_of = other.options or {}
        given = {(name, d) for name, ds in options_of.get("hashes", {}).items() for d in ds}
        assert mine.hash_option is bool(given)
        assert given <= mine.hashes.allowed
        assert mine.config_settings == options_of.get("config_settings", {})
