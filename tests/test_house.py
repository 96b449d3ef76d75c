"""What holds the repository together, and no single layer would notice."""

from __future__ import annotations

import importlib
import re
from pathlib import Path

import pytest

import kedge
from kedge.settings.commands import COMMANDS
from kedge.settings.options import OPTIONS

ROOT = Path(__file__).parent.parent


@pytest.fixture
def checkout() -> Path:
    if not (ROOT / ".ci" / "run").exists():
        pytest.skip("not here: a checkout")
    return ROOT


def commands(readme: str) -> list[str]:
    return re.findall(r"```sh\n(.+?)\n```", readme, re.DOTALL)


def test_continuous_integration_runs_the_readmes_command(checkout: Path) -> None:
    _, tests = commands((checkout / "README.md").read_text("utf-8"))
    assert tests in (checkout / ".ci" / "run").read_text("utf-8").splitlines()


def test_the_version_is_said_once_and_again(checkout: Path) -> None:
    assert f'version = "{kedge.__version__}"' in (checkout / "pyproject.toml").read_text("utf-8")


def test_every_command_has_a_page_section_and_a_module() -> None:
    from kedge.cli.run import _MODULES

    assert {command.name for command in COMMANDS} - {"help"} == set(_MODULES)


def test_no_flag_means_two_things_to_one_command() -> None:
    for command in COMMANDS:
        flags = [
            flag for option in OPTIONS if option.taken_by(command.name) for flag in option.all_flags
        ]
        assert len(flags) == len(set(flags)), command.name


@pytest.mark.parametrize("package", ["kedge.trust", "kedge.diagnose"])
def test_no_name_that_is_imported_late_is_a_modules_too(package: str) -> None:
    """Once the module of that name is imported, the package's attribute is the module."""
    found = importlib.import_module(package)
    modules = {path.stem for path in Path(found.__path__[0]).glob("*.py")}
    assert not modules & set(vars(found)["_MODULES"])
