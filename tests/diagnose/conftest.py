"""The keeper of one test's servers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from diagnose.zoo import Keeper


@pytest.fixture
def keeper(tmp_path: Path) -> Iterator[Keeper]:
    with ExitStack() as stack:
        yield Keeper(tmp_path, stack)
