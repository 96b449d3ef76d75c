"""Dependency groups and scripts' metadata: what is read, and what is refused with its reason."""

from __future__ import annotations

from pathlib import Path

import pytest

from kedge.errors import RequirementError
from kedge.model import Origin, OriginKind
from kedge.requirements import read_group, read_script

FLAG = Origin(OriginKind.COMMAND_LINE, "--group")

PROJECT = """
[project]
name = "not-read"
dependencies = ["never"]

[dependency-groups]
Test_Kit = ["pytest >= 8", 'mock; python_version < "3"', {include-group = "base"}]
base = ["spam[eggs]==1"]
loop = [{include-group = "loop"}]
odd = [{spam = "base"}]
"""


def group(folder: Path, name: str, text: str = PROJECT) -> list[str]:
    (folder / "pyproject.toml").write_text(text)
    return [one.text for one in read_group(str(folder / "pyproject.toml"), name, FLAG)]


def test_a_group_with_what_it_includes(tmp_path: Path) -> None:
    expected = ["pytest>=8", 'mock; python_version < "3"', "spam[eggs]==1"]
    assert group(tmp_path, "test-kit") == expected


def test_a_requirement_knows_its_group(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text(PROJECT)
    (found,) = read_group(str(tmp_path / "pyproject.toml"), "base", FLAG)
    assert (found.name, found.origin.path) == ("spam", str(tmp_path / "pyproject.toml"))
    assert (found.origin.section, found.origin.name) == ("dependency-groups", "base")


@pytest.mark.parametrize(
    ("name", "text", "specific"),
    [
        ("gone", PROJECT, "Test_Kit"),
        ("loop", PROJECT, "loop"),
        ("odd", PROJECT, "odd"),
        ("base", "[project]\n", "[dependency-groups]"),
        ("base", "[dependency-groups", "not TOML"),
        ("a", '[dependency-groups]\na = ["=="]\n', "=="),
        ("a", '[dependency-groups]\na = "b"\n', "a"),
        ("a", "[dependency-groups]\na = []\nA = []\n", "a"),
    ],
)
def test_what_is_refused(tmp_path: Path, name: str, text: str, specific: str) -> None:
    with pytest.raises(RequirementError) as refused:
        group(tmp_path, name, text)
    assert specific in f"{refused.value.message} {refused.value.hint}"
    assert "--group" in refused.value.message


def test_no_such_file(tmp_path: Path) -> None:
    with pytest.raises(RequirementError, match=r"pyproject\.toml"):
        read_group(str(tmp_path / "pyproject.toml"), "a", FLAG)


SCRIPT = """#!/usr/bin/env python
# /// script
# requires-python = ">=3.9"
# dependencies = [
#   "spam<2",
#   "eggs",
# ]
#
# [tool.other]
# x = 1
# ///
import spam
"""


def script(
    folder: Path, text: str = SCRIPT, *, python: str = "3.11.2", ignore: bool = False
) -> list[str]:
    (folder / "s.py").write_text(text)
    found = read_script(
        str(folder / "s.py"), FLAG, python_version=python, ignore_requires_python=ignore
    )
    return [one.text for one in found]


def test_a_script(tmp_path: Path) -> None:
    assert script(tmp_path) == ["spam<2", "eggs"]
    assert script(tmp_path, SCRIPT.replace("\n", "\r\n")) == ["spam<2", "eggs"]


def test_a_block_of_another_kind_does_not_count(tmp_path: Path) -> None:
    assert script(tmp_path, "# /// other\n# x\n# ///\n" + SCRIPT) == ["spam<2", "eggs"]


def test_a_script_for_another_python(tmp_path: Path) -> None:
    with pytest.raises(RequirementError, match=r">=3\.9"):
        script(tmp_path, python="3.8.1")
    assert script(tmp_path, python="3.8.1", ignore=True) == ["spam<2", "eggs"]


@pytest.mark.parametrize(
    "text",
    [
        "print(1)\n",
        SCRIPT + SCRIPT,
        "# /// script\n# dependencies = 3\n# ///\n",
        "# /// script\n# dependencies = [1]\n# ///\n",
        "# /// script\n# ][\n# ///\n",
        '# /// script\n# requires-python = "new"\n# ///\n',
        "# /// script\n# requires-python = 3\n# ///\n",
    ],
)
def test_a_script_that_cannot_be_used(tmp_path: Path, text: str) -> None:
    with pytest.raises(RequirementError, match=r"s\.py"):
        script(tmp_path, text)
