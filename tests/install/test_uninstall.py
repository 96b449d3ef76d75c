"""What goes with a distribution, what stays, and what is refused."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from kedge.environment.installed import installed
from kedge.environment.listing import is_local
from kedge.errors import InstallError
from kedge.install import Plan, carry_out
from support.installing import Stand, Told
from support.wheels import wheel


def _uninstall(stand: Stand, *names: str, also: Path | None = None) -> Told:
    folders = [stand.venv.site, *([also] if also else [])]
    found = installed(folders)
    told = Told()
    removals = tuple(found[name] for name in names)  # type: ignore[index]
    carry_out(
        Plan(scheme=stand.scheme, interpreter=stand.interpreter, removals=removals), reporter=told
    )
    return told


def _write(place: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        path = place / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def test_files_of_the_user_stay_with_their_folders(stand: Stand) -> None:
    stand.install(wheel("demo", files={"demo/inner/a.py": "", "demo/data/b.txt": ""}))
    _write(stand.venv.site, {"demo/inner/mine.txt": "mine", "demo/more/mine.txt": "mine"})
    (stand.venv.site / "demo" / "data" / "empty").mkdir()
    _uninstall(stand, "demo")
    package = stand.venv.site / "demo"
    left = sorted(path.relative_to(package).as_posix() for path in package.rglob("*"))
    assert left == ["inner", "inner/mine.txt", "more", "more/mine.txt"]
    assert stand.installed() == {}


def test_the_environments_own_folders_stay(stand: Stand) -> None:
    empty = stand.snapshot()
    stand.install(wheel("demo", data={"data/include/x.h": "", "data/lib/y": "", "headers/z.h": ""}))
    _uninstall(stand, "demo")
    assert stand.snapshot() == empty


def _claim(stand: Stand, *rows: str) -> None:
    """More rows for RECORD of the installed ``demo``."""
    record = stand.venv.dist_info("demo") / "RECORD"
    with record.open("a") as file:
        file.write("".join(f"{row},,\n" for row in rows))


def test_what_lies_outside_the_environment_is_refused(stand: Stand, tmp_path: Path) -> None:
    stand.install(wheel("demo"))
    outside = tmp_path / "precious"
    outside.write_text("precious")
    linked = tmp_path / "linked"
    _write(linked, {"a.txt": "precious"})
    (stand.venv.site / "link").symlink_to(linked)
    relative = os.path.relpath(outside, stand.venv.site)
    _claim(stand, relative, str(outside), "link/a.txt", "../../../../not-there")
    told = _uninstall(stand, "demo")
    assert outside.read_text() == "precious"
    assert (linked / "a.txt").read_text() == "precious"
    assert {path for path, _ in told.all("refused")} == {
        str(outside),
        str(stand.venv.site / "link" / "a.txt"),
    }
    assert stand.installed() == {}


def test_what_makes_it_an_environment_belongs_to_no_distribution(stand: Stand) -> None:
    stand.install(wheel("demo"))
    before = stand.snapshot()
    own = [stand.venv.python, stand.venv.path / "pyvenv.cfg"]
    _claim(stand, *(os.path.relpath(path, stand.venv.site) for path in own))
    told = _uninstall(stand, "demo")
    assert {path for path, _ in told.all("refused")} == {
        os.path.normpath(stand.venv.site / os.path.relpath(path, stand.venv.site)) for path in own
    }
    gone = before.keys() - stand.snapshot().keys()
    assert gone
    assert all("demo" in path for path in gone)
    assert stand.venv.run("-c", "print(1)") == "1\n"


def test_a_folder_of_packages_that_is_a_link(stand: Stand, tmp_path: Path) -> None:
    """An upgrade put the new files there and left the old ones: two versions at once."""
    elsewhere = tmp_path / "elsewhere"
    stand.venv.site.rename(elsewhere)
    stand.venv.site.symlink_to(elsewhere)
    programs = stand.venv.scripts
    before = set(programs.iterdir())
    stand.install(wheel("demo", files={"demo/old.py": ""}, entry_points={"old": "demo:main"}))
    (old,) = stand.installed().values()
    assert is_local(old, stand.interpreter)
    stand.install(wheel("demo", "2.0", entry_points={"new": "demo:main"}))
    assert stand.venv.versions() == {"demo": "2.0"}
    assert len(list(elsewhere.glob("*.dist-info"))) == 1
    assert not (elsewhere / "demo" / "old.py").exists()
    assert {path.stem for path in set(programs.iterdir()) - before} == {"new"}
    _uninstall(stand, "demo")
    assert list(elsewhere.iterdir()) == []
    assert set(programs.iterdir()) == before


def test_a_program_that_was_recorded_from_the_link(stand: Stand, tmp_path: Path) -> None:
    """As pip records it: from the path as it is spelled."""
    elsewhere = tmp_path / "elsewhere"
    stand.venv.site.rename(elsewhere)
    stand.venv.site.symlink_to(elsewhere)
    stand.install(wheel("demo", entry_points={"demo": "demo:main"}))
    program = next(stand.venv.scripts.glob("demo*"))
    (record,) = elsewhere.glob("*.dist-info/RECORD")
    spelled = os.path.relpath(program, stand.venv.site)
    text = record.read_text()
    recorded = next(row.split(",")[0] for row in text.splitlines() if program.name in row)
    assert recorded != spelled
    record.write_text(text.replace(recorded, spelled))
    _uninstall(stand, "demo")
    assert not program.exists()


def test_a_link_is_removed_and_not_what_it_points_to(stand: Stand, tmp_path: Path) -> None:
    stand.install(wheel("demo"))
    _write(tmp_path / "real", {"a.txt": "precious"})
    (stand.venv.site / "demo" / "link").symlink_to(tmp_path / "real")
    (stand.venv.site / "demo" / "dangling").symlink_to("nowhere")
    _claim(stand, "demo/link", "demo/dangling")
    _uninstall(stand, "demo")
    assert (tmp_path / "real" / "a.txt").exists()
    assert not (stand.venv.site / "demo").exists()


@pytest.mark.parametrize("row", [".", "..", "demo", "demo/", "../../..", "../../../bin", "/"])
def test_a_row_that_names_a_folder_takes_nothing_of_others(stand: Stand, row: str) -> None:
    stand.install(wheel("demo"), wheel("other", entry_points={"other": "other:main"}))
    _write(stand.venv.site, {"demo/mine.txt": "mine"})
    _claim(stand, row)
    _uninstall(stand, "demo")
    assert (stand.venv.site / "demo" / "mine.txt").exists()
    assert stand.venv.run_script("other") == "other 1.0\n"
    assert set(stand.installed()) == {"other"}


def test_without_a_record_it_is_refused(stand: Stand) -> None:
    stand.install(wheel("demo"))
    (stand.venv.dist_info("demo") / "RECORD").unlink()
    (stand.venv.dist_info("demo") / "INSTALLER").write_text("apt\n")
    before = stand.snapshot()
    with pytest.raises(InstallError) as caught:
        _uninstall(stand, "demo")
    assert "RECORD" in caught.value.message
    assert "apt" in (caught.value.hint or "")
    assert stand.snapshot() == before


def test_what_the_record_forgot_of_its_own_folder_goes_too(stand: Stand) -> None:
    empty = stand.snapshot()
    stand.install(wheel("demo"))
    _write(stand.venv.dist_info("demo"), {"unlisted": "x"})
    _uninstall(stand, "demo")
    assert stand.snapshot() == empty


def test_another_environments_distribution_is_left_alone(stand: Stand, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    _write(elsewhere, {"far-1.0.dist-info/METADATA": "Name: far\nVersion: 1.0\n\n"})
    _write(elsewhere, {"far-1.0.dist-info/RECORD": "far.py,,\n", "far.py": ""})
    before = stand.snapshot()
    told = _uninstall(stand, "far", also=elsewhere)
    assert (elsewhere / "far.py").exists()
    assert told.all("removed") == []
    ((name, why),) = told.all("left_alone")
    assert name == "far"
    assert str(elsewhere) in why
    assert stand.snapshot() == before


def test_what_belongs_to_python_is_left_alone(stand: Stand) -> None:
    stand.install(wheel("demo"))
    interpreter = replace(stand.interpreter, stdlib=stand.venv.site)
    told = Told()
    plan = replace(stand.plan(removing=["demo"]), interpreter=interpreter)
    carry_out(plan, reporter=told)
    assert "demo" in stand.installed()
    assert told.all("left_alone")


def test_distutils_is_refused(stand: Stand) -> None:
    info = "Metadata-Version: 1.0\nName: old\nVersion: 1.0\n"
    _write(stand.venv.site, {"old-1.0-py3.11.egg-info": info, "old.py": ""})
    with pytest.raises(InstallError) as caught:
        _uninstall(stand, "old")
    assert "distutils" in caught.value.message
    assert (stand.venv.site / "old.py").exists()


_INFO = "Metadata-Version: 1.0\nName: old\nVersion: 1.0\n"


@pytest.mark.parametrize(
    "lists",
    [
        {"installed-files.txt": "../old/__init__.py\n../single.py\nPKG-INFO\n\n"},
        {"top_level.txt": "old\nsingle\nns\n", "namespace_packages.txt": "ns\n"},
    ],
    ids=["installed-files.txt", "top_level.txt"],
)
def test_setuptools_of_old(stand: Stand, lists: dict[str, str]) -> None:
    empty = stand.snapshot()
    info = "old-1.0-py3.11.egg-info"
    _write(stand.venv.site, {"old/__init__.py": "", "single.py": ""})
    _write(stand.venv.site / info, {"PKG-INFO": _INFO, **lists})
    _write(stand.venv.site / info, {"entry_points.txt": "[console_scripts]\ntool = old:main\n"})
    _write(stand.venv.scripts, {"tool": "#!python\n"})
    _uninstall(stand, "old")
    assert stand.snapshot() == empty


def test_an_egg(stand: Stand) -> None:
    egg = stand.venv.site / "old-1.0-py3.11.egg"
    _write(egg, {"EGG-INFO/PKG-INFO": _INFO, "old/__init__.py": ""})
    pth = stand.venv.site / "easy-install.pth"
    pth.write_bytes(b"./other.egg\r\n./old-1.0-py3.11.egg\r\nlast")
    _uninstall(stand, "old", also=egg)
    assert not egg.exists()
    assert pth.read_bytes() == b"./other.egg\r\nlast"


def test_a_project_in_development(stand: Stand, tmp_path: Path) -> None:
    project = tmp_path / "project"
    _write(project, {"old.egg-info/PKG-INFO": _INFO, "old/__init__.py": ""})
    _write(stand.venv.site, {"old.egg-link": f"{project}\n."})
    pth = stand.venv.site / "easy-install.pth"
    pth.write_text(f"{project}\n/another\n")
    _uninstall(stand, "old")
    assert not (stand.venv.site / "old.egg-link").exists()
    assert pth.read_text() == "/another\n"
    assert (project / "old" / "__init__.py").exists()


def test_a_system_python_may_remove_in_its_own_places_alone(stand: Stand, tmp_path: Path) -> None:
    """Without a virtual environment the folders of the schemes are the bounds."""
    stand.install(wheel("demo", entry_points={"demo": "demo:main"}))
    outside = tmp_path / "precious"
    outside.write_text("precious")
    _claim(stand, str(outside))
    system = replace(stand.interpreter, base_prefix=stand.interpreter.prefix)
    assert not system.is_venv
    carry_out(replace(stand.plan(removing=["demo"]), interpreter=system))
    assert outside.exists()
    assert not (stand.venv.scripts / "demo").exists()
    assert stand.installed() == {}
