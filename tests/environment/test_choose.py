from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from kedge.environment.choose import Choice, Reason, choose, decide, locate
from kedge.errors import TargetError
from kedge.model import DEFAULT, Origin, OriginKind, Sourced
from support.venvs import Venv, make_venv, make_venv_with_kedge

FLAG = Origin(OriginKind.COMMAND_LINE, "--python")
BOTH = {"VIRTUAL_ENV": "/venv", "CONDA_PREFIX": "/conda"}


def named(place: str | Path) -> Choice:
    return Choice(Reason.NAMED, str(place), FLAG)


def active(place: str | Path, variable: str = "VIRTUAL_ENV") -> Choice:
    return Choice(Reason.ACTIVE, str(place), Origin(OriginKind.ENVIRONMENT, variable))


@pytest.fixture(scope="module")
def env(tmp_path_factory: pytest.TempPathFactory) -> Venv:
    return make_venv(tmp_path_factory.mktemp("choose") / "env")


@pytest.mark.parametrize(
    ("module", "environ", "python", "expected"),
    [
        pytest.param(False, {}, None, Choice(Reason.HOME, "/own"), id="script-alone"),
        pytest.param(False, BOTH, None, active("/venv"), id="script-in-both"),
        pytest.param(
            False, {"CONDA_PREFIX": "/conda"}, None, active("/conda", "CONDA_PREFIX"), id="conda"
        ),
        pytest.param(
            False,
            {"VIRTUAL_ENV": "", "CONDA_PREFIX": "/conda"},
            None,
            active("/conda", "CONDA_PREFIX"),
            id="empty-is-unset",
        ),
        pytest.param(True, BOTH, None, Choice(Reason.LAUNCHED_BY, "/own"), id="module"),
        pytest.param(False, BOTH, "py", named("py"), id="option-over-active"),
        pytest.param(True, BOTH, "py", named("py"), id="option-over-module"),
    ],
)
def test_decisions(
    module: bool, environ: dict[str, str], python: str | None, expected: Choice
) -> None:
    decided = decide(
        launched_as_module=module,
        environ=environ,
        own_prefix="/own",
        python=Sourced(python, FLAG) if python else None,
    )
    assert decided == expected
    assert decided.is_named is (python is not None)


@pytest.mark.parametrize(
    ("choice", "specific"),
    [
        (named("x"), "--python"),
        (active("x", "CONDA_PREFIX"), "CONDA_PREFIX"),
        (Choice(Reason.HOME, "x"), "kedge lives in"),
        (Choice(Reason.LAUNCHED_BY, "x"), "runs kedge"),
    ],
)
def test_a_choice_says_why(choice: Choice, specific: str) -> None:
    assert specific in str(choice)


def test_own_pythons_are_not_started(env: Venv, monkeypatch: pytest.MonkeyPatch) -> None:
    """And while another starts, time is made use of."""

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a process was started")

    own = Path(sys.prefix)
    choices = [
        Choice(Reason.HOME, str(own)),
        Choice(Reason.LAUNCHED_BY, str(own)),
        named(sys.executable),
    ]
    if sys.prefix != sys.base_prefix:
        choices += [named(own), active(own), named(own / "bin" / "python3")]
    with monkeypatch.context() as patch:
        patch.setattr(subprocess, "Popen", refuse)
        for choice in choices:
            assert choose(choice, environ={}).own, choice
        for choice in (named(env.path), active(env.path), named(env.python)):
            with pytest.raises(AssertionError, match="started"):
                choose(choice, environ={})
    called: list[str] = []
    assert not choose(named(env.path), environ={}, meanwhile=lambda: called.append("once")).own
    assert called == ["once"]


def test_environments_and_programs_are_found(env: Venv) -> None:
    environ = {"PATH": str(env.scripts)}
    for choice in (named(env.path), active(env.path), named(env.python), named(env.python.name)):
        found = choose(choice, environ=environ)
        assert found.prefix == env.path, choice
        assert not found.own


def test_a_path_that_exists_comes_before_a_command(
    env: Venv, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "python").symlink_to(env.python)
    environ = {"PATH": os.path.dirname(sys.executable)}  # noqa: PTH120
    assert locate(named("python"), environ=environ) == tmp_path / "python"


def test_links_are_kept_as_they_are_the_environment(env: Venv) -> None:
    assert env.python.is_symlink()
    assert locate(named(env.python), environ={}) == env.python


@pytest.mark.parametrize(
    ("choice", "specifics"),
    [
        pytest.param(named("no-such-python"), ["no-such-python", "--python"], id="no-command"),
        pytest.param(named("no/such"), ["no/such", "--python"], id="no-path"),
        pytest.param(
            active("/no/such"), ["/no/such does not exist", "VIRTUAL_ENV"], id="no-folder"
        ),
        pytest.param(
            active("/no/such", "CONDA_PREFIX"), ["/no/such", "CONDA_PREFIX"], id="no-conda"
        ),
    ],
)
def test_what_does_not_exist_is_named_with_its_setting(
    choice: Choice, specifics: list[str]
) -> None:
    with pytest.raises(TargetError) as caught:
        choose(choice, environ={"PATH": os.defpath})
    for specific in specifics:
        assert specific in caught.value.message
    assert caught.value.hint


def test_a_folder_without_a_python(tmp_path: Path) -> None:
    for choice in (named(tmp_path), active(tmp_path), active(tmp_path, "CONDA_PREFIX")):
        with pytest.raises(TargetError, match=str(tmp_path)) as caught:
            choose(choice, environ={})
        assert caught.value.hint


def test_an_environment_whose_python_is_gone(tmp_path: Path) -> None:
    made = make_venv(tmp_path / "env")
    for program in made.scripts.glob("python*"):
        program.unlink()
        program.symlink_to(tmp_path / "removed")
    with pytest.raises(TargetError):
        choose(active(made.path), environ={})


def test_the_module_in_another_environment_is_that_environment(
    tmp_path: Path, env: Venv, clean_environ: dict[str, str]
) -> None:
    made = make_venv_with_kedge(tmp_path / "env")
    code = (
        "import sys, os; from kedge.environment import *; "
        "c = decide(launched_as_module=True, environ=os.environ, own_prefix='', python=None); "
        "i = choose(c, environ=os.environ); print(i.prefix, i.own)"
    )
    environ = {**clean_environ, "VIRTUAL_ENV": str(env.path)}
    run = subprocess.run(
        [made.python, "-c", code], env=environ, capture_output=True, text=True, check=True
    )
    assert run.stdout.split() == [str(made.path), "True"]


def test_the_default_has_no_setting_to_name() -> None:
    assert Choice(Reason.HOME, "/own").origin == DEFAULT
