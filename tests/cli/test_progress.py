"""One display for every download."""

from __future__ import annotations

import io

import pytest

from kedge.cli.console import Console
from kedge.cli.progress import (
    LARGE,
    BarDisplay,
    Downloads,
    NoDisplay,
    PlainDisplay,
    RawDisplay,
    choose_display,
    human_size,
)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0 bytes"),
        (999, "999 bytes"),
        (1000, "1.0 kB"),
        (12_345_678, "12.3 MB"),
        (2e9, "2.0 GB"),
    ],
)
def test_sizes(count: float, text: str) -> None:
    assert human_size(count) == text


@pytest.mark.parametrize(
    ("stream", "kind", "verbosity", "display"),
    [
        (Terminal(), "auto", 0, BarDisplay),
        (Terminal(), "on", 0, BarDisplay),
        (Terminal(), "off", 0, NoDisplay),
        (Terminal(), "auto", -1, NoDisplay),
        (io.StringIO(), "auto", 0, PlainDisplay),
        (io.StringIO(), "raw", 0, RawDisplay),
        (Terminal(), "raw", -1, RawDisplay),
    ],
)
def test_which(stream: io.StringIO, kind: str, verbosity: int, display: type) -> None:
    console = Console(err=stream, verbosity=verbosity)
    assert type(choose_display(console, kind)) is display


def test_raw_counts_over_all_files_also_after_a_restart() -> None:
    out = io.StringIO()
    downloads = Downloads(RawDisplay(Console(out=out, err=io.StringIO())))
    downloads.started("a", 100)
    downloads.started("b", 50)
    downloads.advanced("a", 60)
    downloads.advanced("b", 50)
    downloads.advanced("a", 0)
    downloads.advanced("a", 100)
    downloads.finished("a")
    lines = out.getvalue().splitlines()
    assert [line.split()[1] for line in lines] == ["60", "110", "50", "150"]
    assert {line.split()[-1] for line in lines} == {"150"}


def test_plain_lines_are_for_large_files() -> None:
    err = io.StringIO()
    downloads = Downloads(PlainDisplay(Console(err=err)))
    for name, size in (("small.whl", 10), ("large.whl", LARGE)):
        downloads.started(name, size)
        downloads.advanced(name, size)
        downloads.finished(name)
    assert "large.whl" in err.getvalue()
    assert "small.whl" not in err.getvalue()


def test_the_bar_leaves_lines_that_are_said_meanwhile_whole() -> None:
    err = Terminal()
    console = Console(err=err)
    downloads = Downloads(choose_display(console, "auto"))
    downloads.started("a.whl", 100)
    downloads.advanced("a.whl", 50)
    console.say("a line [global] of narration")
    downloads.finished("a.whl")
    console.say("afterwards")
    downloads.close()
    assert "a line [global] of narration" in err.getvalue()
    assert err.getvalue().endswith("afterwards\n")
