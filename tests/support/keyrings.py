"""A keyring that keeps its entries in a JSON file: a backend for the real ``keyring`` package.

For a child process: its folder on ``PYTHONPATH``, and ``PYTHON_KEYRING_BACKEND``; see
:func:`keyring_environ`. Every question is noted in ``asked``.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

BACKEND = """
import json, os
from pathlib import Path
import keyring.backend, keyring.credentials

FILE = Path(os.environ["KEDGE_TEST_KEYRING"])

class JsonKeyring(keyring.backend.KeyringBackend):
    priority = 1

    def _load(self):
        return json.loads(FILE.read_text())

    def _note(self, service, username):
        data = self._load()
        data["asked"].append([service, username])
        FILE.write_text(json.dumps(data))
        if data.get("broken"):
            raise RuntimeError("the keyring is locked")

    def get_password(self, service, username):
        self._note(service, username)
        return self._load()["entries"].get(service, {}).get(username)

    def get_credential(self, service, username):
        self._note(service, username)
        for name, password in self._load()["entries"].get(service, {}).items():
            if username in (None, name):
                return keyring.credentials.SimpleCredential(name, password)

    def set_password(self, service, username, password):
        data = self._load()
        if data.get("broken"):
            raise RuntimeError("the keyring is locked")
        data["entries"].setdefault(service, {})[username] = password
        FILE.write_text(json.dumps(data))
"""


class JsonFile:
    """The entries of that keyring, to be filled and looked at: service to name to password."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.path = folder / "entries.json"
        (folder / "kedge_test_keyring.py").write_text(BACKEND)
        self.write({})

    def write(self, entries: Mapping[str, Mapping[str, str]], *, broken: bool = False) -> None:
        self.path.write_text(json.dumps({"entries": entries, "asked": [], "broken": broken}))

    @property
    def entries(self) -> dict[str, dict[str, str]]:
        return dict(self._read()["entries"])

    @property
    def asked(self) -> list[tuple[str, str | None]]:
        return [(service, name) for service, name in self._read()["asked"]]

    def _read(self) -> Any:
        return json.loads(self.path.read_text())

    def environ(self, environ: Mapping[str, str]) -> dict[str, str]:
        """The variables by which a child process uses this keyring."""
        paths = [str(self.folder), *filter(None, [environ.get("PYTHONPATH")])]
        return {
            "PYTHONPATH": ":".join(paths),
            "PYTHON_KEYRING_BACKEND": "kedge_test_keyring.JsonKeyring",
            "KEDGE_TEST_KEYRING": str(self.path),
        }

    def program(self, folder: Path) -> Path:
        """A folder for ``PATH`` with a program ``keyring`` in it, which is the real one."""
        folder.mkdir(parents=True, exist_ok=True)
        script = folder / "keyring"
        script.write_text(f'#!/bin/sh\nexec {sys.executable} -m keyring "$@"\n')
        script.chmod(0o755)
        return folder
