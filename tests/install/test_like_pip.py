"""The same files as the real pip leaves, in the same places, with the same permissions."""

from __future__ import annotations

import csv
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from kedge.environment.scheme import scheme_for
from kedge.install import Existing, carry_out
from support.installing import Stand, make_stand
from support.wheels import Artifact, wheel

FULL = wheel(
    "demo-thing",
    "1.0+local.1",
    entry_points={"demo": "demo_thing:main", "other": "demo_thing.inner:x.y [extra]"},
    gui={"demo-gui": "demo_thing:main"},
    files={"demo_thing/inner/__init__.py": "a = 1\n", "top.py": "1\n", "with,comma.txt": "x"},
    data={
        "scripts/run": "#!python\nprint('ran')\n",
        "scripts/demo": "what setuptools made",
        "scripts/run.sh": "#!/bin/sh\necho sh\n",
        "headers/inner/demo.h": "int x;",
        "data/share/demo/notes.txt": "notes",
        "purelib/pure.py": "pure = 1\n",
        "platlib/plat.py": "plat = 1\n",
    },
)
PLAT = wheel("plat", "2.0", purelib=False, data={"purelib/plat_pure.py": ""})


@pytest.fixture(scope="module")
def pip() -> list[str]:
    command = [sys.executable, "-m", "pip"]
    if subprocess.run([*command, "--version"], capture_output=True).returncode:
        pytest.skip("the Python of the tests has no pip")
    return command


def _pip(pip: list[str], *words: str) -> None:
    options = ("--no-compile", "--no-index", "--no-deps", "--disable-pip-version-check", "-q")
    environ = {**os.environ, "PIP_CONFIG_FILE": os.devnull, "PIP_ROOT_USER_ACTION": "ignore"}
    subprocess.run([*pip, *words, *options], check=True, env=environ, capture_output=True)


#: What says who installed it, or depends on that; compared by its rows instead.
_OWN = ("INSTALLER", "RECORD", "direct_url.json", "REQUESTED")


def _tree(root: Path) -> dict[str, tuple[int, bytes]]:
    """Permissions and contents of every file, with the root's own path made neutral."""
    found = {}
    for path in root.rglob("*"):
        if path.is_file() and not path.is_symlink() and path.name != "pyvenv.cfg":
            data = b"" if path.name in _OWN else path.read_bytes()
            data = data.replace(os.fsencode(root), b"ROOT")
            if path.parent.name == "bin":
                data = b"\n".join(data.splitlines()[:1])  # the body of a wrapper is our own
            found[str(path.relative_to(root))] = (stat.S_IMODE(path.stat().st_mode), data)
    return found


def _recorded(root: Path) -> set[tuple[str, str, str]]:
    (record,) = root.rglob("[dD]emo*.dist-info/RECORD")
    rows = set()
    with record.open(newline="") as file:
        for path, digest, size in csv.reader(file):
            if ".data/" in path:
                continue  # a row of pip's for a script that it left out
            own = path.rpartition("/")[2] in _OWN or "bin/" in path
            rows.add((path, "" if own else digest, "" if own else size))
    return rows


@pytest.mark.parametrize("artifacts", [(FULL,), (FULL, PLAT)], ids=["one", "two"])
def test_an_environment(tmp_path: Path, pip: list[str], artifacts: tuple[Artifact, ...]) -> None:
    ours, theirs = make_stand(tmp_path / "ours"), make_stand(tmp_path / "them")
    assert len(str(ours.venv.path)) == len(str(theirs.venv.path))
    archives = [str(artifact.write(tmp_path / "archives")) for artifact in artifacts]
    _pip(pip, "--python", str(theirs.venv.python), "install", *archives)
    for artifact in artifacts:
        addition = ours.addition(artifact, requested=True)
        ours.install(addition)
    left, right = _tree(ours.venv.path), _tree(theirs.venv.path)
    # pip was given files, and says so.
    right = {name: entry for name, entry in right.items() if not name.endswith("direct_url.json")}
    assert left == right
    rows = {row for row in _recorded(theirs.venv.path) if not row[0].endswith("direct_url.json")}
    assert _recorded(ours.venv.path) == rows


def test_a_target(stand: Stand, tmp_path: Path, pip: list[str]) -> None:
    archive = FULL.write(tmp_path / "archives")
    _pip(
        pip, "--python", str(stand.venv.python), "install", "-t", str(tmp_path / "p"), str(archive)
    )
    scheme = scheme_for(stand.interpreter, target=tmp_path / "k")
    addition = stand.addition(FULL, requested=True)
    carry_out(stand.plan(addition, scheme=scheme, existing=Existing.KEEP))
    left, right = _tree(tmp_path / "k"), _tree(tmp_path / "p")
    right = {name: entry for name, entry in right.items() if not name.endswith("direct_url.json")}
    assert left == right


def test_pip_can_remove_what_kedge_installed_and_the_other_way(
    stand: Stand, tmp_path: Path, pip: list[str]
) -> None:
    empty = stand.snapshot()
    folders = {name for name, contents in empty.items() if contents is None}
    stand.install(FULL)
    _pip_uninstall(pip, stand, "demo-thing")
    left = {name: text for name, text in stand.snapshot().items() if text is not None}
    assert left == {name: text for name, text in empty.items() if name not in folders}
    archive = FULL.write(tmp_path / "archives")
    _pip(pip, "--python", str(stand.venv.python), "install", str(archive))
    assert stand.snapshot() != empty
    stand.uninstall("demo-thing")
    assert stand.snapshot() == empty


def _pip_uninstall(pip: list[str], stand: Stand, name: str) -> None:
    command = [*pip, "--python", str(stand.venv.python), "uninstall", "-y", "-q", name]
    subprocess.run(command, check=True, capture_output=True)
