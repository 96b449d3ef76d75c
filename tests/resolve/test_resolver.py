"""Whole resolutions, over a handful of releases each."""

from __future__ import annotations

from pathlib import Path

import pytest

from kedge.errors import (
    ConflictError,
    ConnectionTimeoutError,
    NeedsBuildError,
    NotFoundError,
    RequirementError,
    ResolutionError,
)
from kedge.model import NetworkOrigin
from kedge.resolve import FormatControl, ReleaseControl, ResolveReporter, UpgradeStrategy
from support.shelf import Shelf, asked_for, on_disk


class Told(ResolveReporter):
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.warnings: list[str] = []
        self.notices: list[str] = []
        self.pins: list[tuple[str, str]] = []
        self.refused: list[tuple[str, str]] = []
        self.rounds = 0

    def round_started(self, index: int) -> None:
        self.rounds += 1

    def pinned(self, name: str, version: str) -> None:
        self.pins.append((name, version))

    def rejected(self, name: str, version: str, reason: str) -> None:
        self.refused.append((name, version))

    def warn(self, message: str) -> None:
        self.warnings.append(message)

    def notice(self, message: str) -> None:
        self.notices.append(message)


# --------------------------------------------------------------------------------------------
# Plain choices


def test_newest_that_everybody_accepts() -> None:
    shelf = Shelf()
    shelf.add("app", "1.0", requires=["lib>=1", "tool"])
    shelf.add("tool", "1.0", requires=["lib<3"])
    shelf.add("lib", "1.0", "2.0", "3.0")
    assert shelf.versions("app") == {"app": "1.0", "tool": "1.0", "lib": "2.0"}


def test_goes_back_to_an_older_parent() -> None:
    """What resolvelib is for: the newest app cannot be had with the lib that tool needs."""
    shelf = Shelf()
    for version, lib in (("3.0", ">=3"), ("2.0", ">=2"), ("1.0", "")):
        shelf.add("app", version, requires=[f"lib{lib}"])
    shelf.add("tool", "1.0", requires=["lib<3"])
    shelf.add("lib", "1.0", "2.0", "3.0")
    told = Told()
    assert shelf.versions("app", "tool", reporter=told) == {
        "app": "2.0",
        "tool": "1.0",
        "lib": "2.0",
    }
    assert told.refused


def test_goes_back_through_many_versions_and_says_so_in_time() -> None:
    shelf = Shelf()
    shelf.add("base", "1.0", "2.0")
    for number in range(20):
        shelf.add("app", f"1.{number}", requires=["base<2" if number == 0 else "base>=2"])
    told = Told()
    assert shelf.versions("app", "base<2", reporter=told) == {"app": "1.0", "base": "1.0"}
    assert len(told.refused) == 19
    assert len(told.notices) == 3
    assert all("app" in notice for notice in told.notices)


def test_one_file_of_a_version_speaks_for_it() -> None:
    """Another wheel of a version that was refused is the same version, and is not tried."""
    shelf = Shelf().add("base", "1.0", "2.0").add("app", "1.0")
    shelf.add("app", "2.0", requires=["base>=2"])
    shelf.add("app", "2.0", requires=["base>=2"], tag="cp311-none-any")
    told = Told()
    assert shelf.versions("app", "base<2", reporter=told) == {"app": "1.0", "base": "1.0"}
    assert told.refused == [("app", "2.0")]


def test_cycles_end() -> None:
    shelf = Shelf()
    shelf.add("a", "1.0", requires=["b"])
    shelf.add("b", "1.0", requires=["a"])
    assert shelf.versions("a") == {"a": "1.0", "b": "1.0"}


def test_a_dropped_cycle_is_no_part_of_the_answer() -> None:
    """app 2 brings in a cycle, is given up, and leaves it behind in the engine's state."""
    shelf = Shelf()
    shelf.add("app", "2.0", requires=["a", "late"])
    shelf.add("app", "1.0")
    shelf.add("a", "1.0", requires=["b"])
    shelf.add("b", "1.0", requires=["a"])
    shelf.add("late", "1.0", requires=["app<2"])
    assert shelf.versions("app") == {"app": "1.0"}


def test_marker_decides_what_is_needed() -> None:
    shelf = Shelf().add("here", "1.0").add("there", "1.0")
    shelf.add(
        "app",
        "1.0",
        requires=["here; sys_platform == 'linux'", "there; sys_platform == 'win32'"],
    )
    assert shelf.versions("app", "there; python_version < '3'") == {"app": "1.0", "here": "1.0"}


def test_no_deps_takes_only_what_is_named() -> None:
    shelf = Shelf().add("app", "1.0", requires=["lib"]).add("lib", "1.0")
    assert shelf.versions("app", no_deps=True) == {"app": "1.0"}


@pytest.mark.parametrize("spelling", ["Foo_Bar", "foo.bar", "FOO-bar"])
def test_names_are_compared_normalised(spelling: str) -> None:
    shelf = Shelf().add("foo-bar", "1.0", "2.0").add("app", "1.0", requires=["foo_bar<2"])
    assert shelf.versions("app", spelling) == {"app": "1.0", "foo-bar": "1.0"}


# --------------------------------------------------------------------------------------------
# Extras


def test_extras_bring_in_more_of_the_same_version() -> None:
    shelf = Shelf()
    shelf.add("app", "1.0", extras={"fast": ["speedups"]})
    shelf.add("app", "2.0", extras={"fast": ["speedups>=2"]})
    shelf.add("speedups", "1.0")
    pins = {str(pin.name): pin for pin in shelf.resolve("app[fast]").pins}
    assert {name: str(pin.version) for name, pin in pins.items()} == {
        "app": "1.0",
        "speedups": "1.0",
    }
    assert pins["app"].extras == {"fast"}
    assert pins["app"].requires == ("speedups",)
    assert pins["app"].requested
    assert not pins["speedups"].requested


@pytest.mark.parametrize(
    ("asked", "provided"),
    [
        pytest.param("Big_Data", "big-data", id="PEP 685 metadata"),
        pytest.param("big-data", "Big_Data", id="older metadata"),
        pytest.param("BIG.data", "big_data", id="neither"),
    ],
)
def test_extras_are_compared_normalised(asked: str, provided: str) -> None:
    shelf = Shelf().add("app", "1.0", extras={provided: ["lib"]}).add("lib", "1.0")
    assert shelf.versions(f"app[{asked}]") == {"app": "1.0", "lib": "1.0"}


def test_extras_may_name_extras_of_themselves() -> None:
    shelf = Shelf().add("lib", "1.0").add("more", "1.0")
    shelf.add("app", "1.0", extras={"all": ["app[one]", "more"], "one": ["lib"]})
    assert shelf.versions("app[all]") == {"app": "1.0", "lib": "1.0", "more": "1.0"}


def test_the_base_is_limited_before_its_extras_are_looked_at() -> None:
    """With the base's limits known first, only versions that satisfy them are ever tried."""
    shelf = Shelf().add("app", "1.0", "2.0", "3.0", extras={"x": []})
    told = Told()
    assert shelf.versions("app[x]", "app<3,>=2", reporter=told) == {"app": "2.0"}
    assert not any("3.0" in what for what in shelf.asked)
    assert told.refused == []


def test_a_limit_on_one_extra_is_known_to_the_others() -> None:
    shelf = Shelf().add("app", "1.0", "2.0", "3.0", extras={"x": [], "y": []})
    told = Told()
    assert shelf.versions("app[y]", "app[x]<2", reporter=told) == {"app": "1.0"}
    assert told.refused == []


def test_an_extra_that_is_not_declared_brings_in_nothing() -> None:
    """As pip: a marker alone does not make an extra."""
    shelf = Shelf().add("app", "1.0", requires=["lib; extra == 'hidden'"]).add("lib", "1.0")
    assert shelf.versions("app[hidden]") == {"app": "1.0"}


def test_unknown_extra_is_a_warning() -> None:
    told = Told()
    assert Shelf().add("app", "1.0").versions("app[nope]", reporter=told) == {"app": "1.0"}
    assert len(told.warnings) == 1
    assert "nope" in told.warnings[0]


# --------------------------------------------------------------------------------------------
# What is installed


@pytest.fixture
def site(tmp_path: Path) -> Path:
    return tmp_path / "site-packages"


def _two() -> Shelf:
    shelf = Shelf()
    shelf.add("app", "1.0", "2.0", requires=["lib"])
    shelf.add("lib", "1.0", "2.0")
    return shelf


_UPGRADES = [
    pytest.param({}, {"app": "=1.0", "lib": "=1.0"}, id="stays without --upgrade"),
    pytest.param(
        {"upgrade": UpgradeStrategy.ONLY_IF_NEEDED},
        {"app": "2.0", "lib": "=1.0"},
        id="only what was named",
    ),
    pytest.param({"upgrade": UpgradeStrategy.EAGER}, {"app": "2.0", "lib": "2.0"}, id="eager"),
    pytest.param({"force_reinstall": True}, {"app": "2.0", "lib": "2.0"}, id="forced"),
    pytest.param({"ignore_installed": True}, {"app": "2.0", "lib": "2.0"}, id="ignored"),
]


@pytest.mark.parametrize(("facts", "expected"), _UPGRADES)
def test_what_is_installed(site: Path, facts: dict[str, object], expected: dict[str, str]) -> None:
    installed = [on_disk(site, "app", "1.0", requires=["lib"]), on_disk(site, "lib", "1.0")]
    assert _two().versions("app", installed=installed, **facts) == expected


def test_what_satisfies_asks_no_index(site: Path) -> None:
    shelf = _two()
    installed = [on_disk(site, "app", "1.0", requires=["lib"]), on_disk(site, "lib", "1.0")]
    shelf.resolve("app", installed=installed, threads=4)
    assert shelf.asked == []


def test_what_does_not_satisfy_is_replaced(site: Path) -> None:
    installed = [on_disk(site, "app", "1.0", requires=["lib"]), on_disk(site, "lib", "1.0")]
    found = _two().resolve("app", "lib>=2", installed=installed)
    assert [(pin.name, pin.kept, pin.replaces) for pin in found.pins] == [
        ("lib", False, installed[1]),
        ("app", True, None),
    ]


def test_a_newer_one_than_the_index_has_stays_under_upgrade(site: Path) -> None:
    found = _two().versions(
        "lib", installed=[on_disk(site, "lib", "3.0")], upgrade=UpgradeStrategy.EAGER
    )
    assert found == {"lib": "=3.0"}


def test_what_is_installed_speaks_for_its_version_under_upgrade(site: Path) -> None:
    shelf = _two()
    installed = [on_disk(site, "lib", "2.0")]
    assert shelf.versions("lib", installed=installed, upgrade=UpgradeStrategy.EAGER) == {
        "lib": "=2.0"
    }
    assert shelf.asked == ["lib"]


def test_what_is_installed_and_refused_is_not_tried_again_from_the_index(site: Path) -> None:
    shelf = Shelf().add("base", "1.0", "2.0")
    shelf.add("app", "1.0", requires=["base>=2"]).add("app", "0.9")
    installed = [on_disk(site, "app", "1.0", requires=["base>=2"])]
    told = Told()
    assert shelf.versions("app", "base<2", installed=installed, reporter=told) == {
        "app": "0.9",
        "base": "1.0",
    }
    assert told.refused == [("app", "1.0")]


def _unfit_in_the_environment(site: Path, *, sdist: bool, index: str) -> dict[str, str]:
    """app 1.0 is installed with a requirement that cannot be met; the index's app 1.0 has none."""
    shelf = Shelf().add("base", "1.0", "2.0").add("mid", "1.0", requires=["base>=2"])
    shelf.add("app", "0.9").add("app", "1.0", sdist=sdist, index=index)
    installed = [on_disk(site, "app", "1.0", requires=["mid"])]
    return shelf.versions("app", "base<2", installed=installed)


@pytest.mark.parametrize(
    ("sdist", "index", "expected"),
    [
        pytest.param(False, "https://index.test", "=1.0", id="a wheel of an index changes nothing"),
        pytest.param(False, "file:///links", "=1.0", id="nor does a local wheel"),
        pytest.param(True, "https://index.test", "=1.0", id="nor source of an index"),
        pytest.param(True, "file:///links", "1.0", id="local source may have changed"),
    ],
)
def test_the_same_version_from_elsewhere(
    site: Path, *, sdist: bool, index: str, expected: str
) -> None:
    """As pip: once the installed one is given up, the index may speak for the same version."""
    found = _unfit_in_the_environment(site, sdist=sdist, index=index)
    assert found == {"app": expected, "base": "1.0"}


def test_forced_means_the_same_version_again(site: Path) -> None:
    old = on_disk(site, "lib", "2.0")
    (pin,) = _two().resolve("lib", installed=[old], force_reinstall=True).pins
    assert not pin.kept
    assert pin.replaces is old


def test_ignored_means_nothing_is_removed(site: Path) -> None:
    old = on_disk(site, "lib", "1.0")
    (forced,) = _two().resolve("lib", installed=[old], force_reinstall=True).pins
    (ignored,) = _two().resolve("lib", installed=[old], ignore_installed=True).pins
    assert forced.replaces is old
    assert ignored.replaces is None


def test_a_missing_dependency_of_what_stays_is_installed(site: Path) -> None:
    installed = [on_disk(site, "app", "1.0", requires=["lib"])]
    assert _two().versions("app", installed=installed) == {"app": "=1.0", "lib": "2.0"}


# --------------------------------------------------------------------------------------------
# Direct URLs and constraints

URL = "https://files.test/lib-1.5-py3-none-any.whl"


def _with_direct() -> Shelf:
    shelf = _two()
    shelf.add("lib", "1.5", index="https://files.test")
    return shelf


def test_direct_url_is_the_only_candidate() -> None:
    pins = {str(pin.name): pin for pin in _with_direct().resolve("app", f"lib @ {URL}").pins}
    assert str(pins["lib"].version) == "1.5"
    assert pins["lib"].direct == URL
    assert pins["app"].direct is None


def test_direct_url_with_extras() -> None:
    shelf = Shelf().add("lib", "1.5", extras={"x": ["dep"]}, index="https://files.test")
    shelf.add("dep", "1.0")
    assert shelf.versions(f"lib[x] @ {URL}") == {"lib": "1.5", "dep": "1.0"}


def test_direct_url_of_a_dependency() -> None:
    shelf = _with_direct().add("top", "1.0", requires=[f"lib @ {URL}"])
    assert shelf.versions("top", "app") == {"top": "1.0", "app": "2.0", "lib": "1.5"}


def test_two_urls_exclude_each_other_unless_they_are_the_same() -> None:
    shelf = _with_direct().add("top", "1.0", requires=[f"lib @ {URL}"])
    with_user = URL.replace("https://", "https://me:secret@")
    assert shelf.versions("top", f"lib @ {with_user}")["lib"] == "1.5"
    shelf.add("lib", "1.6", index="https://files.test")
    with pytest.raises(ConflictError) as caught:
        shelf.resolve("top", f"lib @ {URL.replace('1.5', '1.6')}")
    told = " ".join(caught.value.explanation)
    assert "lib-1.5" in told
    assert "lib-1.6" in told


def test_direct_url_of_what_is_installed_in_that_version_changes_nothing(site: Path) -> None:
    """As pip: the version is the same, so it stays (pypa/pip#5780 would have it otherwise)."""
    installed = [on_disk(site, "lib", "1.5")]
    assert _with_direct().versions(f"lib @ {URL}", installed=installed) == {"lib": "=1.5"}


def test_direct_url_replaces_an_editable_install(site: Path) -> None:
    editable = '{"url": "file:///src/lib", "dir_info": {"editable": true}}'
    installed = [on_disk(site, "lib", "1.5", direct_url=editable)]
    assert _with_direct().versions(f"lib @ {URL}", installed=installed) == {"lib": "1.5"}


def test_direct_wheel_for_another_platform_is_an_error() -> None:
    with pytest.raises(ResolutionError) as caught:
        Shelf().resolve("https://files.test/lib-1.5-cp39-cp39-win32.whl")
    assert "lib-1.5-cp39-cp39-win32.whl" in caught.value.message


def test_constraint_limits_without_requiring() -> None:
    shelf = _two().add("other", "1.0")
    assert shelf.versions("app", constraints=["lib<2", "other==1.0"]) == {
        "app": "2.0",
        "lib": "1.0",
    }


def test_constraint_limits_the_base_of_extras() -> None:
    shelf = Shelf().add("lib", "1.0").add("app", "1.0", "2.0", extras={"x": ["lib"]})
    assert shelf.versions("app[x]", constraints=["app<2"]) == {"app": "1.0", "lib": "1.0"}


def test_constraint_of_another_platform_does_not_count() -> None:
    shelf = _two()
    assert shelf.versions("lib", constraints=["lib<2; sys_platform == 'win32'"]) == {"lib": "2.0"}


def test_constraint_with_a_url_supplies_the_file() -> None:
    found = _with_direct().versions("app", constraints=[f"lib @ {URL}"])
    assert found == {"app": "2.0", "lib": "1.5"}


def test_constraint_with_a_url_refuses_what_is_installed(site: Path) -> None:
    installed = [on_disk(site, "lib", "1.0")]
    found = _with_direct().versions("app", constraints=[f"lib @ {URL}"], installed=installed)
    assert found["lib"] == "1.5"


def test_constraint_with_a_url_excludes_the_same_version_from_another() -> None:
    shelf = _with_direct().add("lib", "1.5", index="https://mirror.test")
    with pytest.raises(ConflictError):
        shelf.resolve(
            "lib @ https://mirror.test/lib-1.5-py3-none-any.whl", constraints=[f"lib @ {URL}"]
        )


def test_constraint_with_extras_is_an_error() -> None:
    with pytest.raises(RequirementError):
        _two().resolve("app", constraints=["lib[x]<2"])


# --------------------------------------------------------------------------------------------
# Kinds of release


def test_what_needs_a_build_is_said_with_what_does_not() -> None:
    shelf = Shelf().add("app", "1.0").add("app", "2.0", sdist=True)
    shelf.failures["app-2.0.tar.gz"] = NeedsBuildError("a build", filename="app-2.0.tar.gz")
    with pytest.raises(NeedsBuildError) as caught:
        shelf.resolve("app")
    assert "1.0" in (caught.value.hint or "")
    assert shelf.versions("app", prefer_binary=True) == {"app": "1.0"}
    assert shelf.versions("app", formats=FormatControl().only_binary("app")) == {"app": "1.0"}


def test_prereleases_by_project() -> None:
    shelf = Shelf().add("one", "1.0", "2.0b1").add("two", "1.0", "2.0b1")
    releases = ReleaseControl().all_releases("One")
    assert shelf.versions("one", "two", releases=releases) == {"one": "2.0b1", "two": "1.0"}


def test_metadata_may_ask_for_another_python_than_the_index_says() -> None:
    shelf = Shelf().add("app", "2.0", requires_python=">=3.12").add("app", "1.0")
    assert shelf.versions("app") == {"app": "1.0"}
    assert shelf.versions("app", ignore_requires_python=True) == {"app": "2.0"}


def test_yanked_is_taken_only_when_pinned_and_then_with_a_warning() -> None:
    shelf = Shelf().add("app", "1.0").add("app", "2.0", yanked="it eats data")
    told = Told()
    assert shelf.versions("app", reporter=told) == {"app": "1.0"}
    assert told.warnings == []
    assert shelf.versions("app==2.0", reporter=told) == {"app": "2.0"}
    assert len(told.warnings) == 1
    assert "it eats data" in told.warnings[0]


def test_damaged_metadata_is_passed_over_with_a_warning() -> None:
    shelf = Shelf().add("app", "1.0")
    shelf.add("app", "2.0", requires=["not a requirement"])
    told = Told()
    assert shelf.versions("app", reporter=told) == {"app": "1.0"}
    assert any("app-2.0" in warning for warning in told.warnings)


def test_damaged_metadata_leaves_the_version_to_its_other_file() -> None:
    shelf = Shelf().add("app", "2.0").add("app", "1.0")
    shelf.add("app", "2.0", tag="cp311-none-any", metadata=b"Name: app\n")
    pins = shelf.resolve("app").pins
    assert [getattr(pin.file, "filename", "") for pin in pins] == ["app-2.0-py3-none-any.whl"]


# --------------------------------------------------------------------------------------------
# Hashes


def test_hashes_choose_the_file_and_go_with_it() -> None:
    shelf = Shelf()
    shelf.add("app", "1.0", hashes=(("sha256", "aa"),))
    shelf.add("app", "1.0", tag="cp311-none-any", hashes=(("sha256", "bb"),))
    (pin,) = shelf.resolve(asked_for("app==1.0", hashes=["aa"])).pins
    assert getattr(pin.file, "filename", "") == "app-1.0-py3-none-any.whl"
    assert list(pin.hashes) == [("sha256", "aa")]
    assert pin.hashes_by_user


def test_without_hashes_those_of_the_index_count() -> None:
    (pin,) = Shelf().add("app", "1.0", hashes=(("sha256", "aa"),)).resolve("app").pins
    assert list(pin.hashes) == [("sha256", "aa")]
    assert not pin.hashes_by_user


def test_a_hash_brings_in_hash_checking_for_everything() -> None:
    shelf = (
        Shelf().add("app", "1.0", requires=["lib"]).add("lib", "1.0", hashes=(("sha256", "cc"),))
    )
    with pytest.raises(ResolutionError) as caught:
        shelf.resolve(asked_for("app==1.0", hashes=["aa"]))
    assert "lib 1.0" in caught.value.message
    assert "sha256:cc" in (caught.value.hint or "")
    assert "lib-1.0-py3-none-any.whl" not in shelf.asked


def test_a_constraint_may_bring_the_hash() -> None:
    shelf = Shelf().add("app", "1.0", requires=["lib"]).add("lib", "1.0")
    found = shelf.resolve(
        asked_for("app==1.0", hashes=["aa"]), constraints=[asked_for("lib==1.0", hashes=["bb"])]
    )
    assert {pin.name: list(pin.hashes) for pin in found.pins} == {
        "app": [("sha256", "aa")],
        "lib": [("sha256", "bb")],
    }


def test_what_is_installed_needs_no_hash(site: Path) -> None:
    shelf = Shelf().add("app", "1.0", requires=["lib"])
    installed = [on_disk(site, "lib", "1.0")]
    found = shelf.versions(asked_for("app==1.0", hashes=["aa"]), installed=installed)
    assert found == {"app": "1.0", "lib": "=1.0"}


def test_hashes_that_contradict_each_other_are_not_settled_by_chance() -> None:
    shelf = Shelf().add("app", "1.0")
    with pytest.raises(ConflictError):
        shelf.resolve(
            asked_for("app==1.0", hashes=["aa"]),
            constraints=[asked_for("app==1.0", hashes=["bb"])],
        )


# --------------------------------------------------------------------------------------------
# What the network does, and where it ends


@pytest.mark.parametrize("what", ["lib", "lib-2.0-py3-none-any.whl"])
@pytest.mark.parametrize("threads", [0, 4])
def test_a_failure_of_the_network_is_never_not_found(what: str, threads: int) -> None:
    shelf = _two()
    origin = NetworkOrigin("https", "index.test", 443)
    shelf.failures[what] = ConnectionTimeoutError("late", url="https://index.test", peer=origin)
    with pytest.raises(ConnectionTimeoutError):
        shelf.resolve("app", threads=threads)


def test_metadata_is_asked_of_as_few_files_as_possible() -> None:
    shelf = Shelf().add("app", *(f"{number}.0" for number in range(50)))
    shelf.resolve("app")
    assert shelf.asked == ["app", "app-49.0-py3-none-any.whl"]


def test_it_gives_up_after_the_last_round_and_names_what_was_tried_most() -> None:
    shelf = Shelf()
    for number in range(30):
        shelf.add("app", f"1.{number}", requires=[f"lib=={number}"])
        shelf.add("lib", str(number), requires=["base>=2"])
    shelf.add("base", "1.0", "2.0")
    told = Told()
    with pytest.raises(ResolutionError) as caught:
        shelf.resolve("app", "base<2", max_rounds=4, reporter=told)
    assert not isinstance(caught.value, ConflictError | NotFoundError)
    assert told.rounds == 4
    assert "4 rounds" in caught.value.message
