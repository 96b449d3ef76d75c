"""The journal: what is read back after a crash, whole or torn, here or elsewhere."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from kedge.errors import InstallError
from kedge.install import recover
from kedge.install.journal import Journal, Kind, Operation
from kedge.install.transaction import perform, undo
from support.installing import Stand


@pytest.fixture
def base(tmp_path: Path) -> Path:
    folder = tmp_path / "env" / "site"
    (folder / ".kedge").mkdir(parents=True)
    return folder


def _journal(base: Path) -> Journal:
    return Journal(str(base / ".kedge"))


def _operations(base: Path) -> list[Operation]:
    return [
        Operation(Kind.OUT, str(base / "a"), str(base / ".kedge" / "backup" / "1")),
        Operation(Kind.OUT, str(base.parent / "bin" / "b"), str(base / ".kedge" / "backup" / "2")),
        Operation(Kind.IN, str(base / ".kedge" / "stage" / "ä\udcff"), str(base / "ä\udcff")),
        Operation(Kind.RMDIR, str(base / "c"), "", 0o750),
    ]


def test_what_was_written_is_read(base: Path) -> None:
    journal = _journal(base)
    states = [(journal.is_open, journal.is_committed)]
    journal.write(_operations(base))
    states.append((journal.is_open, journal.is_committed))
    assert _journal(base).read() == _operations(base)
    journal.commit()
    states.append((journal.is_open, journal.is_committed))
    assert states == [(False, False), (True, False), (False, True)]
    journal.close()
    assert list((base / ".kedge").iterdir()) == []


def test_paths_go_with_the_environment(base: Path) -> None:
    _journal(base).write(_operations(base))
    moved = base.parents[1] / "moved"
    base.parent.rename(moved)
    assert _journal(moved / "site").read() == _operations(moved / "site")
    assert str(base) not in (moved / "site" / ".kedge" / "journal").read_text()


def test_a_part_takes_the_place_of_the_whole(base: Path) -> None:
    journal = _journal(base)
    first, second, third, fourth = _operations(base)
    journal.write([first, second, third])
    journal.expand(1, [fourth, fourth])
    assert journal.read() == [first, fourth, fourth, third]


def test_a_torn_part_was_not_acted_upon(base: Path) -> None:
    journal = _journal(base)
    operations = _operations(base)
    journal.write(operations)
    journal.expand(0, operations[2:3])
    path = base / ".kedge" / "journal"
    path.write_bytes(path.read_bytes()[:-2])
    assert journal.read() == operations


def test_undoing_twice_is_undoing_once(base: Path) -> None:
    for folder in ("stage", "backup"):
        (base / ".kedge" / folder).mkdir()
    (base / "a").write_text("old")
    staged = base / ".kedge" / "stage" / "a"
    staged.write_text("new")
    operations = [
        Operation(Kind.OUT, str(base / "a"), str(base / ".kedge" / "backup" / "1")),
        Operation(Kind.IN, str(staged), str(base / "a")),
    ]
    journal = _journal(base)
    journal.write(operations)
    perform(operations, journal)
    assert (base / "a").read_text() == "new"
    undo(journal)
    assert (base / "a").read_text() == "old"
    journal.write(operations)
    undo(journal)
    assert (base / "a").read_text() == "old"
    assert staged.read_text() == "new"


def test_what_appeared_in_between_is_not_overwritten(base: Path) -> None:
    """Neither by installing nor by putting the old back."""
    for folder in ("stage", "backup"):
        (base / ".kedge" / folder).mkdir()
    staged = base / ".kedge" / "stage" / "a"
    staged.write_text("new")
    (base / "a").write_text("somebody's")
    journal = _journal(base)
    come = [Operation(Kind.IN, str(staged), str(base / "a"))]
    journal.write(come)
    with pytest.raises(FileExistsError):
        perform(come, journal)
    (base / ".kedge" / "backup" / "1").write_text("old")
    journal.write([Operation(Kind.OUT, str(base / "a"), str(base / ".kedge" / "backup" / "1"))])
    with pytest.raises(FileExistsError):
        undo(journal)
    assert (base / "a").read_text() == "somebody's"
    assert journal.is_open


@pytest.mark.parametrize(
    "text", ["", "{", "[]", json.dumps({"format": 99, "operations": []}), '{"format": 1}']
)
def test_a_journal_of_another_kind_stops_everything(stand: Stand, text: str) -> None:
    """Of a newer kedge, say. Nothing is deleted: it may be all there is of the old files."""
    state = stand.venv.site / ".kedge"
    (state / "backup").mkdir(parents=True)
    (state / "backup" / "1").write_text("precious")
    (state / "journal").write_text(text)
    with pytest.raises(InstallError) as caught:
        recover(stand.scheme)
    assert str(stand.venv.site) in caught.value.message
    assert str(state) in (caught.value.hint or "")
    assert (state / "backup" / "1").read_text() == "precious"
    with pytest.raises(InstallError):
        stand.install()
    assert (state / "backup" / "1").read_text() == "precious"


def test_what_is_in_the_way_of_undoing_can_be_moved_away(stand: Stand) -> None:
    state = stand.venv.site / ".kedge"
    (state / "backup").mkdir(parents=True)
    (state / "backup" / "1").write_text("old")
    place = stand.venv.site / "a.py"
    Journal(str(state)).write([Operation(Kind.OUT, str(place), str(state / "backup" / "1"))])
    place.write_text("in the way")
    with pytest.raises(InstallError) as caught:
        recover(stand.scheme)
    assert str(place) in caught.value.message
    place.unlink()
    assert recover(stand.scheme)
    assert place.read_text() == "old"
    assert not state.exists()


def test_the_list_of_areas_is_no_way_to_delete_other_things(stand: Stand, tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    precious.mkdir()
    state = stand.venv.site / ".kedge"
    state.mkdir()
    lines = [json.dumps(os.path.relpath(precious, state)), json.dumps(str(precious)), '"torn']
    (state / "areas").write_text("\n".join(lines))
    recover(stand.scheme)
    assert precious.is_dir()
    assert not state.exists()
