from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from kedge.environment.choose import Choice, Reason
from kedge.environment.interpreter import Interpreter, current
from kedge.environment.managed import (
    languages,
    message_from,
    refuse_externally_managed,
    tool_that_made,
)
from kedge.errors import TargetError
from kedge.model import Origin, OriginKind

HOME = Choice(Reason.HOME, "/own")
LAUNCHED = Choice(Reason.LAUNCHED_BY, "/own")
ACTIVE = Choice(Reason.ACTIVE, "/own", Origin(OriginKind.ENVIRONMENT, "VIRTUAL_ENV"))
NAMED = Choice(Reason.NAMED, "/own", Origin(OriginKind.COMMAND_LINE, "--python"))
MARKER = """\
[externally-managed]
Error=Use the package manager.
 And 100% of its %(power)s.
Error-de=Nimm die Paketverwaltung.
Error-de_AT=Nimm halt die Paketverwaltung.
"""


def python_at(prefix: Path, *, venv: bool = False, own: bool = True) -> Interpreter:
    (prefix / "lib").mkdir(parents=True, exist_ok=True)
    base = Path("/base") if venv else prefix
    return replace(current(), prefix=prefix, base_prefix=base, stdlib=prefix / "lib", own=own)


def refuses(interpreter: Interpreter, **asked: Any) -> bool:
    asked = {"choice": HOME, "environ": {}, **asked}
    try:
        refuse_externally_managed(interpreter, **asked)
    except TargetError:
        return True
    return False


@pytest.fixture
def managed(tmp_path: Path) -> Path:
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib" / "EXTERNALLY-MANAGED").write_text(MARKER)
    return tmp_path


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        pytest.param({}, True, id="plain"),
        pytest.param({"choice": NAMED}, True, id="named-is-no-excuse"),
        pytest.param({"choice": LAUNCHED}, True, id="launched"),
        pytest.param({"elsewhere": True}, False, id="elsewhere"),
        pytest.param({"break_system_packages": True}, False, id="overridden"),
    ],
)
def test_externally_managed(asked: dict[str, Any], expected: bool, managed: Path) -> None:
    assert refuses(python_at(managed), **asked) is expected
    assert refuses(python_at(managed, own=False), **asked) is expected
    assert not refuses(python_at(managed, venv=True), **asked), "a virtual environment is free"


def test_without_the_file_nothing_is_refused(tmp_path: Path) -> None:
    assert not refuses(python_at(tmp_path))


@pytest.mark.parametrize(
    ("environ", "specific"),
    [
        pytest.param({}, "Use the package manager.", id="none"),
        pytest.param({"LANG": "de_DE.UTF-8"}, "Nimm die Paket", id="language"),
        pytest.param({"LANG": "de_AT.UTF-8"}, "Nimm halt", id="country"),
        pytest.param({"LANG": "fr_FR.UTF-8"}, "Use the", id="not-translated"),
        pytest.param({"LANG": "de_DE", "LC_MESSAGES": "C"}, "Use the", id="messages-over-lang"),
        pytest.param({"LC_ALL": "de", "LC_MESSAGES": "C"}, "Nimm die", id="all-over-messages"),
        pytest.param({"LANG": "", "LC_ALL": ""}, "Use the", id="empty"),
    ],
)
def test_the_distributors_words_in_the_users_language(
    environ: dict[str, str], specific: str, managed: Path
) -> None:
    with pytest.raises(TargetError) as caught:
        refuse_externally_managed(python_at(managed), choice=HOME, environ=environ)
    assert specific in caught.value.message
    assert str(managed) in caught.value.message
    assert "--break-system-packages" in (caught.value.hint or "")


def test_more_lines_and_percent_signs_are_kept(managed: Path) -> None:
    message = message_from(managed / "lib" / "EXTERNALLY-MANAGED")
    assert message == "Use the package manager.\nAnd 100% of its %(power)s."


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"[other]\nError=x\n", id="other-section"),
        pytest.param(b"[externally-managed]\n", id="no-message"),
        pytest.param(b"[externally-managed]\nError=\xff\xfe\n", id="not-utf-8"),
        pytest.param(b"no section at all\n", id="not-ini"),
    ],
)
def test_a_file_without_words_still_manages(data: bytes, managed: Path) -> None:
    marker = managed / "lib" / "EXTERNALLY-MANAGED"
    marker.write_bytes(data)
    assert message_from(marker) is None
    assert refuses(python_at(managed))


def test_languages_from_exact_to_general() -> None:
    assert languages({"LANG": "sr_RS@latin"}) == ("sr_RS", "sr-RS", "sr")
    assert languages({"LANG": "de"}) == ("de",)
    assert languages({"LANG": "POSIX"}) == ()
    assert languages({}) == ()


# --------------------------------------------------------------------------------------------
# kedge's own environment


def pipx(folder: Path) -> Path:
    prefix = folder / "pipx" / "venvs" / "kedge"
    prefix.mkdir(parents=True)
    (prefix / "pipx_metadata.json").write_text("{}")
    return prefix


def uv_tool(folder: Path) -> Path:
    prefix = folder / "uv" / "tools" / "kedge"
    prefix.mkdir(parents=True)
    (prefix / "uv-receipt.toml").write_text("[tool]\n")
    return prefix


def uvx(folder: Path) -> Path:
    prefix = folder / "uv" / "archive-v0" / "0fb1"
    prefix.mkdir(parents=True)
    (folder / "uv" / "CACHEDIR.TAG").write_text("Signature: 8a477f597d28d172789f06886806bc55\n")
    return prefix


MADE = [(pipx, "pipx"), (uv_tool, "uv tool"), (uvx, "uvx")]


@pytest.mark.parametrize(("make", "tool"), MADE, ids=[tool for _, tool in MADE])
def test_what_was_made_for_kedge_alone_is_left_alone(make: Any, tool: str, tmp_path: Path) -> None:
    prefix = make(tmp_path)
    assert tool_that_made(prefix) == tool
    for choice in (HOME, LAUNCHED, ACTIVE):
        with pytest.raises(TargetError) as caught:
            refuse_externally_managed(python_at(prefix, venv=True), choice=choice, environ={})
        assert tool in caught.value.message
        assert str(prefix) in caught.value.message
        assert "--python" in (caught.value.hint or "")
    own = python_at(prefix, venv=True)
    assert refuses(own, break_system_packages=True), "that is about the system's Python"
    assert not refuses(own, choice=NAMED)
    assert not refuses(own, elsewhere=True)
    assert not refuses(python_at(prefix, venv=True, own=False), choice=ACTIVE)


def test_other_environments_are_nobodys(tmp_path: Path) -> None:
    assert tool_that_made(tmp_path) is None
    unmarked = tmp_path / "archive-v0" / "x"
    unmarked.mkdir(parents=True)
    assert tool_that_made(unmarked) is None, "no cache without its tag"
