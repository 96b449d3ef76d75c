"""kedge in the test's process, over an index that a test fills with sources and their helpers."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from kedge.cli.main import main
from support.indexes import SimpleIndex
from support.pki import Authority
from support.servers import Server
from support.venvs import Venv
from support.wheels import Artifact


@dataclass(frozen=True)
class Shop:
    """``offer`` puts distributions on the index, ``run`` runs a command that trusts its authority.

    ``temporary`` is the folder for temporary files.
    """

    index: SimpleIndex
    server: Server
    authority: Authority
    environ: dict[str, str]
    cache: Path
    temporary: Path

    @property
    def index_url(self) -> str:
        return f"{self.server.url}/simple/"

    def offer(self, *artifacts: Artifact) -> None:
        self.index.add(*artifacts)

    def url_of(self, artifact: Artifact) -> str:
        return f"{self.server.url}/files/{artifact.filename}"

    def run(self, command: str, venv: Venv, *words: str | Path, **environ: str) -> int:
        index = ["-i", self.index_url] if command == "install" else []
        line = [command, "--python", str(venv.python), *index, "--cache-dir", str(self.cache)]
        return main([*line, *map(str, words)], environ={**self.environ, **environ})

    def left_behind(self) -> list[Path]:
        """What there is in the folder for temporary files."""
        return sorted(self.temporary.iterdir())
