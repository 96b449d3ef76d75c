"""What an answer rests on, and which are not kept. That those kept hold: tests/pipeline."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from kedge.requirements import Requested
from kedge.resolve import FormatControl, Problem, ReleaseControl, UpgradeStrategy, search
from kedge.resolve.answers import Grounds, Kept, dump, load, question
from support.shelf import MARKERS, TAGS, Shelf, asked_for

PLACES = ("https://index.test/simple",)


def problem(*requested: str) -> Problem:
    return Problem(
        requested=tuple(map(asked_for, requested)),
        markers=MARKERS,
        tags=TAGS,
        python_version="3.11.7",
    )


def grounds(shelf: Shelf, *requested: str) -> Grounds | None:
    return search(problem(*requested), shelf, threads=0)[1]


def test_rests_on_what_the_engine_looked_at() -> None:
    shelf = Shelf().add("app", "1.0", "2.0", requires=["lib"]).add("lib", "1.0").add("other", "1.0")
    found = grounds(shelf, "app")
    assert found is not None
    assert sorted(found.pages) == sorted(found.names) == ["app", "lib"]
    assert sorted(file.filename for file in found.wheels) == [
        "app-2.0-py3-none-any.whl",
        "lib-1.0-py3-none-any.whl",
    ]


def test_rests_on_what_was_refused_as_well() -> None:
    shelf = Shelf().add("app", "1.0").add("app", "2.0", requires=["lib>=2"])
    shelf.add("lib", "1.0", "2.0").add("tool", "1.0", requires=["lib<2"])
    found = grounds(shelf, "tool", "app")
    assert found is not None
    assert "app-2.0-py3-none-any.whl" in {file.filename for file in found.wheels}


@pytest.mark.parametrize(
    "spoil",
    [
        pytest.param(
            lambda shelf: shelf.add(
                "lib", "1.0", requires=["far @ https://index.test/far-1.0-py3-none-any.whl"]
            ),
            id="a dependency by URL",
        ),
        pytest.param(
            lambda shelf: shelf.add(
                "lib", "2.0", metadata=b"Name: lib\nVersion: 2.0\nRequires-Dist: ???\n"
            ).add("lib", "1.0"),
            id="a file that was passed over",
        ),
        pytest.param(lambda shelf: shelf.add("lib", "1.0", sdist=True), id="a source distribution"),
    ],
)
def test_rests_on_more_than_pages_and_wheels(spoil: Callable[[Shelf], object]) -> None:
    shelf = Shelf().add("app", "1.0", requires=["lib"])
    shelf.add("far", "1.0")
    spoil(shelf)
    assert search(problem("app"), shelf, threads=0)[1] is None


@pytest.mark.parametrize(
    "line",
    [
        asked_for("app @ https://index.test/app-1.0-py3-none-any.whl"),
        replace(asked_for("app"), editable=True),
        replace(asked_for("app"), locked=True),
    ],
    ids=["by its URL", "editable", "from a lock file"],
)
def test_what_is_looked_at_anew_each_time(line: Requested) -> None:
    asked = problem("lib")
    assert question(asked, PLACES) is not None
    assert question(replace(asked, requested=(*asked.requested, line)), PLACES) is None
    assert question(replace(asked, constraints=(line,)), PLACES) is None


@pytest.mark.parametrize(
    "changed",
    [
        {"requested": (asked_for("app[more]"),)},
        {"requested": (asked_for("app>=1"),)},
        {"requested": (asked_for("app; python_version > '3'"),)},
        {"requested": (asked_for("app", hashes=["00"]),)},
        {"constraints": (asked_for("lib<2"),)},
        {"markers": {**MARKERS, "python_version": "3.12"}},
        {"tags": TAGS[1:]},
        {"python_version": "3.11.8"},
        {"upgrade": UpgradeStrategy.EAGER},
        {"formats": FormatControl().only_binary(":all:")},
        {"formats": FormatControl().no_binary(":all:")},
        {"releases": ReleaseControl().all_releases("app")},
        {"releases": ReleaseControl().only_final("app")},
        {"prefer_binary": True},
        {"ignore_requires_python": True},
        {"no_deps": True},
        {"only_deps": True},
        {"require_hashes": True},
        {"ignore_installed": True},
        {"force_reinstall": True},
    ],
    ids=lambda changed: next(iter(changed)),
)
def test_another_question(changed: Mapping[str, object]) -> None:
    asked = problem("app")
    assert question(asked, PLACES) == question(problem("app"), PLACES)
    assert question(replace(asked, **changed), PLACES) != question(asked, PLACES)  # type: ignore[arg-type]
    assert question(asked, (*PLACES, "https://other.test/simple")) != question(asked, PLACES)


def test_another_engine_is_asked_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = question(problem("app"), PLACES)
    (tmp_path / "resolvelib.py").write_text("__version__ = '0'\n")
    monkeypatch.syspath_prepend(tmp_path)
    assert question(problem("app"), PLACES) != before


def test_comes_back_as_it_was() -> None:
    shelf = Shelf().add("app", "1.0", extras={"more": ["lib"]}, hashes=(("sha256", "ab"),))
    shelf.add("lib", "1.0", yanked="why", stated_python=">=3")
    asked = problem("app[more]", "lib==1.0")
    resolution, rests_on = search(asked, shelf, threads=0)
    assert rests_on is not None
    kept = Kept(resolution, rests_on, "state", "installed", (("warn", "A word."),))
    again = load(dump(kept), asked)
    assert again.resolution == resolution
    assert sorted(file.url for file in again.grounds.wheels) == sorted(
        file.url for file in rests_on.wheels
    )
    assert (again.state, again.installed, again.told) == (kept.state, kept.installed, kept.told)


@pytest.mark.parametrize("data", [b"", b"[]", b"{}", b"null", b"[1,2,3,4,5,6,7]", b"\xff"])
def test_what_is_damaged_is_none(data: bytes) -> None:
    with pytest.raises(ValueError):
        load(data, problem("app"))
