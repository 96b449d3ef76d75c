"""How many processors there are to work with."""

from __future__ import annotations

import os
import sys

import pytest

from kedge.processors import processors

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="processors are given by Linux")


def test_those_that_this_process_may_not_use_do_not_count() -> None:
    allowed = os.sched_getaffinity(0)
    assert processors() == len(allowed)
    os.sched_setaffinity(0, {min(allowed)})
    try:
        assert processors() == 1
    finally:
        os.sched_setaffinity(0, allowed)
