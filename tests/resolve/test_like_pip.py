"""The same set as pip, in random worlds: pip itself is the yardstick."""

from __future__ import annotations

import importlib.metadata
import os

import pytest
from packaging.version import Version

from kedge.errors import ConflictError, NeedsBuildError, NotFoundError
from kedge.index import Index, IndexSources
from kedge.model import DEFAULT, Sourced
from kedge.resolve import resolve
from support.universes import Verdict, World, ask_pip, make_world, problem_of

#: How many worlds; more of them, and others, for whoever changes the resolver.
_COUNT = int(os.environ.get("KEDGE_TEST_WORLDS", "80"))
_FIRST = int(os.environ.get("KEDGE_TEST_FIRST_WORLD", "1"))

pytestmark = [
    pytest.mark.skipif(
        Version(importlib.metadata.version("pip")) < Version("26.3"),
        reason="needs pip 26.3 or newer as the yardstick",
    ),
    # The first of each process waits for pip to answer for all of them.
    pytest.mark.timeout(900),
]


@pytest.fixture(scope="module")
def verdicts(tmp_path_factory: pytest.TempPathFactory) -> dict[int, tuple[World, Verdict]]:
    folder = tmp_path_factory.mktemp("worlds")
    worlds = [make_world(seed, folder / str(seed)) for seed in range(_FIRST, _FIRST + _COUNT)]
    return {
        world.seed: (world, verdict) for world, verdict in zip(worlds, ask_pip(worlds), strict=True)
    }


@pytest.mark.parametrize("seed", range(_FIRST, _FIRST + _COUNT))
@pytest.mark.parametrize("threads", [0, 4])
def test_chooses_what_pip_chooses(
    verdicts: dict[int, tuple[World, Verdict]], seed: int, threads: int
) -> None:
    world, verdict = verdicts[seed]
    try:
        chosen = _choose(world, threads=threads)
    except NeedsBuildError:
        return  # pip goes on and builds: nothing to compare
    if "RecursionError" in verdict.output:
        return  # a bug of pip's: see read_off
    assert chosen == verdict.installs, f"{' '.join(world.arguments)}\n{verdict.output}"


def _choose(world: World, *, threads: int) -> dict[str, str] | None:
    sources = IndexSources(index_urls=(Sourced(world.index.as_uri(), DEFAULT),))
    with Index(sources, None) as index:
        try:
            found = resolve(problem_of(world), index, threads=threads)
        except (ConflictError, NotFoundError):
            return None
    return {pin.name: str(pin.version) for pin in found.to_install}
