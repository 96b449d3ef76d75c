"""The installers that are compared: what each is called with, and in which surroundings."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
import venv
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Job:
    """One command to time. ``cache`` is the tool's own cache folder, perhaps empty.

    Without ``requests`` the program is only asked for its version.
    """

    python: Path
    index: str
    ca: Path
    cache: Path
    requests: tuple[str, ...]
    dry_run: bool = False

    @property
    def words(self) -> list[str]:
        """What every tool is told alike."""
        return [*(["--dry-run"] if self.dry_run else []), *self.requests]


@dataclass(frozen=True)
class Tool:
    """``version`` is what the program says of itself, and ``asked`` how. Only what compiles alike
    is compared. The first tool of all installs nothing: it is Python alone, for comparison.
    """

    name: str
    version: str
    asked: list[str]
    command: Callable[[Job], list[str]] | None
    compiles: bool = False

    def words(self, job: Job) -> list[str]:
        if not job.requests:
            return self.asked
        if self.command is None:
            raise ValueError(f"{self.name} installs nothing")
        return self.command(job)


def clean_environment(home: Path) -> dict[str, str]:
    """No setting of the user's: the same for every tool, and nothing but what was decided here."""
    kept = ("PATH", "LANG", "LC_ALL", "TMPDIR", "SystemRoot")
    environ = {name: os.environ[name] for name in kept if name in os.environ}
    home.mkdir(parents=True, exist_ok=True)
    return environ | {
        "HOME": str(home),
        "PIP_CONFIG_FILE": os.devnull,
        "UV_NO_CONFIG": "1",
        "UV_PYTHON_DOWNLOADS": "never",
    }


def peers(cache: Path, *, update: bool) -> Path:
    """A virtual environment with the newest pip and uv of the user's index; its ``bin`` folder."""
    folder = cache / f"peers-cp{sys.version_info[0]}{sys.version_info[1]}"
    binaries = folder / ("Scripts" if os.name == "nt" else "bin")
    if update or not (binaries / "uv").exists():
        venv.create(folder, with_pip=True, clear=True)
        command = [str(binaries / "python"), "-m", "pip", "install", "--quiet", "--upgrade"]
        subprocess.run([*command, "pip", "uv"], check=True)
    return binaries


def tools(binaries: Path, kedge: str) -> list[Tool]:
    """Every tool, kedge before the others of its kind."""
    pip = [str(binaries / "python"), "-m", "pip"]
    uv = [str(binaries / "uv")]

    def with_kedge(*more: str) -> Callable[[Job], list[str]]:
        return lambda job: [
            kedge, "install", "--python", str(job.python), "--index-url", job.index,
            "--cert", str(job.ca), "--cache-dir", str(job.cache), "--quiet", *more, *job.words,
        ]  # fmt: skip

    def with_pip(*more: str) -> Callable[[Job], list[str]]:
        return lambda job: [
            *pip, "--python", str(job.python), "install", "--index-url", job.index,
            "--cert", str(job.ca), "--cache-dir", str(job.cache), "--quiet",
            "--disable-pip-version-check", *more, *job.words,
        ]  # fmt: skip

    def with_uv(*more: str) -> Callable[[Job], list[str]]:
        return lambda job: [
            "env", f"SSL_CERT_FILE={job.ca}", *uv, "pip", "install", "--python", str(job.python),
            "--default-index", job.index, "--cache-dir", str(job.cache), "--quiet",
            *more, *job.words,
        ]  # fmt: skip

    python = str(binaries / "python")
    asked = {"kedge": [kedge, "--version"], "uv": [*uv, "--version"], "pip": [*pip, "--version"]}
    says = {name: _says(command) for name, command in asked.items()}

    def tool(name: str, command: Callable[[Job], list[str]], *, compiles: bool = False) -> Tool:
        program = name.split()[0]
        return Tool(name, says[program], asked[program], command, compiles)

    return [
        Tool("python -c pass", f"Python {platform.python_version()}", [python, "-c", "pass"], None),
        tool("kedge", with_kedge()),
        tool("uv", with_uv()),
        tool("pip --no-compile", with_pip("--no-compile")),
        tool("kedge --compile", with_kedge("--compile"), compiles=True),
        tool("uv --compile-bytecode", with_uv("--compile-bytecode"), compiles=True),
        tool("pip", with_pip(), compiles=True),
    ]


def _says(command: list[str]) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return " ".join(done.stdout.split()[:2])
