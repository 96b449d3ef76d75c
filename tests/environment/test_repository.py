from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from environment.distributions import dist_info, git, project
from kedge.environment.freeze import Locate, freeze
from kedge.environment.installed import installed
from kedge.environment.repository import (
    ProgramMissing,
    Repository,
    RepositoryUnreadable,
    repository_of,
)

needs_git = pytest.mark.tool("git")


def head(folder: Path) -> str:
    run = subprocess.run(
        ["git", "rev-parse", "HEAD"], cwd=folder, capture_output=True, text=True, check=True
    )
    return run.stdout.strip()


@needs_git
def test_a_project_at_the_top_and_one_below(tmp_path: Path) -> None:
    top = project(tmp_path / "top", remote="https://example.org/top", repository=True)
    below = project(top / "libs" / "one")
    commit = head(top)
    url = "https://example.org/top"
    assert repository_of(top, environ=os.environ) == Repository(url, commit, None)
    assert repository_of(below, environ=os.environ) == Repository(url, commit, "libs/one")
    inside = below / "src" / "package"
    inside.mkdir(parents=True)
    assert repository_of(inside, environ=os.environ) == Repository(url, commit, "libs/one")


@needs_git
def test_origin_comes_before_other_remotes(tmp_path: Path) -> None:
    made = project(tmp_path / "p", repository=True)
    git(made, "remote", "add", "fork", "https://example.org/fork")
    found = repository_of(made, environ=os.environ)
    assert found is not None
    assert found.url == "https://example.org/fork"
    git(made, "remote", "add", "origin", "https://example.org/origin")
    found = repository_of(made, environ=os.environ)
    assert found is not None
    assert found.url == "https://example.org/origin"


@needs_git
def test_the_environment_does_not_name_another_repository(tmp_path: Path) -> None:
    other = project(tmp_path / "other", remote="https://example.org/other", repository=True)
    made = project(tmp_path / "p", remote="https://example.org/p", repository=True)
    environ = {**os.environ, "GIT_DIR": str(other / ".git"), "GIT_WORK_TREE": str(other)}
    found = repository_of(made, environ=environ)
    assert found is not None
    assert found.url == "https://example.org/p"


def test_a_folder_without_one(tmp_path: Path) -> None:
    assert repository_of(project(tmp_path / "p"), environ={}) is None


def test_without_git_a_repository_is_not_taken_for_none(tmp_path: Path) -> None:
    made = project(tmp_path / "p")
    (made / ".git").mkdir()
    with pytest.raises(ProgramMissing):
        repository_of(made, environ={"PATH": str(tmp_path)})


@needs_git
def test_what_git_does_not_read(tmp_path: Path) -> None:
    damaged = project(tmp_path / "damaged")
    (damaged / ".git").mkdir()
    empty = project(tmp_path / "empty")
    git(empty, "init")
    git(empty, "remote", "add", "origin", "https://example.org/empty")
    for folder in (damaged, empty):
        with pytest.raises(RepositoryUnreadable, match=str(folder)):
            repository_of(folder, environ=os.environ)


@needs_git
def test_without_a_remote_no_commit_is_needed(tmp_path: Path) -> None:
    made = project(tmp_path / "p")
    git(made, "init")
    assert repository_of(made, environ=os.environ) == Repository(None, "", None)


@pytest.mark.parametrize(
    ("remote", "kept"),
    [
        ("https://user:secret@example.org/a", "https://example.org/a"),
        ("https://token@example.org/a", "https://example.org/a"),
        ("ssh://git@example.org/a", "ssh://git@example.org/a"),
        ("ssh://git:secret@example.org:22/a", "ssh://git@example.org:22/a"),
        ("git@example.org:a", "git@example.org:a"),
    ],
)
@needs_git
def test_passwords_are_left_out(remote: str, kept: str, tmp_path: Path) -> None:
    made = project(tmp_path / "p", remote=remote, repository=True)
    found = repository_of(made, environ=os.environ)
    assert found is not None
    assert found.remote == kept


@pytest.mark.parametrize(
    ("remote", "url"),
    [
        ("https://example.org/a", "https://example.org/a"),
        ("git@example.org:a/b", "ssh://git@example.org/a/b"),
        ("example.org:a/b", "ssh://example.org/a/b"),
        ("/no/such/folder", None),
        (None, None),
    ],
)
def test_remotes_as_urls(remote: str | None, url: str | None) -> None:
    assert Repository(remote, "c0", None).url == url


def test_a_folder_as_a_remote_is_a_file_url(tmp_path: Path) -> None:
    assert Repository(str(tmp_path), "c0", None).url == tmp_path.as_uri()


# --------------------------------------------------------------------------------------------
# In what freeze writes


def frozen(site: Path, locate: Locate) -> tuple[list[str], list[str]]:
    location = site / "project"
    direct_url = {"url": location.as_uri(), "dir_info": {"editable": True}}
    dist_info(site, "My-Demo", "1.0", direct_url=direct_url)
    told: list[str] = []
    lines = list(freeze(installed([site]).values(), locate=locate, warn=told.append))
    return lines, told


def refusing(error: Exception) -> Locate:
    def locate(_: Path) -> Repository | None:
        raise error

    return locate


def test_an_editable_project_whose_version_is_not_known(tmp_path: Path) -> None:
    location = tmp_path / "project"
    lines, told = frozen(tmp_path, refusing(ProgramMissing("no git")))
    assert lines == [f"-e {location}"]
    assert len(told) == 1
    assert "no git" in told[0]


def test_an_editable_project_that_git_does_not_read(tmp_path: Path) -> None:
    lines, told = frozen(tmp_path, refusing(RepositoryUnreadable("another user's")))
    assert lines == [
        "## !! Could not determine repository location",
        f"-e {tmp_path / 'project'}",
    ]
    assert "another user's" in told[0]


def test_an_editable_project_in_a_repository(tmp_path: Path) -> None:
    repository = Repository("git://example.org/a", "c0", "b/c")
    lines, told = frozen(tmp_path, lambda _: repository)
    assert lines == ["-e git+git://example.org/a@c0#egg=My_Demo&subdirectory=b/c"]
    assert told == []


# --------------------------------------------------------------------------------------------
# The other programs, beside pip


def run(*command: str, folder: Path) -> None:
    subprocess.run(command, cwd=folder, check=True, capture_output=True)


@pytest.mark.tool("hg")
def test_a_mercurial_clone(tmp_path: Path) -> None:
    origin = project(tmp_path / "origin")
    project(origin / "libs")
    run("hg", "init", folder=origin)
    run("hg", "commit", "--addremove", "--message", "one", "--user", "x", folder=origin)
    clone = tmp_path / "clone"
    run("hg", "clone", str(origin), str(clone), folder=tmp_path)
    node = subprocess.check_output(["hg", "parents", "--template={node}"], cwd=origin, text=True)
    found = repository_of(clone / "libs", environ=os.environ)
    assert found == Repository(str(origin), node, "libs", vcs="hg")
    lines, _ = frozen(tmp_path, lambda _: found)
    assert lines == [f"-e hg+{origin.as_uri()}@{node}#egg=My_Demo&subdirectory=libs"]
    (clone / ".hg" / "hgrc").write_text("[paths]\ndefault = https://me:secret@example.org/a\n")
    remote = repository_of(clone, environ=os.environ)
    assert remote is not None
    assert remote.url == "https://example.org/a"
    alone = repository_of(origin, environ=os.environ)
    assert alone is not None
    lines, _ = frozen(tmp_path / "second", lambda _: alone)
    assert lines[0] == "# Editable Mercurial install with no remote (My-Demo==1.0)"


@pytest.mark.tool("svn")
def test_a_subversion_checkout(tmp_path: Path) -> None:
    run("svnadmin", "create", str(tmp_path / "store"), folder=tmp_path)
    url = (tmp_path / "store").as_uri()
    checkout = tmp_path / "checkout"
    run("svn", "checkout", url, str(checkout), folder=tmp_path)
    below = project(checkout / "libs")
    run("svn", "add", "libs", folder=checkout)
    run("svn", "commit", "--message", "one", folder=checkout)
    run("svn", "update", folder=checkout)
    found = repository_of(below, environ=os.environ)
    assert found == Repository(f"{url}/libs", "1", None, vcs="svn")
    lines, _ = frozen(tmp_path, lambda _: found)
    assert lines == [f"-e svn+{url}/libs@1#egg=My_Demo"]


def test_the_innermost_repository_counts(tmp_path: Path) -> None:
    outer = project(tmp_path / "outer")
    (outer / ".git").mkdir()
    inner = project(outer / "inner")
    (inner / ".bzr").mkdir()
    with pytest.raises(ProgramMissing, match="bzr"):
        repository_of(inner, environ={"PATH": str(tmp_path)})
