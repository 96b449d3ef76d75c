from __future__ import annotations

import shlex
import stat
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from kedge.cli.config import carry_out
from kedge.errors import KedgeError, SettingError, UsageError
from kedge.settings.merge import merge
from kedge.settings.snapshot import add_site_file, take_snapshot
from kedge.settings.words import read_words

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="POSIX places")


class Heard:
    """An output that remembers."""

    def __init__(self) -> None:
        self.results: list[str] = []
        self.said: list[str] = []
        self.warnings: list[str] = []

    def result(self, text: str) -> None:
        self.results.append(text)

    def say(self, text: str) -> None:
        self.said.append(text)

    def warn(self, text: str) -> None:
        self.warnings.append(text)


class Machine:
    """A folder that stands for a machine, and a way to run ``kedge config`` on it."""

    def __init__(self, root: Path) -> None:
        self.environ = {"XDG_CONFIG_DIRS": str(root / "xdg"), "HOME": str(root / "home")}
        self.user = root / "home" / ".config" / "pip" / "pip.conf"
        self.site = root / "venv" / "pip.conf"
        self.site.parent.mkdir()

    def run(self, line: str, **environ: str) -> Heard:
        words = read_words(["config", *shlex.split(line)])
        snapshot = take_snapshot(self.environ | environ, isolated=words.isolated)
        prefix = str(self.site.parent)
        snapshot = add_site_file(snapshot, prefix)
        # This one cannot be moved, and may be there.
        files = tuple(file for file in snapshot.files if file.path != "/etc/pip.conf")
        settings = merge(words, replace(snapshot, files=files))
        heard = Heard()
        assert carry_out(settings, heard, prefix=prefix) == 0
        return heard

    def write(self, path: Path, text: str) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


# --------------------------------------------------------------------------------------------
# Reading


def test_list_tells_where_every_value_is_from(machine: Machine) -> None:
    machine.write(machine.user, "[global]\n# ours\nIndex_URL = https://a/simple\ntimeout = 5\n")
    machine.write(machine.site, "[global]\ntimeout = 6\n[install]\npre = yes\n")
    lines = machine.run("list", PIP_CERT="c.pem", PIP_VERSION="1").results
    assert [line.partition("  # ")[0] for line in lines] == [
        ":env:.cert='c.pem'",
        "global.index-url='https://a/simple'",
        "global.timeout='5'",
        "global.timeout='6'",
        "install.pre='yes'",
    ]
    origins = [line.partition("  # ")[2] for line in lines]
    assert origins[0].startswith("PIP_CERT ")
    assert origins[1] == f"{machine.user}, line 3"
    assert origins[2].startswith(f"{machine.user}, line 4, ")
    assert str(machine.site) in origins[2]
    assert origins[3] == f"{machine.site}, line 2"


def test_list_of_one_file(machine: Machine) -> None:
    machine.write(machine.user, "[global]\ntimeout = 5\n")
    machine.write(machine.site, "[global]\ntimeout = 6\n")
    (line,) = machine.run("--user list", PIP_CERT="c.pem").results
    assert line.startswith("global.timeout='5'  # ")


@pytest.mark.parametrize(
    ("line", "listed"),
    [
        ("proxy = ana:secret@proxy:3128", "ana:****@proxy:3128"),
        ("client-key-passphrase = secret", "****"),
        ("find-links = https://a.example/?token=secret", "https://a.example/?token=****"),
    ],
)
def test_nor_are_those_without_an_address_or_inside_one(
    machine: Machine, line: str, listed: str
) -> None:
    machine.write(machine.user, f"[global]\n{line}\n")
    name = line.partition(" ")[0]
    assert any(f"global.{name}={listed!r}" in each for each in machine.run("list").results)
    assert "secret" not in "".join(machine.run("debug").results)
    assert "secret" in machine.run(f"get global.{name}").results[0]


def test_passwords_are_not_listed_but_can_be_asked_for(machine: Machine) -> None:
    url = "https://ada:secret@host/simple"
    machine.write(machine.user, f"[global]\nindex-url = {url}\nextra-index-url =\n  {url}\n  b\n")
    listed = "\n".join(machine.run("list", PIP_PROXY="http://u:hidden@p").results)
    assert "secret" not in listed
    assert "hidden" not in listed
    assert "host/simple" in listed
    debug = "\n".join(machine.run("debug", PIP_PROXY="http://u:hidden@p").results)
    assert "secret" not in debug
    assert "hidden" not in debug
    assert machine.run("get global.index-url").results == [url]


@pytest.mark.parametrize("key", ["global.timeout", "GLOBAL.TIMEOUT", "global.timeout "[:-1]])
def test_get_gives_the_strongest(machine: Machine, key: str) -> None:
    machine.write(machine.user, "[global]\ntimeout = 5\n")
    assert machine.run(f"get {key}").results == ["5"]
    machine.write(machine.site, "[global]\ntimeout = 6\n")
    assert machine.run(f"get {key}").results == ["6"]
    assert machine.run(f"--user get {key}").results == ["5"]


def test_get_of_a_variable(machine: Machine) -> None:
    assert machine.run("get :env:.cert", PIP_CERT="c").results == ["c"]
    with pytest.raises(KedgeError):
        machine.run("get :env:.cert --isolated", PIP_CERT="c")


def test_get_of_what_is_not_there(machine: Machine) -> None:
    with pytest.raises(KedgeError) as caught:
        machine.run("get global.timeout")
    assert caught.value.exit_code == 1
    assert "global.timeout" in caught.value.message


@pytest.mark.parametrize("line", ["get timeout", "set timeout 5", "unset timeout", "get .x"])
def test_a_key_needs_its_section(machine: Machine, line: str) -> None:
    with pytest.raises(UsageError) as caught:
        machine.run(line)
    assert "global." in (caught.value.hint or "")


def test_debug_lists_files_that_do_not_exist_too(machine: Machine) -> None:
    machine.write(machine.site, "[global]\ntimeout = 6\n")
    lines = [line.strip() for line in machine.run("debug", PIP_CERT="c").results]
    assert f"{machine.user}, exists: False" in lines
    at = lines.index(f"{machine.site}, exists: True")
    assert lines[at + 1] == "global.timeout: 6"
    assert "PIP_CERT='c'" in lines


# --------------------------------------------------------------------------------------------
# Changing


def test_set_makes_the_users_file(machine: Machine) -> None:
    heard = machine.run("set global.cert ca.pem")
    assert machine.user.read_text(encoding="utf-8") == "[global]\ncert = ca.pem\n"
    assert stat.S_IMODE(machine.user.stat().st_mode) == 0o600
    assert str(machine.user) in heard.said[0]
    assert heard.results == []
    assert [path.name for path in machine.user.parent.iterdir()] == ["pip.conf"]


def test_set_keeps_comments_and_mode(machine: Machine) -> None:
    machine.write(machine.user, "# the company's\n[global]\ncert = a\n; end\n")
    machine.user.chmod(0o640)
    machine.run("--user set Global.Cert b")
    text = "# the company's\n[global]\ncert = b\n; end\n"
    assert machine.user.read_text(encoding="utf-8") == text
    assert stat.S_IMODE(machine.user.stat().st_mode) == 0o640


def test_the_environments_file_is_changed_if_it_exists(machine: Machine) -> None:
    machine.write(machine.site, "")
    machine.run("set global.timeout 5")
    assert machine.site.read_text(encoding="utf-8") == "[global]\ntimeout = 5\n"
    assert not machine.user.exists()
    machine.run("unset global.timeout")
    assert machine.site.read_text(encoding="utf-8") == ""


@pytest.mark.parametrize(
    ("option", "path"),
    [("--user", "home/.config/pip/pip.conf"), ("--site", "venv/pip.conf")],
)
def test_which_file_is_changed(machine: Machine, tmp_path: Path, option: str, path: str) -> None:
    machine.run(f"{option} set install.pre yes")
    assert (tmp_path / path).read_text(encoding="utf-8") == "[install]\npre = yes\n"
    files = [str(one.relative_to(tmp_path)) for one in tmp_path.rglob("pip.conf")]
    assert files == [path]


def test_the_users_file_is_changed_also_where_it_is_not_read(machine: Machine) -> None:
    named = machine.site.with_name("named.conf")
    machine.write(named, "[global]\ntimeout = 9\n")
    machine.run("--user set global.timeout 5", PIP_CONFIG_FILE=str(named))
    assert machine.user.read_text(encoding="utf-8") == "[global]\ntimeout = 5\n"


def test_a_link_stays_a_link(machine: Machine, tmp_path: Path) -> None:
    dotfile = tmp_path / "dotfiles" / "pip"
    machine.write(dotfile, "[global]\ntimeout = 5\n")
    machine.user.parent.mkdir(parents=True)
    machine.user.symlink_to(dotfile)
    machine.run("set global.timeout 6")
    assert machine.user.is_symlink()
    assert dotfile.read_text(encoding="utf-8") == "[global]\ntimeout = 6\n"


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_the_encoding_stays(machine: Machine, encoding: str) -> None:
    machine.user.parent.mkdir(parents=True)
    machine.user.write_bytes("[global]\r\n# é\r\ncert = a\r\n".encode(encoding))
    machine.run("set global.cert ü")
    assert machine.user.read_bytes() == "[global]\r\n# é\r\ncert = ü\r\n".encode(encoding)


def test_unset(machine: Machine) -> None:
    machine.write(machine.user, "[global]\ncert = a\nindex_url = b\n")
    machine.run("unset global.index-url")
    assert machine.user.read_text(encoding="utf-8") == "[global]\ncert = a\n"
    with pytest.raises(KedgeError) as caught:
        machine.run("unset global.index-url")
    assert caught.value.exit_code == 1
    assert str(machine.user) in caught.value.message


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("global.timeout", "soon"),
        ("install.upgrade", "maybe"),
        ("global.use-feature", "truststore turbo"),
        ("global.progress-bar", "fancy"),
        ("global.cert", "a\n# b"),
    ],
)
def test_a_value_that_could_not_be_read_is_not_written(
    machine: Machine, key: str, value: str
) -> None:
    machine.write(machine.user, "[global]\ncert = a\n")
    with pytest.raises(UsageError) as caught:
        machine.run(f"set {key} {shlex.quote(value)}")
    assert key in caught.value.message
    assert machine.user.read_text(encoding="utf-8") == "[global]\ncert = a\n"


@pytest.mark.parametrize(
    ("key", "named"), [("global.tiemout", "tiemout"), ("instal.pre", "instal")]
)
def test_what_nobody_reads_is_written_with_a_warning(
    machine: Machine, key: str, named: str
) -> None:
    (warning,) = machine.run(f"set {key} 1").warnings
    assert named in warning
    assert machine.run(f"get {key}").results == ["1"]


@pytest.mark.parametrize("key", ["install.pre", "global.find-links", "trust.cert", "list.user"])
def test_no_warning_for_what_somebody_reads(machine: Machine, key: str) -> None:
    assert machine.run(f"set {key} 1").warnings == []


def test_a_bad_value_can_be_mended(machine: Machine) -> None:
    machine.write(machine.user, "[global]\ntimeout = soon\n")
    machine.run("set global.timeout 5")
    assert machine.user.read_text(encoding="utf-8") == "[global]\ntimeout = 5\n"


def test_a_broken_file_is_named(machine: Machine) -> None:
    machine.write(machine.user, "[global]\nnonsense\n")
    with pytest.raises(SettingError) as caught:
        machine.run("set global.timeout 5")
    assert (caught.value.origin.path, caught.value.origin.line) == (str(machine.user), 2)


def test_a_file_that_cannot_be_written_leaves_nothing(machine: Machine) -> None:
    machine.user.parent.parent.mkdir(parents=True)
    machine.user.parent.write_text("in the way", encoding="utf-8")
    with pytest.raises(KedgeError) as caught:
        machine.run("--user set global.timeout 5")
    assert caught.value.exit_code == 1
    assert str(machine.user) in caught.value.message
    assert machine.user.parent.read_text(encoding="utf-8") == "in the way"
