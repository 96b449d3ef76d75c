"""What a lock file makes of itself for one target: pins, files, places, refusals."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from kedge.environment import current
from kedge.errors import RequirementError
from kedge.model import Origin, OriginKind, Sourced
from kedge.requirements import (
    Locked,
    LockRequest,
    RequestedKind,
    hash_checking,
    lock_requests,
    parse_file,
    read_lock,
)

FLAG = Origin(OriginKind.COMMAND_LINE, "-r")
SHA = "ab" * 32
HEAD = 'lock-version = "1.0"\ncreated-by = "test"\n'
WHEEL = f"""
[[packages]]
name = "spam"
version = "1.0"
[[packages.wheels]]
name = "spam-1.0-py3-none-any.whl"
url = "https://files.test/spam-1.0-py3-none-any.whl"
size = 7
upload-time = 2024-01-02T03:04:05Z
hashes = {{sha256 = "{SHA}"}}
"""


def package(rest: str, name: str = "spam") -> str:
    return f'\n[[packages]]\nname = "{name}"\n{rest}\n'


@dataclass(frozen=True)
class Fetched:
    url: str
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Web:
    body: str

    def get(self, url: str) -> Fetched:
        return Fetched(url, self.body.encode())


def read(folder: Path, text: str, *, url: str = "", sdists: bool = False, **wanted: Any) -> Locked:
    place = url or str(folder / "pylock.toml")
    if not url:
        (folder / "pylock.toml").write_text(HEAD + text)
    python = current()
    return read_lock(
        LockRequest(place, FLAG, **wanted),
        Web(HEAD + text) if url else None,
        markers=python.markers,
        tags=python.tags,
        prefers_sdist=lambda name: sdists,
    )


def test_a_wheel_is_pinned_hashed_and_the_only_one(tmp_path: Path) -> None:
    found = read(tmp_path, WHEEL)
    (pin,), (file,) = found.requirements, found.files
    assert (str(pin.specifier), list(pin.hashes)) == ("==1.0", [("sha256", SHA)])
    assert (file.name, file.url, file.size) == (
        "spam",
        "https://files.test/spam-1.0-py3-none-any.whl",
        7,
    )
    assert file.upload_time == "2024-01-02T03:04:05+00:00"
    assert hash_checking(found.requirements)


def test_a_wheel_beside_the_lock(tmp_path: Path) -> None:
    text = WHEEL.replace('url = "https://files.test/', 'path = "./wheels/')
    (file,) = read(tmp_path, text).files
    assert file.url == (tmp_path / "wheels" / "spam-1.0-py3-none-any.whl").as_uri()


def test_a_wheel_beside_a_lock_behind_a_url(tmp_path: Path) -> None:
    text = WHEEL.replace('url = "https://files.test/', 'path = "wheels/')
    (file,) = read(tmp_path, text, url="https://locks.test/a/pylock.toml").files
    assert file.url == "https://locks.test/a/wheels/spam-1.0-py3-none-any.whl"


@pytest.mark.parametrize("path", ["/etc/spam-1.0-py3-none-any.whl", "//other.test/x.whl", "file:x"])
def test_a_lock_behind_a_url_leads_nowhere_else(tmp_path: Path, path: str) -> None:
    text = WHEEL.replace("https://files.test/spam-1.0-py3-none-any.whl", path)
    text = text.replace("url = ", "path = ")
    with pytest.raises(RequirementError, match="elsewhere"):
        read(tmp_path, text, url="https://locks.test/pylock.toml")


def test_the_best_wheel_or_the_source(tmp_path: Path) -> None:
    sdist = f'[packages.sdist]\nurl = "https://f.test/spam-1.0.tar.gz"\nhashes = {{sha256="{SHA}"}}'
    (file,) = read(tmp_path, WHEEL + sdist).files
    assert file.filename.endswith(".whl")
    (file,) = read(tmp_path, WHEEL + sdist, sdists=True).files
    assert file.filename == "spam-1.0.tar.gz"
    foreign = WHEEL.replace("py3-none-any", "cp27-cp27m-win32")
    (file,) = read(tmp_path, foreign + sdist).files
    assert file.filename == "spam-1.0.tar.gz"
    with pytest.raises(RequirementError, match="spam"):
        read(tmp_path, foreign)


def test_a_repository_at_its_commit(tmp_path: Path) -> None:
    commit = "0" * 40
    text = package(
        f'vcs = {{type="git", url="https://git.test/spam", commit-id="{commit}", '
        'subdirectory="lib"}'
    )
    (one,) = read(tmp_path, text).requirements
    assert (one.kind, one.name, one.subdirectory) == (RequestedKind.VCS, "spam", "lib")
    assert one.url == f"git+https://git.test/spam@{commit}#subdirectory=lib"


@pytest.mark.parametrize("editable", [True, False])
def test_a_folder(tmp_path: Path, editable: bool) -> None:
    (tmp_path / "lib" / "py").mkdir(parents=True)
    (tmp_path / "lib" / "py" / "pyproject.toml").touch()
    flag = "true" if editable else "false"
    text = package(f'directory = {{path="lib/py", editable={flag}}}')
    (one,) = read(tmp_path, text).requirements
    assert (one.kind, one.name, one.editable) == (RequestedKind.FOLDER, "spam", editable)
    assert one.url == (tmp_path / "lib" / "py").as_uri()
    with pytest.raises(RequirementError, match="folder"):
        read(tmp_path, text, url="https://locks.test/pylock.toml")


def test_an_archive(tmp_path: Path) -> None:
    text = package(
        f'archive = {{url="https://f.test/spam.zip", subdirectory="a", hashes={{sha256="{SHA}"}}}}'
    )
    (one,) = read(tmp_path, text).requirements
    assert (one.kind, one.subdirectory, list(one.hashes)) == (
        RequestedKind.SOURCE,
        "a",
        [("sha256", SHA)],
    )


def test_what_has_no_digest_does_not_stand_in_the_way_of_those_that_have(tmp_path: Path) -> None:
    vcs = package(f'vcs = {{type="git", url="https://git.test/x", commit-id="{"0" * 40}"}}', "eggs")
    assert hash_checking(read(tmp_path, WHEEL + vcs).requirements)


GROUPS = """
extras = ["fast"]
dependency-groups = ["dev", "docs"]
default-groups = ["docs"]
"""


def names(locked: Locked) -> set[str | None]:
    return {one.name for one in locked.requirements}


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        ({}, {"always"}),
        ({"defaults": True}, {"always", "docs"}),
        ({"extras": frozenset(["fast"])}, {"always", "fast"}),
        ({"groups": frozenset(["dev"])}, {"always", "dev"}),
        ({"groups": frozenset(["dev"]), "defaults": True}, {"always", "dev", "docs"}),
    ],
)
def test_extras_and_groups(tmp_path: Path, wanted: dict[str, Any], expected: set[str]) -> None:
    markers = {
        "always": "",
        "fast": "'fast' in extras",
        "dev": "'dev' in dependency_groups",
        "docs": "'docs' in dependency_groups",
    }
    text = GROUPS
    for name, marker in markers.items():
        text += WHEEL.replace("spam", name).replace(
            'version = "1.0"', f'version = "1.0"\nmarker = "{marker}"' if marker else ""
        )
    assert names(read(tmp_path, text, **wanted)) == expected


@pytest.mark.parametrize("wanted", [{"extras": frozenset("x")}, {"groups": frozenset("x")}])
def test_extras_and_groups_that_the_lock_does_not_know(
    tmp_path: Path, wanted: dict[str, Any]
) -> None:
    with pytest.raises(RequirementError, match="x"):
        read(tmp_path, GROUPS + WHEEL, **wanted)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("][", id="no-toml"),
        pytest.param("packages = 3", id="no-packages"),
        pytest.param('requires-python = ">=99"' + WHEEL, id="another-python"),
        pytest.param("environments = [\"sys_platform == 'vax'\"]" + WHEEL, id="another-system"),
        pytest.param(WHEEL + WHEEL, id="twice"),
        pytest.param(WHEEL.replace("sha256", "md5"), id="a-weak-hash"),
        pytest.param(WHEEL.replace("https://files.test/", "ftp://x/") + "[[", id="cut"),
        pytest.param(package('version = "1"'), id="no-source"),
    ],
)
def test_what_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(RequirementError, match=r"pylock\.toml"):
        read(tmp_path, text)


def test_a_newer_kind_of_lock_is_refused(tmp_path: Path) -> None:
    (tmp_path / "pylock.toml").write_text('lock-version = "2.0"\ncreated-by = "x"\npackages = []\n')
    with pytest.raises(RequirementError, match=r"2\.0"):
        read_lock(
            LockRequest(str(tmp_path / "pylock.toml"), FLAG),
            None,
            markers={},
            tags=[],
            prefers_sdist=lambda name: False,
        )


def test_which_values_name_locks() -> None:
    named = [
        Sourced("a.txt", FLAG),
        Sourced("pylock.toml[fast, Big]", FLAG),
        Sourced("https://x.test/pylock.dev.toml", FLAG),
    ]
    groups = [
        Sourced(("pylock.toml", "dev"), FLAG),
        Sourced(("pyproject.toml", "dev"), FLAG),
        Sourced(("sub/pylock.toml", "dev"), FLAG),
    ]
    found = lock_requests(named, groups)
    assert list(found) == ["pylock.toml", "https://x.test/pylock.dev.toml", "sub/pylock.toml"]
    both = found["pylock.toml"]
    assert (set(both.extras), set(both.groups), both.defaults) == ({"fast", "Big"}, {"dev"}, True)
    assert found["sub/pylock.toml"].defaults is False


@pytest.mark.parametrize("line", ["-r pylock.toml", "-c pylock.toml"])
def test_a_lock_is_not_included(tmp_path: Path, line: str) -> None:
    (tmp_path / "pylock.toml").write_text(HEAD + WHEEL)
    (tmp_path / "r.txt").write_text(line)
    with pytest.raises(RequirementError, match="lock file"):
        parse_file(str(tmp_path / "r.txt"), None, environ={}, origin=FLAG)
