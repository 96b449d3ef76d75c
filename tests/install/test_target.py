"""``--target``, ``--prefix`` and ``--root``: other places than an environment."""

from __future__ import annotations

import csv
import os
from dataclasses import replace
from pathlib import Path

import pytest

from kedge.environment.scheme import scheme_for
from kedge.install import Existing, carry_out
from support.installing import Stand, Told
from support.venvs import snapshot
from support.wheels import Artifact, wheel

ONE = wheel(
    "one",
    "1.0",
    entry_points={"one": "one:main"},
    data={"data/share/one.txt": "1", "data/loose.txt": "1", "headers/one.h": ""},
    files={"ns/one.py": "", "one/old.py": ""},
)
TWO = wheel("two", "1.0", entry_points={"two": "two:main"}, files={"ns/two.py": ""})
NEWER = wheel("one", "2.0", entry_points={"one": "one:main"}, data={"data/share/one.txt": "2"})


def _into(
    stand: Stand, target: Path, *artifacts: Artifact, existing: Existing = Existing.KEEP
) -> Told:
    told = Told()
    plan = stand.plan(
        *artifacts,
        scheme=scheme_for(stand.interpreter, target=target),
        existing=existing,
        removals=(),
    )
    carry_out(plan, reporter=told)
    return told


def test_a_new_folder(stand: Stand, tmp_path: Path) -> None:
    target = tmp_path / "new" / "target"
    _into(stand, target, ONE, TWO)
    top = {path.name for path in target.iterdir()}
    assert {"one", "two", "ns", "bin", "share", "loose.txt", "one-1.0.dist-info"} <= top
    assert ".kedge" not in top
    assert {path.name for path in (target / "bin").iterdir()} == {"one", "two"}
    assert {path.name for path in (target / "ns").iterdir()} == {"one.py", "two.py"}


def test_record_counts_from_the_folder(stand: Stand, tmp_path: Path) -> None:
    target = tmp_path / "target"
    _into(stand, target, ONE)
    with (target / "one-1.0.dist-info" / "RECORD").open(newline="") as file:
        rows = [row[0] for row in csv.reader(file)]
    assert {"bin/one", "share/one.txt", "one/__init__.py"} <= set(rows)
    assert all((target / row).exists() for row in rows)


def test_what_exists_is_kept_with_a_word(stand: Stand, tmp_path: Path) -> None:
    target = tmp_path / "target"
    _into(stand, target, ONE)
    (target / "bin" / "one").write_text("mine")
    before = snapshot(target)
    told = _into(stand, target, ONE)
    assert snapshot(target) == before
    kept = {Path(path).name for path, _ in told.all("kept")}
    assert {"one", "one-1.0.dist-info", "ns", "loose.txt", "one.txt"} <= kept


def test_with_upgrade_it_is_replaced_whole(stand: Stand, tmp_path: Path) -> None:
    target = tmp_path / "target"
    _into(stand, target, ONE, TWO)
    (target / "one" / "mine.txt").write_text("mine")
    (target / "unrelated").mkdir()
    _into(stand, target, NEWER, existing=Existing.REPLACE)
    assert {path.name for path in (target / "one").iterdir()} == {"__init__.py"}
    assert (target / "share" / "one.txt").read_text() == "2"
    infos = sorted(path.name for path in target.glob("*.dist-info"))
    assert infos == ["one-2.0.dist-info", "two-1.0.dist-info"]
    # What belongs to no one package is not swept away with it.
    assert {path.name for path in (target / "bin").iterdir()} == {"one", "two"}
    assert (target / "unrelated").is_dir()


def test_a_link_is_not_replaced(stand: Stand, tmp_path: Path) -> None:
    target = tmp_path / "target"
    real = tmp_path / "checkout"
    real.mkdir()
    target.mkdir()
    (target / "one").symlink_to(real)
    told = _into(stand, target, NEWER, existing=Existing.REPLACE)
    assert (target / "one").is_symlink()
    assert list(real.iterdir()) == []
    assert any("link" in reason for _, reason in told.all("kept"))


def test_a_failure_leaves_no_folder_behind(stand: Stand, tmp_path: Path) -> None:
    addition = stand.addition(ONE)
    (addition.wheel.tree / "one" / "old.py").unlink()
    target = tmp_path / "a" / "b"
    with pytest.raises(Exception, match="missing"):
        _into(stand, target, ONE)
    assert not (tmp_path / "a").exists()


def test_a_prefix(stand: Stand, tmp_path: Path) -> None:
    prefix = tmp_path / "prefix"
    plan = replace(stand.plan(ONE), scheme=scheme_for(stand.interpreter, prefix=prefix))
    carry_out(plan)
    assert (prefix / "bin" / "one").exists()
    assert (prefix / "share" / "one.txt").exists()
    (info,) = prefix.rglob("one-1.0.dist-info")
    assert "../../../bin/one," in (info / "RECORD").read_text()


def test_a_root(stand: Stand, tmp_path: Path) -> None:
    root = tmp_path / "root"
    before = stand.snapshot()
    carry_out(replace(stand.plan(ONE), scheme=scheme_for(stand.interpreter, root=root)))
    inside = root / stand.venv.path.relative_to(stand.venv.path.anchor)
    program = (inside / "bin" / "one").read_text()
    # It is to be run from where it will be in the end.
    assert program.startswith(f"#!{stand.interpreter.executable}\n")
    (info,) = root.rglob("one-1.0.dist-info")
    text = (info / "RECORD").read_text()
    assert "../../../bin/one," in text
    assert str(root) not in text
    assert os.fspath(tmp_path) not in text
    assert stand.snapshot() == before
