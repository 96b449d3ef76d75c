"""An earlier answer is given again only where the engine would give it, too: in random worlds that
change between two questions, the engine on the same cache is the yardstick.
"""

from __future__ import annotations

import hashlib
import os
import random
import re
import shutil
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NoReturn
from urllib.parse import unquote

import pytest

from kedge.cache import Cache, open_cache
from kedge.errors import HttpStatusError, KedgeError, RangesUnsupportedError
from kedge.index import Index, IndexSources
from kedge.model import DEFAULT, Sourced
from kedge.pipeline.recall import Recall
from kedge.resolve import Problem, Resolution, ResolveReporter, resolve
from support.universes import World, make_world, problem_of
from support.wheels import wheel

_COUNT = int(os.environ.get("KEDGE_TEST_WORLDS", "60"))
_FIRST = int(os.environ.get("KEDGE_TEST_FIRST_WORLD", "1"))
_URL = "https://index.test/simple/"
_ROUNDS = 8


@dataclass
class Answer:
    url: str
    status: int
    headers: Mapping[str, str]
    body: bytes
    verified: bool = True


@dataclass
class Copied:
    path: Path
    sha256: str
    digests: Mapping[str, str]
    verified: bool = True


@dataclass
class Kiosk:
    """Serves a world's folder, as an index far away would: the session that the index is given."""

    world: World
    trusted: bool = True
    lifetime: int = 600
    asked: list[str] = field(default_factory=list)
    waiting: list[Callable[[], None]] = field(default_factory=list)

    def when_used(self, call: Callable[[], None]) -> None:
        self.waiting.append(call)

    def get(self, url: str, *, headers: Mapping[str, str] | None = None) -> Answer:
        self.asked.append(url)
        while self.waiting:
            self.waiting.pop()()
        page = self._file(url) / "index.html"
        if not page.exists():
            raise HttpStatusError("There is no such page.", url=url, status=404)
        body = page.read_bytes()
        told = {
            "Content-Type": "text/html",
            "Cache-Control": f"max-age={self.lifetime}",
            "ETag": f'"{hashlib.sha256(body).hexdigest()}"',
        }
        if (headers or {}).get("If-None-Match") == told["ETag"]:
            return Answer(url, 304, told, b"", self.trusted)
        return Answer(url, 200, told, body, self.trusted)

    def download(self, url: str, destination: Path, **_: object) -> Copied:
        shutil.copyfile(self._file(url), destination)
        digest = hashlib.sha256(destination.read_bytes()).hexdigest()
        return Copied(destination, digest, {"sha256": digest}, self.trusted)

    def open_ranged(self, url: str, *, size: int | None = None) -> NoReturn:
        raise RangesUnsupportedError("Whole files only.", url=url)

    def verified(self, url: str) -> bool:
        return self.trusted

    def _file(self, url: str) -> Path:
        return self.world.index / unquote(url.removeprefix(_URL))


class Told(ResolveReporter):
    """Remembers what it was told."""

    def __init__(self) -> None:
        self.words: list[str] = []
        self.recalls = 0

    def notice(self, message: str) -> None:
        self.words.append(message)

    def warn(self, message: str) -> None:
        self.words.append(message)

    def recalled(self, pages: int) -> None:
        self.recalls += 1


@dataclass
class Stage:
    """A world with a cache and a clock."""

    world: World
    kiosk: Kiosk
    cache: Cache
    now: float = 1000.0

    def index(self, cache: Cache) -> Index:
        return Index(
            IndexSources(index_urls=(Sourced(_URL, DEFAULT),)),
            self.kiosk,
            pages=cache.pages,
            metadata=cache.metadata,
            revalidate=False,
            clock=lambda: self.now,
        )

    def ask(self, problem: Problem) -> tuple[Resolution | str, list[str], int]:
        """The answer (or how the question fails), what was told, and how often it was recalled."""
        told = Told()
        with self.index(self.cache) as index:
            try:
                recall = Recall(index, self.cache.answers, when_asking=self.kiosk.when_used)
                found: Resolution | str = recall.resolve(problem, index, told)
            except KedgeError as exc:
                found = f"{type(exc).__name__}: {exc}"
        _wait_for_scouts()
        return found, told.words, told.recalls

    def engine(self, problem: Problem, folder: Path) -> tuple[Resolution | str, list[str]]:
        """What the engine says, on a copy of the cache as it is now."""
        shutil.copytree(self.cache.directory, folder)
        told = Told()
        with open_cache(folder) as cache, self.index(cache) as index:
            try:
                return resolve(problem, index, told, threads=0), told.words
            except KedgeError as exc:
                return f"{type(exc).__name__}: {exc}", told.words


def _wait_for_scouts() -> None:
    """What looks ahead of the engine must not write into the cache after the answer."""
    for thread in threading.enumerate():
        if thread.name.startswith("kedge-"):
            thread.join(30)


@pytest.fixture
def stage(tmp_path: Path) -> Callable[[int], Stage]:
    def make(seed: int) -> Stage:
        world = make_world(seed, tmp_path / "world")
        return Stage(world, Kiosk(world), open_cache(tmp_path / "cache"))

    return make


@pytest.mark.parametrize("seed", range(_FIRST, _FIRST + _COUNT))
def test_is_what_the_engine_says(stage: Callable[[int], Stage], tmp_path: Path, seed: int) -> None:
    here, rng = stage(seed), random.Random(seed)
    for number in range(_ROUNDS):
        problem = problem_of(here.world)
        expected = here.engine(problem, tmp_path / f"copy-{number}")
        found, told, _ = here.ask(problem)
        assert (found, told) == expected, f"round {number}: {here.world.arguments}"
        change = rng.choice(_CHANGES)
        change(here, rng)


@pytest.mark.parametrize(
    ("later", "served", "recalls"),
    [
        pytest.param(0, 0, 1, id="at once: nobody is asked"),
        pytest.param(10_000, 1, 1, id="later: the server says that nothing has changed"),
    ],
)
def test_is_recalled(
    stage: Callable[[int], Stage], later: float, served: int, recalls: int
) -> None:
    here = stage(1)
    here.world.arguments = ["--only-binary", ":all:", _name_of(here.world)]
    problem = problem_of(here.world)
    first, *_ = here.ask(problem)
    here.kiosk.asked.clear()
    here.now += later
    assert here.ask(problem) == (first, [], recalls)
    assert (len(here.kiosk.asked) > 0) == served


def test_is_not_recalled_from_what_was_not_verified(stage: Callable[[int], Stage]) -> None:
    here = stage(1)
    here.kiosk.trusted = False
    here.world.arguments = ["--only-binary", ":all:", _name_of(here.world)]
    problem = problem_of(here.world)
    assert [here.ask(problem)[2], here.ask(problem)[2]] == [0, 0]


def _name_of(world: World) -> str:
    return min(world.index.iterdir()).name


# --------------------------------------------------------------------------------------------
# What changes meanwhile


def _nothing(here: Stage, rng: random.Random) -> None:
    """Asked again at once."""


def _time(here: Stage, rng: random.Random) -> None:
    here.now += rng.choice([10, 10_000])


def _page(here: Stage, rng: random.Random) -> None:
    """A release is yanked, withdrawn, or said to need another Python; it may be seen later only."""
    page = rng.choice(sorted(here.world.index.glob("*/index.html")))
    links = re.findall("<a .*?</a><br>", page.read_text())
    if not links:
        return
    place = rng.randrange(len(links))
    new = rng.choice([" data-yanked='why'", " data-requires-python='&lt;3'", None])
    links[place : place + 1] = [] if new is None else [links[place].replace("<a", f"<a{new}", 1)]
    page.write_text(f"<!DOCTYPE html><html><body>{''.join(links)}</body></html>")
    here.now += rng.choice([10, 10_000])


def _release(here: Stage, rng: random.Random) -> None:
    page = rng.choice(sorted(here.world.index.glob("*/index.html")))
    new = wheel(page.parent.name, f"9.{rng.randrange(10)}", package=False)
    new.write(page.parent)
    link = f'<a href="{new.filename}#sha256={new.sha256}">{new.filename}</a><br>'
    page.write_text(page.read_text().replace("</body>", f"{link}</body>"))
    here.now += rng.choice([10, 10_000])


def _project(here: Stage, rng: random.Random) -> None:
    """A project disappears, or comes back."""
    gone = sorted(here.world.index.glob("*/gone.html"))
    page = rng.choice(gone or sorted(here.world.index.glob("*/index.html")))
    page.rename(page.with_name("index.html" if gone else "gone.html"))
    here.now += rng.choice([10, 10_000])


def _installed(here: Stage, rng: random.Random) -> None:
    """Something is installed, removed, or its metadata is changed."""
    present = sorted(here.world.installed.glob("*/METADATA"))
    if present and rng.random() < 0.7:
        metadata = rng.choice(present)
        if rng.random() < 0.5:
            shutil.rmtree(metadata.parent)
        else:
            name = rng.choice(sorted(here.world.index.iterdir())).name
            metadata.write_bytes(metadata.read_bytes() + f"Requires-Dist: {name}<1\n".encode())
        return
    name = rng.choice(sorted(here.world.index.iterdir())).name
    info = here.world.installed / f"{name.replace('-', '_')}-1.0.dist-info"
    info.mkdir(exist_ok=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")


def _question(here: Stage, rng: random.Random) -> None:
    words = here.world.arguments
    here.world.arguments = rng.choice(
        [
            ["--upgrade", *words],
            ["--no-deps", *words],
            [*words, rng.choice(sorted(here.world.index.iterdir())).name],
            [word for word in words if word not in ("--upgrade", "--pre")],
        ]
    )


def _cache(here: Stage, rng: random.Random) -> None:
    """Entries of the cache disappear, or are damaged."""
    for kind in rng.sample(["pages", "metadata", "answers"], 2):
        for path in sorted(here.cache.directory.glob(f"{kind}-v1/**/*")):
            if path.is_file() and rng.random() < 0.5:
                if rng.random() < 0.5:
                    path.unlink()
                else:
                    path.write_bytes(path.read_bytes()[:-1] + b"]")


_CHANGES = [
    _nothing,
    _nothing,
    _time,
    _page,
    _page,
    _release,
    _project,
    _installed,
    _question,
    _cache,
]
