"""The Git repository that a project's folder lies in: where it came from, at which commit.

The one place of this layer that starts git, and only to read. It decides nothing about how an
installation is written down (:mod:`kedge.environment.freeze` does).
"""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

_SCP = re.compile(r"(\w+@)?([\w.-]+):(?!/)(.+)")


@dataclass(frozen=True, slots=True)
class Repository:
    """``remote`` is as git has it, without a password, and ``None`` when there is none.

    ``subdirectory`` is the project's folder below the repository's, ``None`` at its top.
    """

    remote: str | None
    commit: str
    subdirectory: str | None

    @property
    def url(self) -> str | None:
        """The remote as a URL; ``None`` when it is none and cannot be made one.

        >>> Repository("git@example.org:a/b.git", "c0ffee", None).url
        'ssh://git@example.org/a/b.git'
        """
        remote = self.remote
        if remote is None or re.match(r"\w+://", remote):
            return remote
        if Path(remote).exists():
            return Path(remote).absolute().as_uri()
        match = _SCP.fullmatch(remote)
        return f"ssh://{match[1] or ''}{match[2]}/{match[3]}" if match else None


class GitUnavailable(Exception):  # noqa: N818 - a state of the machine, not a mistake
    """A repository is there, and no git that can read it."""


def repository_of(folder: Path, *, environ: Mapping[str, str]) -> Repository | None:
    """The repository around a folder; ``None`` when there is none.

    :raises GitUnavailable: there is one, and git is missing or refuses to read it.
    """
    if not any((parent / ".git").exists() for parent in (folder, *folder.parents)):
        return None
    top = _git(folder, environ, "rev-parse", "--show-toplevel")
    commit = _git(folder, environ, "rev-parse", "HEAD")
    if not top or not commit:
        raise GitUnavailable(f"git cannot read the repository of {folder}")
    return Repository(
        remote=_remote(folder, environ),
        commit=commit,
        subdirectory=_subdirectory(folder, Path(os.path.normpath(top))),
    )


def _remote(folder: Path, environ: Mapping[str, str]) -> str | None:
    """The remote ``origin``, else the first."""
    listing = _git(folder, environ, "config", "--get-regexp", r"remote\..*\.url") or ""
    urls = [line.partition(" ") for line in listing.splitlines()]
    first = next((url for key, _, url in urls if key == "remote.origin.url"), None)
    first = first or next((url for _, _, url in urls), None)
    return _without_password(first.strip()) if first else None


def _without_password(url: str) -> str:
    # What freeze prints ends in files that are shared; a lone user name over ssh is no secret.
    if "://" not in url:
        return url
    parts = urlsplit(url)
    userinfo, at, host = parts.netloc.rpartition("@")
    if not at or (parts.scheme == "ssh" and ":" not in userinfo):
        return url
    user = userinfo.partition(":")[0] + "@" if parts.scheme == "ssh" else ""
    return urlunsplit(parts._replace(netloc=user + host))


def _subdirectory(folder: Path, top: Path) -> str | None:
    for project in (folder, *folder.parents):
        if (project / "pyproject.toml").is_file() or (project / "setup.py").is_file():
            relative = os.path.relpath(project.resolve(), top.resolve())
            return None if relative == os.curdir else relative
    return None


def _git(folder: Path, environ: Mapping[str, str], *arguments: str) -> str | None:
    # These would make git answer about another repository than the folder's.
    env = {
        name: value for name, value in environ.items() if name not in ("GIT_DIR", "GIT_WORK_TREE")
    }
    try:
        run = subprocess.run(
            ["git", *arguments],
            cwd=folder,
            env=env,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
    except OSError as exc:
        raise GitUnavailable("there is no git on PATH") from exc
    return run.stdout.strip() if run.returncode == 0 else None
