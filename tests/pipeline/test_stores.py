"""Where archives and unpacked wheels go in a run."""

from __future__ import annotations

from pathlib import Path

import pytest

from kedge.cache import open_cache
from kedge.errors import KedgeError
from kedge.pipeline.stores import Stores


def test_what_a_run_leaves_behind_goes_and_comes_no_more(tmp_path: Path) -> None:
    with open_cache(tmp_path / "cache") as cache, Stores(cache) as stores:
        archives, passing = stores.archives(), stores.passing.directory
        assert archives == stores.archives()
        assert archives.is_relative_to(tmp_path / "cache")
        assert not passing.is_relative_to(tmp_path / "cache")
    assert not archives.exists()
    assert not passing.exists()
    late = Stores(cache)
    with late:
        pass
    with pytest.raises(KedgeError, match="closed"):
        late.archives()
    with pytest.raises(KedgeError, match="closed"):
        _ = late.passing
    assert list((tmp_path / "cache" / "tmp").iterdir()) == []
