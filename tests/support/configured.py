"""Settings without a disk: what a command line, variables and the texts of files come to."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from textwrap import dedent

from kedge.settings.files import ConfigFile, FileKind, Platform
from kedge.settings.ini import parse_ini
from kedge.settings.merge import merge
from kedge.settings.snapshot import Snapshot
from kedge.settings.values import Settings

LINUX = Platform(system="linux", home="/home/ada", home_of={"bob": "/home/bob"}.get)

PATHS = {
    FileKind.GLOBAL: "/etc/pip.conf",
    FileKind.USER: "/home/ada/.config/pip/pip.conf",
    FileKind.SITE: "/venv/pip.conf",
    FileKind.NAMED: "/named/pip.conf",
}


def snapshot_of(
    environ: Mapping[str, str] | None = None,
    *,
    machine: str = "",
    user: str = "",
    site: str = "",
    named: str = "",
    isolated: bool = False,
    platform: Platform = LINUX,
) -> Snapshot:
    """A snapshot as if these were the texts of the machine's, the user's, ... file."""
    texts = dict(zip(FileKind, (machine, user, site, named), strict=True))
    return Snapshot(
        environ=dict(environ or {}),
        platform=platform,
        isolated=isolated,
        files=tuple(
            ConfigFile(kind=kind, path=PATHS[kind], exists=True, ini=parse_ini(dedent(text)))
            for kind, text in texts.items()
            if text
        ),
    )


def configured(line: str, environ: Mapping[str, str] | None = None, **files: str) -> Settings:
    """The settings of a command line, given as one would type it."""
    return merge(shlex.split(line), snapshot_of(environ, **files))  # type: ignore[arg-type]
