"""Other Pythons, and distributions laid out by hand."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

import pytest

from support.surroundings import MACHINE

#: The Pythons that kedge itself is tested on: CI must have them. Others are tried where present.
TESTED = ("3.10", "3.11", "3.12", "3.13")


@lru_cache
def find_python(version: str) -> Path | None:
    """A Python of that version that runs: a name on PATH may be a launcher without one behind."""
    named = MACHINE.get(f"KEDGE_PYTHON_{version.replace('.', '_')}")
    folders = MACHINE.get("PATH", os.defpath).split(os.pathsep)
    for folder in [None] if named else folders:
        found = shutil.which(named or f"python{version}", path=folder)
        if found is None:
            continue
        asked = "import sys; print('%d.%d' % sys.version_info[:2])"
        run = subprocess.run([found, "-c", asked], capture_output=True, text=True)
        if run.stdout.strip() == version:
            return Path(found)
    return None


@pytest.fixture
def python() -> Callable[[str], Path]:
    """The Python of a version, or a skip that names it: under CI a failure, for ``TESTED``."""

    def get(version: str) -> Path:
        found = find_python(version)
        if found is None:
            reason = f"not here: python{version}"
            if MACHINE.get("KEDGE_REQUIRE_TOOLS") and version in TESTED:
                pytest.fail(f"{reason} (KEDGE_REQUIRE_TOOLS is set)", pytrace=False)
            pytest.skip(reason)
        return found

    return get
