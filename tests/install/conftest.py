"""A place to install into, for every test here."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.installing import Stand, make_stand


@pytest.fixture
def stand(tmp_path: Path) -> Stand:
    return make_stand(tmp_path)


@pytest.fixture
def stand_in_memory(tmp_path: Path) -> Iterator[Stand]:
    """For tests that install hundreds of times: forcing files to a disk takes time there."""
    memory = Path("/dev/shm")
    if not memory.is_dir():
        yield make_stand(tmp_path)
        return
    folder = Path(tempfile.mkdtemp(prefix="kedge-tests-", dir=memory))
    yield make_stand(folder)
    shutil.rmtree(folder)
