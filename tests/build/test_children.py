from __future__ import annotations

import os
import sys

import pytest

from kedge.build.children import ChildFailed, Children


def _run(program: str) -> tuple[list[str], list[str]]:
    heard: list[str] = []
    lines = Children().run(
        [sys.executable, "-c", program], cwd=None, environ=os.environ, heard=heard.append
    )
    return lines, heard


def test_a_line_without_end_is_cut_and_the_next_is_whole() -> None:
    """A build that prints a picture must fill neither the terminal nor the memory."""
    lines, heard = _run("print('first'); print('x' * 5_000_000); print('last')")
    assert lines == heard
    first, long, last = lines
    assert (first, last) == ("first", "last")
    shown = long.partition(" ")[0]
    assert set(shown) == {"x"}
    assert len(long) < 20_000
    assert str(5_000_000 - len(shown)) in long


def test_an_end_without_a_newline() -> None:
    lines, _ = _run("import sys; sys.stdout.write('a\\nb')")
    assert lines == ["a", "b"]


def test_what_a_child_printed_comes_with_its_failure() -> None:
    with pytest.raises(ChildFailed) as caught:
        _run("print('why'); raise SystemExit(3)")
    assert (caught.value.code, caught.value.lines) == (3, ("why",))
