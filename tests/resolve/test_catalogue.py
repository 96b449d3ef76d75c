"""Which file of one project is chosen: a table of releases, wishes and answers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import pytest
from packaging.specifiers import SpecifierSet
from packaging.utils import NormalizedName
from packaging.version import Version

from kedge.index import IndexFile, Link
from kedge.index.files import files_of
from kedge.model import Hashes
from kedge.resolve import FormatControl, Problem, ReleaseControl
from kedge.resolve.catalogue import Catalogue, Unfit, Wanted
from kedge.resolve.target import Target
from support.shelf import MARKERS, PLATFORM, TAGS

NAME = NormalizedName("demo")
_PLAIN = Problem(requested=(), markers=MARKERS, tags=TAGS, python_version="3.11.7")


def _file(text: str, index: str = "https://index.test") -> IndexFile:
    """From ``"1.0"``, ``"1.0 sdist"``, ``"1.0 cp311-abi3-any yanked python>=3.12 sha256=aa"``."""
    version, *facts = text.split()
    filename = f"demo-{version}-py3-none-any.whl"
    link = Link(url="", filename="")
    for fact in facts:
        if fact == "sdist":
            filename = f"demo-{version}.tar.gz"
        elif fact == "yanked":
            link = link._replace(yanked="why not")
        elif fact.startswith("python"):
            link = link._replace(requires_python=fact.removeprefix("python"))
        elif fact.startswith("sha256="):
            link = link._replace(hashes=(("sha256", fact.removeprefix("sha256=")),))
        else:
            filename = f"demo-{version}-{fact}.whl"
    link = link._replace(url=f"{index}/{filename}", filename=filename)
    (file,) = files_of(NAME, [link], index=index, page_verified=True)
    return file


def _catalogue(files: Sequence[IndexFile], problem: Problem = _PLAIN) -> Catalogue:
    target = Target(markers=MARKERS, tags=TAGS, python_version="3.11.7")
    return Catalogue(NAME, files, problem=problem, target=target)


def _matching(
    files: Sequence[str], specifier: str = "", *, hashes: str = "", **facts: object
) -> list[str]:
    allowed = Hashes(frozenset(("sha256", digest) for digest in hashes.split()))
    wanted = Wanted((SpecifierSet(specifier),) if specifier else (), allowed)
    problem = replace(_PLAIN, **facts)  # type: ignore[arg-type]
    found = _catalogue([_file(text) for text in files], problem).matching(wanted)
    return [file.filename.removeprefix("demo-").removesuffix("-py3-none-any.whl") for file in found]


_ANY_ORDER = ["1.0", "3.0", "2.0"]
_PRE = ["1.0", "2.0b1", "2.0.dev1"]

_CHOICES = [
    pytest.param(_ANY_ORDER, "", {}, ["3.0", "2.0", "1.0"], id="newest first"),
    pytest.param(_ANY_ORDER, "<3", {}, ["2.0", "1.0"], id="specifier"),
    pytest.param(["1.0", "1!0.1"], "", {}, ["1!0.1", "1.0"], id="epoch"),
    pytest.param(["1.0", "1.0.post1"], "", {}, ["1.0.post1", "1.0"], id="post release"),
    pytest.param(["1.0", "1.0+local"], "==1.0", {}, ["1.0+local", "1.0"], id="local versions"),
    pytest.param(["1.0"], "===1.0", {}, ["1.0"], id="arbitrary equality"),
    # pre-releases
    pytest.param(_PRE, "", {}, ["1.0"], id="no pre-release beside a final one"),
    pytest.param(["2.0b1", "2.0.dev1"], "", {}, ["2.0b1", "2.0.dev1"], id="nothing but those"),
    pytest.param(_PRE, ">1.0", {}, ["2.0b1", "2.0.dev1"], id="no final one matches"),
    pytest.param(_PRE, ">=1.0a1", {}, ["2.0b1", "2.0.dev1", "1.0"], id="the specifier names one"),
    pytest.param(_PRE, "!=1.0a1", {}, ["1.0"], id="an excluded one is not named"),
    pytest.param(_PRE, "==2.0b1", {}, ["2.0b1"], id="pinned to one"),
    pytest.param(
        _PRE,
        "",
        {"releases": ReleaseControl().all_releases(":all:")},
        ["2.0b1", "2.0.dev1", "1.0"],
        id="--pre",
    ),
    pytest.param(
        ["2.0b1"], "", {"releases": ReleaseControl().only_final("demo")}, [], id="--only-final"
    ),
    pytest.param(
        _PRE,
        ">=1.0a1",
        {"releases": ReleaseControl().only_final(":all:")},
        ["1.0"],
        id="--only-final beats the specifier",
    ),
    # yanked (PEP 592)
    pytest.param(["1.0", "2.0 yanked"], "", {}, ["1.0"], id="yanked is passed over"),
    pytest.param(["1.0", "2.0 yanked"], "==2.0", {}, ["2.0"], id="yanked, but pinned"),
    pytest.param(["1.0", "2.0 yanked"], "==2.*", {}, [], id="a wildcard is no pin"),
    pytest.param(["2.0 yanked"], ">=2.0,<=2.0", {}, [], id="nor is a range of one"),
    pytest.param(["2.0 yanked"], "===2.0", {}, ["2.0"], id="yanked, pinned as a string"),
    pytest.param(
        ["2.0 yanked", "2.0 py2-none-any"],
        "==2.0",
        {},
        ["2.0-py2-none-any.whl"],
        id="pinned, and not all are yanked",
    ),
    pytest.param(
        ["1.0 yanked", "2.0b1"], "", {}, [], id="a yanked final one still hides pre-releases"
    ),
    # files of one version
    pytest.param(
        ["1.0", "1.0 sdist", f"1.0 cp311-cp311-{PLATFORM}", f"1.0 cp311-abi3-{PLATFORM}"],
        "",
        {},
        [f"1.0-cp311-cp311-{PLATFORM}.whl", f"1.0-cp311-abi3-{PLATFORM}.whl", "1.0", "1.0.tar.gz"],
        id="best tag first, source last",
    ),
    pytest.param(
        ["1.0 1-py3-none-any", "1.0 10x-py3-none-any", "1.0 2-py3-none-any", "1.0"],
        "",
        {},
        ["1.0-10x", "1.0-2", "1.0-1", "1.0"],
        id="build tags count as numbers",
    ),
    pytest.param(
        ["1.0 9-py2-none-any", "1.0 py3-none-any"],
        "",
        {},
        ["1.0", "1.0-9-py2-none-any.whl"],
        id="the tag comes before the build tag",
    ),
    pytest.param(
        ["1.0 py3-none-any", "1.0 2-py2.cp311-none-any"],
        "",
        {},
        ["1.0-2-py2.cp311-none-any.whl", "1.0"],
        id="of several tags the best counts",
    ),
    pytest.param(["1.0", "2.0 cp39-cp39-win32"], "", {}, ["1.0"], id="another platform"),
    pytest.param(
        ["2.0 sdist", "1.0"], "", {}, ["2.0.tar.gz", "1.0"], id="newer source before older wheel"
    ),
    # formats
    pytest.param(
        ["2.0 sdist", "1.0"], "", {"prefer_binary": True}, ["1.0", "2.0.tar.gz"], id="prefer binary"
    ),
    pytest.param(
        ["2.0 sdist", "1.0"],
        "",
        {"formats": FormatControl().only_binary(":all:")},
        ["1.0"],
        id="--only-binary",
    ),
    pytest.param(
        ["2.0", "2.0 sdist", "1.0"],
        "",
        {"formats": FormatControl().no_binary("demo")},
        ["2.0.tar.gz"],
        id="--no-binary",
    ),
    # Requires-Python
    pytest.param(["1.0", "2.0 python>=3.12"], "", {}, ["1.0"], id="a newer Python"),
    pytest.param(["1.0 python>=3.11.7,!=3.11.6"], "", {}, ["1.0"], id="to the last number"),
    pytest.param(["1.0 python>=3.11.8"], "", {}, [], id="just missed"),
    pytest.param(["1.0 python!nonsense"], "", {}, ["1.0"], id="nonsense excludes nothing"),
    pytest.param(
        ["1.0", "2.0 python>=3.12"],
        "",
        {"ignore_requires_python": True},
        ["2.0", "1.0"],
        id="--ignore-requires-python",
    ),
    pytest.param(
        ["1.0 python>=3.12", "2.0b1"], "", {}, ["2.0b1"], id="an unfit final one hides nothing"
    ),
    # hashes
    pytest.param(
        ["2.0 sha256=aa", "1.0 sha256=bb"], "", {"hashes": "bb"}, ["1.0"], id="the hash decides"
    ),
    pytest.param(
        ["2.0 sha256=aa", "1.0 sha256=bb", "3.0"],
        "",
        {"hashes": "bb"},
        ["1.0", "3.0"],
        id="a file without a digest may have it",
    ),
    pytest.param(
        ["2.0 sha256=aa", "1.0 sha256=bb"],
        "",
        {"hashes": "cc"},
        ["2.0", "1.0"],
        id="no hash matches: the download will say so",
    ),
    pytest.param(
        ["1.0 sha256=bb yanked", "2.0 sha256=aa"],
        "==1.0",
        {"hashes": "bb"},
        ["1.0"],
        id="yanked, pinned and hashed",
    ),
]


@pytest.mark.parametrize(("releases", "specifier", "facts", "expected"), _CHOICES)
def test_choice(
    releases: list[str], specifier: str, facts: dict[str, object], expected: list[str]
) -> None:
    assert _matching(releases, specifier, **facts) == expected  # type: ignore[arg-type]


def test_of_equals_the_last_is_taken() -> None:
    """pip's order: --find-links first, then the indexes, and the last of them wins."""
    catalogue = _catalogue([_file("1.0", "https://one.test"), _file("1.0", "https://two.test")])
    assert [file.index for file in catalogue.matching(Wanted())] == [
        "https://two.test",
        "https://one.test",
    ]


def test_reads_no_further_than_it_is_asked() -> None:
    class Counting(Target):
        ranked = 0

        def rank(self, file: IndexFile) -> int | None:
            Counting.ranked += 1
            return super().rank(file)

    target = Counting(markers=MARKERS, tags=TAGS, python_version="3.11.7")
    files = [_file(f"1.{number}") for number in range(100)]
    found: Iterator[IndexFile] = Catalogue(NAME, files, problem=_PLAIN, target=target).matching(
        Wanted()
    )
    assert next(found).version == Version("1.99")
    assert Counting.ranked <= 2


@pytest.mark.parametrize(
    ("text", "problem", "reason"),
    [
        ("1.0", _PLAIN, None),
        ("1.0 sdist", _PLAIN, None),
        ("1.0 cp39-cp39-win32", _PLAIN, Unfit.PLATFORM),
        ("1.0 python<3", _PLAIN, Unfit.PYTHON),
        (
            "1.0 sdist",
            replace(_PLAIN, formats=FormatControl().only_binary("demo")),
            Unfit.NO_SDISTS,
        ),
        ("1.0", replace(_PLAIN, formats=FormatControl().no_binary("demo")), Unfit.NO_WHEELS),
    ],
)
def test_why_a_file_does_not_fit(text: str, problem: Problem, reason: Unfit | None) -> None:
    file = _file(text)
    assert _catalogue([file], problem).unfit(file) is reason
