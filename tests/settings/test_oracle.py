"""pip itself, asked the same: its own parser, with the same words, variables and files."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from kedge.resolve.problem import FormatControl
from kedge.settings import options as table
from kedge.settings.commands import CACHE, CONFIG, DOWNLOAD, FREEZE, INSTALL, LIST, UNINSTALL
from kedge.settings.merge import merge
from kedge.settings.option import Kind, Option
from kedge.settings.snapshot import take_snapshot
from kedge.settings.values import Settings

pip = pytest.importorskip("pip")
pytestmark = pytest.mark.skipif(
    int(pip.__version__.split(".")[0]) < 26 or sys.platform == "win32",
    reason="pip 26 is what the table follows",
)

#: Prints what pip's parsers make of the words after the command, or their options.
SCRIPT = """
import json, sys
from pip._internal.commands import commands_dict, create_command
if sys.argv[1] == "--flags--":
    print(json.dumps({
        name: [
            [option._short_opts + option._long_opts, option.takes_value(), option.action]
            for option in create_command(name).parser.option_list_all
        ]
        for name in sys.argv[2:]
    }))
    raise SystemExit
command = create_command(sys.argv[1], isolated="--isolated" in sys.argv)
values, words = command.parser.parse_args(sys.argv[2:])
known = {name: value for name, value in vars(values).items() if not name.startswith("_")}
control = known.pop("format_control", None)
if control is not None:
    names = ("x", "y", "z-z", "q", "a-b", "other")
    known["formats"] = {name: sorted(control.get_allowed_formats(name)) for name in names}
print(json.dumps([known, words], default=repr))
"""

#: pip's name of the value, where it is not the option's own.
DESTINATIONS: dict[Option[Any], str] = {
    table.REQUIREMENT: "requirements",
    table.CONSTRAINT: "constraints",
    table.NO_DEPS: "ignore_dependencies",
    table.TARGET: "target_dir",
    table.EXTRA_INDEX_URL: "extra_index_urls",
    table.TRUSTED_HOST: "trusted_hosts",
    table.USE_FEATURE: "features_enabled",
    table.USER: "use_user_site",
    table.COMPILE: "compile",
}
PLAIN: list[Option[Any]] = [
    table.CERT, table.TIMEOUT, table.RETRIES, table.UPGRADE, table.PRE, table.VERBOSE, table.QUIET,
    table.INDEX_URL, table.FIND_LINKS, table.PROXY, table.LOG, table.PREFER_BINARY, table.NO_INDEX,
    table.PROGRESS_BAR, table.UPGRADE_STRATEGY, table.REQUIRE_HASHES,
]  # fmt: skip


def ask_pip(words: list[str], environ: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", SCRIPT, *words],
        env=environ | {"PYTHONWARNINGS": "ignore"},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture(scope="module")
def pips_options() -> dict[str, list[tuple[list[str], bool, str]]]:
    commands = (INSTALL, DOWNLOAD, UNINSTALL, LIST, FREEZE, CONFIG, CACHE)
    done = ask_pip(["--flags--", *commands], dict(os.environ))
    assert done.returncode == 0, done.stderr
    answers: dict[str, list[tuple[list[str], bool, str]]] = json.loads(done.stdout)
    assert set(answers) == set(commands)
    return answers


def test_every_option_of_pips_has_a_row(
    pips_options: dict[str, list[tuple[list[str], bool, str]]],
) -> None:
    missing = []
    for command, options in pips_options.items():
        ours = {flag: one for one in table.options_of(command) for flag in one.all_flags}
        for flags, takes_value, action in options:
            for flag in flags:
                option = ours.get(flag)
                same = option is not None and option.kind.takes_value == takes_value
                several = option is not None and option.kind in (Kind.LIST, Kind.COUNT)
                if not same or (several != (action in ("append", "count"))):
                    missing.append((command, flag, action))
    assert missing == []


def test_what_is_kedges_own_is_marked(
    pips_options: dict[str, list[tuple[list[str], bool, str]]],
) -> None:
    theirs = {flag for options in pips_options.values() for one in options for flag in one[0]}
    theirs |= {"--version", "-V"}
    unmarked = [
        option.flag
        for option in table.OPTIONS
        if option.own is not theirs.isdisjoint(option.all_flags)
        # An option of older releases, accepted still.
        and option is not table.NO_CLEAN
    ]
    assert unmarked == []


CASES = [
    pytest.param(["x"], {}, {}, id="nothing"),
    pytest.param(
        ["-r", "a", "--cert=~/c.pem", "--timeout", "3", "-qqU", "--pre", "x", "-rb"],
        {},
        {},
        id="the command line",
    ),
    pytest.param(
        ["--extra-index-url", "c", "-v", "x"],
        {"PIP_EXTRA_INDEX_URL": "a b", "PIP_VERBOSE": "2", "PIP_NO_COMPILE": "0", "PIP_PRE": ""},
        {"user": "[global]\npre = yes\nno-deps = true\n"},
        id="variables",
    ),
    pytest.param(
        ["x"],
        {"PIP_NO_BINARY": "x,:none:,y", "PIP_USER": "no", "PIP_FIND_LINKS": "a b"},
        {
            "user": "[install]\nonly-binary = :all:\nfind-links = z\n[global]\nuser = yes\n",
            "machine": "[global]\nno-binary = A_b\n",
        },
        id="format control",
    ),
    pytest.param(
        ["--only-binary", "y,Z.z", "--no-binary=:all:", "--only-binary", "q", "x"],
        {"PIP_NO_BINARY": "y"},
        {},
        id="format control on the command line",
    ),
    pytest.param(
        ["x"],
        {"PIP_DEFAULT_TIMEOUT": "9", "PIP_PYPI_URL": "p"},
        {
            "user": "[install]\nretries = 2\ntimeout = 4\n[global]\nretries = 3\nquiet = no\n",
            "machine": "[global]\nretries : 4\nrequirement =\n   a\n   # b\n\n   c\nlog = ~/l\n",
        },
        id="sections and files",
    ),
    pytest.param(
        ["x"],
        {"PIP_PROXY": ""},
        {"user": "[global]\nproxy = u\ncert = u\n", "machine": "[global]\ncert =\nproxy = s\n"},
        id="empty entries",
    ),
    pytest.param(
        ["--no-ind", "--upgrade-s", "eager", "--", "-x"],
        {"PIP_CONFIG_FILE": "named.conf"},
        {"user": "[global]\nretries = 3\n", "machine": "[DEFAULT]\nretries = 8\n[install]\n",
         "named": "[global]\nretries = 7\ntrusted-host = a b:1\n"},
        id="a named file, abbreviations",
    ),
    pytest.param(
        ["--isolated", "x"],
        {"PIP_RETRIES": "1", "PIP_CONFIG_FILE": "named.conf"},
        {"user": "[global]\nretries = 3\n", "named": "[global]\ntimeout = 7\n"},
        id="isolated",
    ),
    pytest.param(
        ["x"],
        {"PIP_CONFIG_FILE": os.devnull},
        {"user": "[global]\nretries = 3\n"},
        id="the null device",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("words", "environ", "files"), CASES)
def test_the_same_values_as_pip(
    words: list[str],
    environ: dict[str, str],
    files: dict[str, str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    clean_environ: dict[str, str],
) -> None:
    monkeypatch.chdir(tmp_path)
    places = {
        "user": Path(clean_environ["HOME"], ".config", "pip", "pip.conf"),
        "machine": tmp_path / "etc" / "pip" / "pip.conf",
        "named": tmp_path / "named.conf",
    }
    for name, text in files.items():
        places[name].parent.mkdir(parents=True, exist_ok=True)
        places[name].write_text(text, encoding="utf-8")
    everything = clean_environ | environ | {"XDG_CONFIG_DIRS": str(tmp_path / "etc")}
    everything.pop("XDG_CONFIG_HOME", None)

    done = ask_pip([INSTALL, *words], everything)
    assert done.returncode == 0, done.stderr
    theirs, arguments = json.loads(done.stdout)
    snapshot = take_snapshot(everything, isolated="--isolated" in words)
    settings = merge([INSTALL, *words], snapshot)
    asked: list[Option[Any]] = [*DESTINATIONS, *PLAIN]
    options = [one for one in asked if settings.is_set(one)]
    names = {one: DESTINATIONS.get(one, one.name.replace("-", "_")) for one in options}
    assert list(settings.arguments) == arguments
    assert {name: _plain(settings.value(one)) for one, name in names.items()} == {
        name: theirs[name] for name in names.values()
    }
    unset = {one for one in PLAIN if one not in names} - {table.PROGRESS_BAR}
    assert [
        one
        for one in unset
        if (theirs[one.name.replace("-", "_")] or None) != (one.default or None)
    ] == []
    assert _formats(settings, list(theirs["formats"])) == theirs["formats"]


def _plain(value: object) -> object:
    return list(value) if isinstance(value, tuple) else value


def _formats(settings: Settings, names: list[str]) -> dict[str, list[str]]:
    control = FormatControl()
    for option, part in settings.in_order(table.NO_BINARY, table.ONLY_BINARY):
        change = control.no_binary if option is table.NO_BINARY else control.only_binary
        control = change(part.value)
    return {
        name: ["binary"] * control.allows_wheels(name) + ["source"] * control.allows_sdists(name)
        for name in names
    }
