"""A git repository at one revision, by the ``git`` program.

The program verifies servers by the decided trust, which reaches it as variables
(:func:`kedge.trust.export.variables`), and goes through the decided proxy. The credentials of a URL
are handed to it through its environment and a helper that answers for the URL's origin alone: they
stand in no command line, in no ``.git/config``, and no other server or helper gets to know them.
It asks nobody anything.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from urllib.parse import urlsplit

from kedge.build.repository import Repository
from kedge.classes import frozen

#: Runs a program to its end; its output, line by line. Raises what a failing program raises.
Run = Callable[[Sequence[str], "Path | None", Mapping[str, str]], Sequence[str]]

_USER, _PASSWORD = "KEDGE_GIT_USERNAME", "KEDGE_GIT_PASSWORD"
_HELPER = (
    f'!f() {{ test "$1" = get && printf "username=%s\\npassword=%s\\n" "${_USER}" "${_PASSWORD}"; '
    "}; f"
)
#: They would lead git to another repository, or loosen what it verifies.
_MISLEADING = frozenset(
    (
        "GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_OBJECT_DIRECTORY", "GIT_NAMESPACE",
        "GIT_ALTERNATE_OBJECT_DIRECTORIES", "GIT_COMMON_DIR", "GIT_SSL_NO_VERIFY",
        "GIT_ALLOW_PROTOCOL", "GIT_PROTOCOL_FROM_USER", "GIT_TRACE_REDACT",
    )
)  # fmt: skip
_HASH = re.compile(r"[0-9a-f]{40}([0-9a-f]{24})?")
#: What no branch or tag is called, and what makes an expression of a name: ``main~1``.
_NO_NAME = re.compile(r"[\^~:?*\[\\]|@\{")
#: pip's variable for servers that offer partial clones and break them.
_NO_PARTIAL = "PIP_NO_PARTIAL_CLONE_FOR_BROKEN_GIT_SERVER"


@frozen(kw_only=True)
class Commit:
    """What a revision came to. ``immutable``: it was the commit's own name, and of nothing else."""

    id: str
    immutable: bool


class Git:
    """One repository and the folder that it is checked out into.

    ``verified``: whether the server's certificate counts; a ``--trusted-host`` has it not count.
    """

    def __init__(
        self,
        repository: Repository,
        folder: Path,
        run: Run,
        environ: Mapping[str, str],
        *,
        verified: bool = True,
    ) -> None:
        self._repository = repository
        self._folder = folder
        self._run_program = run
        self._environ = environment(environ, repository)
        self._options = options(repository, environ.get("GIT_SSL_CAINFO"), verified=verified)

    def clone(self) -> Commit:
        """Everything into the folder, which must not exist, at the revision that was asked for."""
        arguments = ["clone", "--quiet", "--no-checkout"]
        if self._repository.transport != "file" and not self._environ.get(_NO_PARTIAL):
            arguments.append("--filter=blob:none")
        self._run(*arguments, "--", self._repository.url, str(self._folder), inside=False)
        return self._check_out()

    def switch(self) -> Commit:
        """The folder, which is a checkout of another repository, to this one."""
        self._run("remote", "set-url", "origin", "--", self._repository.url)
        return self.update()

    def as_it_is(self) -> Commit:
        """The folder, whatever it is a checkout of, untouched."""
        return Commit(id=self._commit_of("HEAD") or "", immutable=False)

    def update(self) -> Commit:
        """The folder, which is a checkout of the repository, to the revision; as pip, what was
        changed in tracked files is lost.
        """
        self._run("fetch", "--quiet", "--tags", "--force", "origin")
        return self._check_out(force=True)

    def remote(self) -> str | None:
        """The URL that the folder is a checkout of; ``None`` where it is none of git's."""
        if not (self._folder / ".git").exists():
            return None
        lines = self._run("config", "--get", "remote.origin.url")
        return lines[-1] if lines else None

    # -- revisions

    def _check_out(self, *, force: bool = False) -> Commit:
        revision = self._repository.revision
        forced = ["--force"] if force else []
        name = revision if revision and not _NO_NAME.search(revision) else None
        branch = self._commit_of(f"refs/remotes/origin/{name}") if name else None
        tag = self._commit_of(f"refs/tags/{name}") if name and not branch else None
        if revision is None and force:
            self._run("checkout", *forced, "--quiet", "--detach", "refs/remotes/origin/HEAD")
        elif revision is None:
            self._run("checkout", "--quiet")
        elif branch:
            track = f"refs/remotes/origin/{revision}"
            self._run("checkout", *forced, "--quiet", "-B", revision, "--track", track)
        else:
            commit = tag or self._other(revision)
            self._run("checkout", *forced, "--quiet", "--detach", commit)
        if (self._folder / ".gitmodules").is_file():
            self._run("submodule", "--quiet", "update", "--init", "--recursive")
        commit = self._commit_of("HEAD") or ""
        return Commit(id=commit, immutable=commit == revision and not branch and not tag)

    def _other(self, revision: str) -> str:
        """A ref or a commit that no branch and no tag is called; fetched where it is missing."""
        known = None if revision.startswith("refs/") else self._commit_of(revision)
        if known is not None:
            return known
        if revision.startswith("refs/") or _HASH.fullmatch(revision):
            self._run("fetch", "--quiet", "origin", revision)
            return self._commit_of("FETCH_HEAD") or revision
        return revision

    def _commit_of(self, name: str) -> str | None:
        arguments = ("rev-parse", "--quiet", "--verify", f"{name}^{{commit}}")
        lines = self._run(*arguments, may_fail=True)
        return next((line for line in reversed(lines) if _HASH.fullmatch(line)), None)

    def _run(self, *arguments: str, inside: bool = True, may_fail: bool = False) -> Sequence[str]:
        command = ["git", *self._options, *arguments]
        folder = self._folder if inside else None
        if not may_fail:
            return self._run_program(command, folder, self._environ)
        from kedge.build.children import ChildFailed

        try:
            return self._run_program(command, folder, self._environ)
        except ChildFailed:
            return ()


def environment(environ: Mapping[str, str], repository: Repository) -> dict[str, str]:
    """The variables that git gets: nothing that misleads it, no way to ask, the credentials."""
    kept = {name: value for name, value in environ.items() if name not in _MISLEADING}
    kept["GIT_TERMINAL_PROMPT"] = "0"
    kept["GIT_ASKPASS"] = ""
    kept.setdefault("GIT_SSH_COMMAND", "ssh -oBatchMode=yes")
    if repository.credentials is not None:
        kept[_USER], kept[_PASSWORD] = repository.credentials
    return kept


def options(repository: Repository, bundle: str | None, *, verified: bool) -> list[str]:
    """``-c`` options, none of them a secret: which transports, what is verified, who answers.

    Only ``https`` and ``ssh`` are open to submodules and redirects, and what the URL itself uses:
    ``ext::`` would run a program, and a redirect from https to http is refused.
    """
    allowed = {"https": "always", "ssh": "always"}
    # git's own rule for files since 2.38.1: what the user names, and not what a submodule names.
    allowed.setdefault(repository.transport, "user" if repository.transport == "file" else "always")
    settings = {"protocol.allow": "never"}
    settings |= {f"protocol.{name}.allow": when for name, when in allowed.items()}
    settings["http.sslVerify"] = "true"
    if bundle is not None:
        settings["http.proxySSLCAInfo"] = bundle
    found = [f"{name}={value}" for name, value in settings.items()]
    origin = _origin(repository)
    if origin is not None:
        found.append(f"http.{origin}.sslVerify={'true' if verified else 'false'}")
    if origin is not None and repository.credentials is not None:
        # The empty one first: no helper of the user's is asked, or told what to remember.
        found += [f"credential.{origin}.helper=", f"credential.{origin}.helper={_HELPER}"]
    return [word for setting in found for word in ("-c", setting)]


def _origin(repository: Repository) -> str | None:
    if repository.transport not in ("https", "http"):
        return None
    return f"{repository.transport}://{urlsplit(repository.url).netloc}"
