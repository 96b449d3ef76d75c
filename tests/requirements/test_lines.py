from __future__ import annotations

import codecs

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kedge.requirements.lines import UndecodableError, decode, expand, logical_lines

TEXT = "späm==1.0\n"


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        pytest.param(TEXT.encode(), TEXT, id="utf-8"),
        pytest.param(codecs.BOM_UTF8 + TEXT.encode(), TEXT, id="utf-8 with a mark"),
        pytest.param(codecs.BOM_UTF16_LE + TEXT.encode("utf-16-le"), TEXT, id="PowerShell's"),
        pytest.param(codecs.BOM_UTF16_BE + TEXT.encode("utf-16-be"), TEXT, id="utf-16-be"),
        pytest.param(codecs.BOM_UTF32_LE + TEXT.encode("utf-32-le"), TEXT, id="utf-32-le"),
        pytest.param(codecs.BOM_UTF32_BE + TEXT.encode("utf-32-be"), TEXT, id="utf-32-be"),
        pytest.param(
            b"# -*- coding: latin-1 -*-\n" + TEXT.encode("latin-1"),
            "# -*- coding: latin-1 -*-\n" + TEXT,
            id="declared",
        ),
        pytest.param(
            b"#!x\n# vim: fileencoding=cp1252\n\x80",
            "#!x\n# vim: fileencoding=cp1252\n€",
            id="declared in the second line",
        ),
        pytest.param(TEXT.encode("cp1251", "replace") + b"\xe4", None, id="the locale's"),
    ],
)
def test_the_encoding_is_found(data: bytes, expected: str | None) -> None:
    assert decode(data, fallback="latin-1") == (expected or data.decode("latin-1"))


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"\xff\xfea", id="half a character"),
        pytest.param(b"# coding: klingon\n", id="no such encoding"),
        pytest.param(b"# coding: ascii\n\xe4", id="declared wrongly"),
        pytest.param(b"\n\n# coding: latin-1\n\xe4", id="declared too late"),
    ],
)
def test_what_cannot_be_decoded_is_told(data: bytes) -> None:
    with pytest.raises(UndecodableError):
        decode(data, fallback="ascii")


LINES = [
    pytest.param("a\n\n  b  \n", [(1, "a"), (3, "b")], id="blank lines"),
    pytest.param("# a\n b # c\n", [(2, "b")], id="comments"),
    pytest.param("a#b\n", [(1, "a#b")], id="no space, no comment"),
    pytest.param("a \\\n b\\\nc\nd", [(1, "a  bc"), (4, "d")], id="continued"),
    pytest.param("a \\\n# b\nc", [(1, "a"), (3, "c")], id="a comment ends it"),
    pytest.param("a \\\n  # b \\\nc", [(1, "a"), (3, "c")], id="a comment is not continued"),
    pytest.param("a \\\n\nb", [(1, "a"), (3, "b")], id="continued by nothing"),
    pytest.param("a \\", [(1, "a")], id="continued past the end"),
    pytest.param("a # b \\\nc", [(1, "a")], id="continued after a comment: all of it comment"),
    pytest.param("a\r\nb\rc\x0cd", [(1, "a"), (2, "b"), (3, "c"), (4, "d")], id="line ends"),
    pytest.param("\\\n\\\na", [(1, "a")], id="only backslashes"),
    pytest.param("a\\\\\nb", [(1, "ab")], id="two backslashes"),
]


@pytest.mark.parametrize(("text", "expected"), LINES)
def test_lines_are_joined_and_stripped(text: str, expected: list[tuple[int, str]]) -> None:
    assert list(logical_lines(text, {})) == expected


@given(st.text(st.sampled_from("ab#\\ \t\n\r$"), max_size=40))
def test_lines_are_those_of_pip(text: str) -> None:
    req_file = pytest.importorskip("pip._internal.req.req_file")
    assert list(logical_lines(text, {})) == list(req_file.preprocess(text))


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("${A_1}/x", "one/x"),
        ("${A_1}${A_1}", "oneone"),
        ("$A_1 ${a_1} ${A-1} ${ A_1 } %A_1%", "$A_1 ${a_1} ${A-1} ${ A_1 } %A_1%"),
        ("${UNSET} ${EMPTY}", "${UNSET} ${EMPTY}"),
        ("${NESTED}", "${A_1}"),
        ("${HASH}", "# not a comment"),
    ],
)
def test_variables_are_put_in(line: str, expected: str) -> None:
    environ = {
        "A_1": "one",
        "EMPTY": "",
        "NESTED": "${A_1}",
        "HASH": "# not a comment",
        "a_1": "no",
    }
    assert expand(line, environ) == expected


def test_a_variable_may_bring_what_looks_like_a_comment() -> None:
    assert list(logical_lines("-i ${URL}", {"URL": "https://x/ #y"})) == [(1, "-i https://x/ #y")]
