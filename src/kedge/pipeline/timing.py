"""How long the phases of a command take, for whoever asks for it with ``-vv``."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from kedge.pipeline.reporter import Reporter


@contextmanager
def timed(reporter: Reporter, phase: str) -> Iterator[None]:
    """What is done inside is one turn of the phase; also if it fails."""
    began = time.monotonic()
    try:
        yield
    finally:
        reporter.spent(phase, time.monotonic() - began)
