"""Pythons that are somebody else's: Debian's, and an environment that conda made."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from support.indexes import SimpleIndex
from support.venvs import Kedge, make_venv, snapshot, versions_in

DEBIAN = Path("/usr/bin/python3")


def _is_debians() -> bool:
    marker = list(Path("/usr/lib").glob("python3*/EXTERNALLY-MANAGED"))
    return DEBIAN.exists() and bool(marker) and Path("/usr/lib/python3/dist-packages").is_dir()


debian = pytest.mark.skipif(not _is_debians(), reason="no Debian python3 here")


@pytest.fixture
def on_debian(kedge: Kedge) -> Kedge:
    """kedge on the system's Python, named by ``--python``."""
    plain = Kedge(kedge.environ, cwd=kedge.cwd)
    return plain.having("--python", DEBIAN)


@debian
class TestDebian:
    def test_is_left_alone(self, on_debian: Kedge) -> None:
        outcome = on_debian("install", "banana").failed(1, saying=["externally managed", "venv"])
        assert "apt" in outcome.text, "Debian's own words"
        on_debian("uninstall", "-y", "pip").failed(1, saying=["externally managed"])

    def test_what_it_has_is_what_pip_says(self, on_debian: Kedge) -> None:
        told = on_debian("list", "--format=json").succeeded()
        line = [sys.executable, "-m", "pip", "--python", str(DEBIAN), "list", "--format=json"]
        environ = {**on_debian.environ, "PIP_DISABLE_PIP_VERSION_CHECK": "1", "PYTHONPATH": ""}
        pip = subprocess.run(line, capture_output=True, text=True, env=environ, check=True)
        assert json.loads(told.stdout) == json.loads(pip.stdout)

    @pytest.mark.parametrize("place", ["--root", "--prefix", "--target"])
    def test_files_go_where_pip_puts_them(
        self, on_debian: Kedge, catalogue: SimpleIndex, tmp_path: Path, place: str
    ) -> None:
        """Debian's scheme has folders of its own: ``local``, and ``dist-packages``."""
        (artifact,) = [a for a in catalogue.files if a.filename.startswith("tool-1.0")]
        archive = artifact.write(tmp_path / "links")
        ours, theirs = tmp_path / "ours", tmp_path / "them"
        words = ["install", "tool", place]
        more = ["--break-system-packages", "--no-index", "-f", str(tmp_path / "links")]
        on_debian(*words, ours, *more).succeeded()
        line = [sys.executable, "-m", "pip", "--python", str(DEBIAN), "install", str(archive)]
        line += [place, str(theirs), "--break-system-packages", "--no-index", "--no-compile"]
        environ = {**on_debian.environ, "PYTHONPATH": "", "PIP_ROOT_USER_ACTION": "ignore"}
        subprocess.run(line, capture_output=True, env=environ, check=True)
        left, right = (
            {path for path, data in snapshot(each).items() if data is not None}
            for each in (ours, theirs)
        )
        assert left == {path for path in right if not path.endswith("direct_url.json")}

    def test_an_environment_that_sees_it_changes_only_itself(
        self, kedge: Kedge, tmp_path: Path
    ) -> None:
        env = tmp_path / "over-debian"
        words = [str(DEBIAN), "-m", "venv", "--without-pip", "--system-site-packages", str(env)]
        if subprocess.run(words, capture_output=True).returncode:
            pytest.skip("not here: python3-venv")
        inside = Kedge(kedge.environ, cwd=kedge.cwd).having("--python", env)
        inside("install", "banana").succeeded()
        (site,) = env.glob("lib/python3*/site-packages")
        assert versions_in(site) == {"banana": "2.0"}
        below = versions_in(Path("/usr/lib/python3/dist-packages"))
        if below:
            name = min(below)
            outcome = inside("uninstall", "-y", name).succeeded()
            assert "outside the environment" in outcome.text
        assert versions_in(Path("/usr/lib/python3/dist-packages")) == below


class TestConda:
    """An environment with conda's marks: its own packages have ``INSTALLER`` conda."""

    @pytest.fixture
    def conda(self, kedge: Kedge, tmp_path: Path) -> tuple[Kedge, Path]:
        made = make_venv(tmp_path / "conda-env")
        (made.path / "conda-meta").mkdir()
        (made.path / "conda-meta" / "history").write_text("")
        program = (sys.executable, "-c", "from kedge.cli.main import script; script()")
        environ = {**kedge.environ, "CONDA_PREFIX": str(made.path)}
        return Kedge(environ, program=program, cwd=kedge.cwd), made.site

    def test_the_active_one_is_installed_into(self, conda: tuple[Kedge, Path]) -> None:
        kedge, site = conda
        outcome = kedge("install", "banana").succeeded()
        assert "CONDA_PREFIX" in outcome.stderr
        assert versions_in(site) == {"banana": "2.0"}
        kedge("uninstall", "-y", "banana").succeeded()
        assert versions_in(site) == {}

    def test_what_conda_did_not_record_is_condas_to_remove(self, conda: tuple[Kedge, Path]) -> None:
        kedge, site = conda
        info = site / "banana-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: banana\nVersion: 1.0\n")
        (info / "INSTALLER").write_text("conda\n")
        before = snapshot(site)
        kedge("uninstall", "-y", "banana").failed(1, saying=["conda", "RECORD"])
        kedge("install", "-U", "banana").failed(1, saying=["conda", "RECORD"])
        assert snapshot(site) == before
