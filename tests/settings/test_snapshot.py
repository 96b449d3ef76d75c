from __future__ import annotations

import os
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from kedge.errors import SettingError
from kedge.model import OriginKind
from kedge.settings import options as table
from kedge.settings.files import FileKind
from kedge.settings.merge import merge
from kedge.settings.snapshot import Snapshot, add_site_file, take_snapshot, this_platform

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="POSIX places")


class Machine:
    """A folder that stands for a machine: its own /etc/xdg, home and environment."""

    def __init__(self, root: Path) -> None:
        self.environ = {"XDG_CONFIG_DIRS": str(root / "xdg"), "HOME": str(root / "home")}
        self.places = {
            "machine": root / "xdg" / "pip" / "pip.conf",
            "old": root / "home" / ".pip" / "pip.conf",
            "user": root / "home" / ".config" / "pip" / "pip.conf",
            "site": root / "venv" / "pip.conf",
            "named": root / "named.conf",
        }
        self.prefix = str(root / "venv")
        for name, path in self.places.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(f"[global]\ncert = {name}.pem\n", encoding="utf-8")

    def snapshot(self, *, isolated: bool = False, **environ: str) -> Snapshot:
        return take_snapshot(self.environ | environ, isolated=isolated, prefix=self.prefix)

    def read(self, snapshot: Snapshot) -> list[str]:
        paths = {str(path): name for name, path in self.places.items()}
        return [paths[file.path] for file in snapshot.files if file.exists and file.path in paths]


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


@pytest.mark.parametrize(
    ("isolated", "named", "read"),
    [
        pytest.param(False, None, ["machine", "old", "user", "site"], id="usual"),
        pytest.param(False, "named", ["machine", "site", "named"], id="instead of the user's"),
        pytest.param(False, "absent", ["machine", "old", "user", "site"], id="names nothing"),
        pytest.param(False, "", ["machine", "old", "user", "site"], id="empty"),
        pytest.param(False, os.devnull, [], id="the null device"),
        pytest.param(True, None, ["machine", "site"], id="isolated"),
        pytest.param(True, "named", ["machine", "site", "named"], id="isolated, as in pip"),
        pytest.param(True, os.devnull, [], id="isolated, the null device"),
    ],
)
def test_which_files_are_read(
    machine: Machine, isolated: bool, named: str | None, read: list[str]
) -> None:
    path = str(machine.places.get(named or "", named))
    environ = {} if named is None else {"PIP_CONFIG_FILE": path}
    snapshot = machine.snapshot(isolated=isolated, **environ)
    assert machine.read(snapshot) == read
    expected = f"{read[-1]}.pem" if read else None
    assert merge(["list"], snapshot).value(table.CERT) == expected


def test_the_new_file_of_the_user_beats_the_old(machine: Machine) -> None:
    machine.places["site"].unlink()
    found = merge(["list"], machine.snapshot())[table.CERT]
    assert found.value == "user.pem"
    assert (found.origin.path, found.origin.line) == (str(machine.places["user"]), 2)


def test_the_environments_file_can_come_later(machine: Machine) -> None:
    early = take_snapshot(machine.environ | {"PIP_CONFIG_FILE": str(machine.places["named"])})
    assert machine.read(early) == ["machine", "named"]
    late = add_site_file(early, machine.prefix)
    assert machine.read(late) == ["machine", "site", "named"]
    again = add_site_file(late, str(Path(machine.prefix).parent))
    assert machine.read(again) == ["machine", "named"]


def test_nor_does_it_come_with_the_null_device(machine: Machine) -> None:
    early = take_snapshot(machine.environ | {"PIP_CONFIG_FILE": os.devnull})
    assert add_site_file(early, machine.prefix).files == ()


def test_absent_files_are_known_as_absent(machine: Machine) -> None:
    machine.places["site"].unlink()
    (site,) = machine.snapshot().of_kind(FileKind.SITE)
    assert (site.exists, site.path) == (False, str(machine.places["site"]))


def test_the_environment_is_copied(machine: Machine) -> None:
    environ = dict(machine.environ)
    snapshot = take_snapshot(environ)
    environ["PIP_CERT"] = "later.pem"
    assert "PIP_CERT" not in snapshot.environ


@pytest.mark.parametrize(
    ("data", "line"),
    [
        pytest.param(b"[global]\ncert = a\n\ncert = b\n", 4, id="not a configuration"),
        pytest.param(b"[global]\n\n# \xff\xfe\n", 3, id="not text"),
    ],
)
def test_a_broken_file_names_itself(machine: Machine, data: bytes, line: int) -> None:
    machine.places["user"].write_bytes(data)
    snapshot = replace(this_platform(machine.environ), encoding="utf-8")
    with pytest.raises(SettingError) as caught:
        take_snapshot(machine.environ, platform=snapshot)
    path = str(machine.places["user"])
    assert caught.value.exit_code == 3
    assert (caught.value.origin.path, caught.value.origin.line) == (path, line)
    assert path in caught.value.message
    assert str(line) in caught.value.message


def test_a_folder_is_no_file(machine: Machine) -> None:
    machine.places["user"].unlink()
    machine.places["user"].mkdir()
    snapshot = machine.snapshot()
    assert machine.read(snapshot) == ["machine", "old", "site"]
    assert [str(machine.places["user"]) in text for text in merge(["list"], snapshot).warnings] == [
        True
    ]


def test_a_named_file_that_cannot_be_read_is_an_error(machine: Machine, tmp_path: Path) -> None:
    with pytest.raises(SettingError) as caught:
        machine.snapshot(PIP_CONFIG_FILE=str(tmp_path))
    assert (caught.value.origin.kind, caught.value.origin.name) == (
        OriginKind.ENVIRONMENT,
        "PIP_CONFIG_FILE",
    )


def test_this_platform_expands_as_the_system_does(home: Path) -> None:
    platform = this_platform(os.environ)
    assert platform.expand("~/x") == str(home / "x")
    assert platform.expand("~root") == str(Path("~root").expanduser())
    assert platform.expand("~no-such-user/x") == "~no-such-user/x"
