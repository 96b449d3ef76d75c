"""git repositories, and a real git server: ``git http-backend`` behind the tests' own TLS.

::

    origin = Repo(tmp_path / "repos" / "demo.git")
    first = origin.commit({"pyproject.toml": "…"})
    origin.git("tag", "v1")
    with Server(git_http(tmp_path / "repos"), certificate=…) as server:
        f"git+{server.url}/demo.git@v1"
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

from support.servers import Handler, Request, Response

_PERSON = {
    "GIT_AUTHOR_NAME": "Test",
    "GIT_AUTHOR_EMAIL": "test@example.org",
    "GIT_COMMITTER_NAME": "Test",
    "GIT_COMMITTER_EMAIL": "test@example.org",
    "GIT_AUTHOR_DATE": "2024-01-01T00:00:00Z",
    "GIT_COMMITTER_DATE": "2024-01-01T00:00:00Z",
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": os.devnull,
}


class Repo:
    """A repository with a work tree, served as it is."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True)
        self.git("init", "--quiet", "--initial-branch", "main")
        self.git("config", "uploadpack.allowFilter", "true")
        self.git("config", "uploadpack.allowAnySHA1InWant", "true")

    @property
    def head(self) -> str:
        return self.git("rev-parse", "HEAD")

    def commit(self, files: Mapping[str, str]) -> str:
        """Commit these files beside what is there; the commit's name."""
        for name, text in files.items():
            path = self.folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        self.git("add", "--all")
        self.git("commit", "--quiet", "--allow-empty", "--message", "a change")
        return self.head

    def submodule(self, other: Repo) -> None:
        """Take in another, under ``lib``; its URL in ``.gitmodules`` is the test's to set."""
        add = ("-c", "protocol.file.allow=always", "submodule", "add", "--quiet")
        self.git(*add, str(other.folder), "lib")

    def git(self, *words: str) -> str:
        done = subprocess.run(
            ["git", *words],
            cwd=self.folder,
            env={**os.environ, **_PERSON},
            check=True,
            capture_output=True,
            text=True,
        )
        return done.stdout.strip()


def git_http(root: Path) -> Handler:
    """Every repository below ``root``, by its folder's name, read-only."""

    def handler(request: Request) -> Response:
        environ = {
            "PATH": os.environ["PATH"],
            "HOME": str(root),
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_PROJECT_ROOT": str(root),
            "GIT_HTTP_EXPORT_ALL": "1",
            "GIT_CONFIG_COUNT": "1",
            "GIT_CONFIG_KEY_0": "safe.directory",
            "GIT_CONFIG_VALUE_0": "*",
            "REQUEST_METHOD": request.method,
            "PATH_INFO": request.path,
            "QUERY_STRING": request.parts.query,
            "CONTENT_TYPE": request.headers.get("Content-Type", ""),
            "CONTENT_LENGTH": str(len(request.body)),
            "HTTP_CONTENT_ENCODING": request.headers.get("Content-Encoding", ""),
            "GIT_PROTOCOL": request.headers.get("Git-Protocol", ""),
        }
        done = subprocess.run(
            ["git", "http-backend"], env=environ, input=request.body, capture_output=True
        )
        head, _, body = done.stdout.partition(b"\r\n\r\n")
        lines = (line.partition(":") for line in head.decode().splitlines())
        headers = {name: value.strip() for name, _, value in lines}
        status = int(headers.pop("Status", "200").split()[0])
        return Response(status, body, headers)

    return handler
