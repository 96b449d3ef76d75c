"""kedge in the environment that it changes: it may be replaced, or lose what it needs."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from support.venvs import make_venv
from support.wheels import wheel

#: From the moment of the change on, what kedge imports is that of another version.
REPLACED = """
import os, sys
there = sys.argv.pop(1)

class Finder:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "kedge" and os.path.exists(there) == {installed}:
            raise RuntimeError(f"of another version: {{name}}")

sys.meta_path.insert(0, Finder())
from kedge.cli.main import program
sys.exit(program())
"""


@pytest.mark.parametrize("more", [[], ["-vv"], ["--compile"], ["--report", "-"]])
def test_nothing_of_kedge_is_imported_after_the_change(
    more: list[str], clean_environ: dict[str, str], tmp_path: Path
) -> None:
    venv = make_venv(tmp_path / "env")
    wheel("spam").write(tmp_path)

    def run(*words: str, installed: bool) -> None:
        code = REPLACED.format(installed=installed)
        command = [sys.executable, "-c", code, str(venv.site / "spam-1.0.dist-info"), *words]
        done = subprocess.run(command, env=clean_environ, capture_output=True, text=True)
        assert (done.returncode, done.stderr.count("another version")) == (0, 0), done.stderr

    where = ["--python", str(venv.python)]
    run("install", *where, "--no-index", "-f", str(tmp_path), "spam", *more, installed=True)
    assert venv.versions() == {"spam": "1.0"}
    if not more:
        run("uninstall", "-y", *where, "spam", installed=False)
        assert venv.versions() == {}


def test_what_kedge_itself_needs_may_be_missing(clean_environ: dict[str, str]) -> None:
    code = "import sys; sys.modules['packaging'] = None; from kedge.cli.main import program; "
    command = [sys.executable, "-c", code + "sys.exit(program())", "list"]
    done = subprocess.run(command, env=clean_environ, capture_output=True, text=True)
    assert done.returncode == 1
    assert "the module packaging" in done.stderr
    assert sys.prefix in done.stderr
    assert "bug" not in done.stderr
