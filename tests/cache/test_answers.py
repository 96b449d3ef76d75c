"""Answers that are kept: the last ones only, and none that is damaged."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from kedge.cache import open_cache


def key(number: int) -> str:
    return hashlib.sha256(b"%d" % number).hexdigest()


def test_the_last_ones_stay(tmp_path: Path) -> None:
    cache = open_cache(tmp_path)
    for number in range(300):
        assert cache.answers.put(key(number), b"%d" % number)
        os.utime(cache.answers.folder / key(number), (number, number))
    assert cache.info().answers <= 256
    assert cache.answers.get(key(299)) == b"299"
    assert cache.answers.get(key(200)) == b"200"
    assert cache.answers.get(key(0)) is None


def test_what_is_damaged_is_none(tmp_path: Path) -> None:
    cache = open_cache(tmp_path)
    cache.answers.put(key(1), b"an answer")
    path = cache.answers.folder / key(1)
    path.write_bytes(path.read_bytes().replace(b"an answer", b"no answer"))
    assert cache.answers.get(key(1)) is None
