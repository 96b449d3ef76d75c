"""What a version control URL asks for, and what no program is ever given."""

from __future__ import annotations

import pytest

from kedge.build.repository import Repository, parse_repository
from kedge.errors import SourceError


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        pytest.param(
            "git+https://git.test/a/b.git",
            Repository(vcs="git", url="https://git.test/a/b.git", transport="https"),
            id="plain",
        ),
        pytest.param(
            "git+https://git.test/a.git@v1.0#egg=a&subdirectory=b",
            Repository(vcs="git", url="https://git.test/a.git", transport="https", revision="v1.0"),
            id="a-revision-and-a-fragment",
        ),
        pytest.param(
            "git+https://me:pass%40word@git.test/a.git@feature/x",
            Repository(
                vcs="git",
                url="https://git.test/a.git",
                transport="https",
                revision="feature/x",
                credentials=("me", "pass@word"),
            ),
            id="credentials",
        ),
        pytest.param(
            "git+https://token@git.test/a.git",
            Repository(
                vcs="git",
                url="https://git.test/a.git",
                transport="https",
                credentials=("token", ""),
            ),
            id="a-token",
        ),
        pytest.param(
            "git+ssh://git@git.test:2222/a.git@refs/pull/1/head",
            Repository(
                vcs="git",
                url="ssh://git@git.test:2222/a.git",
                transport="ssh",
                revision="refs/pull/1/head",
            ),
            id="ssh-keeps-its-account",
        ),
        pytest.param(
            "git+ssh://git:secret@git.test/a.git",
            Repository(vcs="git", url="ssh://git@git.test/a.git", transport="ssh"),
            id="ssh-has-no-password",
        ),
        pytest.param(
            "git+file:///srv/a.git@main",
            Repository(vcs="git", url="file:///srv/a.git", transport="file", revision="main"),
            id="file",
        ),
        pytest.param(
            "git+https://git.test/a.git@a%20b%2Fc",
            None,
            id="white-space-in-a-revision",
        ),
        pytest.param(
            "HG+https://hg.test/a@tip",
            Repository(vcs="hg", url="https://hg.test/a", transport="https", revision="tip"),
            id="mercurial",
        ),
        pytest.param("git+https://git.test/a.git@", None, id="an-empty-revision"),
        pytest.param("git+https://git.test/a.git@--upload-pack=x", None, id="an-option"),
        pytest.param("git+https://git.test/a.git@%2D%2Dexec", None, id="an-option-in-disguise"),
        pytest.param("git+ssh://-oProxyCommand=x/a.git", None, id="an-option-for-ssh"),
        pytest.param("git+ssh://-oProxyCommand=x@git.test/a", None, id="an-option-as-account"),
        pytest.param("git+ext://sh -c x", None, id="a-program"),
        pytest.param("git+ext::sh", None, id="a-program-again"),
        pytest.param("git+https:///a.git", None, id="no-host"),
        pytest.param("git+https://[git.test/a", None, id="no-url"),
        pytest.param("git://git.test/a", None, id="no-prefix"),
        pytest.param("git+lp:a", None, id="another-program's"),
        pytest.param("git+https://git.test/a\tb", None, id="a-tab"),
    ],
)
def test_is_read(url: str, expected: Repository | None) -> None:
    if expected is None:
        with pytest.raises(SourceError):
            parse_repository(url)
    else:
        assert parse_repository(url) == expected


def test_a_password_is_never_shown() -> None:
    found = parse_repository("git+https://me:secret@git.test/a.git@v1")
    assert "secret" not in f"{found} {found!r}"
    with pytest.raises(SourceError) as refused:
        parse_repository("git+https://me:secret@git.test/a.git@")
    assert "secret" not in f"{refused.value.message} {refused.value.source}"


@pytest.mark.parametrize(
    ("revision", "names"),
    [("a" * 40, True), ("A" * 40, False), ("a" * 64, True), ("a" * 12, False), ("main", False)],
)
def test_what_has_the_form_of_a_commit(revision: str, names: bool) -> None:
    assert parse_repository(f"git+https://git.test/a@{revision}").names_commit is names
