"""Places, against what pip itself answers inside the same Python."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from kedge.environment.interpreter import Interpreter, PathTemplates, current, inspect
from kedge.environment.scheme import Scheme, default_to_user, is_writable, scheme_for
from kedge.errors import TargetError, UsageError
from support.venvs import Venv, make_venv

pip = pytest.importorskip("pip", reason="not here: pip")

# Each name is one call of pip's get_scheme(); a home is what it makes of --target.
_ASK = """
import json, sys
from pip._internal.locations import get_scheme
cases = json.loads(sys.argv[1])
print(json.dumps({name: {key: getattr(get_scheme("demo", **case), key)
      for key in ("purelib", "platlib", "scripts", "data", "headers")}
      for name, case in cases.items()}))
"""
_CASES: dict[str, dict[str, Any]] = {
    "plain": {},
    "user": {"user": True},
    "prefix": {"prefix": "/a/prefix"},
    "root": {"root": "/a/root"},
    "prefix-root": {"prefix": "/a/prefix", "root": "/a/root"},
    "user-root": {"user": True, "root": "/a/root"},
}


@pytest.fixture(scope="module")
def only_pip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for ``PYTHONPATH`` with pip in it and nothing else."""
    folder = tmp_path_factory.mktemp("pip")
    (folder / "pip").symlink_to(Path(pip.__file__).parent, target_is_directory=True)
    return folder


def places(scheme: Scheme) -> dict[str, str]:
    found = {key: str(getattr(scheme, key)) for key in ("purelib", "platlib", "scripts", "data")}
    return {**found, "headers": str(scheme.headers_for("demo"))}


def asked_of_pip(program: Path, folder: Path, cases: dict[str, Any]) -> dict[str, dict[str, str]]:
    environ = {**os.environ, "PYTHONPATH": str(folder)}
    told = subprocess.run(
        [program, "-c", _ASK, json.dumps(cases)], env=environ, capture_output=True, check=True
    )
    answer: dict[str, dict[str, str]] = json.loads(told.stdout)
    return answer


@pytest.fixture(params=["venv", "base", "system", "3.10", "3.12", "3.13"])
def program(request: pytest.FixtureRequest, tmp_path: Path, python: Callable[[str], Path]) -> Path:
    """A virtual environment, its base, the system's own Python, and other versions."""
    match request.param:
        case "venv":
            return make_venv(tmp_path / "env").python
        case "base":
            return Path(sysconfig.get_config_var("BINDIR")) / f"python{sys.version_info[0]}"
        case "system":
            found = Path("/usr/bin/python3")
            run = [str(found), "-c", "import sys; assert sys.version_info >= (3, 10)"]
            if not found.exists() or subprocess.run(run, capture_output=True).returncode:
                pytest.skip("not here: a system Python that pip supports")
            return found
        case version:
            return python(version)


def test_places_are_pips(program: Path, only_pip: Path) -> None:
    expected = asked_of_pip(program, only_pip, _CASES)
    interpreter = inspect(program)
    got = {name: places(scheme_for(interpreter, **case)) for name, case in _CASES.items()}
    assert got == expected


def test_a_target_is_a_home_whose_libraries_were_moved_up(program: Path, only_pip: Path) -> None:
    home = asked_of_pip(program, only_pip, {"home": {"home": "/a/target"}})["home"]
    got = places(scheme_for(inspect(program), target="/a/target"))
    assert got["purelib"] == got["platlib"] == got["data"] == home["data"] == "/a/target"
    assert (got["scripts"], got["headers"]) == (home["scripts"], home["headers"])


def test_the_own_python_needs_no_process(only_pip: Path) -> None:
    expected = asked_of_pip(Path(sys.executable), only_pip, {"plain": {}, "p": {"prefix": "/p"}})
    assert places(scheme_for(current())) == expected["plain"]
    assert places(scheme_for(current(), prefix="/p")) == expected["p"]


def test_relative_places_count_from_the_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert scheme_for(current(), target="t").purelib == tmp_path / "t"
    assert scheme_for(current(), prefix="p").data == tmp_path / "p"
    rooted = scheme_for(current(), prefix="/p", root="r")
    assert rooted.data == tmp_path / "r" / "p"


@pytest.mark.parametrize(
    "asked",
    [
        {"user": True, "target": "/t"},
        {"user": True, "prefix": "/p"},
        {"target": "/t", "prefix": "/p"},
    ],
    ids=lambda asked: "-".join(asked),
)
def test_places_that_exclude_each_other(asked: dict[str, Any]) -> None:
    with pytest.raises(UsageError) as caught:
        scheme_for(current(), **asked)
    for name in asked:
        assert f"--{name}" in caught.value.message


def test_a_python_without_a_user_scheme_or_with_a_damaged_one() -> None:
    own = current()
    without = {kind: scheme for kind, scheme in own.schemes.items() if kind != "user"}
    with pytest.raises(TargetError):
        scheme_for(replace(own, schemes=without), user=True)
    damaged = PathTemplates("odd", {"purelib": "{nobody_knows}/lib"})
    with pytest.raises(TargetError, match="odd"):
        scheme_for(replace(own, schemes={**own.schemes, "prefix": damaged}))


def test_libraries_are_listed_once() -> None:
    place = Path("/p")
    same = Scheme(purelib=place, platlib=place, scripts=place, data=place, headers=place)
    assert same.libraries == (place,)
    assert replace(same, platlib=Path("/q")).libraries == (place, Path("/q"))


# --------------------------------------------------------------------------------------------
# The user's own place


def python_like(*, venv: bool = False, sees: bool = True, enabled: bool = True) -> Interpreter:
    """The running Python as if it were that: a plain one unless told otherwise."""
    own = current()
    made = replace(
        own, base_prefix=Path("/base") if venv else own.prefix, user_site_enabled=enabled
    )
    if venv:
        made.__dict__["sees_global_site"] = sees
    return made


@pytest.mark.parametrize(
    ("asked", "python", "writable", "expected"),
    [
        pytest.param({"user": None}, {}, True, False, id="writable"),
        pytest.param({"user": None}, {}, False, True, id="not-writable"),
        pytest.param({"user": False}, {}, False, False, id="refused"),
        pytest.param({"user": True}, {}, True, True, id="asked"),
        pytest.param({"user": None, "target": "/t"}, {}, False, False, id="target"),
        pytest.param({"user": None, "prefix": "/p"}, {}, False, False, id="prefix"),
        pytest.param({"user": None}, {"enabled": False}, False, False, id="switched-off"),
        pytest.param({"user": True}, {"venv": True}, True, True, id="open-venv"),
        pytest.param({"user": True}, {"venv": True, "sees": False}, True, TargetError, id="closed"),
        pytest.param({"user": True}, {"enabled": False}, True, TargetError, id="asked-but-off"),
        pytest.param({"user": True, "prefix": "/p"}, {}, True, UsageError, id="user-prefix"),
        pytest.param({"user": True, "target": "/t"}, {}, True, UsageError, id="user-target"),
    ],
)
def test_when_the_users_place_is_taken(
    asked: dict[str, Any], python: dict[str, bool], writable: bool, expected: bool | type[Exception]
) -> None:
    def decide() -> bool:
        return default_to_user(python_like(**python), writable=lambda _: writable, **asked)

    if isinstance(expected, bool):
        assert decide() is expected
    else:
        with pytest.raises(expected):
            decide()


def test_writability_is_asked_of_the_place_below_the_root() -> None:
    seen: list[Scheme] = []

    def writable(scheme: Scheme) -> bool:
        seen.append(scheme)
        return True

    default_to_user(python_like(), user=None, root="/a/root", writable=writable)
    assert str(seen[0].purelib).startswith("/a/root/")


@pytest.mark.skipif(os.name != "posix", reason="needs a folder that cannot be written")
def test_a_folder_that_is_not_there_is_as_writable_as_its_parent(tmp_path: Path) -> None:
    def scheme(purelib: Path, platlib: Path) -> Scheme:
        return Scheme(
            purelib=purelib, platlib=platlib, scripts=tmp_path, data=tmp_path, headers=tmp_path
        )

    below = tmp_path / "not" / "there"
    assert is_writable(scheme(below, below))
    # Even root cannot write to the kernel's files.
    closed = Path("/proc/1/nothing")
    if not closed.parent.is_dir() or os.access(closed.parent, os.W_OK):
        pytest.skip("not here: a folder that root cannot write")
    assert not is_writable(scheme(below, closed))


def test_headers_of_a_venv_are_its_own(tmp_path: Path) -> None:
    made: Venv = make_venv(tmp_path / "env")
    interpreter = inspect(made.python)
    assert scheme_for(interpreter).headers.is_relative_to(made.path)
