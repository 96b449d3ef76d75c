"""The Git repository that a project's folder lies in: where it came from, at which commit.

The one place of this layer that starts git, and only to read. It decides nothing about how an
installation is written down (:mod:`kedge.environment.freeze` does).
"""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

from kedge.classes import frozen

_SCP = re.compile(r"(\w+@)?([\w.-]+):(?!/)(.+)")


@frozen
class Repository:
    """``remote`` is as git has it, without a password, and ``None`` when there is none.

    ``commit`` may be empty only where there is no remote. ``subdirectory`` is the project's folder
    below the repository's, ``None`` at its top.
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


class GitMissing(Exception):  # noqa: N818 - a state of the machine, not a mistake
    """There is a repository, and no git to ask about it."""


class RepositoryUnreadable(Exception):  # noqa: N818
    """There is a repository that git does not read: another user's, or one without a commit."""


def repository_of(folder: Path, *, environ: Mapping[str, str] | None = None) -> Repository | None:
    """The repository around a folder; ``None`` when there is none.

    ``environ`` is the environment git is started in, by default that of the process.

    :raises GitMissing: there is one, and no git on PATH.
    :raises RepositoryUnreadable: there is one, and git does not say what is in it.
    """
    if not any((parent / ".git").exists() for parent in (folder, *folder.parents)):
        return None
    top = _git(folder, environ, "rev-parse", "--show-toplevel")
    if not top:
        raise RepositoryUnreadable(f"git does not read the repository of {folder}")
    remote = _remote(folder, environ)
    commit = _git(folder, environ, "rev-parse", "HEAD")
    if not commit and remote is not None:
        raise RepositoryUnreadable(f"the repository of {folder} has no commit")
    subdirectory = _subdirectory(folder, Path(os.path.normpath(top)))
    return Repository(remote=remote, commit=commit or "", subdirectory=subdirectory)


def _remote(folder: Path, environ: Mapping[str, str] | None) -> str | None:
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


def _git(folder: Path, environ: Mapping[str, str] | None, *arguments: str) -> str | None:
    env = None
    if environ is not None:
        # These would make git answer about another repository than the folder's.
        misleading = ("GIT_DIR", "GIT_WORK_TREE")
        env = {name: value for name, value in environ.items() if name not in misleading}
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
        raise GitMissing("there is no git on PATH") from exc
    return run.stdout.strip() if run.returncode == 0 else None
