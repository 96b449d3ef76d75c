"""How a report fits a terminal: by width, and without one."""

from __future__ import annotations

import io
import re

import pytest

from kedge.cli.console import Console, columns_of
from kedge.cli.wrapping import shown
from kedge.diagnose import Line, LineKind

FINGERPRINT = ":".join(["AB"] * 32)
WORDS = Line("one two three four five six seven eight nine ten eleven twelve", "Cause: ", 2)


def rows(line: Line, width: int | None, *, color: bool = False) -> list[str]:
    console = Console(width=width, color=color, err=io.StringIO())
    return "\n".join(shown(line, console)).split("\n")


@pytest.mark.parametrize("width", [40, 60, 80, 100, 200])
def test_words_keep_to_the_width_and_hang_below_their_beginning(width: int) -> None:
    found = rows(WORDS, width)
    assert all(len(row) <= min(width, 100) for row in found)
    assert found[0].startswith("  Cause: one two")
    assert all(row.startswith(" " * 9) and row[9] != " " for row in found[1:])
    assert " ".join(" ".join(found).split()) == str(WORDS).strip()


def test_a_label_that_takes_the_row_does_not_push_the_text_to_the_edge() -> None:
    line = Line("word " * 20, "a label that takes most of the row: ", 2)
    assert all(row.startswith("    word") for row in rows(line, 40)[1:])


@pytest.mark.parametrize("width", [None, 40, 80, 300])
def test_a_command_is_one_row(width: int | None) -> None:
    command = Line("kedge install " + "x" * 200, indent=4, kind=LineKind.COMMAND)
    assert rows(command, width) == [str(command)]


def test_without_a_terminal_nothing_is_wrapped() -> None:
    line = Line("word " * 100 + "end", "Cause: ")
    assert rows(line, None) == [str(line)]


@pytest.mark.parametrize(("width", "pairs"), [(120, 32), (100, 16), (80, 16), (60, 8), (20, 8)])
def test_a_fingerprint_goes_on_after_a_colon(width: int, pairs: int) -> None:
    found = rows(Line(FINGERPRINT, "SHA-256 ", 5, LineKind.FINGERPRINT), width)
    assert len(found) == 32 // pairs
    assert all(row.endswith("AB:") for row in found[:-1])
    assert {len(row) - len(row.lstrip()) for row in found[1:]} <= {13}
    assert re.sub(r"\s", "", "".join(found)) == "SHA-256" + FINGERPRINT


def test_colour_changes_no_row() -> None:
    plain = rows(WORDS, 40)
    colored = rows(WORDS, 40, color=True)
    assert [re.sub(r"\x1b\[\d+m", "", row) for row in colored] == plain
    assert "\x1b[" in colored[0]


def test_a_word_longer_than_the_row_is_not_broken() -> None:
    path = "/very/long" * 12
    assert path in rows(Line(f"The bundle {path} cannot be used.", indent=2), 80)[1]


@pytest.mark.parametrize(
    ("columns", "width"), [("72", 72), ("", None), ("0", None), ("wide", None), ("-3", None)]
)
def test_columns_of_the_environment(columns: str, width: int | None) -> None:
    assert columns_of(io.StringIO(), {"COLUMNS": columns}) == width
    assert columns_of(None, {}) is None
