from __future__ import annotations

from textwrap import dedent

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kedge.settings.edit import EditError, set_value, unset_value
from kedge.settings.ini import IniError, parse_ini
from kedge.settings.layers import normalise_name


def text(block: str) -> str:
    return dedent(block).lstrip("\n")


TIMEOUT = "Timeout: 60\n"

BEFORE = text(
    """
    # the company's settings
    [global]
    Timeout: 60
    # why: the proxy
    cert = a.pem

    [install]
      find-links =
          a
          # not this one
          b
      ; end
    [list]
    """
)


@pytest.mark.parametrize(
    ("section", "name", "value", "old", "new"),
    [
        pytest.param("global", "cert", "b.pem", "cert = a.pem\n", "cert = b.pem\n", id="change"),
        pytest.param("global", "timeout", "5", TIMEOUT, "Timeout: 5\n", id="spelling"),
        pytest.param(
            "global", "proxy", "p", "cert = a.pem\n", "cert = a.pem\nproxy = p\n", id="add"
        ),
        pytest.param(
            "install",
            "find-links",
            "c",
            "  find-links =\n      a\n      # not this one\n      b\n",
            "  find-links = c\n      # not this one\n",
            id="several lines become one",
        ),
        pytest.param(
            "install", "pre", "yes", "      b\n", "      b\n  pre = yes\n", id="as deep as the rest"
        ),
        pytest.param("list", "format", "json", "[list]\n", "[list]\nformat = json\n", id="empty"),
        pytest.param(
            "freeze", "all", "yes", "[list]\n", "[list]\n\n[freeze]\nall = yes\n", id="new section"
        ),
        pytest.param(
            "global",
            "cert",
            "a\nb",
            "cert = a.pem\n",
            "cert = a\n    b\n",
            id="one line becomes several",
        ),
        pytest.param("global", "cert", "", "cert = a.pem\n", "cert =\n", id="empty value"),
    ],
)
def test_set_changes_one_value_and_nothing_else(
    section: str, name: str, value: str, old: str, new: str
) -> None:
    assert BEFORE.count(old) == 1
    assert set_value(BEFORE, section, name, value) == BEFORE.replace(old, new)


@pytest.mark.parametrize(
    ("section", "name", "old", "new"),
    [
        pytest.param("global", "cert", "cert = a.pem\n", "", id="one line"),
        pytest.param("global", "timeout", TIMEOUT, "", id="another spelling"),
        pytest.param(
            "install",
            "find-links",
            "  find-links =\n      a\n      # not this one\n      b\n",
            "      # not this one\n",
            id="several lines, the comment stays",
        ),
    ],
)
def test_unset_removes_one_value_and_nothing_else(
    section: str, name: str, old: str, new: str
) -> None:
    assert unset_value(BEFORE, section, name) == BEFORE.replace(old, new)


def test_an_empty_section_goes_too() -> None:
    assert unset_value("[a]\nx = 1\n\n[b]\ny = 2\n", "b", "y") == "[a]\nx = 1\n"
    assert unset_value("[a]\nx = 1\n\n[b]\ny = 2\n", "a", "x") == "[b]\ny = 2\n"
    assert unset_value("[a]\nx = 1\n# why\n", "a", "x") == "[a]\n# why\n"


def test_an_empty_section_stays_where_the_next_would_become_part_of_a_value() -> None:
    before = "[a]\nx = 1\n[b]\n  y = 2\n  [c]\n"
    assert unset_value(before, "b", "y") == "[a]\nx = 1\n[b]\n  [c]\n"


def test_every_spelling_is_removed_and_the_last_is_changed() -> None:
    both = "[a]\nindex-url = 1\nindex_url = 2\nother = 3\n"
    assert unset_value(both, "a", "index-url") == "[a]\nother = 3\n"
    assert set_value(both, "a", "index-url", "4") == both.replace("= 2", "= 4")


@pytest.mark.parametrize(
    ("before", "after"),
    [
        pytest.param("", "[a]\nx = 1\n", id="an empty file"),
        pytest.param("# only this", "# only this\n\n[a]\nx = 1\n", id="no last line end"),
        pytest.param("[a]\r\ny = 2\r\n", "[a]\r\ny = 2\r\nx = 1\r\n", id="windows"),
        pytest.param("[a]\ny = 2", "[a]\ny = 2\nx = 1\n", id="no line end at the entry"),
        pytest.param("[a]\nx = 2", "[a]\nx = 1", id="none before, none after"),
        pytest.param("[a]\nx=2\n", "[a]\nx=1\n", id="its delimiter stays"),
    ],
)
def test_line_ends(before: str, after: str) -> None:
    assert set_value(before, "a", "x", "1") == after


@pytest.mark.parametrize(
    ("before", "name", "value"),
    [
        pytest.param("[a]\n", "x", "1\n# lost", id="a line that would be a comment"),
        pytest.param("[a]\n", "x=y", "1", id="a name that would end early"),
        pytest.param("[a]\n", "[x]", "1", id="a name that would be a section"),
        pytest.param("[a]\n  [b]\ny = 1\n", "x", "1", id="what follows would become part of it"),
    ],
)
def test_what_would_not_come_back_is_refused(before: str, name: str, value: str) -> None:
    with pytest.raises(EditError):
        set_value(before, "a", name, value)


def test_what_is_not_there_cannot_be_removed() -> None:
    with pytest.raises(KeyError):
        unset_value(BEFORE, "list", "cert")


def test_a_broken_file_is_not_edited() -> None:
    with pytest.raises(IniError):
        set_value("nonsense\n", "a", "x", "1")


_LINE = st.sampled_from(
    [
        "[a]", "[b]", "  [c]", "x = 1", "  x = 1", "y: 2", "\tz=3", "    more", "", "# note",
        "    # inner", "; note", "u_v =", "u-v = 4",
    ]
)  # fmt: skip


def _readable(lines: list[str]) -> list[str]:
    """The lines of a section, without those by which a file could not be read."""
    kept = ["[a]"]
    for line in lines:
        try:
            parse_ini("\n".join([*kept, line]))
        except IniError:
            continue
        kept.append(line)
    return kept


@given(
    st.lists(_LINE, max_size=12).map(_readable),
    st.sampled_from(["\n", "\r\n"]),
    st.booleans(),
    st.sampled_from(["a", "b", "new"]),
    st.sampled_from(["x", "y", "u-v", "w"]),
    st.sampled_from(["5", "", "p q", "p\nq", "\np\n\nq", "# p", "a = b"]),
)
def test_only_that_value_changes(
    lines: list[str], newline: str, ended: bool, section: str, name: str, value: str
) -> None:
    before = newline.join(lines) + (newline if ended else "")
    ini = parse_ini(before)
    try:
        after = set_value(before, section, name, value)
    except EditError:
        return
    found = parse_ini(after)
    kept = [line.strip() for line in before.split(newline) if line.strip().startswith(("#", ";"))]
    assert [
        line.strip() for line in after.split(newline) if line.strip().startswith(("#", ";"))
    ] == kept
    values = {normalise_name(one.name): one.value for one in found.items(section)}
    assert values[name] == "\n".join(part.strip() for part in value.split("\n")).rstrip()

    def others(one: object) -> list[tuple[str, str, str]]:
        return [
            (entry.section, entry.name, entry.value)
            for entry in one.entries  # type: ignore[attr-defined]
            if (entry.section, normalise_name(entry.name)) != (section, name)
        ]

    assert others(found) == others(ini)
    removed = parse_ini(unset_value(after, section, name))
    assert others(removed) == others(ini)
    assert name not in [normalise_name(one.name) for one in removed.items(section)]
