"""The order in which the engine decides: pip's preferences, one by one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pytest
from packaging.specifiers import SpecifierSet
from packaging.utils import NormalizedName
from packaging.version import Version
from resolvelib.structs import RequirementInformation

from kedge.index import IndexFile, Link
from kedge.index.files import files_of
from kedge.model import Hashes
from kedge.resolve import Problem, ResolveReporter, UpgradeStrategy
from kedge.resolve.candidates import PYTHON, Candidate, FileCandidate
from kedge.resolve.demands import Demand, ExplicitDemand, SpecifierDemand
from kedge.resolve.library import Library
from kedge.resolve.provider import Provider
from kedge.resolve.target import Target
from kedge.resolve.universe import Universe
from support.shelf import MARKERS, TAGS, Shelf

Information = RequirementInformation[Demand, Candidate]


def _provider(
    *, order: Mapping[str, int] | None = None, upgrade: UpgradeStrategy = UpgradeStrategy.NONE
) -> Provider:
    problem = Problem(requested=(), markers=MARKERS, tags=TAGS, python_version="3.11.7")
    target = Target(markers=MARKERS, tags=TAGS, python_version="3.11.7")
    shelf = Shelf()
    hashes: dict[NormalizedName, Hashes] = {}
    library = Library(problem, shelf, target=target, constraints={}, hashes=hashes)
    universe = Universe(
        problem,
        shelf,
        ResolveReporter(),
        library=library,
        target=target,
        constraints={},
        hashes=hashes,
    )
    return Provider(universe, order=order or {}, upgrade=upgrade)


def _candidate(name: str, version: str = "1.0") -> FileCandidate:
    filename = f"{name}-{version}-py3-none-any.whl"
    link = Link(url=f"https://index.test/{filename}", filename=filename)
    file: IndexFile
    (file,) = files_of(NormalizedName(name), [link], index="", page_verified=True)
    assert file.version == Version(version)
    return FileCandidate(file)


def _demand(name: str, limit: str) -> Demand:
    if limit == "direct":
        return ExplicitDemand(_candidate(name))
    return SpecifierDemand(NormalizedName(name), SpecifierSet(limit))


def _first(limits: Mapping[str, Sequence[str]], order: Mapping[str, int] | None = None) -> str:
    """Which of the names is decided first, for these demands on each."""
    provider = _provider(order=order)
    information = {
        name: [RequirementInformation(_demand(name, limit), None) for limit in each]
        for name, each in limits.items()
    }
    return min(
        limits,
        key=lambda name: provider.get_preference(
            name, {}, {}, {key: iter(value) for key, value in information.items()}, []
        ),
    )


@pytest.mark.parametrize(
    ("first", "later"),
    [
        pytest.param(["direct"], ["==1.0"], id="a URL before a pin"),
        pytest.param(["==1.0"], ["<2"], id="a pin before a bound"),
        pytest.param(["===1.0"], ["<2"], id="a pin as a string, too"),
        pytest.param(["<2"], [">=1"], id="an upper bound before a lower"),
        pytest.param(["<=2"], [">=1"], id="inclusive"),
        pytest.param(["~=2.0"], [">=1"], id="compatible release is a bound"),
        pytest.param(["==2.*"], [">=1"], id="a wildcard is a bound"),
        pytest.param(["==1.0"], ["==1.*"], id="but no pin"),
        pytest.param([">=1"], [""], id="any limit before none"),
        pytest.param(["!=1"], [""], id="an exclusion is a limit"),
        pytest.param(["", "<2"], [">=1"], id="one demand of several is enough"),
    ],
)
def test_what_is_decided_first(first: list[str], later: list[str]) -> None:
    # The name that the alphabet would put last.
    assert _first({"zz": first, "aa": later}) == "zz"


def test_bounds_come_before_the_users_order_and_that_before_limits() -> None:
    order = {"named": 3, "earlier": 1}
    assert _first({"bounded": ["<2"], "named": [""]}, order) == "bounded"
    assert _first({"named": [""], "limited": [">=1"]}, order) == "named"
    assert _first({"named": [""], "earlier": [""]}, order) == "earlier"


def test_the_alphabet_decides_last() -> None:
    assert _first({"b": [""], "a": [""]}) == "a"


def _narrowed(
    provider: Provider, names: list[str], causes: list[Information], pinned: Sequence[str] = ()
) -> list[str]:
    resolutions: dict[str, Candidate] = {name: _candidate(name) for name in pinned}
    return list(provider.narrow_requirement_selection(names, resolutions, {}, {}, causes))


def _cause(name: str, parent: str | None = None) -> Information:
    by = _candidate(parent) if parent else None
    return RequirementInformation(_demand(name, ""), by)


def test_python_is_decided_alone_and_first() -> None:
    causes = [_cause("a")]
    assert _narrowed(_provider(), ["a", PYTHON, "b"], causes) == [PYTHON]


def test_what_the_last_conflict_was_about_comes_next() -> None:
    names = ["a", "b", "c", "d"]
    assert _narrowed(_provider(), names, [_cause("c", parent="b")]) == ["b", "c"]
    assert _narrowed(_provider(), names, []) == names


def test_what_often_stands_unpinned_in_conflicts_is_promoted() -> None:
    provider = _provider()
    for count in range(1, 6):
        _narrowed(provider, ["a", "b"], [_cause("c")])
        expected = ["c"] if count == 5 else ["a", "b", "c"]
        assert _narrowed(provider, ["a", "b", "c"], []) == expected
    preference = provider.get_preference("c", {}, {}, {"c": iter(())}, [])
    assert preference < provider.get_preference("a", {}, {}, {"a": iter(())}, [])


def test_what_is_pinned_in_conflicts_is_not() -> None:
    provider = _provider()
    for _ in range(10):
        _narrowed(provider, ["a", "b"], [_cause("c")], pinned=["c"])
    assert _narrowed(provider, ["a", "b", "c"], []) == ["a", "b", "c"]


@pytest.mark.parametrize(
    ("upgrade", "identifier", "expected"),
    [
        (UpgradeStrategy.NONE, "named", True),
        (UpgradeStrategy.EAGER, "other", False),
        (UpgradeStrategy.ONLY_IF_NEEDED, "named", False),
        (UpgradeStrategy.ONLY_IF_NEEDED, "named[extra]", False),
        (UpgradeStrategy.ONLY_IF_NEEDED, "dressed[x]", False),
        # pip's rule, for better or worse: only what was named in so many words.
        (UpgradeStrategy.ONLY_IF_NEEDED, "dressed", True),
        (UpgradeStrategy.ONLY_IF_NEEDED, "other", True),
    ],
)
def test_what_is_installed_is_preferred(
    upgrade: UpgradeStrategy, identifier: str, *, expected: bool
) -> None:
    provider = _provider(order={"named": 0, "dressed[x]": 1}, upgrade=upgrade)
    assert provider.prefers_installed(identifier) is expected
