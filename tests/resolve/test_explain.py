"""That a failure names what it is about: who requires what, by what way, and what there is."""

from __future__ import annotations

from pathlib import Path

import pytest
from packaging.specifiers import SpecifierSet
from packaging.utils import NormalizedName
from resolvelib.structs import RequirementInformation

from kedge.errors import ConflictError, NeedsBuildError, NotFoundError, ResolutionError
from kedge.index import Link
from kedge.index.files import files_of
from kedge.resolve import FormatControl, Problem, ReleaseControl
from kedge.resolve.candidates import ExtrasCandidate, FileCandidate
from kedge.resolve.demands import ExplicitDemand, SpecifierDemand
from kedge.resolve.explain import Explainer
from kedge.resolve.journal import Journal
from kedge.resolve.library import Library
from kedge.resolve.target import Target
from support.shelf import MARKERS, TAGS, Shelf, asked_for, on_disk


def _told(error: ResolutionError) -> str:
    explanation = error.explanation if isinstance(error, ConflictError) else ()
    return "\n".join([error.message, *explanation, error.hint or ""])


def _fails(shelf: Shelf, *requested: object, **facts: object) -> str:
    with pytest.raises(ResolutionError) as caught:
        shelf.resolve(*requested, **facts)  # type: ignore[arg-type]
    return _told(caught.value)


# --------------------------------------------------------------------------------------------
# Nothing there


_ABSENT = [
    pytest.param(Shelf(), "app", {}, ["app", "https://index.test/simple"], id="no such project"),
    pytest.param(
        Shelf().add("app", *(f"1.{number}" for number in range(30))),
        "app>=2",
        {},
        ["app>=2", "1.29", "1.28", "22 more"],
        id="no such version",
    ),
    pytest.param(
        Shelf().add("app", "2.0", stated_python=">=3.12").add("app", "1.0"),
        "app>=2",
        {},
        ["app 2.0", ">=3.12", "3.11.7", "1.0"],
        id="another Python, the index says",
    ),
    pytest.param(
        Shelf().add("app", "2.0", requires_python=">=3.12"),
        "app",
        {},
        ["app 2.0", ">=3.12", "3.11.7"],
        id="another Python, the metadata says",
    ),
    pytest.param(
        Shelf().add("app", "2.0", tag="cp39-cp39-win32"),
        "app",
        {},
        ["app 2.0", "only for cp39-cp39-win32"],
        id="another platform",
    ),
    pytest.param(
        Shelf().add("app", "2.0", sdist=True),
        "app",
        {"formats": FormatControl().only_binary(":all:")},
        ["app 2.0", "--only-binary"],
        id="source only",
    ),
    pytest.param(
        Shelf().add("app", "2.0", sdist=True).add("app", "2.0", tag="cp39-cp39-win32"),
        "app",
        {"formats": FormatControl().only_binary(":all:")},
        ["app 2.0", "cp39-cp39-win32", "--only-binary"],
        id="source only, and wheels for others",
    ),
    pytest.param(
        Shelf().add("app", "2.0"),
        "app",
        {"formats": FormatControl().no_binary("app")},
        ["app 2.0", "--no-binary"],
        id="wheels only",
    ),
    pytest.param(
        Shelf().add("app", "2.0b1", "3.0a1"),
        "app",
        {"releases": ReleaseControl().only_final(":all:")},
        ["2.0b1", "3.0a1", "--all-releases app"],
        id="pre-releases only",
    ),
    pytest.param(
        Shelf().add("app", "2.0", yanked="eats data").add("app", "1.0", yanked=""),
        "app",
        {},
        ["2.0", "eats data", "1.0", "app==2.0"],
        id="all yanked",
    ),
    pytest.param(
        Shelf().add("app", "2.0b1").add("app", "1.0", yanked=""),
        "app",
        {},
        ["1.0", "--pre"],
        id="final ones yanked",
    ),
    pytest.param(
        Shelf().add("app", "1.0", "2.0"),
        "app",
        {"constraints": (asked_for("app>=3", line=7),)},
        ["app>=3", "requirements.txt, line 7", "2.0"],
        id="a constraint excludes all",
    ),
    pytest.param(
        Shelf().add("app", "1.0", requires=["!"]),
        "app",
        {},
        ["app 1.0", "!"],
        id="damaged metadata",
    ),
]


@pytest.mark.parametrize(("shelf", "requested", "facts", "named"), _ABSENT)
def test_what_is_absent(
    shelf: Shelf, requested: str, facts: dict[str, object], named: list[str]
) -> None:
    with pytest.raises(NotFoundError) as caught:
        shelf.resolve(asked_for(requested, line=3), **facts)  # type: ignore[arg-type]
    told = _told(caught.value)
    assert caught.value.name == "app"
    for words in [*named, "requirements.txt, line 3"]:
        assert words in told


def test_what_is_absent_is_told_with_the_way_to_it() -> None:
    shelf = Shelf().add("app", "1.0", requires=["lib>=1"]).add("lib", "1.5", requires=["deep>9"])
    shelf.add("deep", "8.0")
    with pytest.raises(NotFoundError) as caught:
        shelf.resolve(asked_for("app", line=3))
    assert caught.value.name == "deep"
    for words in ["deep>9", "8.0", "lib 1.5", "app 1.0", "requirements.txt, line 3"]:
        assert words in caught.value.message


def test_requirements_txt_as_a_project() -> None:
    assert "-r" in _fails(Shelf(), "requirements.txt")


# --------------------------------------------------------------------------------------------
# Demands that exclude each other


def test_conflict_between_the_user_and_a_dependency() -> None:
    shelf = Shelf().add("app", "1.0", requires=["mid"]).add("mid", "1.0", requires=["lib<2"])
    shelf.add("lib", "1.0", "2.0")
    with pytest.raises(ConflictError) as caught:
        shelf.resolve(asked_for("app", line=3), asked_for("lib>=2", line=4))
    by_user = [line for line in caught.value.explanation if "lib>=2" in line]
    by_other = [line for line in caught.value.explanation if "lib<2" in line]
    assert len(by_user) == len(by_other) == 1
    assert "requirements.txt, line 4" in by_user[0]
    for words in ["mid 1.0", "app 1.0", "requirements.txt, line 3"]:
        assert words in by_other[0]


def test_conflict_between_two_dependencies() -> None:
    shelf = Shelf().add("one", "1.0", requires=["lib<2"]).add("two", "1.0", requires=["lib>=2"])
    told = _fails(shelf.add("lib", "1.0", "2.0"), "one", "two")
    assert "one 1.0 requires lib<2" in told
    assert "two 1.0 requires lib>=2" in told


def test_versions_that_fail_for_the_same_reason_share_a_sentence() -> None:
    shelf = Shelf().add("app", "1.0", "1.1", "1.2", requires=["lib<2"]).add("lib", "1.0", "2.0")
    with pytest.raises(ConflictError) as caught:
        shelf.resolve("app", "lib>=2")
    (sentence,) = (line for line in caught.value.explanation if "lib<2" in line)
    for version in ["1.0", "1.1", "1.2"]:
        assert version in sentence


def test_constraints_are_named_with_their_line() -> None:
    shelf = Shelf().add("app", "1.0", requires=["lib>=2"]).add("lib", "1.0", "2.0")
    shelf.add("two", "1.0", requires=["lib>=1"])
    told = _fails(shelf, "app", "two", constraints=(asked_for("lib<2", line=9),))
    assert "lib<2" in told
    assert "requirements.txt, line 9" in told
    assert "app 1.0" in told


def test_conflict_through_extras_names_who_asked_for_them() -> None:
    shelf = Shelf().add("lib", "1.0", "2.0", extras={"x": []})
    shelf.add("one", "1.0", requires=["lib[x]>=2"]).add("two", "1.0", requires=["lib<2"])
    told = _fails(shelf, "one", "two")
    assert "one 1.0 requires lib" in told
    assert "two 1.0 requires lib<2" in told
    assert "lib[x] 2.0 requires lib 2.0" not in told


def test_a_constraint_on_what_is_in_conflict_is_told() -> None:
    shelf = Shelf().add("one", "1.0", requires=["lib>=2"]).add("two", "1.0", requires=["lib<2"])
    shelf.add("lib", "1.0", "2.0", "3.0")
    told = _fails(shelf, "one", "two", constraints=(asked_for("lib<3", line=9),))
    for words in ["one 1.0 requires lib>=2", "two 1.0 requires lib<2", "lib<3", "line 9"]:
        assert words in told


def test_a_demand_that_nothing_meets_is_the_whole_story() -> None:
    """What else is asked of the project has no part in it."""
    shelf = Shelf().add("lib", "1.0", "2.0").add("app", "1.0", requires=["lib>=5"])
    with pytest.raises(NotFoundError) as caught:
        shelf.resolve("lib>=1", "app")
    assert caught.value.name == "lib"
    assert "lib>=5" in caught.value.message
    assert "lib>=1" not in caught.value.message


def test_the_base_that_extras_demand_is_told_as_who_demanded_the_extras() -> None:
    def release(name: str, version: str) -> FileCandidate:
        filename = f"{name}-{version}-py3-none-any.whl"
        link = Link(url=f"https://index.test/{filename}", filename=filename)
        (file,) = files_of(NormalizedName(name), [link], index="", page_verified=True)
        return FileCandidate(file)

    one, two, lib = release("one", "1.0"), release("two", "1.0"), release("lib", "2.0")
    extras = frozenset([NormalizedName("x")])
    dressed = ExtrasCandidate(lib, extras)
    for_extras = SpecifierDemand(NormalizedName("lib"), SpecifierSet(), extras)
    limit = SpecifierDemand(NormalizedName("lib"), SpecifierSet("<2"))
    journal = Journal()
    journal.demanded(for_extras, one)
    shelf = Shelf().add("lib", "1.0", "2.0")
    target = Target(markers=MARKERS, tags=TAGS, python_version="3.11.7")
    problem = Problem(requested=(), markers=MARKERS, tags=TAGS, python_version="3.11.7")
    library = Library(problem, shelf, target=target, constraints={}, hashes={})
    explainer = Explainer(library, shelf, journal, constraints={}, target=target)
    error = explainer.error(
        [
            RequirementInformation(ExplicitDemand(lib), dressed),
            RequirementInformation(limit, two),
        ]
    )
    assert isinstance(error, ConflictError)
    assert any("one 1.0 requires lib[x]" in line for line in error.explanation)
    assert any("two 1.0 requires lib<2" in line for line in error.explanation)
    assert len(error.explanation) == 2


def test_only_the_unmet_python_is_told() -> None:
    shelf = Shelf().add("app", "1.0", requires=["lib"], requires_python=">=3.8")
    shelf.add("lib", "1.0", requires_python=">=3.12")
    with pytest.raises(NotFoundError) as caught:
        shelf.resolve("app")
    assert caught.value.name == "lib"
    assert ">=3.8" not in caught.value.message
    for words in [">=3.12", "lib 1.0", "app 1.0"]:
        assert words in caught.value.message


def test_what_is_lacking_beside_a_conflict_is_told_too() -> None:
    """app 2 requires what does not exist, app 1 what the user excludes: both are the story."""
    shelf = Shelf().add("app", "2.0", requires=["ghost>=1"]).add("app", "1.0", requires=["lib<2"])
    shelf.add("lib", "1.0", "2.0")
    with pytest.raises(ConflictError) as caught:
        shelf.resolve("app", "lib>=2")
    told = _told(caught.value)
    for words in ["ghost", "https://index.test/simple", "app 1.0 requires lib<2", "lib>=2"]:
        assert words in told


def test_what_is_installed_is_named_as_such(tmp_path: Path) -> None:
    shelf = Shelf().add("lib", "1.0", "2.0")
    old = on_disk(tmp_path, "app", "1.0", requires=["lib<2"])
    told = _fails(shelf, "app", "lib>=2", installed=[old])
    assert "app 1.0" in told
    assert "lib<2" in told


def test_a_url_in_a_conflict_shows_no_credentials() -> None:
    url = "https://me:secret@files.test/lib-1.5-py3-none-any.whl"
    shelf = Shelf().add("lib", "1.5", index="https://files.test")
    shelf.add("app", "1.0", requires=["lib>=2"]).add("lib", "2.0")
    told = _fails(shelf, "app", f"lib @ {url}")
    assert "files.test/lib-1.5" in told
    assert "secret" not in told


def _source_only(version: str) -> Shelf:
    """``lib`` has a wheel for 1.0 only, and ``app`` requires it; asking for a build fails."""
    shelf = Shelf().add("app", "1.0", requires=[f"lib{version}"]).add("lib", "1.0")
    shelf.add("lib", "2.0", sdist=True)
    shelf.failures["lib-2.0.tar.gz"] = NeedsBuildError("Build it.", filename="lib-2.0.tar.gz")
    return shelf


@pytest.mark.parametrize(("version", "offered"), [("", True), (">=2", False)])
def test_what_needs_a_build_is_told_with_the_way_to_it(version: str, *, offered: bool) -> None:
    with pytest.raises(NeedsBuildError) as caught:
        _source_only(version).resolve(asked_for("app", line=3))
    assert caught.value.filename == "lib-2.0.tar.gz"
    assert "app 1.0" in caught.value.message
    assert "requirements.txt, line 3" in caught.value.message
    # An older wheel is offered only if nobody requires a newer one.
    assert ("--only-binary lib" in (caught.value.hint or "")) is offered
