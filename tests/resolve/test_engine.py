"""What the engine remembers changes nothing: it goes resolvelib's own way, step by step."""

from __future__ import annotations

from pathlib import Path

import pytest
from resolvelib.resolvers import Resolution as Plain

from kedge.errors import KedgeError
from kedge.index import Index, IndexSources
from kedge.model import DEFAULT, Sourced
from kedge.resolve import ResolveReporter, resolve, resolver
from support.universes import World, make_world, problem_of


class Steps(ResolveReporter):
    """Every step of a search, in order."""

    def __init__(self) -> None:
        self.taken: list[str] = []

    def pinned(self, name: str, version: str) -> None:
        self.taken.append(f"{name} {version}")

    def rejected(self, name: str, version: str, reason: str) -> None:
        self.taken.append(f"not {name} {version}: {reason}")


def steps(world: World) -> list[str]:
    told = Steps()
    sources = IndexSources(index_urls=(Sourced(world.index.as_uri(), DEFAULT),))
    with Index(sources, None) as index:
        try:
            resolve(problem_of(world), index, told, threads=0)
        except KedgeError as exc:
            told.taken.append(str(exc))
    return told.taken


@pytest.mark.parametrize("seed", range(1, 41))
def test_takes_the_same_steps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int) -> None:
    world = make_world(seed, tmp_path)
    taken = steps(world)
    monkeypatch.setattr(resolver, "Engine", Plain)
    assert taken == steps(world)
