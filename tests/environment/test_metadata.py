from __future__ import annotations

import email
import subprocess
import sys
import tracemalloc
from importlib.metadata import distributions
from itertools import product
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packaging.metadata import parse_email
from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from kedge.environment.metadata import CoreMetadata, normalized, parse_metadata
from kedge.errors import PageError


def corpus() -> list[tuple[str, bytes]]:
    """The metadata of everything that is installed beside these tests."""
    found = []
    for distribution in distributions():
        text = distribution.read_text("METADATA")
        path = Path(str(getattr(distribution, "_path", "")), "METADATA")
        if text and path.is_file():
            found.append((path.parent.name, path.read_bytes()))
    return sorted(found)


CORPUS = corpus()


def parse(text: str) -> CoreMetadata:
    return parse_metadata(text.encode(), where="METADATA")


def test_the_corpus_is_worth_reading() -> None:
    assert len(CORPUS) > 20
    assert any(len(data) > 10_000 for _, data in CORPUS)


@pytest.mark.parametrize("data", [data for _, data in CORPUS], ids=[name for name, _ in CORPUS])
def test_real_metadata_is_read_as_packaging_reads_it(data: bytes) -> None:
    expected, _ = parse_email(data)
    found = parse_metadata(data, where="METADATA")
    assert found.name == expected["name"]
    assert found.version_text == expected["version"]
    assert found.version == Version(expected["version"])
    assert found.canonical_name == canonicalize_name(expected["name"])
    assert list(found.requirement_lines) == expected.get("requires_dist", [])
    assert list(found.requires_dist) == [Requirement(line) for line in found.requirement_lines]
    assert found.requires_python == expected.get("requires_python")
    assert found.metadata_version == expected["metadata_version"]
    extras = [canonicalize_name(extra) for extra in expected.get("provides_extra", [])]
    assert list(found.provides_extra) == extras


_line = st.one_of(
    st.sampled_from(
        ["Name: a", "NAME: b", "version: 1", "Version:2", "Requires-Dist: x", "Requires-Dist: y",
         " folded", "\tfolded", "", "no field", ": empty", "Requires-Dist : z", "From me",
         "Summary: s", "Provides-Extra:  X_y ", "Requires-Python: >=3", "Requires-Dist:"],
    ),
    st.text(st.characters(codec="ascii", exclude_characters="\r\n"), max_size=12),
)  # fmt: skip


@given(st.lists(_line, max_size=12), st.sampled_from(["\n", "\r\n"]))
def test_headers_are_read_as_email_reads_them(lines: list[str], newline: str) -> None:
    data = newline.join(["Name: demo", "Version: 1", *lines]).encode()
    expected = email.message_from_bytes(data)
    found = parse_metadata(data, where="METADATA")
    # email keeps the line breaks of folded fields, which are no part of them (RFC 5322, 2.2.3).
    unfolded = expected["Name"].replace("\r", "").replace("\n", "").strip()
    assert found.name == unfolded
    required = expected.get_all("Requires-Dist", [])
    assert list(found.requirement_lines) == [
        line.replace("\r", "").replace("\n", "").strip() for line in required
    ]


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        pytest.param("Requires-Dist: a\n", ["a"], id="plain"),
        pytest.param("REQUIRES-DIST: a\nrequires-dist: b\n", ["a", "b"], id="case"),
        pytest.param('Requires-Dist: a;\n extra == "x"\n', ['a; extra == "x"'], id="folded"),
        pytest.param("Description: x\n        Requires-Dist: a\n", [], id="in-a-folded-field"),
        pytest.param("Requires-Dist: a\n\t>1\n", ["a\t>1"], id="folded-by-tab"),
        pytest.param("From: x\nFrom me: y\nRequires-Dist: a\n", ["a"], id="envelope"),
        pytest.param("\nRequires-Dist: a\n", [], id="in-the-body"),
        pytest.param("License: MIT\n\n\nRequires-Dist: a\n", [], id="after-the-license"),
        pytest.param("Author: Jörg\nRequires-Dist: a\n", ["a"], id="not-ascii"),
    ],
)
def test_requirements_of_a_header(text: str, lines: list[str]) -> None:
    found = parse(f"Name: demo\nVersion: 1\n{text}")
    assert list(found.requirement_lines) == lines
    assert [requirement.name for requirement in found.requires_dist] == ["a", "b"][: len(lines)]


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"\xef\xbb\xbfName: demo\nVersion: 1\n", id="byte-order-mark"),
        pytest.param(b"Author: J\xf6rg\nName: demo\nVersion: 1\n", id="latin-1"),
        pytest.param(b"Name: demo\nVersion: 1\n\n\xff\xfe\x00", id="damaged-description"),
        pytest.param(b"Metadata-Version: 1.0\nName: demo\nVersion: 1\nRequires: x\n", id="1.0"),
        pytest.param(b"Metadata-Version: 9.9\nName: demo\nVersion: 1\nNew-Field: x\n", id="9.9"),
        pytest.param(b"Name: demo\r\nVersion: 1\r\n\r\nRequires-Dist: x\r\n", id="crlf"),
        pytest.param(b"Name: demo\rVersion: 1\r\rRequires-Dist: x", id="cr"),
        pytest.param(b"Name:demo\nVersion: 1   \nName: other\n", id="first-counts"),
    ],
)
def test_what_is_tolerated(data: bytes) -> None:
    found = parse_metadata(data, where="METADATA")
    assert (found.name, found.version, found.requires_dist) == ("demo", Version("1"), ())


@pytest.mark.parametrize(
    ("data", "missing"),
    [
        (b"", "name or version"),
        (b"Name: demo\n", "version"),
        (b"Version: 1\n", "name"),
        (b"Name:\nVersion: 1\n", "name"),
        (b"\nName: demo\nVersion: 1\n", "name or version"),
        (b"<html>\nName: demo\nVersion: 1\n", "name or version"),
    ],
)
def test_a_name_and_a_version_are_needed(data: bytes, missing: str) -> None:
    with pytest.raises(PageError) as caught:
        parse_metadata(data, where="https://u:p@index.example/demo.metadata")
    assert missing in caught.value.message
    assert caught.value.url == "https://u:****@index.example/demo.metadata"


def test_bad_requirements_and_versions_are_found_when_they_are_used() -> None:
    found = parse("Name: demo\nVersion: one\nRequires-Dist: a\nRequires-Dist: b !!\n")
    assert found.requirement_lines == ("a", "b !!")
    with pytest.raises(PageError, match="one"):
        _ = found.version
    with pytest.raises(PageError) as caught:
        _ = found.requires_dist
    assert "b !!" in caught.value.message
    assert caught.value.url == "METADATA"


MARKERS = {"sys_platform": "linux", "python_version": "3.12", "python_full_version": "3.12.1"}
NEEDS = """\
Name: demo
Version: 1
Provides-Extra: Fast_Mode
Requires-Dist: always
Requires-Dist: windows; sys_platform == "win32"
Requires-Dist: old; python_version < "3.10"
Requires-Dist: fast; extra == "fast-mode"
Requires-Dist: fastwin; extra == "Fast_Mode" and sys_platform == "win32"
Requires-Dist: without; extra == ""
"""


@pytest.mark.parametrize(
    ("extras", "markers", "names"),
    [
        pytest.param([], {}, ["always", "without"], id="plain"),
        pytest.param(["fast-mode"], {}, ["always", "fast"], id="extra"),
        pytest.param(["fast.mode"], {}, ["always", "fast"], id="extra-unnormalised"),
        pytest.param(["none"], {}, ["always"], id="other-extra"),
        pytest.param(
            ["fast-mode"],
            {"sys_platform": "win32"},
            ["always", "windows", "fast", "fastwin"],
            id="another-system",
        ),
        pytest.param(
            [],
            {"python_version": "3.9", "python_full_version": "3.9.0"},
            ["always", "old", "without"],
            id="another-python",
        ),
    ],
)
def test_requirements_that_apply(
    extras: list[str], markers: dict[str, str], names: list[str]
) -> None:
    found = parse(NEEDS)
    assert found.provides_extra == ("fast-mode",)
    applying = found.requirements({**MARKERS, **markers}, extras)
    assert [requirement.name for requirement in applying] == names


_SPECIFIERS = [
    "", ">=1", " >= 1.0, <2", "(~=1.2)", " (!=1.5,>1)", "==1.*", "~=1", ">=1.", "=1", ">=", "(>=1",
    "===x", ">=1,", "<2rc1", "@ https://host/b.whl", "==1==2",
]  # fmt: skip
_MARKERS = [
    "", ';extra=="one"', " ; extra == 'One'", '; extra == "two"', '; extra != "one"',
    '; extra == "two" and sys_platform == "linux"', '; extra == "one" or extra == "two"',
    '; "one" == extra', "; extra == 'one\"", "; extra ==", '; extra == ""', '; extra == "a b"',
    '; extra >= "one"',
]  # fmt: skip


@pytest.mark.parametrize("named", ["b", "B.c-d", "b[x]", "b [x, y_z]", "b[x", "-b", "b c", "b[]"])
def test_what_needs_another_extra_is_told_at_a_glance_as_packaging_tells_it(named: str) -> None:
    """Whatever is not parsed has to be what packaging would have read and left out."""
    markers = {"sys_platform": "linux"}
    for specifier, marker in product(_SPECIFIERS, _MARKERS):
        line = f"{named}{specifier}{marker}"
        found = parse(f"Name: demo\nVersion: 1\nRequires-Dist: {line}\n")
        try:
            whole = Requirement(line)
        except InvalidRequirement:
            with pytest.raises(PageError):
                list(found.relevant())
            continue
        for extra in ("", "one", "two", "three"):
            extras = {normalized(extra)} if extra else set()
            applies = whole.marker is None or whole.marker.evaluate({**markers, "extra": extra})
            assert list(found.requirements(markers, extras)) == [whole] * applies, (line, extra)


@pytest.mark.parametrize("name", ["A", "a.b", "A__b--C", "zope.interface", "x_-.y", "-a-"])
def test_names_are_normalised_as_packaging_does(name: str) -> None:
    assert normalized(name) == canonicalize_name(name)


NEEDY = "".join(f'Requires-Dist: dep{n} >=1.{n}; extra == "e"\n' for n in range(20))


@pytest.mark.parametrize(("newline", "share"), [("\n", 1.5), ("\r\n", 0.5)], ids=["lf", "crlf"])
def test_a_description_is_passed_over(newline: str, share: float) -> None:
    """It is most of what is there: copied once at the most, and neither decoded nor taken apart."""
    header = f"Name: demo\nVersion: 1\n{NEEDY}\n".replace("\n", newline).encode()
    data = header + f"Many long words.{newline}".encode() * 100_000
    parse_metadata(header, where="METADATA")
    tracemalloc.start()
    try:
        found = parse_metadata(data, where="METADATA")
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(found.requirement_lines) == 20
    assert peak < share * len(data)


def test_reading_it_parses_no_requirement_and_no_version(clean_environ: dict[str, str]) -> None:
    code = (
        "import sys; from kedge.environment.metadata import parse_metadata; "
        "parse_metadata(sys.stdin.buffer.read(), where='METADATA'); "
        "print([name for name in sys.modules if name.startswith('packaging')])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        input=f"Name: demo\nVersion: 1\n{NEEDY}\nLong words.",
        env=clean_environ,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "[]\n"
