"""Two streams, a log, and colour only where it is wanted."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from kedge.cli.console import Console, wants_color
from kedge.errors import UsageError


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("stream", "environ", "declined", "wanted"),
    [
        pytest.param(Terminal(), {}, False, True, id="terminal"),
        pytest.param(io.StringIO(), {}, False, False, id="pipe"),
        pytest.param(io.StringIO(), {"FORCE_COLOR": "1"}, False, True, id="forced"),
        pytest.param(Terminal(), {"NO_COLOR": "1"}, False, False, id="NO_COLOR"),
        pytest.param(Terminal(), {"NO_COLOR": ""}, False, True, id="empty-NO_COLOR"),
        pytest.param(Terminal(), {"TERM": "dumb"}, False, False, id="dumb"),
        pytest.param(Terminal(), {"FORCE_COLOR": "1"}, True, False, id="--no-color"),
    ],
)
def test_colour(stream: io.StringIO, environ: dict[str, str], declined: bool, wanted: bool) -> None:
    assert wants_color(stream, environ, no_color=declined) is wanted


@pytest.mark.parametrize(
    ("verbosity", "shown"),
    [
        (-3, []),
        (-2, ["error"]),
        (-1, ["error", "warning"]),
        (0, ["error", "warning", "said"]),
        (1, ["error", "warning", "said", "detail"]),
        (2, ["error", "warning", "said", "detail", "debug"]),
    ],
)
def test_verbosity(verbosity: int, shown: list[str]) -> None:
    out, err = io.StringIO(), io.StringIO()
    console = Console(verbosity=verbosity, out=out, err=err)
    console.error("error")
    console.warn("warning")
    console.say("said")
    console.detail("detail")
    console.debug("debug")
    console.result("result")
    words = ("error", "warning", "said", "detail", "debug")
    lowered = err.getvalue().lower()
    assert [word for word in words if word in lowered] == shown
    assert out.getvalue() == "result\n"


def test_a_warning_is_given_once() -> None:
    err = io.StringIO()
    console = Console(err=err)
    console.warn("the same")
    console.warn("the same")
    assert err.getvalue().count("\n") == 1


def test_the_log_has_everything_without_colour(tmp_path: Path) -> None:
    log = tmp_path / "logs" / "kedge.log"
    console = Console(err=io.StringIO(), out=io.StringIO())
    console.configure(verbosity=-3, color=True, log=log)
    console.error("wrong")
    console.debug("small")
    console.result("printed")
    console.close()
    assert log.read_text().splitlines() == ["error: wrong.", "small", "printed"]


def test_a_log_that_cannot_be_written_is_a_wrong_option(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=str(tmp_path)):
        Console().configure(verbosity=0, color=False, log=tmp_path)


def test_what_the_terminal_cannot_show_is_escaped() -> None:
    raw = io.BytesIO()
    console = Console(out=io.TextIOWrapper(raw, encoding="ascii"))
    console.result("Grüße")
    assert raw.getvalue() == b"Gr\\xfc\\xdfe\n"


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp850", "cp1252", "utf-8"])
def test_punctuation_is_readable_in_every_encoding(encoding: str) -> None:
    """As Python opens stderr, which would write “ as \\u201c."""
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding=encoding, errors="backslashreplace")
    Console(err=stream).say("“Corp Root” …")
    shown = raw.getvalue().decode(encoding).strip()
    assert shown in {"“Corp Root” …", '"Corp Root" ...'}


def test_what_an_encoding_lacks_is_escaped_and_not_lost() -> None:
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding="ascii")
    Console(out=stream).result("a/größe.pem")
    assert raw.getvalue() == b"a/gr\\xf6\\xdfe.pem\n"


@pytest.mark.parametrize("color", [True, False])
def test_what_others_chose_is_shown_and_not_obeyed(color: bool) -> None:
    """By stderr and by the log; colours of our own stay."""
    err = io.StringIO()
    console = Console(err=err, color=color)
    console.error("answered 403 \x1b[2J\x07\x9b1A Evil\r\u202e")
    shown = err.getvalue().replace("\x1b[31;1m", "").replace("\x1b[0m", "")
    assert shown.strip("\n").isprintable()
    assert ("\x1b[31;1m" in err.getvalue()) is color
    console.say("two\nlines\tand a tab")
    assert err.getvalue().endswith("two\nlines\tand a tab\n")
