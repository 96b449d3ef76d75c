from __future__ import annotations

from pathlib import Path

import pytest

from kedge.model import Hashes, Origin, OriginKind
from kedge.requirements import (
    Requested,
    UnhashedError,
    hash_checking,
    parse_argument,
)

FLAG = Origin(OriginKind.COMMAND_LINE, "--require-hashes")
SHA = "ab" * 32


def ask(text: str, *, line: int = 1, hashed: bool = False, editable: bool = False) -> Requested:
    hashes = Hashes.of({"sha256": SHA}) if hashed else None
    origin = Origin(OriginKind.FILE, path="reqs.txt", line=line)
    return parse_argument(text, origin, hashes=hashes, editable=editable)


WHEEL = "spam @ https://f.example/spam-1-py3-none-any.whl"


@pytest.mark.parametrize(
    ("asked", "required", "on"),
    [
        pytest.param([ask("spam"), ask("eggs")], None, False, id="no hash at all"),
        pytest.param([ask("spam==1", hashed=True)], None, True, id="one has a hash"),
        pytest.param([ask("spam===1", hashed=True)], None, True, id="arbitrary equality"),
        pytest.param([ask("spam==1", hashed=True)], FLAG, True, id="asked for"),
        pytest.param([ask("spam>1", hashed=True)], None, True, id="the version is left open"),
        pytest.param([], FLAG, True, id="nothing to check"),
        pytest.param([ask(f"{WHEEL}#sha256={SHA}")], None, False, id="a URL's own is no reason"),
        pytest.param([ask(f"{WHEEL}#sha256={SHA}")], FLAG, True, id="but it will do"),
        pytest.param([ask(WHEEL, hashed=True)], FLAG, True, id="a URL with --hash"),
    ],
)
def test_when_the_mode_is_on(asked: list[Requested], required: Origin | None, on: bool) -> None:
    assert hash_checking(asked, required=required) is on


def test_a_constraint_may_bring_the_hash() -> None:
    constraint = ask("spam==1", hashed=True)
    assert hash_checking([ask("spam")], [constraint])
    with pytest.raises(UnhashedError):
        hash_checking([ask("eggs")], [constraint])


def test_everything_that_is_wrong_is_told_at_once(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").touch()
    asked = [
        ask("fine==1", hashed=True),
        ask("held", line=2),
        ask("bare==1", line=3),
        ask("neither", line=4),
        ask("open>=1", line=5, hashed=True),
        ask("git+https://f.example/x#egg=repo", line=6),
        ask(str(tmp_path), line=7),
        ask(f"{WHEEL}#md5=00", line=8),
        ask(str(tmp_path), line=9, editable=True),
    ]
    with pytest.raises(UnhashedError) as caught:
        hash_checking(asked, [ask("held==1", hashed=True), ask("neither==1")])
    error = caught.value
    lines = {
        kind: [one.origin.line for one in getattr(error, kind)]
        for kind in ("unhashable", "unhashed")
    }
    assert lines == {"unhashable": [6, 7, 9], "unhashed": [3, 4, 8]}
    assert all(f"line {number}" in error.message for number in (3, 4, 6, 7, 8, 9))
    assert "fine" not in error.message
    assert "fine==1" in (error.hint or "")  # why the mode is on


@pytest.mark.parametrize(
    ("asked", "kind"),
    [
        pytest.param(ask("bare==1"), "unhashed", id="without a hash"),
        pytest.param(ask("git+https://f.example/x", hashed=True), "unhashable", id="repository"),
    ],
)
def test_one_thing_wrong_is_enough(asked: Requested, kind: str) -> None:
    with pytest.raises(UnhashedError) as caught:
        hash_checking([asked], required=FLAG)
    assert getattr(caught.value, kind) == (asked,)
    found = caught.value.unhashable + caught.value.unhashed
    assert found == (asked,)
    assert caught.value.origin == asked.origin


def test_who_asked_for_the_mode_is_told() -> None:
    with pytest.raises(UnhashedError) as caught:
        hash_checking([ask("spam==1")], required=FLAG)
    assert "--require-hashes" in (caught.value.hint or "")
