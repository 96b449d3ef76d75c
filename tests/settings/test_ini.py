from __future__ import annotations

import configparser
import io

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from kedge.settings.ini import IniError, parse_ini


def theirs(text: str) -> dict[str, dict[str, str]] | None:
    """What RawConfigParser makes of it, as pip uses it; None for an error."""
    parser = configparser.RawConfigParser()
    try:
        parser.read_file(io.StringIO(text, newline=None))
    except configparser.Error:
        return None
    return {section: dict(parser.items(section)) for section in parser.sections()}


def ours(text: str) -> dict[str, dict[str, str]] | None:
    try:
        ini = parse_ini(text)
    except IniError:
        return None
    return {
        section: {entry.name: entry.value for entry in ini.items(section)}
        for section in ini.sections
    }


_PIECES = st.sampled_from(
    [
        "[global]", "[install]", "[DEFAULT]", "[", "]", "[]", "cert", "Cert", "time-out", "=", ":",
        " = ", " : ", " ", "    ", "\t", "\n", "\n", "\n", "\r\n", "\r", "\n    ", "\n  ", "#",
        ";", "# note\n", "; note\n", "  # inner\n", "a.pem", "b c", "%(x)s", "é", "\x0b", "\x1c",
        "\u2028", "\xa0", "\ufeff", "\n\n",
    ]
)  # fmt: skip
_ENTRIES = st.builds(
    "{}{}{}{}{}".format,
    st.sampled_from(["", "  ", "\t"]),
    st.sampled_from(["cert", "index-url", "Index_URL", "a b", "x"]),
    st.sampled_from(["=", " = ", ":", ": ", ""]),
    st.sampled_from(["", "1", "a = b", "# no comment", "v ; kept", "[x]"]),
    st.sampled_from(["\n", "\n    more\n", "\n\n      deep\n", "\n    # note\n    more\n", "\r\n"]),
)
_TEXTS = st.lists(_PIECES, max_size=30).map("".join)
_FILES = st.lists(
    st.sampled_from(["[global]\n", "  [install]\n", "[list] tail\n", "[DEFAULT]\n", "\n", "# c\n"])
    | _ENTRIES,
    max_size=12,
).map(lambda parts: "[first]\n" + "".join(parts))


@given(_TEXTS | _FILES)
@example("[a]\nx = 1\n\n  2\n\n\n")
@example("[a]\nx =\n    1\n  [b]\ny = 2\n")
@example("[a]\n  x = 1\n  y = 2\n    z = 3\n")
@example("[DEFAULT]\nx = 1\n[a]\ny = 2\n[DEFAULT]\nz = 3\n[b]\n")
@example("[a]b]\nx=1")
@example("[a]\nx = 1\x0b2\u20283\x1c\ny = 4\r  5\r\n  6\n")
def test_the_same_values_as_configparser(text: str) -> None:
    assert ours(text) == theirs(text)


@given(_FILES)
def test_lines_are_where_the_text_is(text: str) -> None:
    try:
        ini = parse_ini(text)
    except IniError:
        return
    lines = io.StringIO(text, newline=None).read().split("\n")
    for entry in ini.entries:
        assert lines[entry.line - 1].strip().startswith(entry.written)
        last = entry.value.rsplit("\n", 1)[-1]
        assert lines[entry.end - 1].strip().endswith(last)


@pytest.mark.parametrize(
    ("text", "line", "named"),
    [
        pytest.param("timeout = 5\n", 1, "section", id="no section"),
        pytest.param("# note\n\ntimeout = 5\n", 3, "section", id="no section, after a comment"),
        pytest.param("[global]\n[install]\n[global]\n", 3, "[global]", id="a section twice"),
        pytest.param("[global]\ncert=a\nCERT=b\n", 3, "'CERT'", id="a name twice"),
        pytest.param("[DEFAULT]\na=1\n[DEFAULT]\na=2\n", 4, "'a'", id="a default twice"),
        pytest.param("[global]\nnonsense\n", 2, "name = value", id="no delimiter"),
        pytest.param("[global]\n= 5\n", 2, "name = value", id="no name"),
        pytest.param("\ufeff[global]\n", 1, "section", id="a mark that was not decoded"),
    ],
)
def test_a_broken_file_is_told_with_its_line(text: str, line: int, named: str) -> None:
    with pytest.raises(IniError) as caught:
        parse_ini(text)
    assert caught.value.line == line
    assert named in caught.value.reason


def test_names_keep_their_spelling_and_lines_their_numbers() -> None:
    ini = parse_ini(
        "# first\n[global]\nIndex_URL: a\n\nfind-links =\n    b\n    # not this\n    c\n\n"
    )
    assert [(one.name, one.written, one.value, one.line, one.end) for one in ini.entries] == [
        ("index_url", "Index_URL", "a", 3, 3),
        ("find-links", "find-links", "\nb\nc", 5, 8),
    ]


def test_defaults_belong_to_every_section() -> None:
    ini = parse_ini("[DEFAULT]\na = 1\nb = 1\n[global]\na = 2\n")
    assert [(one.section, one.name, one.value) for one in ini.items("global")] == [
        ("global", "a", "2"),
        ("DEFAULT", "b", "1"),
    ]
