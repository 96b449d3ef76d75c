"""Passwords from the keyring, and into it: ``--keyring-provider`` as pip 26.3 has it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.indexes import SimpleIndex
from support.keyrings import JsonFile
from support.pki import Authority
from support.servers import Server, with_basic_auth
from support.terminals import needs_terminals, on_terminal
from support.venvs import Kedge, Venv

pytest.importorskip("keyring", reason="not here: keyring")
pytestmark = pytest.mark.skipif(os.name != "posix", reason="its program is a shell script here")

USER, PASSWORD = "ana", "from the keyring"
INSTALLED = {"banana": "2.0"}


@pytest.fixture
def guarded(catalogue: SimpleIndex, private_ca: Authority) -> Iterator[Server]:
    handler = with_basic_auth(catalogue, USER, PASSWORD)
    with Server(handler, certificate=private_ca.leaf("localhost")) as server:
        yield server


@pytest.fixture
def entries(tmp_path: Path) -> JsonFile:
    folder = tmp_path / "keyring"
    folder.mkdir()
    return JsonFile(folder)


@pytest.fixture
def kedge(kedge: Kedge, guarded: Server, entries: JsonFile, tmp_path: Path) -> Kedge:
    """kedge with a keyring, as a package and as a program."""
    path = os.pathsep.join([str(entries.program(tmp_path / "bin")), kedge.environ["PATH"]])
    more = {"PATH": path, "PIP_INDEX_URL": f"{guarded.url}/simple/"}
    return kedge.having(**entries.environ(kedge.environ), **more)


@pytest.mark.parametrize(
    ("words", "used"),
    [
        pytest.param([], True, id="default"),
        pytest.param(["--keyring-provider=import"], True, id="import"),
        pytest.param(["--keyring-provider=subprocess"], True, id="subprocess"),
        pytest.param(["--keyring-provider=disabled"], False, id="disabled"),
        pytest.param(["--no-input"], False, id="no-input"),
        pytest.param(["--no-input", "--keyring-provider=import"], True, id="no-input-import"),
        pytest.param(
            ["--no-input", "--keyring-provider=subprocess"], True, id="no-input-subprocess"
        ),
    ],
)
def test_which_is_asked(
    kedge: Kedge,
    target: Venv,
    guarded: Server,
    entries: JsonFile,
    words: list[str],
    used: bool,
) -> None:
    entries.write({f"{guarded.url}/simple/": {USER: PASSWORD}})
    outcome = kedge("install", "banana", *words)
    if used:
        outcome.succeeded()
        assert target.versions() == INSTALLED
        assert len(entries.asked) == 1, "asked once a run"
    else:
        outcome.failed(1, saying=["401"])
        assert entries.asked == []
    assert PASSWORD not in outcome.stderr + outcome.stdout


def test_the_names_it_is_asked_for(kedge: Kedge, guarded: Server, entries: JsonFile) -> None:
    kedge("install", "banana").failed(1, saying=["401"])
    assert entries.asked == [(f"{guarded.url}/simple/", None), (guarded.hostport, None)]


def test_an_index_that_needs_none_is_not_asked_about(
    kedge: Kedge, target: Venv, server: Server, entries: JsonFile
) -> None:
    kedge("install", "banana", "-i", f"{server.url}/simple/").succeeded()
    assert entries.asked == []


def test_one_that_fails_is_no_reason_to_end(
    kedge: Kedge, guarded: Server, entries: JsonFile
) -> None:
    entries.write({}, broken=True)
    outcome = kedge("install", "banana").failed(1, saying=["the keyring is locked", "401"])
    assert outcome.stderr.count("the keyring is locked") == 1


@needs_terminals
class TestKeeping:
    @pytest.mark.parametrize("provider", ["import", "subprocess"])
    def test_what_was_typed(
        self, kedge: Kedge, target: Venv, guarded: Server, entries: JsonFile, provider: str
    ) -> None:
        kedge = kedge.having(PIP_KEYRING_PROVIDER=provider)
        with on_terminal(kedge, "install", "banana") as session:
            session.answer("User for", USER)
            session.answer("Password: ", PASSWORD)
            session.answer("Save credentials to keyring [y/N]: ", "y")
            session.ended().succeeded()
        assert entries.entries == {guarded.hostport: {USER: PASSWORD}}
        kedge("install", "--force-reinstall", "--no-cache-dir", "banana").succeeded()
        assert target.versions() == INSTALLED

    def test_not_what_is_wrong(
        self, kedge: Kedge, target: Venv, guarded: Server, entries: JsonFile
    ) -> None:
        with on_terminal(kedge, "install", "banana") as session:
            session.answer("User for", USER)
            session.answer("Password: ", "wrong")
            session.answer("Save credentials to keyring [y/N]: ", "y")
            session.answer("User for", USER)
            session.answer("Password: ", PASSWORD)
            session.answer("Save credentials to keyring [y/N]: ", "n")
            session.ended().succeeded()
        assert entries.entries == {}
