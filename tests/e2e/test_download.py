"""``kedge download``, and choosing files for another Python or platform."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.indexes import SimpleIndex, files_fetched
from support.pki import Authority
from support.servers import Server
from support.venvs import Kedge, Venv
from support.wheels import sdist, wheel


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


APPLE = {"apple-2.0-py3-none-any.whl", "banana-2.0-py3-none-any.whl"}


class TestFiles:
    def test_with_dependencies_and_without_touching_the_environment(
        self, kedge: Kedge, target: Venv, catalogue: SimpleIndex, tmp_path: Path
    ) -> None:
        before = target.snapshot()
        done = kedge("download", "apple", "-d", tmp_path / "a" / "b").succeeded()
        folder = tmp_path / "a" / "b"
        assert names(folder) == APPLE
        for file in catalogue.files:
            if file.filename in APPLE:
                assert (folder / file.filename).read_bytes() == file.data
        assert {Path(line) for line in done.stdout.splitlines()} == set(folder.iterdir())
        assert target.snapshot() == before

    def test_what_is_installed_does_not_count(
        self, kedge: Kedge, target: Venv, tmp_path: Path
    ) -> None:
        kedge("install", "apple").succeeded()
        kedge("download", "apple", "-d", tmp_path / "d").succeeded()
        assert names(tmp_path / "d") == APPLE

    def test_into_the_current_folder(self, kedge: Kedge) -> None:
        kedge("download", "banana", "--no-deps").succeeded()
        assert kedge.cwd is not None
        assert names(kedge.cwd) == {"banana-2.0-py3-none-any.whl"}

    def test_what_is_there_is_not_fetched_again(
        self, kedge: Kedge, server: Server, tmp_path: Path
    ) -> None:
        kedge("download", "apple", "-d", tmp_path).succeeded()
        server.forget()
        (tmp_path / "banana-2.0-py3-none-any.whl").write_bytes(b"damaged")
        kedge("download", "apple", "-d", tmp_path).succeeded()
        assert files_fetched(server) == ["banana-2.0-py3-none-any.whl"]
        assert (tmp_path / "banana-2.0-py3-none-any.whl").stat().st_size > 100

    def test_hashes_are_enforced(self, kedge: Kedge, tmp_path: Path) -> None:
        wrong = hashlib.sha256(b"another").hexdigest()
        (tmp_path / "r.txt").write_text(f"banana==2.0 --hash=sha256:{wrong}\n")
        done = kedge("download", "-r", tmp_path / "r.txt", "-d", tmp_path / "d")
        done.failed(saying=[wrong])
        assert names(tmp_path / "d") == set()

    def test_from_find_links(self, plain_kedge: Kedge, tmp_path: Path) -> None:
        wheel("local", "1.0").write(tmp_path / "links")
        words = ("--no-index", "-f", tmp_path / "links", "-d", tmp_path / "d")
        plain_kedge("download", "local", *words).succeeded()
        assert names(tmp_path / "d") == {"local-1.0-py3-none-any.whl"}

    def test_a_wheel_by_path(self, kedge: Kedge, tmp_path: Path) -> None:
        path = wheel("local", "1.0", requires=["banana<2"]).write(tmp_path / "links")
        kedge("download", path, "-d", tmp_path / "d").succeeded()
        assert names(tmp_path / "d") == {path.name, "banana-1.0-py3-none-any.whl"}

    def test_a_folder_that_is_a_file(self, kedge: Kedge, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("")
        kedge("download", "banana", "-d", tmp_path / "file").failed(2, saying=["it is a file"])

    def test_nothing_asked(self, kedge: Kedge) -> None:
        kedge("download").failed(2, saying=["-r FILE"])

    def test_the_folder_serves_an_install(
        self, kedge: Kedge, plain_kedge: Kedge, target: Venv, tmp_path: Path
    ) -> None:
        kedge("download", "cherry[jam]", "-d", tmp_path / "d").succeeded()
        words = ("--no-index", "-f", tmp_path / "d", "cherry[jam]")
        plain_kedge("install", *words).succeeded()
        assert target.versions() == {"cherry": "1.0", "banana": "1.0"}


@pytest.fixture
def elsewhere(plain_kedge: Kedge, private_ca: Authority, bundle: Path) -> Iterator[Kedge]:
    """Kedge on an index of wheels for several platforms and Pythons."""
    index = SimpleIndex(
        [
            wheel("native", "1.0", tag="cp38-cp38-win_amd64"),
            wheel("native", "1.0", tag="cp312-cp312-manylinux2014_x86_64"),
            wheel("native", "1.0", tag="cp312-abi3-macosx_11_0_arm64"),
            wheel("old", "1.0"),
            wheel("old", "2.0", requires_python=">=3.9"),
            wheel(
                "marked",
                "1.0",
                requires=['winonly; sys_platform == "win32"', 'back; python_version < "3.9"'],
            ),
            wheel("winonly", "1.0"),
            wheel("back", "1.0"),
            sdist("source", "1.0"),
        ]
    )
    with Server(index, certificate=private_ca.leaf("localhost")) as server:
        yield plain_kedge.having(PIP_INDEX_URL=f"{server.url}/simple/", PIP_CERT=str(bundle))


WHEELS = "--only-binary=:all:"


class TestAnotherPython:
    @pytest.mark.parametrize(
        ("words", "expected"),
        [
            pytest.param(
                ["native", WHEELS, "--platform", "win_amd64", "--python-version", "3.8"],
                {"native-1.0-cp38-cp38-win_amd64.whl"},
                id="windows",
            ),
            pytest.param(
                ["native", "--no-deps", "--platform=manylinux2014_x86_64", "--python-version=312"],
                {"native-1.0-cp312-cp312-manylinux2014_x86_64.whl"},
                id="no-deps-will-do",
            ),
            pytest.param(
                [
                    *("native", WHEELS, "--platform=macosx_14_0_arm64"),
                    *("--python-version=3.13", "--abi=abi3", "--implementation=cp"),
                ],
                {"native-1.0-cp312-abi3-macosx_11_0_arm64.whl"},
                id="abi3-on-a-newer-system",
            ),
            pytest.param(
                ["old", WHEELS, "--python-version", "3.8"],
                {"old-1.0-py3-none-any.whl"},
                id="requires-python",
            ),
            pytest.param(
                ["marked", WHEELS, "--platform", "win32", "--python-version", "3.8"],
                {
                    "marked-1.0-py3-none-any.whl",
                    "winonly-1.0-py3-none-any.whl",
                    "back-1.0-py3-none-any.whl",
                },
                id="markers-of-what-is-described",
            ),
        ],
    )
    def test_which_files(
        self, elsewhere: Kedge, tmp_path: Path, words: list[str], expected: set[str]
    ) -> None:
        elsewhere("download", *words, "-d", tmp_path / "d").succeeded()
        assert names(tmp_path / "d") == expected

    def test_none_fits(self, elsewhere: Kedge, tmp_path: Path) -> None:
        words = ("native", WHEELS, "--platform", "win_amd64", "--python-version", "3.12")
        elsewhere("download", *words, "-d", tmp_path / "d").failed(saying=["native"])

    @pytest.mark.parametrize(
        "words",
        [
            ["--platform", "win_amd64"],
            ["--python-version", "3.8"],
            ["--abi", "cp38"],
            ["--implementation", "pp"],
            ["--platform", "win_amd64", "--only-binary", "native"],
            ["--platform", "win_amd64", WHEELS, "--no-binary", "other"],
        ],
    )
    def test_nothing_that_is_to_be_built(
        self, elsewhere: Kedge, tmp_path: Path, words: list[str]
    ) -> None:
        done = elsewhere("download", "native", *words, "-d", tmp_path / "d")
        done.failed(2, saying=["--only-binary=:all:", "--no-deps"])

    def test_an_install_needs_a_folder_of_its_own(self, elsewhere: Kedge, target: Venv) -> None:
        words = ("native", WHEELS, "--platform", "win_amd64", "--python-version", "3.8")
        elsewhere("install", *words).failed(2, saying=["--target", "--dry-run"])
        done = elsewhere("install", "--dry-run", *words).succeeded()
        assert done.stdout.split() == ["native==1.0"]
        assert target.versions() == {}

    def test_install_into_a_folder(self, elsewhere: Kedge, tmp_path: Path) -> None:
        words = ("native", WHEELS, "--platform", "win_amd64", "--python-version", "3.8")
        elsewhere("install", *words, "--target", tmp_path / "t").succeeded()
        assert (tmp_path / "t" / "native" / "__init__.py").is_file()

    @pytest.mark.parametrize("version", ["3.x", "3.8.1.2", ""])
    def test_a_version_that_is_none(self, elsewhere: Kedge, version: str) -> None:
        elsewhere("download", "old", WHEELS, "--python-version", version).failed(2)
