"""The repository that a project's folder lies in: where it came from, at which revision.

The one place of this layer that starts git, Mercurial, Subversion or Bazaar, and only to read. It
decides nothing about how an installation is written down (:mod:`kedge.environment.freeze` does).
"""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

from kedge.classes import frozen

_SCP = re.compile(r"(\w+@)?([\w.-]+):(?!/)(.+)")


#: The programs, in the order in which they are looked for, and the names of what they make.
NAMES = {"git": "Git", "hg": "Mercurial", "svn": "Subversion", "bzr": "Bazaar"}


@frozen
class Repository:
    """``remote`` is as the program has it, without a password, and ``None`` when there is none.

    ``commit`` may be empty only where there is no remote. ``subdirectory`` is the project's folder
    below the repository's, ``None`` at its top and where the remote names the folder itself.
    """

    remote: str | None
    commit: str
    subdirectory: str | None
    vcs: str = "git"

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


class ProgramMissing(Exception):  # noqa: N818 - a state of the machine, not a mistake
    """There is a repository, and no program to ask about it."""


class RepositoryUnreadable(Exception):  # noqa: N818
    """There is a repository that its program does not read: another user's, or one without a
    commit."""


def repository_of(folder: Path, *, environ: Mapping[str, str]) -> Repository | None:
    """The innermost repository around a folder; ``None`` when there is none.

    ``environ`` is the environment the program is started in.

    :raises ProgramMissing: there is one, and its program is not on PATH.
    :raises RepositoryUnreadable: there is one, and its program does not say what is in it.
    """
    for parent in (folder, *folder.parents):
        for vcs in NAMES:
            if (parent / f".{vcs}").exists():
                return _READERS[vcs](folder, environ)
    return None


def _git_repository(folder: Path, environ: Mapping[str, str]) -> Repository:
    top = _git(folder, environ, "rev-parse", "--show-toplevel")
    if not top:
        raise RepositoryUnreadable(f"git does not read the repository of {folder}")
    remote = _remote(folder, environ)
    commit = _git(folder, environ, "rev-parse", "HEAD")
    if not commit and remote is not None:
        raise RepositoryUnreadable(f"the repository of {folder} has no commit")
    subdirectory = _subdirectory(folder, Path(os.path.normpath(top)))
    return Repository(remote=remote, commit=commit or "", subdirectory=subdirectory)


def _mercurial_repository(folder: Path, environ: Mapping[str, str]) -> Repository:
    top = _ask(folder, environ, "hg", "root")
    commit = _ask(folder, environ, "hg", "parents", "--template={node}")
    if not top or not commit:
        raise RepositoryUnreadable(f"hg does not read the repository of {folder}")
    remote = _ask(folder, environ, "hg", "config", "paths.default")
    return Repository(
        remote=_without_password(remote) if remote else None,
        commit=commit,
        subdirectory=_subdirectory(folder, Path(os.path.normpath(top))),
        vcs="hg",
    )


def _subversion_repository(folder: Path, environ: Mapping[str, str]) -> Repository:
    url = _ask(folder, environ, "svn", "info", "--show-item=url")
    revision = _ask(folder, environ, "svn", "info", "--show-item=revision")
    if not url or not revision:
        raise RepositoryUnreadable(f"svn does not read the repository of {folder}")
    # The URL is that of the folder.
    return Repository(_without_password(url), revision, None, vcs="svn")


def _bazaar_repository(folder: Path, environ: Mapping[str, str]) -> Repository:
    told = _ask(folder, environ, "bzr", "info")
    revision = _ask(folder, environ, "bzr", "revno")
    if not told or not revision:
        raise RepositoryUnreadable(f"bzr does not read the repository of {folder}")
    found = re.search(r"^\s*(?:checkout of|parent) branch: (.+)$", told, re.MULTILINE)
    remote = _without_password(found[1].strip()) if found else None
    return Repository(remote, revision.splitlines()[-1], None, vcs="bzr")


_READERS: Mapping[str, Callable[[Path, Mapping[str, str]], Repository]] = {
    "git": _git_repository,
    "hg": _mercurial_repository,
    "svn": _subversion_repository,
    "bzr": _bazaar_repository,
}


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
    return _ask(folder, environ, "git", *arguments)


#: These would make git answer about another repository.
_MISLEADING = frozenset({"GIT_DIR", "GIT_WORK_TREE"})
#: And these make every program answer in the form and the language that is read here.
_PLAIN = {"HGPLAIN": "1", "LC_ALL": "C.UTF-8"}


def _ask(folder: Path, environ: Mapping[str, str], *command: str) -> str | None:
    """What a program says of the repository; ``None`` where it fails."""
    env = {name: value for name, value in environ.items() if name not in _MISLEADING}
    try:
        run = subprocess.run(
            command,
            cwd=folder,
            env=env | _PLAIN,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            encoding="utf-8",
            errors="surrogateescape",
            check=False,
        )
    except OSError as exc:
        raise ProgramMissing(f"there is no {command[0]} on PATH") from exc
    return run.stdout.strip() if run.returncode == 0 else None
