"""What a user of pip types, and what must then be installed."""

from __future__ import annotations

import base64
import csv
import hashlib
import importlib.metadata
import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from support.indexes import SimpleIndex, files_fetched
from support.pki import Authority
from support.servers import Server, tree
from support.venvs import Kedge, Venv, make_venv_with_kedge, snapshot, versions_in
from support.wheels import wheel, with_member

APPLE = {"apple": "2.0", "banana": "2.0"}


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        pytest.param(["apple"], APPLE, id="newest-and-its-dependency"),
        pytest.param(["apple==1.0"], {"apple": "1.0"}, id="pinned"),
        pytest.param(["apple<2", "banana"], {"apple": "1.1", "banana": "2.0"}, id="a-range"),
        pytest.param(["APPLE"], APPLE, id="any-spelling"),
        pytest.param(["mixed_case-name"], {"mixed-case-name": "1.0"}, id="normalized"),
        pytest.param(["banana"], {"banana": "2.0"}, id="yanked-is-passed-over"),
        pytest.param(["banana==2.1"], {"banana": "2.1"}, id="yanked-when-pinned"),
        pytest.param(["cherry"], {"cherry": "1.0"}, id="no-extra"),
        pytest.param(["cherry[jam]"], {"cherry": "1.0", "banana": "1.0"}, id="an-extra"),
        pytest.param(["cherry[pie]"], {"cherry": "1.0", **APPLE}, id="an-extra-with-a-marker"),
        pytest.param(
            ["cherry[pie,jam]"],
            {"cherry": "1.0", "apple": "1.1", "banana": "1.0"},
            id="extras-that-need-backtracking",
        ),
        pytest.param(["damson"], {"damson": "1.0"}, id="requires-python"),
        pytest.param(
            ["damson", "--ignore-requires-python"], {"damson": "2.0"}, id="ignore-requires-python"
        ),
        pytest.param(["elder"], {"elder": "1.0"}, id="no-pre-release"),
        pytest.param(["elder", "--pre"], {"elder": "2.0rc1"}, id="pre"),
        pytest.param(["elder>=2.0rc0"], {"elder": "2.0rc1"}, id="pre-release-by-specifier"),
        pytest.param(["apple", "--no-deps"], {"apple": "2.0"}, id="no-deps"),
        pytest.param(['apple; python_version < "3"'], {}, id="marker-that-does-not-hold"),
        pytest.param(["left", "apple"], {"left": "1.0", "apple": "1.1", "banana": "1.0"}, id="two"),
        pytest.param(["apple", "--only-binary", ":all:"], APPLE, id="only-binary"),
    ],
)
def test_what_is_chosen(
    kedge: Kedge, target: Venv, words: list[str], expected: Mapping[str, str]
) -> None:
    kedge("install", *words).succeeded()
    assert target.versions() == expected


class TestFilesOfRequirements:
    def test_the_grammar(self, kedge: Kedge, target: Venv, tmp_path: Path) -> None:
        (tmp_path / "nested").mkdir()
        (tmp_path / "nested" / "more.txt").write_text("cherry [jam]\n-c ../limits.txt\n")
        (tmp_path / "limits.txt").write_text("apple<2\n")
        (tmp_path / "requirements.txt").write_text(
            "# a comment\n\napple \\\n  >=1.0  # another\n${NAME}==1.0\n-r nested/more.txt\n"
            'elder ; python_version < "3"\n'
        )
        words = ("-r", tmp_path / "requirements.txt")
        kedge("install", *words, environ={"NAME": "damson"}).succeeded()
        assert target.versions() == {
            "apple": "1.1",
            "banana": "1.0",
            "cherry": "1.0",
            "damson": "1.0",
        }

    def test_constraints_bind_and_ask_for_nothing(
        self, kedge: Kedge, target: Venv, tmp_path: Path
    ) -> None:
        (tmp_path / "limits.txt").write_text("apple==1.0\nelder==1.0\n")
        kedge("install", "apple", "-c", tmp_path / "limits.txt").succeeded()
        assert target.versions() == {"apple": "1.0"}

    def test_a_file_may_name_its_index(
        self, plain_kedge: Kedge, target: Venv, tmp_path: Path, index_url: str, bundle: Path
    ) -> None:
        (tmp_path / "r.txt").write_text(f"--index-url {index_url}\napple==1.1\n")
        plain_kedge("install", "-r", tmp_path / "r.txt", "--cert", bundle).succeeded()
        assert target.versions() == {"apple": "1.1"}

    def test_a_file_behind_a_url(
        self, kedge: Kedge, target: Venv, server: Server, private_ca: Authority
    ) -> None:
        files = {"/r.txt": b"apple==1.1\n"}
        with Server(tree(files), certificate=private_ca.leaf("localhost")) as there:
            kedge("install", "-r", f"{there.url}/r.txt").succeeded()
        assert target.versions() == {"apple": "1.1"}

    @pytest.mark.parametrize(
        ("line", "place"),
        [("apple==", "r.txt"), ("--no-such-option", "r.txt"), ("-r gone.txt", "gone.txt")],
    )
    def test_a_mistake_is_told_with_its_line(
        self, kedge: Kedge, target: Venv, tmp_path: Path, line: str, place: str
    ) -> None:
        (tmp_path / "r.txt").write_text(f"banana\n{line}\n")
        outcome = kedge("install", "-r", tmp_path / "r.txt")
        outcome.failed(outcome.code, saying=[place])
        assert outcome.code in {1, 2}
        assert target.versions() == {}


class TestUpgrades:
    def test_what_is_there_and_fits_stays(self, kedge: Kedge, target: Venv, server: Server) -> None:
        kedge("install", "apple==1.0").succeeded()
        server.forget()
        before = target.snapshot()
        kedge("install", "apple").succeeded()
        assert target.versions() == {"apple": "1.0"}
        assert files_fetched(server) == []
        assert target.snapshot() == before

    def test_upgrade(self, kedge: Kedge, target: Venv) -> None:
        kedge("install", "apple==1.0", "cherry").succeeded()
        kedge("install", "-U", "apple").succeeded()
        assert target.versions() == APPLE | {"cherry": "1.0"}
        assert not list(target.site.glob("apple-1.0*"))

    def test_dependencies_only_if_needed_or_eagerly(self, kedge: Kedge, target: Venv) -> None:
        kedge("install", "apple==1.0", "cherry").succeeded()
        kedge("install", "-U", "cherry[pie]").succeeded()
        assert target.versions() == {"apple": "1.0", "cherry": "1.0"}
        kedge("install", "-U", "--upgrade-strategy", "eager", "cherry[pie]").succeeded()
        assert target.versions() == APPLE | {"cherry": "1.0"}

    def test_downgrade_by_request(self, kedge: Kedge, target: Venv) -> None:
        kedge("install", "apple").succeeded()
        kedge("install", "apple==1.0").succeeded()
        assert target.versions() == {"apple": "1.0", "banana": "2.0"}

    def test_force_reinstall_mends(self, kedge: Kedge, target: Venv) -> None:
        kedge("install", "banana").succeeded()
        module = target.site / "banana" / "__init__.py"
        sound = module.read_bytes()
        module.unlink()
        module.write_text("broken")
        kedge("install", "banana").succeeded()
        assert module.read_text() == "broken"
        kedge("install", "--force-reinstall", "banana").succeeded()
        assert module.read_bytes() == sound

    def test_the_cache_serves_the_second_environment(
        self, kedge: Kedge, target: Venv, server: Server, tmp_path: Path
    ) -> None:
        kedge("install", "apple", "tool").succeeded()
        server.forget()
        second = tmp_path / "second"
        kedge("install", "apple", "tool", "--target", second).succeeded()
        assert files_fetched(server) == []
        assert versions_in(second) == APPLE | {"tool": "1.0"}


class TestWhatIsLeftBehind:
    def test_the_record_is_whole_and_true(self, kedge: Kedge, target: Venv) -> None:
        before = set(target.snapshot())
        kedge("install", "tool", "apple").succeeded()
        recorded: set[str] = set()
        for name in ("tool", "apple", "banana"):
            with (target.dist_info(name) / "RECORD").open(newline="", encoding="utf-8") as file:
                for path, digest, size in csv.reader(file):
                    found = (target.site / path).resolve()
                    recorded.add(str(found.relative_to(target.path)))
                    if digest:
                        data = found.read_bytes()
                        assert (digest, size) == (record_digest(data), str(len(data)))
        after = target.snapshot()
        assert {name for name in set(after) - before if after[name] is not None} == recorded

    def test_what_a_wheel_forgot_to_record_is_recorded(
        self, kedge: Kedge, target: Venv, tmp_path: Path
    ) -> None:
        """Such wheels are on the public index; pip installs them."""
        built = with_member(wheel("forgetful"), "forgetful/more.py", "x = 1\n", recorded=False)
        kedge("install", built.write(tmp_path)).succeeded()
        assert target.run("-c", "import forgetful.more as m; print(m.x)") == "1\n"
        kedge("uninstall", "-y", "forgetful").succeeded()
        assert not (target.site / "forgetful").exists()

    def test_who_installed_and_what_was_asked_for(self, kedge: Kedge, target: Venv) -> None:
        kedge("install", "apple").succeeded()
        for name, requested in (("apple", True), ("banana", False)):
            info = target.dist_info(name)
            assert (info / "INSTALLER").read_text().strip() == "kedge"
            assert (info / "REQUESTED").is_file() is requested
            assert not (info / "direct_url.json").exists()

    def test_scripts_and_data_files_work(self, kedge: Kedge, target: Venv) -> None:
        kedge("install", "tool").succeeded()
        assert target.run_script("tool-tell") == "tool 1.0\n"
        assert target.run_script("tool-run") == "ran 1.0\n"
        assert (target.path / "share" / "tool" / "note.txt").read_text() == "a note\n"

    @pytest.mark.parametrize("compiled", [True, False])
    def test_bytecode_on_request(self, kedge: Kedge, target: Venv, compiled: bool) -> None:
        kedge("install", "banana", *(["--compile"] if compiled else [])).succeeded()
        assert bool(list(target.site.glob("banana/__pycache__/*.pyc"))) is compiled
        kedge("uninstall", "-y", "banana").succeeded()
        assert not (target.site / "banana").exists()

    def test_a_direct_url(self, kedge: Kedge, target: Venv, server: Server) -> None:
        built = next(file for file in catalogue_of(server).files if file.name == "banana")
        url = f"{server.url}/files/{built.filename}"
        kedge("install", f"banana @ {url}#sha256={built.sha256}").succeeded()
        recorded = json.loads((target.dist_info("banana") / "direct_url.json").read_text())
        assert recorded["url"].partition("#")[0] == url
        assert recorded["archive_info"]["hashes"] == {"sha256": built.sha256}
        assert kedge("freeze").succeeded().stdout.startswith(f"banana @ {url}")

    def test_a_wheel_on_this_machine(self, kedge: Kedge, target: Venv, tmp_path: Path) -> None:
        path = wheel("local-one", "1.0", requires=["banana<2"]).write(tmp_path)
        kedge("install", path).succeeded()
        assert target.versions() == {"local-one": "1.0", "banana": "1.0"}
        recorded = json.loads((target.dist_info("local-one") / "direct_url.json").read_text())
        assert recorded["url"] == path.as_uri()

    def test_pip_understands_the_result(self, kedge: Kedge, target: Venv) -> None:
        before = target.snapshot()
        kedge("install", "apple", "tool", "cherry[jam]==1.0", "banana>=2").failed(1)
        kedge("install", "apple", "tool").succeeded()
        assert "No broken requirements" in pip(kedge, "check")
        assert json.loads(pip(kedge, "list", "--format=json")) == json.loads(
            kedge("list", "--format", "json").succeeded().stdout
        )
        pip(kedge, "uninstall", "--yes", "apple", "banana", "tool")
        left = {name for name, data in target.snapshot().items() if data is not None}
        assert left == {name for name, data in before.items() if data is not None}


class TestOtherPlaces:
    def test_target(self, kedge: Kedge, target: Venv, tmp_path: Path) -> None:
        folder = tmp_path / "folder"
        kedge("install", "apple", "tool", "--target", folder).succeeded()
        assert versions_in(folder) == APPLE | {"tool": "1.0"}
        assert target.versions() == {}
        assert (folder / "bin" / "tool-tell").is_file()

    def test_target_replaces_with_upgrade_only(self, kedge: Kedge, tmp_path: Path) -> None:
        folder = tmp_path / "folder"
        kedge("install", "banana==1.0", "--target", folder).succeeded()
        kedge("install", "banana==2.0", "--target", folder)
        assert "1.0" in (folder / "banana" / "__init__.py").read_text()
        kedge("install", "banana==2.0", "--target", folder, "--upgrade").succeeded()
        assert "2.0" in (folder / "banana" / "__init__.py").read_text()
        assert (folder / "banana-2.0.dist-info" / "METADATA").is_file()

    def test_prefix_and_root(self, kedge: Kedge, target: Venv, tmp_path: Path) -> None:
        kedge("install", "banana", "--prefix", tmp_path / "p").succeeded()
        assert list((tmp_path / "p").rglob("banana/__init__.py"))
        kedge("install", "banana", "--root", tmp_path / "r").succeeded()
        found = list((tmp_path / "r").rglob("banana/__init__.py"))
        assert [str(tmp_path / "r") + str(target.site / "banana" / "__init__.py")] == list(
            map(str, found)
        )
        assert target.versions() == {}

    def test_dry_run_and_report(self, kedge: Kedge, target: Venv, tmp_path: Path) -> None:
        before = target.snapshot()
        report = tmp_path / "report.json"
        kedge("install", "apple", "--dry-run", "--report", report).succeeded()
        assert target.snapshot() == before
        document = json.loads(report.read_text())
        entries = {
            entry["metadata"]["name"]: (entry["metadata"]["version"], entry["requested"])
            for entry in document["install"]
        }
        assert document["version"] == "1"
        assert entries == {"apple": ("2.0", True), "banana": ("2.0", False)}

    def test_python_minus_m_means_that_python(
        self, kedge: Kedge, target: Venv, tmp_path: Path
    ) -> None:
        own = make_venv_with_kedge(tmp_path / "own")
        program = (str(own.python), "-m", "kedge")
        # An active environment does not count then.
        environ = {**kedge.environ, "VIRTUAL_ENV": str(target.path)}
        Kedge(environ, program=program)("install", "banana").succeeded()
        assert (own.site / "banana").is_dir()
        assert target.versions() == {}


class TestHashes:
    @pytest.fixture
    def digests(self, catalogue: SimpleIndex) -> Mapping[str, str]:
        return {f"{file.name} {file.version}": file.sha256 for file in catalogue.files}

    def write(self, folder: Path, *lines: str) -> Path:
        file = folder / "locked.txt"
        file.write_text("\n".join([*lines, ""]))
        return file

    def test_good(
        self, kedge: Kedge, target: Venv, tmp_path: Path, digests: Mapping[str, str]
    ) -> None:
        file = self.write(
            tmp_path,
            f"apple==2.0 --hash=sha256:{digests['apple 2.0']}",
            f"banana==2.0 --hash=sha256:{'0' * 64} \\\n  --hash=sha256:{digests['banana 2.0']}",
        )
        kedge("install", "--require-hashes", "-r", file).succeeded()
        assert target.versions() == APPLE

    def test_wrong(
        self, kedge: Kedge, target: Venv, tmp_path: Path, digests: Mapping[str, str]
    ) -> None:
        file = self.write(tmp_path, f"banana==2.0 --hash=sha256:{'0' * 64}")
        outcome = kedge("install", "-r", file)
        outcome.failed(1, saying=["banana"])
        assert "0" * 64 in outcome.text
        assert digests["banana 2.0"] in outcome.text
        assert target.versions() == {}

    @pytest.mark.parametrize(
        "lines",
        [
            pytest.param(["apple==2.0 --hash=sha256:{apple}"], id="a-dependency-without"),
            pytest.param(["apple==2.0 --hash=sha256:{apple}", "banana==2.0"], id="one-without"),
        ],
    )
    def test_all_or_nothing(
        self,
        kedge: Kedge,
        target: Venv,
        tmp_path: Path,
        digests: Mapping[str, str],
        lines: list[str],
    ) -> None:
        known = {"apple": digests["apple 2.0"], "banana": digests["banana 2.0"]}
        file = self.write(tmp_path, *(line.format(**known) for line in lines))
        kedge("install", "-r", file).failed(1, saying=["banana"])
        assert target.versions() == {}

    def test_the_flag_wants_them_on_the_command_line_too(self, kedge: Kedge, target: Venv) -> None:
        kedge("install", "--require-hashes", "banana==2.0").failed(1, saying=["banana"])
        assert target.versions() == {}

    def test_a_bad_file_in_the_cache_is_not_an_excuse(
        self, kedge: Kedge, target: Venv, tmp_path: Path
    ) -> None:
        kedge("install", "banana", "--target", tmp_path / "first").succeeded()
        file = self.write(tmp_path, f"banana==2.0 --hash=sha256:{'0' * 64}")
        kedge("install", "-r", file).failed(1, saying=["banana"])
        assert target.versions() == {}


class TestListFreezeUninstall:
    def test_list(self, kedge: Kedge) -> None:
        kedge("install", "apple", "Mixed.Case_Name").succeeded()
        rows = [line.split() for line in kedge("list").succeeded().stdout.splitlines()[2:]]
        assert rows == [["apple", "2.0"], ["banana", "2.0"], ["Mixed.Case_Name", "1.0"]]
        outcome = kedge("list", "--format=json").succeeded()
        assert json.loads(outcome.stdout)[2] == {"name": "Mixed.Case_Name", "version": "1.0"}

    def test_freeze_and_install_again(self, kedge: Kedge, target: Venv, tmp_path: Path) -> None:
        kedge("install", "apple==1.0", "banana==1.0").succeeded()
        frozen = kedge("freeze").succeeded().stdout
        assert frozen == "apple==1.0\nbanana==1.0\n"
        (tmp_path / "frozen.txt").write_text(frozen)
        folder = tmp_path / "again"
        kedge("install", "-r", tmp_path / "frozen.txt", "--target", folder).succeeded()
        assert versions_in(folder) == target.versions()

    def test_uninstall_leaves_nothing(self, kedge: Kedge, target: Venv) -> None:
        before = target.snapshot()
        kedge("install", "tool", "apple").succeeded()
        target.run_script("tool-tell")  # leaves bytecode beside the sources
        kedge("uninstall", "--yes", "tool", "apple").succeeded()
        assert target.versions() == {"banana": "2.0"}
        kedge("uninstall", "-y", "banana").succeeded()
        after = target.snapshot()
        assert {n: d for n, d in after.items() if d is not None} == {
            n: d for n, d in before.items() if d is not None
        }

    def test_uninstall_of_what_is_not_there(self, kedge: Kedge, target: Venv) -> None:
        kedge("install", "banana").succeeded()
        outcome = kedge("uninstall", "-y", "no-such-project")
        outcome.without_traceback()
        assert outcome.code == 0, "as pip: a warning, not a failure"
        assert "no-such-project" in outcome.text
        assert target.versions() == {"banana": "2.0"}

    def test_the_distribution_can_be_imported(self, kedge: Kedge, target: Venv) -> None:
        kedge("install", "Mixed.Case_Name").succeeded()
        code = "import mixed_case_name; mixed_case_name.main()"
        assert target.run("-c", code) == "Mixed.Case_Name 1.0\n"
        found = importlib.metadata.distributions(path=[str(target.site)])
        assert [dist.metadata["Name"] for dist in found] == ["Mixed.Case_Name"]


def test_an_install_reads_no_configuration_that_it_was_told_to_pass_over(
    kedge: Kedge, target: Venv, home: Path
) -> None:
    folder = home / ".config" / "pip"
    folder.mkdir(parents=True)
    (folder / "pip.conf").write_text("[global]\nno-deps = true\n")
    kedge("install", "apple").succeeded()
    assert target.versions() == APPLE


def test_the_home_folder_holds_a_cache_and_nothing_else(
    kedge: Kedge, home: Path, target: Venv
) -> None:
    kedge("install", "apple").succeeded()
    assert {name.split("/")[0] for name in snapshot(home)} <= {".cache"}


def record_digest(data: bytes) -> str:
    digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
    return f"sha256={digest}"


def catalogue_of(server: Server) -> SimpleIndex:
    index = getattr(server.handler, "handler", None)
    assert isinstance(index, SimpleIndex)
    return index


def pip(kedge: Kedge, *words: str) -> str:
    """What the tests' own pip says of kedge's target."""
    pytest.importorskip("pip")
    assert kedge.python
    command = [sys.executable, "-m", "pip", "--python", str(kedge.python.python), *words]
    environ = {**kedge.environ, "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
    return subprocess.run(command, env=environ, check=True, capture_output=True, text=True).stdout
