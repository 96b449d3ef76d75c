"""Looking ahead: what is fetched early, in parallel, and what is left alone."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest
from packaging.specifiers import SpecifierSet
from packaging.utils import NormalizedName

from kedge.environment import CoreMetadata, InstalledDistribution
from kedge.errors import PageError
from kedge.index import IndexFile
from kedge.resolve import Problem, search
from kedge.resolve.demands import SpecifierDemand
from kedge.resolve.library import Library
from kedge.resolve.scout import Scout
from kedge.resolve.target import Target
from support.processes import wait_until
from support.shelf import MARKERS, TAGS, Shelf, asked_for, on_disk


class Slow(Shelf):
    """Every answer takes a while; ``most`` is how many were under way at once.

    Those that ``gather`` names wait until so many are: however long it takes them to begin, or,
    where they never do, a minute once.
    """

    delay = 0.05

    def __init__(self) -> None:
        super().__init__()
        self.before_metadata: Callable[[], object] = lambda: None
        self.most = 0
        self._now = 0
        self._gathering = 0
        self._gathered: Callable[[str], bool] = lambda what: False
        self._changed = threading.Condition()

    def gather(self, number: int, gathered: Callable[[str], bool]) -> None:
        self._gathering, self._gathered = number, gathered

    def files(self, name: NormalizedName) -> tuple[IndexFile, ...]:
        with self._one_more(name):
            return tuple(super().files(name))

    def metadata(self, file: IndexFile) -> CoreMetadata:
        self.before_metadata()
        with self._one_more(file.filename):
            return super().metadata(file)

    @contextmanager
    def _one_more(self, what: str) -> Iterator[None]:
        with self._changed:
            self._now += 1
            self.most = max(self.most, self._now)
            self._changed.notify_all()
            if self._gathered(what):
                self._changed.wait_for(lambda: self.most >= self._gathering, 60)
                self._gathering = 0
        time.sleep(self.delay)
        try:
            yield
        finally:
            with self._changed:
                self._now -= 1


def _broad() -> Slow:
    shelf = Slow()
    names = [f"lib{number}" for number in range(12)]
    shelf.add("app", "1.0", requires=names)
    for name in names:
        shelf.add(name, "1.0", requires=[f"{name}-core"])
        shelf.add(f"{name}-core", "1.0")
    return shelf


def _is_of_lib(what: str) -> bool:
    return what.startswith("lib")


def test_many_are_fetched_at_once() -> None:
    shelf = _broad()
    shelf.gather(5, _is_of_lib)
    assert len(shelf.resolve("app", threads=16).pins) == 25
    assert shelf.most > 4


def test_never_more_at_once_than_allowed() -> None:
    shelf = _broad()
    shelf.resolve("app", threads=3)
    assert shelf.most <= 3 + 1  # the resolver itself asks, too


@pytest.mark.parametrize("threads", [0, 8])
def test_nothing_is_asked_twice(threads: int) -> None:
    shelf = _broad()
    shelf.resolve("app", threads=threads)
    pages = [what for what in shelf.asked if not what.endswith(".whl")]
    assert sorted(pages) == sorted(set(pages))


def test_versions_that_come_next_are_fetched_while_one_is_tried() -> None:
    shelf = Slow()
    for number in range(16):
        shelf.add("app", f"1.{number}", requires=["base<2" if number == 0 else "base>=2"])
    shelf.add("base", "1.0", "2.0")
    older = [f"app-1.{number}-py3-none-any.whl" for number in range(8)]
    shelf.gather(4, older.__contains__)
    assert shelf.versions("app", "base<2", threads=8) == {"app": "1.0", "base": "1.0"}
    assert shelf.most > 3


def _scout(
    shelf: Shelf, *, threads: int = 1, installed: tuple[InstalledDistribution, ...] = ()
) -> Scout:
    problem = Problem(
        requested=(),
        installed={one.name: one for one in installed},
        markers=MARKERS,
        tags=TAGS,
        python_version="3.11.7",
    )
    target = Target(markers=MARKERS, tags=TAGS, python_version="3.11.7")
    library = Library(problem, shelf, target=target, constraints={}, hashes={})
    scout = Scout(library, threads=threads, prefers_installed=lambda name: name != "newest")
    scout.wake()
    return scout


def _notice(scout: Scout, name: str) -> None:
    scout.notice(NormalizedName(name), SpecifierSet(), frozenset())


def _wait_for(shelf: Shelf, what: str) -> None:
    wait_until(lambda: what in shelf.asked)


def _scouts() -> list[threading.Thread]:
    return [one for one in threading.enumerate() if one.name.startswith("kedge-scout")]


def test_source_distributions_are_not_built_on_the_off_chance() -> None:
    shelf = Shelf().add("lib", "2.0", sdist=True).add("other", "1.0")
    scout = _scout(shelf)
    _notice(scout, "lib")
    _notice(scout, "other")  # the one thread comes to it when it is done with lib
    _wait_for(shelf, "other-1.0-py3-none-any.whl")
    scout.close()
    assert shelf.asked == ["lib", "other", "other-1.0-py3-none-any.whl"]


def test_follows_what_is_installed_instead_of_the_index(tmp_path: Path) -> None:
    shelf = Shelf().add("lib", "1.0").add("app", "9.0").add("newest", "9.0")
    installed = tuple(
        on_disk(tmp_path, name, "1.0", requires=["lib"]) for name in ("app", "newest")
    )
    scout = _scout(shelf, installed=installed)
    _notice(scout, "app")
    _wait_for(shelf, "lib-1.0-py3-none-any.whl")
    _notice(scout, "newest")
    _wait_for(shelf, "newest-9.0-py3-none-any.whl")
    scout.close()
    assert "app" not in shelf.asked


class Held(Shelf):
    """No page comes before it is released."""

    def __init__(self) -> None:
        super().__init__()
        self.released = threading.Event()

    def files(self, name: NormalizedName) -> Sequence[IndexFile]:
        found = super().files(name)
        assert self.released.wait(60)
        return found


def test_begins_nothing_once_it_is_closed() -> None:
    shelf = Held()
    names = [f"lib{number}" for number in range(10)]
    for name in names:
        shelf.add(name, "1.0")
    before = _scouts()
    scout = _scout(shelf)
    for name in names:
        _notice(scout, name)
    _wait_for(shelf, "lib0")
    scout.close()
    _notice(scout, "lib0")
    shelf.released.set()
    wait_until(lambda: set(_scouts()) <= set(before))
    assert shelf.asked == ["lib0", "lib0-1.0-py3-none-any.whl"]  # which was under way


def test_what_fails_ahead_and_is_not_needed_does_not_matter() -> None:
    """The newest lib is the likeliest at first sight, and is not chosen in the end."""
    shelf = Shelf().add("app", "1.0", requires=["lib"]).add("two", "1.0", requires=["lib<2"])
    shelf.add("lib", "1.0").add("lib", "2.0", requires=["ghost"])
    shelf.failures["ghost"] = PageError("broken", url="https://index.test/ghost")
    assert shelf.versions("app", "two", threads=4)["lib"] == "1.0"


def test_what_is_installed_is_looked_through_instead_of_the_index(tmp_path: Path) -> None:
    shelf = Shelf().add("lib", "1.0").add("app", "9.0")
    installed = [on_disk(tmp_path, "app", "1.0", requires=["lib"])]
    assert shelf.versions("app", installed=installed, threads=4) == {"app": "=1.0", "lib": "1.0"}
    assert "app" not in shelf.asked


def test_its_threads_end_with_the_resolution() -> None:
    _broad().resolve("app", threads=6)
    wait_until(lambda: not _scouts())


@pytest.mark.parametrize("far", [False, True])
def test_it_sleeps_until_something_has_to_be_waited_for(far: bool) -> None:
    """Then it begins with what was demanded before."""
    shelf = _broad()
    begin: list[Callable[[], None]] = []
    if far:
        shelf.before_metadata = lambda: [begin.pop()() for _ in begin[:1]]
        shelf.gather(5, _is_of_lib)
    asked = Problem(
        requested=(asked_for("app"),), markers=MARKERS, tags=TAGS, python_version="3.11.7"
    )
    resolution, _ = search(asked, shelf, when_asking=begin.append, threads=16)
    assert len(resolution.pins) == 25
    assert (shelf.most > 4) is far
    assert far or shelf.most == 1


def test_what_a_second_choice_requires_is_fetched_at_once_too() -> None:
    """app 2.0 is the likeliest, and is given up; app 1.0 brings in names that nobody announced."""
    shelf = Slow()
    names = [f"lib{number}" for number in range(12)]
    shelf.add("base", "1.0", "2.0").add("app", "2.0", requires=["base>=2"])
    shelf.add("app", "1.0", requires=names)
    for name in names:
        shelf.add(name, "1.0")
    shelf.gather(5, _is_of_lib)
    assert len(shelf.versions("app", "base<2", threads=16)) == 14
    assert shelf.most > 4


def test_demands_that_exclude_each_other_leave_the_last_one_to_follow() -> None:
    shelf = Shelf().add("lib", "1.0", "2.0")
    scout = _scout(shelf)
    scout.notice(NormalizedName("lib"), SpecifierSet(">=2"), frozenset())
    _wait_for(shelf, "lib-2.0-py3-none-any.whl")
    scout.notice(NormalizedName("lib"), SpecifierSet("<2"), frozenset())
    _wait_for(shelf, "lib-1.0-py3-none-any.whl")
    scout.close()


def _torn() -> Shelf:
    shelf = Shelf()
    for number in range(20):
        shelf.add("torn", str(number), requires=[f"pinned=={number}"])
        shelf.add("pinned", str(number))
    return shelf


class Slowly(list[SpecifierDemand]):
    def __iter__(self) -> Iterator[SpecifierDemand]:
        for demand in super().__iter__():
            yield demand
            time.sleep(0.3)


def test_nothing_is_looked_at_before_all_that_the_user_asks_is_known() -> None:
    shelf = _torn()
    scout = _scout(shelf)
    scout.begin(
        Slowly(
            SpecifierDemand(NormalizedName(name), SpecifierSet(specifier))
            for name, specifier in (("torn", ""), ("pinned", "<1"), ("other", ""))
        )
    )
    _wait_for(shelf, "other")  # which the one thread comes to last
    scout.close()
    assert shelf.asked[:3] == ["torn", "torn-19-py3-none-any.whl", "pinned"]
    assert "pinned-19-py3-none-any.whl" not in shelf.asked


def test_what_the_user_excludes_is_not_fetched_on_the_off_chance() -> None:
    shelf = _torn()
    assert shelf.versions("torn", "pinned<1", threads=4) == {"torn": "0", "pinned": "0"}
    wait_until(lambda: not _scouts())
    assert {one for one in shelf.asked if one.startswith("pinned-")} == {
        "pinned-0-py3-none-any.whl"
    }
