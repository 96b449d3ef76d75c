"""The same set as pip, in random worlds: pip itself is the yardstick."""

from __future__ import annotations

import importlib.metadata
import os

import pytest
from packaging.version import Version

from kedge.environment import current, installed
from kedge.errors import ConflictError, NeedsBuildError, NotFoundError
from kedge.index import Index, IndexSources
from kedge.model import DEFAULT, Origin, OriginKind, Sourced
from kedge.requirements import Requested, parse_argument, parse_file
from kedge.resolve import FormatControl, Problem, ReleaseControl, UpgradeStrategy, resolve
from support.universes import Verdict, World, ask_pip, make_world

#: How many worlds; more of them, and others, for whoever changes the resolver.
_COUNT = int(os.environ.get("KEDGE_TEST_WORLDS", "80"))
_FIRST = int(os.environ.get("KEDGE_TEST_FIRST_WORLD", "1"))

pytestmark = pytest.mark.skipif(
    Version(importlib.metadata.version("pip")) < Version("26.3"),
    reason="needs pip 26.3 or newer as the yardstick",
)


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
            found = resolve(_problem(world), index, threads=threads)
        except (ConflictError, NotFoundError):
            return None
    return {pin.name: str(pin.version) for pin in found.to_install}


def _problem(world: World) -> Problem:
    python = current()
    words = iter(world.arguments)
    origin = Origin(OriginKind.COMMAND_LINE)
    requested: list[Requested] = []
    constraints: list[Requested] = []
    formats, releases = FormatControl(), ReleaseControl()
    upgrade, strategy = False, UpgradeStrategy.ONLY_IF_NEEDED
    flags = set()
    for word in words:
        match word:
            case "--only-binary":
                formats = formats.only_binary(next(words))
            case "--all-releases":
                releases = releases.all_releases(next(words))
            case "--only-final":
                releases = releases.only_final(next(words))
            case "--pre":
                releases = releases.all_releases(":all:")
            case "--upgrade":
                upgrade = True
            case "--upgrade-strategy":
                strategy = UpgradeStrategy(next(words))
            case "-c":
                parsed = parse_file(next(words), None, environ={}, origin=origin, constraint=True)
                constraints += parsed.constraints
            case _ if word.startswith("--"):
                flags.add(word)
            case _:
                requested.append(parse_argument(word, origin))
    return Problem(
        requested=tuple(requested),
        constraints=tuple(constraints),
        installed=installed([world.installed]),
        markers=python.markers,
        tags=python.tags,
        python_version=".".join(map(str, python.version)),
        upgrade=strategy if upgrade else UpgradeStrategy.NONE,
        formats=formats,
        releases=releases,
        prefer_binary="--prefer-binary" in flags,
        ignore_requires_python="--ignore-requires-python" in flags,
        no_deps="--no-deps" in flags,
        ignore_installed="--ignore-installed" in flags,
        force_reinstall="--force-reinstall" in flags,
    )
