"""Environments to build in: Python agrees with what is said of them, and sees nothing else."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from kedge.classes import replace
from kedge.environment import current, inspect, scheme_for
from kedge.environment import private as making
from kedge.environment.private import make_private
from kedge.errors import TargetError
from support.venvs import Venv, make_venv

_SHOW = "import sys, sysconfig; print(sys.prefix, sysconfig.get_path('purelib'), *sys.path)"


@pytest.fixture(params=["of kedge", "another"])
def owner(request: pytest.FixtureRequest, tmp_path: Path) -> Path | None:
    """The Python to make one of: kedge's own, or another environment's."""
    return None if request.param == "of kedge" else make_venv(tmp_path / "other").python


def test_python_agrees_with_what_is_said_of_it(
    owner: Path | None, tmp_path: Path, clean_environ: dict[str, str]
) -> None:
    interpreter = inspect(owner) if owner else current()
    made = make_private(interpreter, tmp_path / "made", environ=clean_environ)
    asked = inspect(made.executable)
    assert asked.prefix == made.prefix == tmp_path / "made"
    assert asked.base_prefix == made.base_prefix
    assert asked.version == made.version
    assert scheme_for(asked) == scheme_for(made)
    assert (asked.markers, asked.tags) == (made.markers, made.tags)
    assert made.is_venv
    assert set(made.search_path) <= set(asked.search_path)


def test_nothing_of_another_environment_is_seen(
    tmp_path: Path, clean_environ: dict[str, str]
) -> None:
    made = make_private(current(), tmp_path / "made", environ=clean_environ)
    command = [str(made.executable), "-c", _SHOW]
    said = subprocess.run(command, env=clean_environ, capture_output=True, text=True, check=True)
    prefix, purelib, *path = said.stdout.split()
    assert Path(prefix) == tmp_path / "made"
    packages = [entry for entry in path if entry.endswith("site-packages")]
    assert packages == [purelib]
    assert list(Path(purelib).iterdir()) == []


def test_where_links_will_not_do_python_makes_it(
    tmp_path: Path, clean_environ: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    linked = make_private(current(), tmp_path / "linked", environ=clean_environ)
    monkeypatch.setattr(making, "_home", lambda interpreter: None)
    made = make_private(current(), tmp_path / "made", environ=clean_environ)
    assert made.is_venv
    assert (made.version, made.base_prefix) == (linked.version, linked.base_prefix)
    assert made.site_packages.relative_to(made.prefix) == linked.site_packages.relative_to(
        linked.prefix
    )


def test_a_python_that_cannot_make_one(
    tmp_path: Path, clean_environ: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = tmp_path / "python"
    broken.write_text("#!/bin/sh\necho no module named venv >&2; exit 1\n")
    broken.chmod(0o755)
    monkeypatch.setattr(making, "_home", lambda interpreter: None)
    with pytest.raises(TargetError) as caught:
        make_private(
            replace(current(), executable=broken), tmp_path / "made", environ=clean_environ
        )
    assert "no module named venv" in caught.value.message


def test_programs_are_where_they_are_said_to_be(
    tmp_path: Path, clean_environ: dict[str, str]
) -> None:
    made = make_private(current(), tmp_path / "made", environ=clean_environ)
    assert os.access(made.scripts / made.executable.name, os.X_OK)
    assert Venv(tmp_path / "made").site == made.site_packages
