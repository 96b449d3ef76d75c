"""Which paths of a wheel may become files: one table."""

from __future__ import annotations

import pytest

from kedge.install.paths import collisions, path_problem


@pytest.mark.parametrize(
    "path",
    [
        "a.py",
        "pkg/a.py",
        "pkg/with blank/ä.txt",
        "pkg/..a/b..c",
        ".hidden",
        "ab:c/d",
        "pkg/con",
        ".kedgerc",
    ],
)
def test_accepted(path: str) -> None:
    assert path_problem(path) is None


@pytest.mark.parametrize(
    ("path", "word"),
    [
        ("", "empty"),
        ("../a", "out"),
        ("pkg/../../a", "out"),
        ("pkg/..", "out"),
        ("/etc/passwd", "absolute"),
        ("//server/share", "absolute"),
        ("C:/windows/x", "drive"),
        ("c:x", "drive"),
        ("pkg\\a.py", "backslash"),
        ("..\\a.py", "backslash"),
        ("pkg/a\x00.py", "control"),
        ("pkg/a\n.py", "control"),
        ("./a.py", "part"),
        ("pkg//a.py", "part"),
        ("pkg/\udcff", "Unicode"),
        (".kedge/journal", "kedge"),
        ("demo.data/data/.Kedge-12ab/backup/1", "kedge"),
    ],
)
def test_refused_everywhere(path: str, word: str) -> None:
    assert word in (path_problem(path) or "")
    assert word in (path_problem(path, windows=True) or "")


@pytest.mark.parametrize(
    "path",
    ["pkg/con", "pkg/NUL.txt", "aux/a.py", "pkg/a.py.", "pkg /a.py", "ab:c/d", "pkg/a?.py", "com1"],
)
def test_refused_on_windows_alone(path: str) -> None:
    assert path_problem(path) is None
    assert path_problem(path, windows=True)


@pytest.mark.parametrize(
    ("paths", "fold_case", "found"),
    [
        (["a", "b/a", "b/c"], True, 0),
        (["a", "a/b"], False, 1),
        (["a/b/c", "a/b"], False, 1),
        (["A", "a"], False, 0),
        (["A", "a"], True, 1),
        (["Pkg/a", "pkg/A"], True, 1),
        (["Pkg/a", "pkg/b"], True, 0),
        (["A", "a/b"], True, 1),
    ],
)
def test_collisions(paths: list[str], fold_case: bool, found: int) -> None:
    assert len(list(collisions(paths, fold_case=fold_case))) == found
