"""The installers that are compared: what each is called with, and in which surroundings."""

from __future__ import annotations

import os
import subprocess
import sys
import venv
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Job:
    """One install to time. ``cache`` is the tool's own cache folder, perhaps empty."""

    python: Path
    index: str
    ca: Path
    cache: Path
    requests: tuple[str, ...]


@dataclass(frozen=True)
class Tool:
    """``version`` is what the program says of itself. Only what compiles alike is compared."""

    name: str
    version: str
    command: Callable[[Job], list[str]]
    compiles: bool = False


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
    """Every tool, kedge first in each kind: the others' ratios are to it."""
    pip = [str(binaries / "python"), "-m", "pip"]
    uv = [str(binaries / "uv")]

    def with_kedge(*more: str) -> Callable[[Job], list[str]]:
        return lambda job: [
            kedge, "install", "--python", str(job.python), "--index-url", job.index,
            "--cert", str(job.ca), "--cache-dir", str(job.cache), "--quiet", *more, *job.requests,
        ]  # fmt: skip

    def with_pip(*more: str) -> Callable[[Job], list[str]]:
        return lambda job: [
            *pip, "--python", str(job.python), "install", "--index-url", job.index,
            "--cert", str(job.ca), "--cache-dir", str(job.cache), "--quiet",
            "--disable-pip-version-check", *more, *job.requests,
        ]  # fmt: skip

    def with_uv(*more: str) -> Callable[[Job], list[str]]:
        return lambda job: [
            "env", f"SSL_CERT_FILE={job.ca}", *uv, "pip", "install", "--python", str(job.python),
            "--default-index", job.index, "--cache-dir", str(job.cache), "--quiet",
            *more, *job.requests,
        ]  # fmt: skip

    kedge_version = _says([kedge, "--version"])
    pip_version = _says([*pip, "--version"])
    uv_version = _says([*uv, "--version"])
    return [
        Tool("kedge", kedge_version, with_kedge()),
        Tool("uv", uv_version, with_uv()),
        Tool("pip --no-compile", pip_version, with_pip("--no-compile")),
        Tool("kedge --compile", kedge_version, with_kedge("--compile"), compiles=True),
        Tool("uv --compile-bytecode", uv_version, with_uv("--compile-bytecode"), compiles=True),
        Tool("pip", pip_version, with_pip(), compiles=True),
    ]


def _says(command: list[str]) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return " ".join(done.stdout.split()[:2])
