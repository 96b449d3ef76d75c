from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
from collections.abc import Callable
from pathlib import Path

import packaging
import pytest
from packaging.markers import default_environment
from packaging.tags import sys_tags

import kedge
from kedge.environment.interpreter import current, inspect
from kedge.errors import TargetError
from support.venvs import Venv, make_venv

Python = Callable[[str], Path]
posix = pytest.mark.skipif(os.name != "posix", reason="needs a shell script as a program")


@pytest.fixture(scope="module")
def env(tmp_path_factory: pytest.TempPathFactory) -> Venv:
    return make_venv(tmp_path_factory.mktemp("interpreter") / "env")


def stub(folder: Path, text: str) -> Path:
    program = folder / "stub"
    program.write_text(f"#!/bin/sh\n{text}\n")
    program.chmod(0o755)
    return program


def test_current_describes_the_running_python() -> None:
    own = current()
    assert own.own
    assert own.executable == Path(sys.executable)
    assert own.version == sys.version_info[:3]
    assert (own.prefix, own.base_prefix) == (Path(sys.prefix), Path(sys.base_prefix))
    assert own.site_packages == Path(sysconfig.get_path("purelib"))
    assert own.scripts == Path(sysconfig.get_path("scripts"))
    assert own.cache_tag == sys.implementation.cache_tag
    assert own.markers == default_environment()
    assert own.tags == tuple(sys_tags())


def test_inspecting_the_own_python_says_what_current_says() -> None:
    own, asked = current(), inspect(Path(sys.executable))
    for name in ("executable", "version", "full_version", "implementation", "prefix", "stdlib",
                 "platstdlib", "base_prefix", "site_packages", "scripts", "cache_tag"):  # fmt: skip
        assert getattr(asked, name) == getattr(own, name), name
    assert not asked.own
    assert asked.schemes == own.schemes
    assert {**asked.variables, "userbase": ""} == {**own.variables, "userbase": ""}
    assert asked.markers == own.markers
    assert asked.tags == own.tags


_ASK = """
import json, sys
from packaging.markers import default_environment
from packaging.tags import sys_tags
print(json.dumps([list(map(str, sys_tags())), dict(default_environment()), sys.version_info[:3]]))
"""


@pytest.mark.parametrize("version", ["3.9", "3.10", "3.11", "3.12", "3.13", "3.14"])
def test_tags_and_markers_are_what_packaging_says_inside(version: str, python: Python) -> None:
    program = python(version)
    folder = str(Path(packaging.__file__).parents[1])
    environ = {**os.environ, "PYTHONPATH": folder}
    told = subprocess.run([program, "-c", _ASK], env=environ, capture_output=True, check=True)
    tags, markers, version_info = json.loads(told.stdout)
    asked = inspect(program)
    assert [str(tag) for tag in asked.tags] == tags
    assert asked.markers == markers
    assert list(asked.version) == version_info
    assert asked.python_version == version


def test_oldest_python_that_is_supported(python: Python) -> None:
    asked = inspect(python("3.8"))
    assert asked.markers["python_version"] == "3.8"
    assert str(asked.tags[0]).startswith("cp38-cp38-")
    assert set(asked.schemes) == {"prefix", "user", "home", "custom_prefix", "venv"}


@pytest.mark.parametrize("version", ["2.7", "3.6", "3.7"])
def test_too_old_a_python_is_named(version: str, python: Python) -> None:
    with pytest.raises(TargetError) as caught:
        inspect(python(version))
    assert version in caught.value.message
    assert "--python" in (caught.value.hint or "")


@posix
def test_an_answer_of_a_version_alone_means_too_old(tmp_path: Path) -> None:
    with pytest.raises(TargetError, match=r"3\.2"):
        inspect(stub(tmp_path, "echo 'KEDGE-FACTS [3, 2]'"))


@posix
@pytest.mark.parametrize(
    ("text", "specific"),
    [
        pytest.param("exit 3", "3", id="ends-at-once"),
        pytest.param("echo hello", "0", id="prints-something-else"),
        pytest.param("echo it is broken >&2; exit 1", "it is broken", id="complains"),
        pytest.param("kill -9 $$", "-9", id="is-killed"),
    ],
)
def test_a_program_that_is_no_python(text: str, specific: str, tmp_path: Path) -> None:
    program = stub(tmp_path, text)
    with pytest.raises(TargetError) as caught:
        inspect(program)
    assert specific in caught.value.message
    assert str(program) in caught.value.message


def test_files_that_cannot_be_started(tmp_path: Path) -> None:
    text = tmp_path / "text"
    text.write_text("hello")
    for program in (text, tmp_path / "missing", tmp_path):
        with pytest.raises(TargetError, match="cannot be started"):
            inspect(program)


def test_a_virtual_environment(env: Venv) -> None:
    asked = inspect(env.python)
    assert asked.is_venv
    assert asked.prefix == env.path
    assert asked.executable == env.python
    assert env.site in asked.search_path
    assert not asked.sees_global_site
    assert not asked.user_site_enabled
    assert asked.externally_managed is None


@pytest.mark.parametrize(
    ("line", "sees"),
    [
        ("include-system-site-packages = false", False),
        ("include-system-site-packages = true", True),
        ("home = /usr", True),
    ],
)
def test_whether_a_venv_is_closed_is_in_its_file(line: str, sees: bool, tmp_path: Path) -> None:
    made = make_venv(tmp_path / "env")
    asked = inspect(made.python)
    (made.path / "pyvenv.cfg").write_text(f"version = 3\n{line}\n")
    assert asked.sees_global_site is sees


def test_a_venv_without_its_file_is_taken_for_closed(tmp_path: Path) -> None:
    made = make_venv(tmp_path / "env")
    asked = inspect(made.python)
    (made.path / "pyvenv.cfg").unlink()
    assert not asked.sees_global_site


def test_the_shells_folder_is_neither_searched_nor_imported_from(
    env: Venv, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("platform", "json", "site", "sysconfig", "os"):
        (tmp_path / f"{module}.py").write_text("raise SystemExit('imported from the folder')")
    monkeypatch.chdir(tmp_path)
    assert tmp_path not in inspect(env.python).search_path


def test_the_folder_that_python_m_puts_first_is_not_searched(tmp_path: Path) -> None:
    code = "import kedge.environment as e; print(*e.current().search_path, sep='\\n')"
    (tmp_path / "ask.py").write_text(code)
    folder = Path(kedge.__file__).parents[1]
    run = subprocess.run(
        [sys.executable, "-m", "ask"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(folder)},
        capture_output=True,
        text=True,
        check=True,
    )
    listed = run.stdout.splitlines()
    assert str(folder) in listed
    assert str(tmp_path) not in listed


def test_a_place_that_does_not_exist_yet_is_searched(tmp_path: Path) -> None:
    made = make_venv(tmp_path / "env")
    made.site.rmdir()
    assert inspect(made.python).search_path[-1] == made.site


def test_pythonpath_is_searched_as_the_python_itself_would(env: Venv, tmp_path: Path) -> None:
    asked = inspect(env.python, environ={**os.environ, "PYTHONPATH": str(tmp_path)})
    assert asked.search_path[0] == tmp_path
    assert tmp_path not in inspect(env.python, environ=dict(os.environ)).search_path


def test_a_home_meant_for_kedges_python_does_not_mislead_another(env: Venv) -> None:
    environ = {**os.environ, "PYTHONHOME": "/nonexistent"}
    assert inspect(env.python, environ=environ).prefix == env.path


def test_start_up_code_that_prints_does_not_disturb(tmp_path: Path) -> None:
    made = make_venv(tmp_path / "env")
    noise = "import sys; sys.stdout.write('KEDGE-FACTS of mine'); sys.stderr.write('noise')"
    (made.site / "noisy.pth").write_text(noise + "\n")
    late = "import atexit; atexit.register(print, 'bye')"
    (made.site / "late.pth").write_text(late + "\n")
    assert inspect(made.python).prefix == made.path


def test_the_users_folder_is_reported_where_it_counts(tmp_path: Path) -> None:
    base = Path(sysconfig.get_config_var("BINDIR")) / f"python{sys.version_info[0]}"
    environ = {**os.environ, "PYTHONUSERBASE": str(tmp_path)}
    asked = inspect(base, environ=environ)
    assert asked.user_site is not None
    assert asked.user_site.is_relative_to(tmp_path)
    assert asked.user_site_enabled
    asked.user_site.mkdir(parents=True)
    assert inspect(base, environ=environ).search_path == asked.search_path
    assert asked.search_path.index(asked.user_site) < asked.search_path.index(asked.site_packages)
    off = inspect(base, environ={**environ, "PYTHONNOUSERSITE": "1"})
    assert not off.user_site_enabled
    assert asked.user_site not in off.search_path


def test_importing_the_layer_imports_nothing_dear() -> None:
    code = (
        "import sys, kedge.environment as e; e.current(); "
        "dear = {'packaging', 'requests', 'rich', 'installer', 'cryptography', 'subprocess', "
        "'platform', 'email'}; print(sorted(dear & set(sys.modules)))"
    )
    environ = {**os.environ, "PYTHONPATH": str(Path(kedge.__file__).parents[1])}
    run = subprocess.run(
        [sys.executable, "-c", code], env=environ, capture_output=True, text=True, check=True
    )
    assert run.stdout.strip() == "[]"
