"""The keyring: the real package and the real program, over a backend of the tests' own."""

from __future__ import annotations

import os
import sys
import sysconfig
from pathlib import Path

import pytest

from kedge.transport.auth import Credentials
from kedge.transport.keyring import Keyring, find_program
from support.keyrings import JsonFile

pytest.importorskip("keyring", reason="not here: keyring")
pytestmark = pytest.mark.skipif(os.name != "posix", reason="its program is a shell script here")

SERVICE = "https://index.example/simple/"


@pytest.fixture
def entries(tmp_path: Path) -> JsonFile:
    return JsonFile(tmp_path)


def program(entries: JsonFile, tmp_path: Path, warnings: list[str], *more: str) -> Keyring:
    path = os.pathsep.join([*more, str(entries.program(tmp_path / "bin")), os.defpath])
    environ = {"PATH": path, **entries.environ({})}
    return Keyring("subprocess", environ, warnings.append)


class TestTheProgram:
    def test_entries(self, entries: JsonFile, tmp_path: Path) -> None:
        warnings: list[str] = []
        entries.write({SERVICE: {"ana": "pä/ss"}})
        keyring = program(entries, tmp_path, warnings)
        assert keyring.credentials(SERVICE, None) == Credentials("ana", "pä/ss")
        assert keyring.credentials(SERVICE, "ana") == Credentials("ana", "pä/ss")
        assert keyring.credentials(SERVICE, "bob") is None
        assert keyring.credentials("elsewhere", None) is None
        assert warnings == []
        assert keyring.available

    def test_keeping(self, entries: JsonFile, tmp_path: Path) -> None:
        keyring = program(entries, tmp_path, [])
        assert keyring.available
        keyring.store("index.example", Credentials("ana", "pä ss"))
        assert entries.entries == {"index.example": {"ana": "pä ss"}}

    def test_one_that_cannot_keep_is_told_of_once_and_left(
        self, entries: JsonFile, tmp_path: Path
    ) -> None:
        warnings: list[str] = []
        entries.write({}, broken=True)
        keyring = program(entries, tmp_path, warnings)
        assert keyring.available
        for _ in range(2):
            keyring.store("index.example", Credentials("ana", "hunter2"))
        assert len(warnings) == 1
        assert "hunter2" not in warnings[0]
        assert not keyring.available

    def test_one_that_is_too_old(self, entries: JsonFile, tmp_path: Path) -> None:
        warnings: list[str] = []
        keyring = program(entries, tmp_path, warnings)
        script = tmp_path / "bin" / "keyring"
        words = "keyring: error: unrecognized arguments: --mode=creds --output=json"
        script.write_text(f"#!/bin/sh\necho '{words}' >&2\nexit 2\n")
        assert keyring.credentials(SERVICE, None) is None
        assert "25.2.1" in warnings[0]

    def test_the_one_beside_kedge_is_not_it(self, entries: JsonFile, tmp_path: Path) -> None:
        own = sysconfig.get_path("scripts")
        folder = str(entries.program(tmp_path / "bin"))
        link = tmp_path / "link"
        link.symlink_to(own)
        assert find_program(os.pathsep.join([own, str(link), folder])) == f"{folder}/keyring"
        assert find_program(own) is None
        assert find_program("") is None

    def test_none(self) -> None:
        warnings: list[str] = []
        keyring = Keyring("subprocess", {"PATH": "/nowhere"}, warnings.append)
        assert keyring.credentials(SERVICE, None) is None
        assert len(warnings) == 1
        assert Keyring("auto", {"PATH": "/nowhere"}, warnings.append).credentials("x", None) is None


class TestThePackage:
    @pytest.fixture
    def keyring(
        self, entries: JsonFile, monkeypatch: pytest.MonkeyPatch, warnings: list[str]
    ) -> Keyring:
        import keyring as package

        monkeypatch.setenv("KEDGE_TEST_KEYRING", str(entries.path))
        monkeypatch.syspath_prepend(str(entries.folder))
        monkeypatch.delitem(sys.modules, "kedge_test_keyring", raising=False)
        import kedge_test_keyring  # type: ignore[import-not-found]

        backend = kedge_test_keyring.JsonKeyring()
        monkeypatch.setattr(package.core, "_keyring_backend", backend)
        return Keyring("auto", {"PATH": "/nowhere"}, warnings.append)

    @pytest.fixture
    def warnings(self) -> list[str]:
        return []

    def test_entries(self, entries: JsonFile, keyring: Keyring) -> None:
        entries.write({SERVICE: {"ana": "pass"}})
        assert keyring.credentials(SERVICE, None) == Credentials("ana", "pass")
        assert keyring.credentials("index.example", "ana") is None
        keyring.store("index.example", Credentials("ana", "new"))
        assert keyring.credentials("index.example", "ana") == Credentials("ana", "new")

    def test_one_that_fails_is_told_of_once_and_left(
        self, entries: JsonFile, keyring: Keyring, warnings: list[str]
    ) -> None:
        entries.write({SERVICE: {"ana": "pass"}}, broken=True)
        for _ in range(3):
            assert keyring.credentials(SERVICE, None) is None
        assert len(warnings) == 1
        assert "locked" in warnings[0]
        assert len(entries.asked) == 1


def test_disabled_is_not_looked_for() -> None:
    warnings: list[str] = []
    keyring = Keyring("disabled", {}, warnings.append)
    assert not keyring.available
    assert keyring.credentials(SERVICE, None) is None
    assert warnings == []
