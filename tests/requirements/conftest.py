from __future__ import annotations

from pathlib import Path

import pytest

from support.wheels import sdist, wheel


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A wheel and a source archive, a project in ``project/``, an empty folder, a file list."""
    wheel("spam").write(tmp_path)
    wheel("spam").write(tmp_path / "sub dir")
    sdist("spam").write(tmp_path)
    (tmp_path / "project").mkdir()
    (tmp_path / "project" / "pyproject.toml").touch()
    (tmp_path / "old").mkdir()
    (tmp_path / "old" / "setup.py").touch()
    (tmp_path / "empty").mkdir()
    (tmp_path / "list.txt").write_text("spam\n")
    return tmp_path
