"""Repositories into folders: which program does it, and what became of the revision.

git is told all that was decided; Mercurial, Subversion and Bazaar are told whom to trust, and are
given no credentials, since each takes them on its command line or from its own configuration only.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from kedge.build.children import ChildFailed, Children
from kedge.build.git import Commit, Git, Run
from kedge.build.report import BuildReporter
from kedge.build.repository import Repository
from kedge.classes import frozen
from kedge.errors import BuildError, SourceError
from kedge.model import redact_text

_PROGRAMS = {"git": "git", "hg": "Mercurial", "svn": "Subversion", "bzr": "Bazaar"}


@frozen(kw_only=True)
class Checkout:
    """A repository in a folder. ``immutable``: what was asked for can never be anything else."""

    folder: Path
    commit: str
    immutable: bool


class Repositories:
    """Checks repositories out. ``environ`` is for the programs, the decided trust in it."""

    def __init__(
        self, children: Children, environ: Mapping[str, str], reporter: BuildReporter
    ) -> None:
        self._children = children
        self._environ = environ
        self._reporter = reporter

    def check_out(self, repository: Repository, folder: Path, *, verified: bool = True) -> Checkout:
        """Into a folder that does not exist yet.

        :raises SourceError: the program is not there, or the URL has what it cannot be given.
        :raises BuildError: it failed; with all that it said.
        """
        self._check(repository)
        try:
            if repository.vcs == "git":
                commit = self._git(repository, folder, verified=verified).clone()
                return Checkout(folder=folder, commit=commit.id, immutable=commit.immutable)
            return _Other(repository, folder, self._run, self._environ).check_out()
        except ChildFailed as exc:
            raise self._failed(repository, exc) from exc

    def update(self, repository: Repository, folder: Path, *, verified: bool = True) -> Checkout:
        """A folder that :meth:`is_checkout` knows, brought to the revision. Raises likewise."""
        git = self._git(repository, folder, verified=verified)
        return self._checked_out(repository, folder, git.update)

    def switch(self, repository: Repository, folder: Path, *, verified: bool = True) -> Checkout:
        """A checkout of another repository, made one of this. Raises likewise."""
        git = self._git(repository, folder, verified=verified)
        return self._checked_out(repository, folder, git.switch)

    def as_it_is(self, repository: Repository, folder: Path) -> Checkout:
        """Whatever the folder holds. Raises likewise."""
        return self._checked_out(repository, folder, self._git(repository, folder).as_it_is)

    def _checked_out(
        self, repository: Repository, folder: Path, work: Callable[[], Commit]
    ) -> Checkout:
        self._check(repository)
        if repository.vcs != "git":
            raise SourceError(
                f"{folder} is there already, and kedge brings only git's checkouts up to date.",
                source=str(repository),
                hint="Remove it, or update it yourself and install the folder with -e.",
            )
        try:
            commit = work()
        except ChildFailed as exc:
            raise self._failed(repository, exc) from exc
        return Checkout(folder=folder, commit=commit.id, immutable=commit.immutable)

    def is_checkout(self, repository: Repository, folder: Path) -> bool:
        """Whether the folder is a checkout of that repository (of git's; of others none is)."""
        if repository.vcs != "git" or not folder.is_dir():
            return False
        self._check(repository)
        try:
            return self._git(repository, folder).remote() == repository.url
        except ChildFailed:
            return False

    def _git(self, repository: Repository, folder: Path, *, verified: bool = True) -> Git:
        return Git(repository, folder, self._run, self._environ, verified=verified)

    def _check(self, repository: Repository) -> None:
        name = _PROGRAMS[repository.vcs]
        if shutil.which(repository.vcs, path=self._environ.get("PATH")) is None:
            raise SourceError(
                f"{repository} needs {name}, and there is no program {repository.vcs!r} on PATH.",
                source=str(repository),
                hint=f"Install {name}, or name an archive of the project instead.",
            )
        if repository.credentials is not None and repository.vcs != "git":
            raise SourceError(
                f"{repository} holds credentials, which kedge cannot hand to {name} unseen.",
                source=str(repository),
                hint=f"Leave them out of the URL, and give them to {name} in its configuration.",
            )

    def _run(
        self, command: Sequence[str], folder: Path | None, environ: Mapping[str, str]
    ) -> Sequence[str]:
        def heard(line: str) -> None:
            self._reporter.build_output(command[0], redact_text(line))

        return self._children.run(command, cwd=folder, environ=environ, heard=heard)

    def _failed(self, repository: Repository, failure: ChildFailed) -> BuildError:
        said = [redact_text(line) for line in failure.lines]
        hint = None
        if repository.transport == "https":
            hint = f"If the connection is at fault, this tells why: kedge doctor {repository.url}"
        return BuildError(
            f"{repository} cannot be checked out: {repository.vcs} ended with exit code "
            f"{failure.code}.",
            source=str(repository),
            output=said,
            hint=hint,
        )


class _Other:
    """Mercurial, Subversion or Bazaar: one command each, and one that tells the revision."""

    def __init__(
        self, repository: Repository, folder: Path, run: Run, environ: Mapping[str, str]
    ) -> None:
        self._repository = repository
        self._folder = folder
        self._run = run
        self._environ = environ

    def check_out(self) -> Checkout:
        match self._repository.vcs:
            case "hg":
                return self._mercurial()
            case "svn":
                return self._subversion()
            case _:
                return self._bazaar()

    def _mercurial(self) -> Checkout:
        url, revision = self._repository.url, self._repository.revision
        trust = [f"--config=web.cacerts={self._bundle}"] if self._bundle else []
        self._do("hg", *trust, "clone", "--noupdate", "--quiet", "--", url, str(self._folder))
        # In one word: a revision never becomes an option of hg's own.
        wanted = [f"--rev={revision}"] if revision else []
        self._do("hg", "update", "--quiet", *wanted, inside=True)
        commit = self._last("hg", "parents", "--template={node}", pattern="[0-9a-f]{40}")
        return Checkout(folder=self._folder, commit=commit, immutable=commit == revision)

    def _subversion(self) -> Checkout:
        url, revision = self._repository.url, self._repository.revision
        if self._repository.transport == "ssh":
            url = f"svn+{url}"
        trust = ["--non-interactive"]
        if self._bundle:
            trust += [
                f"--config-option=servers:global:ssl-authority-files={self._bundle}",
                "--config-option=servers:global:ssl-trust-default-ca=no",
            ]
        wanted = [f"--revision={revision}"] if revision else []
        self._do("svn", "checkout", "--quiet", *trust, *wanted, "--", url, str(self._folder))
        commit = self._last("svn", "info", "--show-item=revision", pattern=r"\d+")
        return Checkout(folder=self._folder, commit=commit, immutable=False)

    def _bazaar(self) -> Checkout:
        url, revision = self._repository.url, self._repository.revision
        trust = [f"-Ossl.ca_certs={self._bundle}"] if self._bundle else []
        wanted = [f"--revision={revision}"] if revision else []
        what = ("--lightweight", "--quiet", *wanted, "--", url, str(self._folder))
        self._folder.parent.mkdir(parents=True, exist_ok=True)  # the others make it themselves
        self._do("bzr", "checkout", *trust, *what)
        commit = self._last("bzr", "revno", pattern=r"[\d.]+")
        return Checkout(folder=self._folder, commit=commit, immutable=False)

    @property
    def _bundle(self) -> str | None:
        return self._environ.get("CURL_CA_BUNDLE")

    def _do(self, *command: str, inside: bool = False) -> Sequence[str]:
        return self._run(command, self._folder if inside else None, self._environ)

    def _last(self, *command: str, pattern: str) -> str:
        lines = self._do(*command, inside=True)
        return next((line for line in reversed(lines) if re.fullmatch(pattern, line)), "")
