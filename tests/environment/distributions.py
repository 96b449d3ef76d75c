"""Distributions of every kind, laid out by hand as installers of all ages left them."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any


def dist_info(
    site: Path,
    name: str,
    version: str = "1.0",
    *,
    requires: Sequence[str] = (),
    files: Mapping[str, str] | None = None,
    direct_url: Mapping[str, Any] | None = None,
    folder: str | None = None,
    metadata: str | None = None,
) -> Path:
    """A ``.dist-info`` as pip leaves it. ``files`` are more of it; an empty text leaves one out."""
    info = site / (folder or f"{name.replace('-', '_')}-{version}.dist-info")
    info.mkdir(parents=True)
    lines = [f"Requires-Dist: {requirement}" for requirement in requires]
    header = "\n".join(["Metadata-Version: 2.1", f"Name: {name}", f"Version: {version}", *lines])
    contents = {
        "METADATA": metadata if metadata is not None else header + "\n\nAbout it.\n",
        "INSTALLER": "pip\n",
        "WHEEL": "Wheel-Version: 1.0\nTag: py3-none-any\n",
        "RECORD": f"{info.name}/METADATA,,\n{info.name}/RECORD,,\n",
    }
    if direct_url is not None:
        contents["direct_url.json"] = json.dumps(direct_url)
    for path, text in {**contents, **(files or {})}.items():
        if text:
            (info / path).write_text(text, encoding="utf-8")
    return info


def pkg_info(name: str, version: str) -> str:
    return f"Metadata-Version: 1.1\nName: {name}\nVersion: {version}\nSummary: old\n"


def egg_info(
    site: Path, name: str, version: str = "1.0", *, stem: str | None = None, **files: str
) -> Path:
    """An ``.egg-info`` folder as setuptools leaves it; ``files`` are its ``.txt`` files.

    Their names are with ``_`` for ``-``: ``requires``, ``installed_files``.
    """
    info = site / f"{stem or f'{name}-{version}-py3.11'}.egg-info"
    info.mkdir(parents=True)
    (info / "PKG-INFO").write_text(pkg_info(name, version))
    for file, text in files.items():
        (info / f"{file.replace('_', '-')}.txt").write_text(text)
    return info


def distutils(site: Path, name: str, version: str = "1.0") -> Path:
    """An ``.egg-info`` file as distutils left it."""
    info = site / f"{name}-{version}.egg-info"
    info.write_text(pkg_info(name, version))
    return info


def developed(site: Path, project: Path, name: str, version: str = "1.0") -> Path:
    """What ``setup.py develop`` left: the link. The project is put on the path as it did."""
    egg_info(project, name, version, stem=name.replace("-", "_"))
    (project / "setup.py").touch()
    link = site / f"{name}.egg-link"
    link.write_text(f"{project}\n.")
    _put_on_path(site, str(project))
    return link


def egg(site: Path, name: str, version: str = "1.0") -> Path:
    """An ``.egg`` folder as ``easy_install`` left it, on the path by its file."""
    folder = site / f"{name}-{version}-py3.11.egg"
    (folder / "EGG-INFO").mkdir(parents=True)
    (folder / "EGG-INFO" / "PKG-INFO").write_text(pkg_info(name, version))
    _put_on_path(site, f"./{folder.name}")
    return folder


def _put_on_path(site: Path, entry: str) -> None:
    file = site / "easy-install.pth"
    lines = file.read_text() if file.exists() else ""
    file.write_text(f"{lines}{entry}\n")


# --------------------------------------------------------------------------------------------
# Projects


def git(folder: Path, *words: str) -> None:
    settings = ["-c", "user.name=x", "-c", "user.email=x@example.org"]
    settings += ["-c", "protocol.file.allow=always", "-c", "init.defaultBranch=main"]
    subprocess.run(["git", *settings, *words], cwd=folder, check=True, capture_output=True)


def project(folder: Path, *, remote: str | None = None, repository: bool = False) -> Path:
    """A project's folder; with ``repository`` a Git repository of one commit (where git is)."""
    folder.mkdir(parents=True)
    (folder / "pyproject.toml").touch()
    if repository and shutil.which("git"):
        git(folder, "init")
        git(folder, "add", ".")
        git(folder, "commit", "-m", "start")
        if remote:
            git(folder, "remote", "add", "origin", remote)
    return folder
