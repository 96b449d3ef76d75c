from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

from packaging.version import Version

from environment.distributions import dist_info
from kedge.environment.consistency import Package, conflicts, packages_of
from kedge.environment.installed import installed
from kedge.environment.interpreter import current
from kedge.environment.listing import Latest, Selection, as_columns, as_json, select
from kedge.environment.metadata import normalized


def test_nothing_is_an_empty_list() -> None:
    assert as_columns([]) == []
    assert json.loads(as_json([])) == []


def test_what_is_outdated_gets_two_columns(tmp_path: Path) -> None:
    dist_info(tmp_path, "demo", "1.0")
    latest = {normalized("demo"): Latest("2.0", "wheel")}
    found = list(installed([tmp_path]).values())
    assert as_columns(found, latest=latest) == [
        "Package Version Latest Type",
        "------- ------- ------ -----",
        "demo    1.0     2.0    wheel",
    ]
    (entry,) = json.loads(as_json(found, latest=latest))
    assert entry == {
        "name": "demo",
        "version": "1.0",
        "latest_version": "2.0",
        "latest_filetype": "wheel",
    }


def test_broken_ones_are_listed_with_what_their_folder_tells(tmp_path: Path) -> None:
    dist_info(tmp_path, "bare", "1.5", metadata="")
    dist_info(tmp_path, "bad-needs", "1.0", requires=["!!"])
    dist_info(tmp_path, "other", "1.0")
    found = installed([tmp_path]).values()
    chosen = select(found, Selection(not_required=True), interpreter=current())
    assert as_columns(chosen) == [
        "Package   Version",
        "--------- -------",
        "bad-needs 1.0",
        "bare      1.5",
        "other     1.0",
    ]


def test_outside_of_a_virtual_environment_everything_is_local(tmp_path: Path) -> None:
    dist_info(tmp_path, "demo")
    found = installed([tmp_path]).values()
    plain = replace(current(), base_prefix=current().prefix)
    assert len(select(found, Selection(local=True), interpreter=plain)) == 1
    venv = replace(plain, base_prefix=Path("/base"))
    assert select(found, Selection(local=True), interpreter=venv) == ()


def test_a_python_without_a_users_place_has_nothing_there(tmp_path: Path) -> None:
    dist_info(tmp_path, "demo")
    found = installed([tmp_path]).values()
    without = replace(current(), user_site=None)
    assert select(found, Selection(user=True), interpreter=without) == ()


def test_what_cannot_be_checked_is_told(tmp_path: Path) -> None:
    dist_info(tmp_path, "bad-needs", "1.0", requires=["!!"])
    dist_info(tmp_path, "bad-version", "2004d")
    dist_info(tmp_path, "fine", requires=["bad-needs"])
    packages, unreadable = packages_of(installed([tmp_path]).values(), current().markers)
    assert set(packages) == {"fine"}
    assert sorted(line.split()[0] for line in unreadable) == ["bad-needs", "bad-version"]


def test_only_what_a_change_concerns(tmp_path: Path) -> None:
    dist_info(tmp_path, "base", "1.0", requires=["gone-of-base"])
    dist_info(tmp_path, "above", "1.0", requires=["base>=2", "gone-of-above"])
    dist_info(tmp_path, "apart", "1.0", requires=["gone-of-apart"])
    packages, _ = packages_of(installed([tmp_path]).values(), current().markers)

    def about(*names: str) -> list[str]:
        concerning = {normalized(name) for name in names}
        found = conflicts(packages, concerning=concerning)
        return [f"{each.package.name}:{each.requirement}" for each in found]

    assert about("base") == ["above:base>=2", "above:gone-of-above", "base:gone-of-base"]
    assert about("apart") == ["apart:gone-of-apart"]
    assert about() == []
    assert len(conflicts(packages)) == 4


def test_conflicts_say_who_needs_what_and_what_is_there(tmp_path: Path) -> None:
    dist_info(tmp_path, "base", "1.0")
    dist_info(tmp_path, "above", "3.1", requires=["base>=2", "gone", "base>=2"])
    packages, _ = packages_of(installed([tmp_path]).values(), current().markers)
    wrong, missing = conflicts(packages)
    assert wrong.found == Version("1.0")
    assert missing.found is None
    for specific in ("above", "3.1", "base>=2", "base 1.0"):
        assert specific in str(wrong)
    for specific in ("above", "3.1", "gone"):
        assert specific in str(missing)


def test_a_change_can_be_tried_out_on_the_values() -> None:
    name = normalized("base")
    assert conflicts({name: Package(name, Version("1"), ())}) == ()
