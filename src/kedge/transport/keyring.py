"""The keyring: the ``keyring`` package in the Python that runs kedge, or its program on ``PATH``.

pip's rules (26.3): ``auto`` takes the package where it can be imported and the program otherwise;
what fails once is not asked again. When the keyring is asked, and for which names, is
:mod:`kedge.transport.challenges`'s.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sysconfig
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

from kedge.transport.auth import Credentials

#: How the program says that it is older than 25.2.1, and does not know ``--mode=creds``.
_TOO_OLD = "unrecognized arguments"


class Provider(Protocol):
    """One way to a keyring. Whatever goes wrong leaves as any exception."""

    def get(self, service: str, username: str | None) -> tuple[str, str] | None:
        """User name and password; ``None`` where there is no entry."""

    def set(self, service: str, username: str, password: str) -> None:
        """Keep a password."""


class ImportedKeyring:
    """The ``keyring`` package."""

    def __init__(self) -> None:
        import keyring

        self._keyring: Any = keyring

    def get(self, service: str, username: str | None) -> tuple[str, str] | None:
        found = self._keyring.get_credential(service, username)
        return None if found is None else (found.username, found.password)

    def set(self, service: str, username: str, password: str) -> None:
        self._keyring.set_password(service, username, password)


class KeyringProgram:
    """The ``keyring`` program, in a process of its own: any installation of it will do."""

    def __init__(self, program: str, environ: Mapping[str, str]) -> None:
        self._program = program
        self._environ = {**environ, "PYTHONIOENCODING": "utf-8"}

    def get(self, service: str, username: str | None) -> tuple[str, str] | None:
        words = ["--mode=creds", "--output=json", "get", service]
        done = self._run([*words, username] if username is not None else words)
        if done.returncode == 2 and _TOO_OLD in done.stderr:
            raise RuntimeError(f"{self._program} is too old: kedge needs keyring 25.2.1 or newer")
        if done.returncode:
            return None  # no such entry, and a keyring that fails, end alike
        entry = json.loads(done.stdout)
        return entry["username"], entry["password"]

    def set(self, service: str, username: str, password: str) -> None:
        done = self._run(["set", service, username], said=password + os.linesep)
        if done.returncode:
            raise RuntimeError(f"{self._program} ended with {done.returncode}")

    def _run(self, words: list[str], said: str | None = None) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [self._program, *words],
            input=said,
            stdin=subprocess.DEVNULL if said is None else None,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            env=self._environ,
            check=False,
        )


class Keyring:
    """The keyring that ``--keyring-provider`` means, found when it is first asked.

    Not thread-safe. What it raises is told once, and ends its use.
    """

    def __init__(self, which: str, environ: Mapping[str, str], warn: Callable[[str], None]) -> None:
        self._which = which
        self._environ = environ
        self._warn = warn
        self._provider: Provider | None = None
        self._found = which == "disabled"

    @property
    def available(self) -> bool:
        """Whether there is one to ask, and to keep a password in."""
        if not self._found:
            self._found = True
            self._provider = self._find()
        return self._provider is not None

    def credentials(self, service: str, username: str | None) -> Credentials | None:
        """What it holds for a service (an index's URL, or ``host:port``), if anything."""
        if not self.available or self._provider is None:
            return None
        try:
            found = self._provider.get(service, username)
        except Exception as exc:  # a backend is anybody's code
            self._give_up("asked", exc)
            return None
        if found is None:
            return None
        return Credentials(found[0] or "", found[1] or "", "the keyring")

    def store(self, service: str, credentials: Credentials) -> None:
        """Keep them; where that fails, say so and go on."""
        if self._provider is None:
            return
        try:
            self._provider.set(service, credentials.username, credentials.password)
        except Exception as exc:
            self._give_up("written to", exc)

    def _find(self) -> Provider | None:
        if self._which in ("auto", "import"):
            try:
                return ImportedKeyring()
            except ImportError:
                if self._which == "import":
                    self._warn(
                        "--keyring-provider=import: the Python of kedge has no package keyring "
                        "(pip install 'kedge[keyring]')."
                    )
            except Exception as exc:
                self._warn(f"The package keyring cannot be used: {exc}")
        if self._which in ("auto", "subprocess"):
            program = find_program(self._environ.get("PATH"))
            if program is not None:
                return KeyringProgram(program, self._environ)
            if self._which == "subprocess":
                self._warn("--keyring-provider=subprocess: there is no program keyring on PATH.")
        return None

    def _give_up(self, what: str, exc: Exception) -> None:
        self._provider = None
        self._warn(f"The keyring could not be {what}, and is left aside: {exc}")


def find_program(path: str | None) -> str | None:
    """The ``keyring`` program on ``PATH``, other than the one beside kedge (as pip: what lies there
    is for ``import``, and may be in the midst of being changed)."""
    own = Path(sysconfig.get_path("scripts"))
    folders = (path if path is not None else os.defpath).split(os.pathsep)
    others = [folder for folder in folders if folder and not _same(Path(folder), own)]
    return shutil.which("keyring", path=os.pathsep.join(others)) if others else None


def _same(one: Path, other: Path) -> bool:
    try:
        return one.samefile(other)
    except OSError:
        return False
