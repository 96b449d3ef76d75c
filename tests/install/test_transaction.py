"""What an installation leaves behind, and what it says: without any interference."""

from __future__ import annotations

import csv
import hashlib
import json
import os
import stat
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from kedge.errors import DamagedEntryError, EnvironmentChangedError, InstallError
from kedge.install import LinkMode, carry_out, observe, recover
from kedge.install.bytecode import Compiling
from kedge.model import DirectUrl
from support import wheels
from support.installing import Stand, Told, rewrite
from support.wheels import wheel

FULL = wheel(
    "Demo.Thing",
    "1.0",
    entry_points={"demo": "demo_thing:main"},
    gui={"demo-gui": "demo_thing:main"},
    files={"demo_thing/inner/a.py": "a = 1\n", "top.py": "1\n", "with,comma.py": "1\n"},
    data={
        "scripts/run": "#!python\nprint('ran')\n",
        "scripts/run.sh": "#!/bin/sh\necho sh\n",
        "headers/inner/demo.h": "int x;",
        "data/share/demo/notes.txt": "notes",
        "purelib/pure.py": "pure = 1\n",
        "platlib/plat.py": "plat = 1\n",
    },
)


def _rows(stand: Stand, name: str) -> dict[str, list[str]]:
    with (stand.venv.dist_info(name) / "RECORD").open(newline="") as file:
        rows = list(csv.reader(file))
    found = {row[0]: row[1:] for row in rows}
    assert len(found) == len(rows)
    return found


def _files(stand: Stand) -> set[str]:
    return {name for name, contents in stand.snapshot().items() if contents is not None}


def test_record_lists_what_was_installed_and_nothing_else(stand: Stand) -> None:
    before = _files(stand)
    stand.install(stand.addition(FULL, requested=True, direct_url=DirectUrl("file:///x")))
    rows = _rows(stand, "demo-thing")
    site = stand.venv.site
    listed = {os.path.relpath(os.path.normpath(site / path), stand.venv.path) for path in rows}
    assert listed == _files(stand) - before
    for path, (digest, size) in rows.items():
        data = (site / path).read_bytes()
        if path.endswith("/RECORD"):
            assert (digest, size) == ("", "")
        else:
            assert digest == f"sha256={wheels._base64(hashlib.sha256(data).digest())}"
            assert int(size) == len(data)


def test_programs_run(stand: Stand) -> None:
    stand.install(FULL)
    assert stand.venv.run_script("demo") == "Demo.Thing 1.0\n"
    assert stand.venv.run_script("demo-gui") == "Demo.Thing 1.0\n"
    assert stand.venv.run_script("run") == "ran\n"
    assert stand.venv.run_script("run.sh") == "sh\n"


def test_every_part_is_where_it_belongs(stand: Stand) -> None:
    stand.install(FULL)
    minor = f"python{stand.interpreter.python_version}"
    root, site = stand.venv.path, stand.venv.site
    headers = root / "include" / "site" / minor / "Demo.Thing" / "inner" / "demo.h"
    assert headers.read_text() == "int x;"
    assert (root / "share" / "demo" / "notes.txt").read_text() == "notes"
    assert (site / "pure.py").exists()
    assert (site / "plat.py").exists()
    assert not list(site.glob("*.data"))
    assert not (site / ".kedge").exists()


@pytest.mark.parametrize("requested", [True, False])
def test_who_installed_it_and_why(stand: Stand, requested: bool) -> None:
    url = DirectUrl("https://x.example/demo.whl", archive_hashes={"sha256": "00"})
    stand.install(stand.addition(FULL, requested=requested, direct_url=url if requested else None))
    found = stand.installed()["demo-thing"]
    assert found.installer == "kedge"
    assert found.requested is requested
    assert found.direct_url == (url if requested else None)


def test_what_a_wheel_says_of_an_installation_does_not_count(stand: Stand) -> None:
    artifact = wheel("demo")
    for name, text in (("INSTALLER", "pip\n"), ("REQUESTED", ""), ("direct_url.json", "{}")):
        artifact = wheels.with_member(artifact, f"demo-1.0.dist-info/{name}", text)
    stand.install(artifact)
    found = stand.installed()["demo"]
    assert found.installer == "kedge"
    assert not found.requested
    assert not (found.dist_info / "direct_url.json").exists()


def test_the_same_file_by_two_ways_is_recorded_once(stand: Stand) -> None:
    told = Told()
    both = wheel("demo", files={"same.py": "root"}, data={"purelib/same.py": "data"})
    stand.install(both, reporter=told)
    assert (stand.venv.site / "same.py").read_text() == "data"
    digest = wheels._base64(hashlib.sha256(b"data").digest())
    text = (stand.venv.dist_info("demo") / "RECORD").read_text()
    assert text.count("same.py") == 1
    assert f"same.py,sha256={digest},4" in text
    assert told.all("contested")


def test_another_way_of_linking_than_was_asked_for_is_told(stand: Stand) -> None:
    told = Told()
    stand.install(FULL, link_mode=LinkMode.REFLINK, reporter=told)
    shares = (stand.venv.site / "top.py").stat().st_nlink > 1
    assert bool(told.all("link_mode")) == shares  # no reflinks on most test machines
    told = Told()
    stand.install(FULL, link_mode=LinkMode.AUTO, reporter=told)
    assert told.all("link_mode") == []


def test_wrappers_that_setuptools_made_are_left_out(stand: Stand) -> None:
    told = Told()
    old = {"scripts/demo": "#!python\nits_own()\n", "scripts/demo-script.py": "its_own()"}
    stand.install(wheel("demo", entry_points={"demo": "demo:main"}, data=old), reporter=told)
    assert told.all("contested") == []
    assert not (stand.venv.scripts / "demo-script.py").exists()
    assert "its_own" not in (stand.venv.scripts / "demo").read_text()
    assert len([path for path in _rows(stand, "demo") if path.endswith("bin/demo")]) <= 1


@pytest.mark.parametrize("mode", list(LinkMode))
def test_what_is_rewritten_is_never_shared_with_the_cache(stand: Stand, mode: LinkMode) -> None:
    stand.install(stand.addition(FULL), link_mode=mode)
    inodes = {path.stat().st_ino for path in stand.cache.directory.rglob("*") if path.is_file()}
    shared = {
        path.name
        for path in stand.venv.path.rglob("*")
        if path.is_file() and not path.is_symlink() and path.stat().st_ino in inodes
    }
    assert not shared & {"RECORD", "INSTALLER", "run", "run.sh", "demo", "demo-gui"}
    if mode is LinkMode.HARDLINK:
        assert {"a.py", "METADATA", "notes.txt"} <= shared
    if mode is LinkMode.COPY:
        assert not shared


@pytest.mark.skipif(os.name != "posix", reason="needs POSIX permissions")
@pytest.mark.parametrize("umask", [0o022, 0o002, 0o077], ids=oct)
def test_permissions_follow_the_umask_of_the_installation(stand: Stand, umask: int) -> None:
    addition = stand.addition(FULL)  # unpacked under the tests' own umask
    before = os.umask(umask)
    try:
        stand.install(addition)
    finally:
        os.umask(before)
    plain = [stand.venv.site / "top.py", stand.venv.dist_info("demo-thing") / "RECORD"]
    programs = [stand.venv.scripts / "demo", stand.venv.scripts / "run"]
    assert {stat.S_IMODE(path.stat().st_mode) for path in plain} == {0o666 & ~umask}
    assert {stat.S_IMODE(path.stat().st_mode) for path in programs} == {0o777 & ~umask | 0o111}
    folder = stand.venv.site / "demo_thing"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o777 & ~umask


def test_an_upgrade_leaves_nothing_of_the_old(stand: Stand) -> None:
    empty = stand.snapshot()
    stand.install(FULL)
    new = wheel("demo-thing", "2.0", files={"demo_thing/b.py": "b = 1\n"})
    stand.install(new)
    once = stand.snapshot()
    stand.uninstall("demo-thing")
    assert stand.snapshot() == empty
    stand.install(new)
    assert stand.snapshot() == once


def test_installing_the_same_again_changes_nothing(stand: Stand) -> None:
    stand.install(FULL)
    once = stand.snapshot()
    stand.install(FULL)
    assert stand.snapshot() == once


def test_several_share_a_namespace(stand: Stand) -> None:
    empty = stand.snapshot()
    one = wheel("ns-one", package=False, files={"ns/one/a.py": "", "ns/deep/er/1.py": ""})
    two = wheel("ns-two", package=False, files={"ns/two/b.py": "", "ns/deep/er/2.py": ""})
    three = wheel("ns-three", package=False, files={"ns/three/c.py": ""})
    stand.install(one, two)
    stand.install(three)
    inside = sorted(path.name for path in (stand.venv.site / "ns").iterdir())
    assert inside == ["deep", "one", "three", "two"]
    stand.uninstall("ns-one")
    assert sorted(path.name for path in (stand.venv.site / "ns").rglob("*.py")) == [
        "2.py",
        "b.py",
        "c.py",
    ]
    assert not (stand.venv.site / "ns" / "one").exists()
    stand.uninstall("ns-two", "ns-three")
    assert stand.snapshot() == empty


# --------------------------------------------------------------------------------------------
# What is in the way


def test_files_of_nobodys_are_overwritten_with_a_word(stand: Stand) -> None:
    (stand.venv.site / "top.py").write_text("mine")
    told = Told()
    stand.install(FULL, reporter=told)
    assert (stand.venv.site / "top.py").read_text() == "1\n"
    assert told.all("overwritten") == [(str(stand.venv.site / "top.py"),)]


def test_of_two_with_the_same_file_the_later_wins(stand: Stand) -> None:
    told = Told()
    stand.install(
        wheel("one", files={"same.py": "one"}),
        wheel("two", files={"same.py": "two"}),
        reporter=told,
    )
    assert (stand.venv.site / "same.py").read_text() == "two"
    assert {Path(path).name for path, _ in told.all("contested")} == {"same.py"}
    assert {name for _, name in told.all("contested")} == {"two"}
    # And the cache still has what each of them brought.
    stand.uninstall("one", "two")
    stand.install(wheel("one", files={"same.py": "one"}))
    assert (stand.venv.site / "same.py").read_text() == "one"


@pytest.mark.parametrize("kind", ["file for folder", "folder for file"])
def test_a_file_for_a_folder_is_refused(stand: Stand, kind: str) -> None:
    place = stand.venv.site / "demo"
    if kind == "file for folder":
        place.write_text("a file")
        new = wheel("demo")
    else:
        (place / "inside").mkdir(parents=True)
        new = wheel("demo", package=False, files={"demo": "a file"})
    before = stand.snapshot()
    with pytest.raises(InstallError) as caught:
        stand.install(new)
    assert str(place) in caught.value.message
    assert stand.snapshot() == before


@pytest.mark.parametrize(
    "brought",
    [
        {"entry_points": {"python": "demo:main"}},
        {"data": {"scripts/python3": "#!python\n"}},
        {"data": {"data/bin/python": "#!/bin/sh\n"}},
        {"data": {"data/pyvenv.cfg": "home = /elsewhere\n"}},
    ],
    ids=["program", "script", "data", "configuration"],
)
@pytest.mark.skipif(os.name == "nt", reason="not here: folders of another name")
def test_nothing_replaces_what_makes_it_an_environment(
    stand: Stand, brought: dict[str, dict[str, str]]
) -> None:
    before = stand.snapshot()
    with pytest.raises(InstallError, match="belongs to the environment itself"):
        stand.install(wheel("demo", **brought))  # type: ignore[arg-type]
    assert stand.snapshot() == before


@pytest.mark.parametrize("kind", ["link", "file"])
def test_a_state_folder_that_is_not_kedges(stand: Stand, kind: str, tmp_path: Path) -> None:
    """A link would have what it points to deleted."""
    precious = tmp_path / "elsewhere" / "stage" / "precious"
    precious.parent.mkdir(parents=True)
    precious.write_text("")
    state = stand.venv.site / ".kedge"
    if kind == "link":
        state.symlink_to(tmp_path / "elsewhere")
    else:
        state.write_text("")
    for change in (lambda: stand.install(wheel("demo")), stand.recover):
        with pytest.raises(InstallError, match=r"\.kedge is no folder"):
            change()
    assert precious.exists()
    assert stand.installed() == {}


def test_a_linked_package_folder_is_written_through(stand: Stand, tmp_path: Path) -> None:
    real = tmp_path / "elsewhere"
    real.mkdir()
    (stand.venv.site / "demo").symlink_to(real)
    stand.install(wheel("demo"))
    assert (real / "__init__.py").exists()
    assert (stand.venv.site / "demo").is_symlink()


def test_a_damaged_cache_is_told_and_nothing_is_changed(stand: Stand) -> None:
    addition = stand.addition(FULL)
    before = stand.snapshot()
    for name in ("top.py", "demo_thing-1.0.data/scripts/run"):
        path = addition.wheel.tree / name
        kept = path.read_bytes()
        status = path.stat()
        rewrite(path, kept[::-1])
        with pytest.raises(DamagedEntryError) as caught:
            stand.install(addition)
        assert caught.value.sha256 == FULL.sha256
        assert stand.snapshot() == before
        path.write_bytes(kept)
        os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    stand.install(addition)


def test_what_changes_in_one_environment_does_not_reach_the_next(stand: Stand) -> None:
    """A hard link shares the file: the next installation notices that it was edited."""
    stand.install(stand.addition(FULL), link_mode=LinkMode.HARDLINK)
    with (stand.venv.site / "top.py").open("a") as file:
        file.write("# edited in place\n")
    with pytest.raises(DamagedEntryError):
        stand.install(FULL)
    stand.cache.wheels.forget(FULL.sha256)
    stand.install(FULL)
    assert (stand.venv.site / "top.py").read_text() == "1\n"


# --------------------------------------------------------------------------------------------
# Turns


def test_a_plan_for_another_state_is_refused(stand: Stand) -> None:
    plan = stand.plan(FULL, observed=observe(stand.scheme))
    stand.install(wheel("other"))
    before = stand.snapshot()
    with pytest.raises(EnvironmentChangedError):
        carry_out(plan)
    assert stand.snapshot() == before
    carry_out(replace(plan, observed=observe(stand.scheme)))
    assert "demo-thing" in stand.installed()


def test_nothing_to_recover(stand: Stand) -> None:
    before = stand.snapshot()
    assert recover(stand.scheme) == ()
    assert stand.snapshot() == before


def test_the_reporter_hears_in_order(stand: Stand) -> None:
    stand.install(wheel("demo", "1.0"))
    told = Told()
    stand.install(wheel("demo", "2.0"), reporter=told)
    assert [words for words in told.heard if words[0] != "spent"] == [
        ("staged", "demo", "2.0"),
        ("removed", "demo", "1.0"),
        ("added", "demo", "2.0"),
    ]
    assert [phase for phase, _ in told.all("spent")] == ["link"]


# --------------------------------------------------------------------------------------------
# Bytecode


def test_bytecode_is_made_once_and_used_by_python(stand: Stand) -> None:
    broken = wheel("demo", files={"demo/template.py": "not python {{ x }}", "demo/a.py": "a = 1\n"})
    stand.install(broken, compile=True)
    tag = stand.interpreter.cache_tag
    compiled = {path.name for path in (stand.venv.site / "demo" / "__pycache__").iterdir()}
    assert compiled == {f"__init__.{tag}.pyc", f"a.{tag}.pyc"}
    rows = _rows(stand, "demo")
    assert rows[f"demo/__pycache__/a.{tag}.pyc"] == ["", ""]
    seen = stand.venv.run(
        "-v", "-c", "import demo.a, sys; print(demo.a.__cached__, demo.a.__file__)", check=True
    )
    assert str(stand.venv.site / "demo" / "a.py") in seen
    # Valid as it is: a Python that may not write finds nothing to write.
    before = (stand.venv.site / "demo" / "__pycache__" / f"a.{tag}.pyc").stat().st_mtime_ns
    stand.venv.run("-c", "import demo.a")
    after = (stand.venv.site / "demo" / "__pycache__" / f"a.{tag}.pyc").stat().st_mtime_ns
    assert before == after
    told = Told()
    stand.uninstall("demo")
    stand.install(broken, compile=True, reporter=told)
    assert told.all("compiling") == []


@pytest.mark.parametrize("mode", list(LinkMode))
def test_bytecode_stays_valid_however_it_is_linked(stand: Stand, mode: LinkMode) -> None:
    stand.install(wheel("demo", files={"demo/a.py": "a = 1\n"}), compile=True, link_mode=mode)
    code = (
        "import sys, importlib.util as u, importlib._bootstrap_external as b, demo.a\n"
        "data = open(u.cache_from_source(demo.a.__file__), 'rb').read()\n"
        "import os; s = os.stat(demo.a.__file__)\n"
        "b._validate_timestamp_pyc(data, int(s.st_mtime), s.st_size, 'a', {})\n"
        "print(demo.a.__spec__.loader.get_code('demo.a').co_filename)"
    )
    assert stand.venv.run("-c", code).strip() == str(stand.venv.site / "demo" / "a.py")


def test_uninstalling_takes_the_bytecode_of_every_python(stand: Stand) -> None:
    empty = stand.snapshot()
    stand.install(wheel("demo", files={"demo/a.py": "", "single.py": "", "demo/a.b.py": ""}))
    for name in ("a.cpython-38.pyc", "a.cpython-311.opt-1.pyc", "a.b.pypy39.pyc"):
        cache = stand.venv.site / "demo" / "__pycache__"
        cache.mkdir(exist_ok=True)
        (cache / name).write_bytes(b"")
    cache = stand.venv.site / "__pycache__"
    cache.mkdir()
    (cache / "single.cpython-311.pyc").write_bytes(b"")
    (stand.venv.site / "single.pyc").write_bytes(b"")
    stand.uninstall("demo")
    assert stand.snapshot() == empty


def test_a_direct_url_is_written_as_json(stand: Stand) -> None:
    stand.install(stand.addition(FULL, direct_url=DirectUrl("file:///x", directory=True)))
    path = stand.venv.dist_info("demo-thing") / "direct_url.json"
    assert json.loads(path.read_text()) == {"url": "file:///x", "dir_info": {}}


def test_bytecode_that_is_there_is_linked_along_unless_it_is_not_wanted(stand: Stand) -> None:
    demo = wheel("demo", files={"demo/a.py": "a = 1\n"})
    compiled = stand.venv.site / "demo" / "__pycache__" / f"a.{stand.interpreter.cache_tag}.pyc"
    stand.install(demo)
    assert not compiled.exists()
    stand.install(demo, compile=True, link_mode=LinkMode.HARDLINK)
    inode = compiled.stat().st_ino
    stand.install(demo, link_mode=LinkMode.HARDLINK)
    assert compiled.stat().st_ino == inode
    assert f"demo/__pycache__/{compiled.name}" in _rows(stand, "demo")
    stand.install(demo, bytecode=False)
    assert not compiled.exists()


def test_bytecode_that_a_wheel_brings_is_replaced_and_listed_once(stand: Stand) -> None:
    tag = stand.interpreter.cache_tag
    theirs = {"demo/a.py": "a = 1\n", f"demo/__pycache__/a.{tag}.pyc": "stale"}
    stand.install(wheel("demo", files=theirs), compile=True)
    assert stand.venv.run("-c", "import demo.a; print(demo.a.a)").strip() == "1"
    assert _rows(stand, "demo")[f"demo/__pycache__/a.{tag}.pyc"] == ["", ""]
    assert (stand.venv.site / "demo" / "__pycache__" / f"a.{tag}.pyc").read_bytes() != b"stale"


@pytest.mark.skipif(sys.platform != "linux", reason="processors are given by Linux")
@pytest.mark.parametrize("number", [1, 2])
def test_compiling_takes_the_processors_that_kedge_may_use(
    stand: Stand, tmp_path: Path, number: int
) -> None:
    allowed = sorted(os.sched_getaffinity(0))
    if len(allowed) < number:
        pytest.skip("there are fewer processors")
    began, program = tmp_path / "began", tmp_path / "python"
    program.write_text(f'#!/bin/sh\necho >>{began}\nexec {stand.interpreter.executable} "$@"\n')
    program.chmod(0o755)
    interpreter = replace(stand.interpreter, executable=program)
    unpacked = stand.addition(wheel("demo", files={"demo/a.py": "a = 1\n"})).wheel
    os.sched_setaffinity(0, allowed[:number])
    try:
        with Compiling(interpreter, stand.cache.wheels) as compiling:
            made = compiling.finish([unpacked], Told())
    finally:
        os.sched_setaffinity(0, allowed)
    assert len(made[unpacked.sha256].linked.rows) == 2
    assert len(began.read_text()) == number


def test_what_ends_the_compiling_process_is_told_and_nothing_is_left(stand: Stand) -> None:
    """A file that cannot be made stands for a full disk."""
    many = {f"demo/m{number}.py": f"n = {number}\n" * 2000 for number in range(40)}
    addition = stand.addition(wheel("demo", files=many))
    (addition.wheel.tree / "demo" / "m7.py").unlink()
    before = stand.snapshot()
    with pytest.raises(InstallError, match="ended while it was compiling"):
        stand.install(addition, compile=True)
    assert stand.snapshot() == before
    assert list((stand.cache.directory / "tmp").iterdir()) == []
