"""``list`` and ``freeze`` of one environment with every kind of distribution, against pip's own.

pip runs inside the environment (``pip --python``), so that both see the same path.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from environment.distributions import developed, dist_info, distutils, egg, egg_info, project
from kedge.environment.consistency import conflicts, packages_of
from kedge.environment.freeze import freeze, installers_left_out, skipped
from kedge.environment.installed import installed
from kedge.environment.interpreter import Interpreter, inspect
from kedge.environment.listing import Selection, as_columns, as_freeze, as_json, select
from kedge.environment.metadata import normalized
from kedge.environment.repository import repository_of
from support.venvs import Venv, make_venv

pytest.importorskip("pip", reason="not here: pip")
pytestmark = pytest.mark.skipif(os.name != "posix", reason="paths as POSIX has them")

_COMMIT = "c0ffee0000000000000000000000000000000000"


def editable(site: Path, name: str, location: Path) -> None:
    direct_url = {"url": location.as_uri(), "dir_info": {"editable": True}}
    dist_info(site, name, "0.1", direct_url=direct_url)


def _fill_with_editables(site: Path, folder: Path) -> None:
    editable(site, "editable-plain", project(folder / "plain"))
    editable(site, "editable-no-remote", project(folder / "alone", repository=True))
    for name, remote in (
        ("https", "https://example.org/a/b.git"),
        ("ssh", "ssh://git@example.org/a/b.git"),
        ("scp", "git@example.org:a/b.git"),
        ("broken", "/no/such/folder"),
        ("local", str(folder / "alone")),
    ):
        made = project(folder / name, remote=remote, repository=True)
        editable(site, f"editable-{name}", made)
    top = project(folder / "top", remote="https://example.org/top", repository=True)
    editable(site, "Editable.Below", project(top / "below" / "here"))
    developed(site, project(folder / "developed"), "developed-demo", "3.0")


def _fill(site: Path) -> None:
    dist_info(site, "Plain.Name", "1.0")
    dist_info(site, "pre", "2.0rc1", requires=["plain-name>=1"])
    dist_info(site, "UPPER", "1!2.0+local.1")
    dist_info(site, "normal-version", "1.00.0")
    dist_info(site, "legacy-version", "2004d")
    dist_info(site, "odd-folder", "1.0+x.y", folder="odd_folder-1.0+x_y.dist-info")
    dist_info(site, "argparse", "1.4.0")
    for installer in ("pip", "setuptools", "wheel", "distribute"):
        dist_info(site, installer, "40.0")
    dist_info(site, "built", "1.0", files={"WHEEL": "Wheel-Version: 1.0\nBuild: 7\n"})
    dist_info(site, "made-by-hand", "1.0", files={"INSTALLER": "", "REQUESTED": "\n"})
    dist_info(site, "leftover", folder="~eftover-1.0.dist-info")
    dist_info(site, "needs-missing", requires=["missing>1", "other; python_version < '3'"])
    dist_info(site, "needs-newer", requires=["plain-name>=2", "pre>=2.0rc1", "upper<1"])
    dist_info(site, "with-extra", requires=["absent; extra == 'x'"])
    dist_info(
        site,
        "from-archive",
        direct_url={"url": "https://x.example/a.whl", "archive_info": {"hashes": {"sha256": "0"}}},
    )
    dist_info(
        site,
        "from-old-archive",
        direct_url={"url": "https://x.example/a.zip", "archive_info": {"hash": "sha256=00"}},
    )
    dist_info(
        site, "From_Folder", direct_url={"url": "file:///a/folder", "dir_info": {}}
    )  # fmt: skip
    dist_info(
        site,
        "from-git",
        direct_url={
            "url": "https://x.example/r",
            "vcs_info": {"vcs": "git", "commit_id": _COMMIT},
            "subdirectory": "sub",
        },
    )
    dist_info(site, "bad-direct-url", files={"direct_url.json": "{"})
    egg_info(site, "eggish", "1.1", requires="plain-name>=3\n[extra]\nabsent\n")
    egg_info(site, "single-version", "1.2", stem="single_version-1.2")
    distutils(site, "distutilish", "0.9")
    egg(site, "zegg", "1.3")


@pytest.fixture(scope="module")
def env(tmp_path_factory: pytest.TempPathFactory) -> Venv:
    folder = tmp_path_factory.mktemp("against-pip")
    made = make_venv(folder / "env")
    _fill(made.site)
    _fill_with_editables(made.site, folder / "projects")
    return made


@pytest.fixture(scope="module")
def interpreter(env: Venv) -> Interpreter:
    return inspect(env.python)


def pip(env: Venv, *words: str, code: int = 0) -> str:
    """What pip prints, run inside the environment."""
    line = [sys.executable, "-m", "pip", "--python", str(env.python), *words]
    environ = {**os.environ, "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
    # Before Python 3.11 pip asks setuptools' pkg_resources, which is out of use since.
    environ["_PIP_USE_IMPORTLIB_METADATA"] = "1"
    run = subprocess.run(line, capture_output=True, text=True, env=environ)
    assert run.returncode == code, run.stderr
    return run.stdout


def lines_of(interpreter: Interpreter, paths: list[Path], skip: frozenset[str]) -> Iterator[str]:
    def locate(folder: Path) -> object:
        return repository_of(folder, environ=os.environ)

    found = installed(paths or interpreter.search_path).values()
    yield from freeze(found, skip=skip, locate=locate)  # type: ignore[arg-type]


EXCLUDED = frozenset(normalized(name) for name in ("Plain.Name", "editable_plain"))


@pytest.mark.tool("git")
@pytest.mark.parametrize(
    ("words", "everything", "exclude"),
    [
        pytest.param([], False, frozenset(), id="plain"),
        pytest.param(["--all"], True, frozenset(), id="all"),
        pytest.param(
            ["--exclude", "Plain.Name", "--exclude", "editable_plain"],
            False,
            EXCLUDED,
            id="exclude",
        ),
    ],
)
def test_freeze(
    words: list[str],
    everything: bool,
    exclude: frozenset[str],
    env: Venv,
    interpreter: Interpreter,
) -> None:
    expected = pip(env, "freeze", *words).splitlines()
    skip = skipped(interpreter.version, everything=everything, exclude=exclude)  # type: ignore[arg-type]
    assert list(lines_of(interpreter, [], skip)) == expected
    assert len(expected) > 20


def test_freeze_without_editables(env: Venv, interpreter: Interpreter) -> None:
    expected = pip(env, "freeze", "--exclude-editable").splitlines()
    skip = skipped(interpreter.version, everything=False)
    found = installed(interpreter.search_path).values()
    got = freeze(found, skip=skip, exclude_editable=True, locate=lambda _: None)
    assert list(got) == expected


SELECTIONS = [
    pytest.param([], Selection(), id="all"),
    pytest.param(["--local"], Selection(local=True), id="local"),
    pytest.param(["--user"], Selection(user=True), id="user"),
    pytest.param(["--editable"], Selection(editable=True), id="editable"),
    pytest.param(["--exclude-editable"], Selection(editable=False), id="no-editable"),
    pytest.param(["--not-required"], Selection(not_required=True), id="not-required"),
    pytest.param(
        ["--not-required", "--exclude", "needs.newer"],
        Selection(not_required=True, exclude={"needs-newer"}),
        id="excluded-still-require",
    ),
]


@pytest.mark.parametrize(("words", "selection"), SELECTIONS)
def test_list(words: list[str], selection: Selection, env: Venv, interpreter: Interpreter) -> None:
    found = installed(interpreter.search_path).values()
    chosen = select(found, selection, interpreter=interpreter)
    assert as_columns(chosen) == pip(env, "list", *words).splitlines()
    assert as_freeze(chosen) == pip(env, "list", "--format=freeze", *words).splitlines()
    assert json.loads(as_json(chosen)) == json.loads(pip(env, "list", "--format=json", *words))


def test_list_verbosely(env: Venv, interpreter: Interpreter) -> None:
    found = installed(interpreter.search_path).values()
    chosen = select(found, Selection(), interpreter=interpreter)
    assert as_columns(chosen, verbose=True) == pip(env, "list", "-v").splitlines()
    told = pip(env, "list", "-v", "--format=json")
    assert json.loads(as_json(chosen, verbose=True)) == json.loads(told)
    told = pip(env, "list", "-v", "--format=freeze")
    assert as_freeze(chosen, verbose=True) == told.splitlines()


def test_list_of_a_folder(env: Venv, interpreter: Interpreter, tmp_path: Path) -> None:
    dist_info(tmp_path, "Only.Here", "1.0")
    for folder in (env.site, tmp_path):
        # A link counts for pip only on the path that pip itself runs on: here it is.
        found = installed([folder]).values()
        chosen = select(found, Selection(), interpreter=interpreter)
        assert as_columns(chosen) == pip(env, "list", "--path", str(folder)).splitlines()
    empty = tmp_path / "empty"
    empty.mkdir()
    assert as_columns([]) == pip(env, "list", "--path", str(empty)).splitlines() == []


def test_an_environment_that_sees_the_users_packages(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONUSERBASE", str(tmp_path / "user"))
    made = make_venv(tmp_path / "env")
    config = made.path / "pyvenv.cfg"
    config.write_text(config.read_text().replace("packages = false", "packages = true"))
    user_site = inspect(made.python).user_site
    assert user_site is not None
    dist_info(user_site, "of-the-user", "1.0")
    dist_info(user_site, "in-both", "1.0")
    dist_info(made.site, "in-both", "2.0")
    dist_info(made.site, "of-the-venv", "1.0")
    interpreter = inspect(made.python)
    found = installed(interpreter.search_path).values()
    for words, selection in (
        ([], Selection()),
        (["--local"], Selection(local=True)),
        (["--user"], Selection(user=True)),
    ):
        chosen = select(found, selection, interpreter=interpreter)
        expected = pip(made, "list", "--format=freeze", *words).splitlines()
        assert as_freeze(chosen) == expected, words
    assert "of-the-user" in {each.name for each in found}


def test_conflicts_are_those_that_pip_check_finds(tmp_path: Path) -> None:
    made = make_venv(tmp_path / "env")
    dist_info(made.site, "Base.One", "1.5")
    dist_info(made.site, "pre", "2.0rc1")
    dist_info(made.site, "fine", requires=["base-one>=1", "pre>=1", "gone; python_version < '3'"])
    dist_info(made.site, "pre-is-old", requires=["pre>=2", "pre>=2.0a1"])
    dist_info(made.site, "needs-newer", requires=["BASE_one>=2,<3", "base-one!=1.5"])
    dist_info(made.site, "needs-missing", requires=["missing[x]>1; python_version > '3'", "gone"])
    dist_info(made.site, "with-extra", requires=["absent; extra == 'x'"])
    interpreter = inspect(made.python)
    packages, unreadable = packages_of(
        installed(interpreter.search_path).values(), interpreter.markers
    )
    assert unreadable == ()
    told = {(c.package.name, normalized(c.requirement.name)) for c in conflicts(packages)}
    expected = set()
    for line in pip(made, "check", code=1).splitlines():
        words = line.replace(",", " ").split()
        name = (
            words[words.index("requires") + 1]
            if "requires" in words
            else words[words.index("requirement") + 1]
        )
        required = name.split("[")[0].split(">")[0].split("<")[0].split("!")[0]
        expected.add((normalized(words[0]), normalized(required)))
    assert told == expected
    assert len(told) == 4


def test_what_a_fresh_environment_has_is_left_out() -> None:
    assert installers_left_out((3, 12, 0)) == {"pip"}
    assert installers_left_out((3, 11, 9)) == {"pip", "setuptools", "distribute", "wheel"}
